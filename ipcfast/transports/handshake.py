# SPDX-License-Identifier: MIT
"""The handshake's frames as values, and what an acceptor answers: docs/spec/handshake.md. Moves no bytes."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection
from dataclasses import dataclass

from ipcfast.errors import FrameError

__all__ = [
    "CAPACITY_MAX",
    "CAPACITY_MIN",
    "HANDSHAKE_SECONDS",
    "RING",
    "SILENCE_SECONDS",
    "STREAM",
    "TIMES",
    "VERSION",
    "Hello",
    "Refused",
    "check_welcome",
    "chosen_capacity",
    "decode",
    "decode_refusal",
    "encode",
    "encode_refusal",
    "welcome",
]

VERSION = 1
STREAM = 1
RING = 2
# Feature bit: messages may tell when they were sent.
TIMES = 1
# What a person knows them by.
TRANSPORT_NAMES = {STREAM: "a local socket (local://)", RING: "shared memory (shm://)"}

HANDSHAKE_SECONDS = 5.0
SILENCE_SECONDS = 0.05

CAPACITY_MIN = 1 << 12
CAPACITY_MAX = 1 << 26
CAPACITY_DEFAULT = 1 << 18
REFUSAL_MAX = 1024

BODY = struct.Struct("<HHIIIQQQ16s")
CODEC_NAME = re.compile(rb"[a-z0-9_-]+")


class Refused(Exception):
    """The acceptor says no; the text is the reason that the client is told."""


@dataclass(frozen=True)
class Hello:
    """What a client wants; as the answer (welcome), what it gets.

    Attributes:
        transport: STREAM or RING.
        codec: Name of the codec, 1 to 16 characters.
        to_server: Bytes of the ring from client to server; 0 lets the acceptor choose.
        to_client: Bytes of the ring from server to client.
        layout: Version of the ring's layout, 0 for a stream.
        features: Bits of what can be done beyond version 1: TIMES.
        pid: The sender's process as it sees itself.
        version: Of the handshake.
    """

    transport: int
    codec: str
    to_server: int = 0
    to_client: int = 0
    layout: int = 0
    features: int = 0
    pid: int = 0
    version: int = VERSION


def encode(hello: Hello) -> bytes:
    """Return the body of a hello or welcome.

    Raises:
        ValueError: The codec's name cannot travel.
    """
    codec = hello.codec.encode("ascii", "replace")
    if len(codec) > 16 or not CODEC_NAME.fullmatch(codec):
        raise ValueError(f"codec {hello.codec!r} must be 1 to 16 of a-z, 0-9, '_' and '-'")
    return BODY.pack(
        hello.version,
        hello.transport,
        hello.features,
        hello.layout,
        0,
        hello.pid,
        hello.to_server,
        hello.to_client,
        codec,
    )


def decode(body: bytes) -> Hello:
    """Read the body of a hello or welcome.

    Raises:
        FrameError: It is malformed.
    """
    if len(body) != BODY.size:
        raise FrameError(
            f"handshake of {len(body)} bytes, must be {BODY.size}", expected=BODY.size, found=len(body)
        )
    version, transport, features, layout, _, pid, to_server, to_client, padded = BODY.unpack(body)
    codec = padded.rstrip(b"\0")
    if not CODEC_NAME.fullmatch(codec):
        raise FrameError(
            f"handshake names the codec {padded!r}", expected="a-z 0-9 _ -, then zero bytes", found=padded
        )
    return Hello(transport, codec.decode("ascii"), to_server, to_client, layout, features, pid, version)


def encode_refusal(reason: str) -> bytes:
    """Return the body of a refusal; what is beyond 1024 bytes is cut off between two characters."""
    body = reason.encode("utf-8", "replace") or b"no reason"
    return body if len(body) <= REFUSAL_MAX else body[:REFUSAL_MAX].decode("utf-8", "ignore").encode("utf-8")


def decode_refusal(body: bytes) -> str:
    """Return the reason, fit for a log: whatever cannot be printed is escaped."""
    text = body[:REFUSAL_MAX].decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def chosen_capacity(wanted: int, limit: int = CAPACITY_MAX) -> int:
    """Return the bytes of a ring for the wanted ones: the next power of two from 4 KiB to 64 MiB.

    Above ``limit`` it is the largest power of two within that.
    """
    most = min(1 << (limit.bit_length() - 1), CAPACITY_MAX)
    return min(max(1 << ((wanted or CAPACITY_DEFAULT) - 1).bit_length(), CAPACITY_MIN), most)


def welcome(
    hello: Hello,
    *,
    codec: str,
    layout: int,
    offers: Collection[int] = (STREAM, RING),
    features: int = 0,
    capacity_limit: int = CAPACITY_MAX,
) -> Hello:
    """Return the acceptor's answer to a hello, given its own codec, ring layout, and whatever else it can do.

    Raises:
        Refused: Nothing can be agreed on.
    """
    if hello.version != VERSION:
        raise Refused(f"handshake version {hello.version} is not spoken here, only {VERSION}")
    if hello.codec != codec:
        raise Refused(
            f"codec {hello.codec!r} is not spoken here, only {codec!r}: name it in connect or in listen"
        )
    if hello.transport not in (STREAM, RING):
        raise Refused(
            f"transport {hello.transport} is not known here, only {STREAM} (stream) and {RING} (ring)"
        )
    chosen = RING if hello.transport == RING and hello.layout == layout else STREAM
    if chosen not in offers:
        offered = " and ".join(TRANSPORT_NAMES[transport] for transport in offers)
        raise Refused(f"{TRANSPORT_NAMES[chosen]} is not offered here, only {offered}")
    if chosen == STREAM:
        return Hello(STREAM, codec, features=hello.features & features, pid=os.getpid())
    return Hello(
        RING,
        codec,
        to_server=chosen_capacity(hello.to_server, capacity_limit),
        to_client=chosen_capacity(hello.to_client, capacity_limit),
        layout=layout,
        features=hello.features & features,
        pid=os.getpid(),
    )


def check_welcome(answer: Hello, asked: Hello) -> None:
    """Hold a welcome against the hello that it answers.

    Raises:
        FrameError: It is not an answer to that hello.
    """
    for name, expected, found in (
        ("version", asked.version, answer.version),
        ("codec", asked.codec, answer.codec),
        ("feature bits", answer.features & asked.features, answer.features),
    ):
        if expected != found:
            raise FrameError(
                f"the server answered with {name} {found!r}, asked was {expected!r}",
                expected=expected,
                found=found,
            )
    if answer.transport == STREAM:
        for name, found in (
            ("ring layout", answer.layout),
            ("bytes to the server", answer.to_server),
            ("bytes to the client", answer.to_client),
        ):
            if found != 0:
                raise FrameError(f"the server chose a stream with {name} {found}", expected=0, found=found)
        return
    if answer.transport != RING or asked.transport != RING:
        raise FrameError(
            f"the server chose transport {answer.transport}, asked was {asked.transport}",
            expected=asked.transport,
            found=answer.transport,
        )
    if answer.layout != asked.layout:
        raise FrameError(
            f"the server chose ring layout {answer.layout}, asked was {asked.layout}",
            expected=asked.layout,
            found=answer.layout,
        )
    for capacity, wanted in (
        (answer.to_server, chosen_capacity(asked.to_server)),
        (answer.to_client, chosen_capacity(asked.to_client)),
    ):
        if chosen_capacity(capacity) != capacity or capacity > wanted:
            raise FrameError(
                f"the server chose a ring of {capacity} bytes, which is no power of two from "
                f"{CAPACITY_MIN} to the {wanted} that were asked for",
                expected=wanted,
                found=capacity,
            )
