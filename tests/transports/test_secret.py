# SPDX-License-Identifier: MIT
"""Holds the proof of a shared secret to its specification, byte by byte."""

from __future__ import annotations

import hmac

import pytest

from ipcfast.errors import FrameError, PermissionDenied
from ipcfast.transports.secret import ClientProof, ServerProof

SECRET = b"a secret"


def test_both_sides_prove_themselves() -> None:
    client, server = ClientProof(SECRET), ServerProof(SECRET)
    first = client.begin()
    assert len(first) == server.wanted == 40
    challenge, is_refused = server.feed(first)
    assert not is_refused
    assert len(challenge) == client.wanted == 40
    proof = client.feed(challenge)
    assert len(proof) == server.wanted == 32
    answer, is_refused = server.feed(proof)
    assert not is_refused
    assert server.wanted == 0
    assert len(answer) == client.wanted == 33
    assert client.feed(answer) == b""
    assert client.wanted == 0
    assert SECRET not in first + challenge + proof + answer


def test_the_bytes_are_those_of_the_specification() -> None:
    server = ServerProof(SECRET)
    client_nonce = bytes(range(32))
    challenge, _ = server.feed(b"\x8eipcfsk\x01" + client_nonce)
    assert challenge[:8] == b"\x8eipcfsk\x01"
    nonces = client_nonce + challenge[8:]
    answer, _ = server.feed(hmac.new(SECRET, b"ipcfast shared secret 1, client" + nonces, "sha256").digest())
    assert (
        answer == b"\x01" + hmac.new(SECRET, b"ipcfast shared secret 1, server" + nonces, "sha256").digest()
    )


def test_nonces_are_fresh_each_way() -> None:
    assert len({ClientProof(SECRET).begin() for _ in range(100)}) == 100
    first = ClientProof(SECRET).begin()
    assert len({ServerProof(SECRET).feed(first)[0] for _ in range(100)}) == 100


def test_a_client_with_another_secret_learns_nothing() -> None:
    client, server = ClientProof(b"another"), ServerProof(SECRET)
    challenge, _ = server.feed(client.begin())
    answer, is_refused = server.feed(client.feed(challenge))
    assert is_refused
    assert answer == bytes(33)
    with pytest.raises(PermissionDenied, match="another shared secret"):
        client.feed(answer)


def test_a_server_with_another_secret_is_found_out() -> None:
    client = ClientProof(SECRET)
    client.feed(ServerProof(b"another").feed(client.begin())[0])
    with pytest.raises(PermissionDenied, match="could not prove"):
        client.feed(b"\x01" + bytes(32))


def test_a_proof_sent_back_to_its_maker_proves_nothing() -> None:
    client = ClientProof(SECRET)
    own = client.begin()
    proof = client.feed(own)  # the attacker answers with the client's own challenge
    with pytest.raises(PermissionDenied, match="could not prove"):
        client.feed(b"\x01" + proof)


def test_an_old_proof_is_of_no_use() -> None:
    client, server = ClientProof(SECRET), ServerProof(SECRET)
    first = client.begin()
    recorded = client.feed(server.feed(first)[0])
    again = ServerProof(SECRET)
    again.feed(first)
    assert again.feed(recorded)[1]


@pytest.mark.parametrize("begin", [b"\xf1\x9c\x01\xf1", b"\x8eipcfsk\x02", b'{"type":"'])
def test_what_is_no_challenge_is_told(begin: bytes) -> None:
    for feed in (ServerProof(SECRET).feed, ClientProof(SECRET).feed):
        with pytest.raises(FrameError, match="challenge"):
            feed(begin.ljust(40, b"\0"))
