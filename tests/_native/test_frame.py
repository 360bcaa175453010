# SPDX-License-Identifier: MIT
"""Holds the frame decoder against the plain-Python reference: every split, hostile bytes, bounded memory."""

from __future__ import annotations

import mmap
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcfast._native.frame import FrameDecoder, encode_frame, encode_frames
from ipcfast.errors import FrameError, MessageTooLarge
from tests.reference import framing as reference

FRAMINGS = reference.FRAMINGS
SPECIFICATION = Path(__file__).resolve().parents[2] / "docs" / "spec" / "framing.md"
VECTORS = reference.vectors(SPECIFICATION)


def events_of(decoder: FrameDecoder, pieces: Iterable[bytes], *, was_sniffed: bool) -> list[reference.Event]:
    """Feed the pieces and tell what the decoder told, in the words of the reference."""
    events: list[reference.Event] = []
    failure: Exception | None = None
    for piece in pieces:
        try:
            frames = decoder.feed_frames(piece)
        except FrameError as error:
            failure = error
            break
        told: list[reference.Event] = [reference.Body(body, kind) for kind, body in frames]
        for index, notice in reversed(decoder.notices):
            if isinstance(notice, bytes):
                told.insert(index, reference.Noise(notice))
            else:
                assert notice.size is not None
                told.insert(index, reference.Large(notice.size))
        events += told
        failure = decoder.error
        if failure is not None:
            break
    if was_sniffed and decoder.framing is not None:
        events.insert(0, reference.Is(decoder.framing))
    assert decoder.error is failure
    if failure is not None:
        with pytest.raises(FrameError) as raised:
            decoder.feed(b"more")
        assert raised.value is failure
        assert decoder.pending == 0
        assert decoder.notices == []
        assert isinstance(failure, FrameError)
        events.append(bad_of(failure))
    elif decoder.pending:
        events.append(reference.Left(decoder.pending))
    return events


def bad_of(error: FrameError) -> reference.Bad:
    field = re.search(r": ([a-z -]+): expected", str(error))
    assert field is not None, str(error)
    assert isinstance(error.expected, int)
    assert isinstance(error.found, int)
    return reference.Bad(field.group(1), error.expected, error.found)


def decode(
    framing: str, pieces: Iterable[bytes], *, limit: int, skip_noise: bool = False
) -> list[reference.Event]:
    decoder = FrameDecoder(framing, limit=limit, skip_noise=skip_noise)
    return events_of(decoder, pieces, was_sniffed=framing == "sniff")


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:])]


# ---- the specification ---------------------------------------------------------------------------


def test_the_specification_has_vectors_for_every_framing() -> None:
    assert {vector.framing for vector in VECTORS} == {"sniff", *FRAMINGS}
    assert len({vector.id for vector in VECTORS}) == len(VECTORS) > 100


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_reference_follows_the_specification(vector: reference.Vector) -> None:
    said = reference.read(
        vector.framing,
        vector.input,
        limit=vector.limit,
        skip_noise=vector.skip_noise,
        takes_times=vector.takes_times,
    )
    assert said == vector.says


# A decoder by itself has agreed on nothing; csrc/tests/test_frame.c runs those that have.
WITHOUT_TIMES = [vector for vector in VECTORS if not vector.takes_times]


@pytest.mark.parametrize("vector", WITHOUT_TIMES, ids=lambda vector: vector.id)
def test_decoder_follows_the_specification_for_every_split(vector: reference.Vector) -> None:
    data, size = vector.input, len(vector.input)
    splits: list[Iterable[int]] = [(), range(1, size)]
    splits += [(place,) for place in range(1, size, 1 if size < 500 else 41)]
    if size < 40:
        splits += combinations(range(1, size), 2)
    for split in splits:
        said = decode(vector.framing, cut(data, split), limit=vector.limit, skip_noise=vector.skip_noise)
        assert said == vector.says, split


# ---- against the reference -----------------------------------------------------------------------

