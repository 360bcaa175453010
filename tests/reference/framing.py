# SPDX-License-Identifier: MIT
"""Read and write the four framings of docs/spec/framing.md in plain Python: not fast, but the oracle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

BLOCK_MAX = 8192
NOISE_PIECE_MAX = 8192
FRAMINGS = ("length", "u32be", "lines", "content-length")
KINDS = (0, 1, 2, 0xF0, 0xF1, 0xF2, 0xF3)
TIMED_KINDS = (0, 1, 2)
GOODBYE = 0xF0


class Is(NamedTuple):
    """The first byte has settled the framing."""

    framing: str


class Body(NamedTuple):
    """A whole frame."""

    data: bytes
    kind: int = 0


class Large(NamedTuple):
    """A frame beyond the limit was dropped."""

    size: int


class Noise(NamedTuple):
    """Bytes that belong to no frame."""

    data: bytes


class Bad(NamedTuple):
    """The stream has ended with an error."""

    field: str
    expected: int
    found: int


class Left(NamedTuple):
    """How many bytes of an unfinished frame there are at the end of input."""

    size: int


Event = Union[Is, Body, Large, Noise, Bad, Left]


class _BadByte(Exception):
    def __init__(self, field: str, expected: int, found: int) -> None:
        super().__init__(field)
        self.event = Bad(field, expected, found)


class _Unfinished(Exception):
    pass


class _Input:
    """Bytes and a place in them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.frame_start = 0  # what lies before is dealt with
        self.block_start: int | None = None

    def peek(self) -> int:
        if self.block_start is not None and self.at - self.block_start == BLOCK_MAX:
            raise _BadByte("header block", BLOCK_MAX, BLOCK_MAX + 1)
        if self.at == len(self.data):
            raise _Unfinished
        return self.data[self.at]

    def take(self) -> int:
        byte = self.peek()
        self.at += 1
        return byte

    def take_due(self, field: str, due: int) -> None:
        if self.peek() != due:
            raise _BadByte(field, due, self.peek())
        self.at += 1

    def take_body(self, size: int, limit: int, kind: int = 0) -> Body | Large:
        if size > limit:
            self.at = min(self.at + size, len(self.data))
            return Large(size)
        if len(self.data) - self.at < size:
            raise _Unfinished
        self.at += size
        return Body(self.data[self.at - size : self.at], kind)


def _read_length(source: _Input, limit: int, takes_times: bool) -> Event:
    source.take_due("magic", 0xF1)
    source.take_due("magic", 0x9C)
    source.take_due("version", 1)
    if source.peek() not in KINDS:
        raise _BadByte("kind", 0, source.peek())
    kind = source.take()
    is_timed = takes_times and kind in TIMED_KINDS and source.peek() == 1
    source.take_due("flags", int(is_timed))
    source.take_due("reserved", 0)
    source.take(), source.take()  # the CPU
    length = int.from_bytes(bytes(source.take() for _ in range(8)), "little")
    if length > 2**63 - 1:
        raise _BadByte("length", 2**63 - 1, length)
    if kind == GOODBYE and length != 0:
        raise _BadByte("goodbye length", 0, length)
    if is_timed:
        for _ in range(8):
            source.take()
    return source.take_body(length, limit, kind)


def _read_u32be(source: _Input, limit: int, _skip_noise: bool) -> Event:
    return source.take_body(int.from_bytes(bytes(source.take() for _ in range(4)), "big"), limit)


def _read_noise_line(source: _Input) -> Iterator[Event]:
    while True:
        piece = source.data[source.at : source.at + NOISE_PIECE_MAX]
        has_end = b"\n" in piece
        if has_end:
            piece = piece[: piece.index(b"\n") + 1]
        elif len(piece) < NOISE_PIECE_MAX:
            raise _Unfinished
        source.at += len(piece)
        source.frame_start = source.at
        yield Noise(piece)
        if has_end:
            return


def _is_noise_line(rest: bytes, limit: int) -> bool:
    visible = rest.lstrip(b" \t\r")
    white = len(rest) - len(visible)
    return visible[:1] not in (b"", b"\n", b"{", b"[") and white <= limit


def _read_line(source: _Input, limit: int, skip_noise: bool) -> Iterator[Event]:
    rest = source.data[source.at :]
    if skip_noise and _is_noise_line(rest, limit):
        yield from _read_noise_line(source)
        return
    line, newline, _ = rest.partition(b"\n")
    body = line[:-1] if line.endswith(b"\r") else line
    if len(body) > limit or (not newline and len(line) > limit + 1):
        yield Large(limit + 1)
    elif not newline:
        raise _Unfinished
    elif line.strip(b" \t\r"):
        yield Body(body)
    source.at += len(line) + len(newline)


def _is_token_byte(byte: int) -> bool:
    return byte < 128 and (chr(byte).isalnum() or chr(byte) in "!#$%&'*+-.^_`|~")


def _read_name(source: _Input) -> str:
    name = ""
    while True:
        byte = source.peek()
        if byte == ord(":") and name:
            return name
        if not _is_token_byte(byte):
            raise _BadByte("header name", ord(":"), byte)
        name += chr(source.take())


def _read_length_value(source: _Input) -> int:
    while source.peek() in b" \t":
        source.take()
    digits = ""
    while source.peek() in b"0123456789":
        if len(digits) == 10:
            raise _BadByte("content-length digits", 10, 11)
        digits += chr(source.take())
    if source.peek() not in b" \t\r" or not digits:
        raise _BadByte("content-length", ord("0"), source.peek())
    while source.peek() in b" \t":
        source.take()
    source.take_due("content-length", ord("\r"))
    return int(digits)


