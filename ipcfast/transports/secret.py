# SPDX-License-Identifier: MIT
"""How two sides prove to each other that they know one secret: docs/spec/handshake.md. Moves no bytes."""

from __future__ import annotations

import hmac
import secrets

from ipcfast.errors import FrameError, PermissionDenied

__all__ = ["ClientProof", "ServerProof"]

# No framing starts with its first byte, so neither side can take the other's challenge for something else.
MAGIC = b"\x8eipcfsk\x01"
NONCE_SIZE = 32
PROOF_SIZE = 32
CHALLENGE_SIZE = len(MAGIC) + NONCE_SIZE
ACCEPTED, REFUSED = b"\x01", b"\x00"
# What is signed says who signs, so that no proof can be sent back to its maker as the other side's.
CLIENT_LABEL = b"ipcfast shared secret 1, client"
SERVER_LABEL = b"ipcfast shared secret 1, server"


class _Side:
    """What both sides have.

    Attributes:
        wanted: How many bytes ``feed`` takes next; 0 once the other side has proved itself.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._nonce = secrets.token_bytes(NONCE_SIZE)
        self._challenge = MAGIC + self._nonce
        self.wanted = CHALLENGE_SIZE

    def _proof(self, label: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
        return hmac.new(self._secret, label + client_nonce + server_nonce, "sha256").digest()


def nonce_of(challenge: bytes) -> bytes:
    """Return the nonce of the other side's challenge.

    Raises:
        FrameError: It is none.
    """
    if challenge[: len(MAGIC)] != MAGIC:
        raise FrameError(
            "the other side does not begin with a challenge: it knows of no shared secret, or speaks another"
            " version",
            expected=MAGIC,
            found=challenge[: len(MAGIC)],
        )
    return challenge[len(MAGIC) :]


class ClientProof(_Side):
    """The side that connects: challenges, proves itself, and demands the server's proof."""

    def __init__(self, secret: bytes) -> None:
        super().__init__(secret)
        self._due = b""

    def begin(self) -> bytes:
        """Return what to send first."""
        return self._challenge

    def feed(self, data: bytes) -> bytes:
        """Take ``wanted`` bytes of the server's; return what to send.

        Raises:
            FrameError: They are no answer.
            PermissionDenied: The server has another secret, or says that we have.
        """
        if not self._due:
            server_nonce = nonce_of(data)
            self._due = self._proof(SERVER_LABEL, self._nonce, server_nonce)
            self.wanted = len(ACCEPTED) + PROOF_SIZE
            return self._proof(CLIENT_LABEL, self._nonce, server_nonce)
        if data[:1] == REFUSED:
            raise PermissionDenied("the server has another shared secret than this client")
        if data[:1] != ACCEPTED or not hmac.compare_digest(data[1:], self._due):
            raise PermissionDenied("the server could not prove that it knows the shared secret")
        self.wanted = 0
        return b""


class ServerProof(_Side):
    """The side that accepts: answers a challenge, and proves itself to those who have done so."""

    def __init__(self, secret: bytes) -> None:
        super().__init__(secret)
        self._client_nonce = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Take ``wanted`` bytes of the client's.

        Returns:
            What to send, and whether the client is to be dropped after that.

        Raises:
            FrameError: They are no challenge.
        """
        if not self._client_nonce:
            self._client_nonce = nonce_of(data)
            self.wanted = PROOF_SIZE
            return self._challenge, False
        if not hmac.compare_digest(data, self._proof(CLIENT_LABEL, self._client_nonce, self._nonce)):
            return REFUSED + bytes(PROOF_SIZE), True
        self.wanted = 0
        return ACCEPTED + self._proof(SERVER_LABEL, self._client_nonce, self._nonce), False
