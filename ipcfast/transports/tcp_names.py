# SPDX-License-Identifier: MIT
"""The addresses that a host's name stands for: asked of the system's resolver, without waiting for it."""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import threading
import time
from typing import Any, NamedTuple

from ipcfast.errors import AddressNotFound
from ipcfast.transports.address import Address

__all__ = ["Candidate", "HostNames", "candidates_of", "endpoint_text", "is_loopback", "no_such_host"]

# A name may come to mean another machine while a client waits for its server.
ASK_AGAIN_SECONDS = 5.0
# After the resolver could not tell for the moment, which it mostly says after seconds of trying.
PAUSE_SECONDS = 0.25


class Candidate(NamedTuple):
    """One address of a host, as getaddrinfo gives it."""

    family: int
    sockaddr: tuple[Any, ...]


def candidates_of(host: str, port: int, *, passive: bool = False) -> list[Candidate]:
    """Return every address of a host; asks the system's resolver, which may take long.

    Raises:
        socket.gaierror: There are none.
    """
    flags = socket.AI_PASSIVE if passive else 0
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Candidate(family, sockaddr) for family, _, _, _, sockaddr in found))


def is_number(host: str) -> bool:
    """Return whether a host is given by its number, which nobody has to be asked for."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.partition("%")[0])
        return True
    return False


def is_loopback(host: str) -> bool:
    """Return whether a numeric address stays within this machine."""
    address = ipaddress.ip_address(host.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def endpoint_text(sockaddr: tuple[Any, ...]) -> str:
    """Return host and port as an address has them, with the interface that a local address of IPv6 is on."""
    host, port = sockaddr[:2]
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        host = f"{host}%{interface_name(sockaddr[3])}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def interface_name(index: int) -> str:
    """Return the name of an interface, its number where it has gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)


def no_such_host(address: Address, error: Exception) -> AddressNotFound:
    """Return the error for a host that the system's resolver does not know."""
    reason = getattr(error, "strerror", None) or error
    return AddressNotFound(
        f"the host of {address.text} is not known: {reason}; check its name", filename=address.text
    )


class HostNames:
    """What the host of an address stands for: asked for in a thread, and again every few seconds.

    The resolver cannot be stopped, so there is one thread at most, and it is left behind with this object.
    Not for several threads at a time.

    Attributes:
        known: What was answered last; empty before the first answer.
        problem: Why there is none yet, where the resolver could not tell for the moment.
    """

    def __init__(self, address: Address) -> None:
        self.known: list[Candidate] = []
        self.problem: Exception | None = None
        self._address = address
        self._host, self._port = address.endpoint()
        self._answers: queue.SimpleQueue[list[Candidate] | Exception] = queue.SimpleQueue()
        self._is_asked = False
        self._ask_at = 0.0  # monotonic

    @property
    def is_awaited(self) -> bool:
        """Whether nothing is known because the answer has not come yet."""
        return self._is_asked and not self.known

    def look(self, seconds: float) -> list[Candidate]:
        """Return what is known; where nothing is, wait for the answer this long.

        Raises:
            AddressNotFound: There is no such host.
        """
        if not self._is_asked and time.monotonic() >= self._ask_at:
            self._ask()
        if self._is_asked:
            wait = 0.0 if self.known else seconds
            with contextlib.suppress(queue.Empty):
                self._take(self._answers.get(wait > 0, wait))
        return self.known

    def _ask(self) -> None:
        self._is_asked = True
        if is_number(self._host):
            self._answer()
            return
        try:
            threading.Thread(target=self._answer, name=f"resolve {self._host}", daemon=True).start()
        except RuntimeError as error:  # there are too many threads
            self._answers.put(error)

    def _answer(self) -> None:
        try:
            self._answers.put(candidates_of(self._host, self._port))
        except Exception as error:  # whatever it is: somebody waits for an answer
            self._answers.put(error)

    def _take(self, answer: list[Candidate] | Exception) -> None:
        self._is_asked = False
        self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
        if isinstance(answer, list):
            self.known, self.problem = answer, None
            if is_number(self._host):
                self._ask_at = float("inf")
        elif not self.known:
            self._ask_at = 0.0
            if not isinstance(answer, socket.gaierror) or answer.errno != socket.EAI_AGAIN:
                raise no_such_host(self._address, answer) from answer
            self.problem = answer
            self._ask_at = time.monotonic() + PAUSE_SECONDS