def _pass_other_value(source: _Input) -> None:
    while source.peek() == 9 or (source.peek() >= 32 and source.peek() != 127):
        source.take()
    source.take_due("header value", ord("\r"))


def _read_block(source: _Input) -> int:
    """Read header lines and the empty line; return the length told."""
    length = None
    source.block_start = source.at
    while True:
        name = _read_name(source).lower()
        if name == "content-length" and length is not None:
            raise _BadByte("content-length headers", 1, 2)
        source.take()  # the colon
        if name == "content-length":
            length = _read_length_value(source)
        else:
            _pass_other_value(source)
        source.take_due("header line end", ord("\n"))
        if source.peek() == ord("\r"):
            break
    if length is None:
        raise _BadByte("content-length headers", 1, 0)
    source.take()
    source.take_due("header line end", ord("\n"))
    source.block_start = None
    return length


def _read_content_length(source: _Input, limit: int, skip_noise: bool) -> Iterator[Event]:
    rest = source.data[source.at :]
    if rest.startswith(b"\r\n"):
        source.at += 2
        return
    if skip_noise and rest != b"\r":
        starts = (b"content-length:", b"content-type:")
        if not any(rest[: len(start)].lower() == start[: len(rest)] for start in starts):
            yield from _read_noise_line(source)
            return
        if not any(rest.lower().startswith(start) for start in starts):
            raise _Unfinished
    if source.peek() == ord("\r"):
        source.take()
        source.take_due("header line end", ord("\n"))
    yield source.take_body(_read_block(source), limit)


def _read_one(
    framing: str, source: _Input, limit: int, skip_noise: bool, takes_times: bool
) -> Iterator[Event]:
    if framing == "length":
        yield _read_length(source, limit, takes_times)
    elif framing == "u32be":
        yield _read_u32be(source, limit, skip_noise)
    elif framing == "lines":
        yield from _read_line(source, limit, skip_noise)
    else:
        yield from _read_content_length(source, limit, skip_noise)


def _sniff(first: int) -> str:
    if first in b"{[ \t\r\n":
        return "lines"
    if first in b"Cc":
        return "content-length"
    if first == 0xF1:
        return "length"
    raise _BadByte("first byte", 0, first)


def read(
    framing: str, data: bytes, *, limit: int, skip_noise: bool = False, takes_times: bool = False
) -> list[Event]:
    """Read all of `data` as one stream in `framing` (or "sniff"), and tell what happens in it."""
    events: list[Event] = []
    source = _Input(data)
    try:
        if framing == "sniff" and data:
            framing = _sniff(data[0])
            events.append(Is(framing))
        while source.at < len(data):
            source.frame_start = source.at
            for event in _read_one(framing, source, limit, skip_noise, takes_times):
                events.append(event)
    except _BadByte as bad:
        events.append(bad.event)
    except _Unfinished:
        if source.frame_start < len(data):
            events.append(Left(len(data) - source.frame_start))
    return events


def write(framing: str, body: bytes, *, kind: int = 2) -> bytes:
    """Write one frame; ValueError for a body that would not arrive as it was."""
    size = len(body)
    if framing == "length":
        if kind not in KINDS or (kind == GOODBYE and body):
            raise ValueError(kind)
        return bytes([0xF1, 0x9C, 1, kind, 0, 0, 0xFF, 0xFF]) + size.to_bytes(8, "little") + body
    if framing == "u32be":
        return size.to_bytes(4, "big") + body
    if framing == "lines":
        if b"\n" in body or body.endswith(b"\r") or not body.strip(b" \t\r"):
            raise ValueError(body)
        return body + b"\n"
    return b"Content-Length: %d\r\n\r\n" % size + body


class Vector(NamedTuple):
    """One row of the specification's table."""

    id: str
    framing: str
    skip_noise: bool
    takes_times: bool
    limit: int
    input: bytes
    says: list[Event]


def _unescape(text: str) -> bytes:
    def byte_of(part: str) -> bytes:
        if part.startswith("\\x"):
            return bytes([int(part[2:], 16)])
        return {"\\r": b"\r", "\\n": b"\n", "\\t": b"\t", "\\\\": b"\\"}.get(part, part.encode("ascii"))

    single = r"\\x[0-9a-f]{2}|\\[rnt\\]|[^\\<]"
    parts = re.findall(rf"<({single})\*(\d+)>|({single})", text)
    return b"".join(byte_of(many) * int(count) if many else byte_of(once) for many, count, once in parts)


def _event_of(token: str) -> Event:
    name, _, detail = token.partition(":")
    if name.startswith("body"):
        return Body(_unescape(detail), int(name[4:] or 0))
    if name == "bad":
        field, expected, found = detail.split(":")
        return Bad(field, int(expected), int(found))
    if name in ("large", "left"):
        return (Large if name == "large" else Left)(int(detail))
    return Noise(_unescape(detail)) if name == "noise" else Is(detail)


def vectors(specification: Path) -> list[Vector]:
    """Give the vectors in the table of docs/spec/framing.md."""
    rows = []
    table = specification.read_text(encoding="utf-8").partition("## Vectors")[2]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 5 or cells[0] in ("id", "---"):
            continue
        name, framing, limit, text, says = cells
        kind, _, mark = framing.partition("+")
        events = [_event_of(token) for token in re.findall("`([^`]*)`", says)]
        data = _unescape(text.strip("`"))
        rows.append(Vector(name, kind, mark == "noise", mark == "times", int(limit), data, events))
    return rows