# Pieces of grammar, good and bad, that random bytes would rarely make.
FRAGMENTS = {
    "length": [
        b"\xf1\x9c\x01\x02\x00\x00\xff\xff\x03\x00\x00\x00\x00\x00\x00\x00abc",
        b"\xf1\x9c\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xf1\x9c\x01\x02\x00\x00\xff\xff",
        b"\x0b\x00\x00\x00\x00\x00\x00\x00elevenbytes",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\xf1\x9c\x01\xf0",
        b"\xf1\x9c",
    ],
    "u32be": [b"\x00\x00\x00\x03abc", b"\x00\x00\x00\x00", b"\x00\x00\x00\x0belevenbytes", b"\x00\x00", b"a"],
    "lines": [b"{}", b"[1]\r\n", b"\n", b"\r", b"\r\n", b" ", b"\t", b"x", b"noise\n", b"elevenbytes\n"],
    "content-length": [
        b"Content-Length: 3\r\n\r\nabc",
        b"Content-Length: 11\r\n\r\nelevenbytes",
        b"content-LENGTH:\t2 ",
        b"Content-Length: ",
        b"Content-Type: x",
        b"X-Other:",
        b"0",
        b"7",
        b"0123456789",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
        b"-1",
        b"noise\n",
        b"a" * 4000,
    ],
}
FRAGMENTS["sniff"] = [fragment for framing in FRAMINGS for fragment in FRAGMENTS[framing]]


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, bytes, list[int], int, bool]:
    framing = draw(st.sampled_from(["sniff", *FRAMINGS]))
    piece = st.one_of(st.sampled_from(FRAGMENTS[framing]), st.binary(max_size=12))
    data = b"".join(draw(st.lists(piece, max_size=14)))
    places = draw(st.lists(st.integers(0, len(data)), max_size=6))
    limit = draw(st.sampled_from([0, 1, 2, 3, 10, 11, 8191, 100000]))
    return framing, data, places, limit, draw(st.booleans())


@settings(max_examples=600, deadline=None)
@given(streams())
def test_decoder_equals_the_reference(stream: tuple[str, bytes, list[int], int, bool]) -> None:
    framing, data, places, limit, skip_noise = stream
    due = reference.read(framing, data, limit=limit, skip_noise=skip_noise)
    assert decode(framing, cut(data, places), limit=limit, skip_noise=skip_noise) == due
    if len(data) < 2000:
        assert decode(framing, cut(data, range(1, len(data))), limit=limit, skip_noise=skip_noise) == due


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FRAMINGS), st.lists(st.binary(max_size=50), max_size=4), st.booleans())
def test_every_two_piece_split_of_good_frames(framing: str, bodies: list[bytes], skip_noise: bool) -> None:
    if framing == "lines":
        bodies = [b"{" + body.replace(b"\n", b"-").rstrip(b"\r") for body in bodies]
    wire = encode_frames(framing, bodies)
    for place in range(len(wire) + 1):
        decoder = FrameDecoder(framing, skip_noise=skip_noise)
        assert decoder.feed(wire[:place]) + decoder.feed(wire[place:]) == bodies
        assert (decoder.pending, decoder.notices, decoder.error) == (0, [], None)


# ---- encoding ------------------------------------------------------------------------------------


@given(st.sampled_from(FRAMINGS), st.binary(max_size=300), st.sampled_from(reference.KINDS))
def test_encoder_equals_the_reference(framing: str, body: bytes, kind: int) -> None:
    try:
        due = reference.write(framing, body, kind=kind)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - the text is for people
            encode_frame(framing, body, kind=kind)
        return
    assert encode_frame(framing, body, kind=kind) == due
    assert FrameDecoder(framing).feed_frames(due) == [(kind if framing == "length" else 0, body)]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_large_bodies_pass_unchanged(framing: str) -> None:
    bodies = [bytes([65 + i]) * size for i, size in enumerate((32767, 32768, 100_000, 3_000_000))]
    wire = encode_frames(framing, bodies)
    assert wire == b"".join(encode_frame(framing, body) for body in bodies)
    decoder = FrameDecoder(framing)
    pieces = [wire[start : start + 65536] for start in range(0, len(wire), 65536)]
    assert [body for piece in pieces for body in decoder.feed(piece)] == bodies
    assert FrameDecoder(framing).feed(wire) == bodies


def test_any_contiguous_buffer_is_taken() -> None:
    wire = encode_frames("u32be", [bytearray(b"abc"), memoryview(b"-de-")[1:3]])
    assert FrameDecoder("u32be").feed(bytearray(wire)) == [b"abc", b"de"]
    assert FrameDecoder("u32be").feed(memoryview(wire)) == [b"abc", b"de"]
    with pytest.raises((BufferError, ValueError)):
        FrameDecoder("u32be").feed(memoryview(wire)[::2])
    with pytest.raises(TypeError):
        encode_frame("lines", "text")  # type: ignore[arg-type]


def test_encode_frames_is_all_or_nothing_and_takes_an_iterator() -> None:
    assert encode_frames("lines", iter([b"a", b"b"])) == b"a\nb\n"
    assert encode_frames("length", []) == b""
    with pytest.raises(ValueError, match="newline"):
        encode_frames("lines", [b"a", b"b\nc"])
    with pytest.raises(TypeError):
        encode_frames("lines", [b"a", 5])  # type: ignore[list-item]


@pytest.mark.parametrize("kind", [-1, 3, 256, 258])
def test_unknown_kinds_are_refused(kind: int) -> None:
    with pytest.raises(ValueError, match=f"kind {kind}"):
        encode_frame("length", b"", kind=kind)


def test_a_body_that_the_header_cannot_tell_is_refused() -> None:
    with mmap.mmap(-1, 2**32) as untouched, pytest.raises(MessageTooLarge) as raised:
        encode_frame("u32be", untouched)
    assert (raised.value.size, raised.value.limit) == (2**32, 2**32 - 1)


def test_arguments_out_of_range_are_refused() -> None:
    for framing in ("", "LINES", "sniff", "json"):
        with pytest.raises(ValueError, match="unknown framing"):
            encode_frame(framing, b"a")
    with pytest.raises(ValueError, match="unknown framing"):
        FrameDecoder("json")
    for limit in (-1, 2**62):
        with pytest.raises(ValueError, match="limit"):
            FrameDecoder("lines", limit=limit)


# ---- the decoder's manners -----------------------------------------------------------------------


def test_framing_is_told_once_it_is_known() -> None:
    decoder = FrameDecoder("sniff")
    assert decoder.framing is None
    assert decoder.feed(b"") == []
    assert decoder.framing is None
    decoder.feed(b"c")
    assert decoder.framing == "content-length"
    assert FrameDecoder("u32be").framing == "u32be"


def test_good_bodies_come_before_the_error() -> None:
    decoder = FrameDecoder("content-length")
    assert decoder.feed(b"Content-Length: 1\r\n\r\naContent-Length: x") == [b"a"]
    assert isinstance(decoder.error, FrameError)
    assert (decoder.error.expected, decoder.error.found) == (ord("0"), ord("x"))
    for _ in range(2):
        with pytest.raises(FrameError, match="content-length"):
            decoder.feed(b"")


def test_an_error_alone_is_raised_at_once() -> None:
    decoder = FrameDecoder("length")
    with pytest.raises(FrameError, match="magic"):
        decoder.feed(b"GET / HTTP/1.1\r\n")
    assert decoder.error is not None


def test_notices_come_before_the_error_too() -> None:
    decoder = FrameDecoder("content-length", skip_noise=True)
    assert decoder.feed(b"hello\nContent-Length: -1\r\n") == []
    assert decoder.notices == [(0, b"hello\n")]
    with pytest.raises(FrameError):
        decoder.feed(b"")


def test_notices_tell_their_place_and_are_forgotten_with_the_next_feed() -> None:
    decoder = FrameDecoder("lines", limit=5, skip_noise=True)
    assert decoder.feed(b"{1}\nnoise\n{2}\n{too large}\n{3}\n") == [b"{1}", b"{2}", b"{3}"]
    (first, noise), (second, large) = decoder.notices
    assert (first, noise) == (1, b"noise\n")
    assert second == 2
    assert isinstance(large, MessageTooLarge)
    assert (large.size, large.limit) == (6, 5)
    assert decoder.feed(b"{4}\n") == [b"{4}"]
    assert decoder.notices == []


def test_what_is_fed_may_change_afterwards() -> None:
    decoder = FrameDecoder("lines")
    piece = bytearray(b"one\ntwo")
    assert decoder.feed(piece) == [b"one"]
    piece[:] = b"XXXXXXX"
    assert decoder.feed(b"\n") == [b"two"]


def test_many_decoders_in_many_threads() -> None:
    wire = encode_frames("content-length", [b"x" * size for size in range(0, 60000, 1000)])
    results: list[int] = []

    def work() -> None:
        decoder = FrameDecoder("content-length")
        bodies = [body for i in range(0, len(wire), 50000) for body in decoder.feed(wire[i : i + 50000])]
        results.append(len(bodies) if encode_frames("content-length", bodies) == wire else -1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [60] * 8


def test_one_decoder_fed_by_many_threads_refuses_and_never_breaks() -> None:
    decoder = FrameDecoder("lines", limit=2**30)
    line = b"a" * (4 << 20)
    told: list[str] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait(60)
        for _ in range(5):
            try:
                decoder.feed(line)
                told.append("taken")
            except RuntimeError:
                told.append("refused")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 20
    assert [len(body) for body in decoder.feed(b"\n")] == [told.count("taken") * len(line)]


# ---- memory --------------------------------------------------------------------------------------

ENDLESS = {
    "header name": ("content-length", b"", b"a", "FrameError"),
    "header value": ("content-length", b"X: ", b"a", "FrameError"),
    "header lines": ("content-length", b"", b"X: y\r\n", "FrameError"),
    "white space": ("content-length", b"Content-Length:", b" ", "FrameError"),
    "blank lines": ("content-length", b"", b"\r\n", "nothing"),
    "body": ("content-length", b"Content-Length: 9999999999\r\n\r\n", b"a", "MessageTooLarge"),
    "own body": ("length", b"\xf1\x9c\x01\x02" + bytes(11) + b"\x7f", b"a", "MessageTooLarge"),
    "body u32be": ("u32be", b"\xff\xff\xff\xff", b"a", "MessageTooLarge"),
    "line": ("lines", b"", b"a", "MessageTooLarge"),
    "white line": ("lines", b"", b" ", "MessageTooLarge"),
    "empty lines": ("lines", b"", b"\n", "nothing"),
}
PROGRAM = """
import resource, sys
from ipcfast._native.frame import FrameDecoder
framing, start, unit, due = sys.argv[1], *map(bytes.fromhex, sys.argv[2:4]), sys.argv[4]
chunk = unit * (65536 // len(unit))
decoder = FrameDecoder(framing, limit=1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said, fed = "nothing", 0
try:
    decoder.feed(start)
    said = "MessageTooLarge" if decoder.notices else said
    while fed < 200 << 20:
        assert decoder.feed(chunk) == []
        fed += len(chunk)
        said = type(decoder.notices[0][1]).__name__ if decoder.notices else said
except ValueError as error:
    said = type(error).__name__
    assert fed <= 65536, fed
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert said == due, said
assert grown <= (2 << 20 if sys.platform == "darwin" else 2048), f"{grown} KiB"
assert decoder.pending <= (1 << 20) + 8194
"""


@pytest.mark.parametrize("name", ENDLESS)
def test_memory_stays_small_for_200_mib_without_end(name: str) -> None:
    framing, start, unit, due = ENDLESS[name]
    command = [sys.executable, "-c", PROGRAM, framing, start.hex(), unit.hex(), due]
    subprocess.run(command, check=True, timeout=120)


def test_nothing_is_reserved_for_a_size_that_is_only_told() -> None:
    """Each of these sizes is within the limit, and no machine has as much memory."""
    for size in (2**42, 2**52, 2**61):
        header = encode_frame("length", b"")[:8] + size.to_bytes(8, "little")
        decoder = FrameDecoder("length", limit=2**62 - 1)
        assert decoder.feed(header + b"begun") == []
        assert (decoder.pending, decoder.notices) == (21, [])
