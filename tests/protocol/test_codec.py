# SPDX-License-Identifier: MIT
"""Shows what each codec carries, refuses, and needs."""

from __future__ import annotations

import datetime
import decimal
import math
import pickle
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from ipcfast.errors import SerializationError
from ipcfast.protocol import codec as codecs
from ipcfast.protocol.codec import CODECS, codec_named
from ipcfast.protocol.json_codec import MsgspecJson
from tests.peers import HANG, Background


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_has_its_name_and_is_made_once(name: str) -> None:
    assert codec_named(name).name == name
    assert codec_named(name) is codec_named(name)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'yaml' is not one of json, msgpack, raw, pickle"):
        codec_named("yaml")


@pytest.mark.parametrize("name", ["json", "msgpack", "pickle"])
def test_messages_arrive_as_they_were(name: str) -> None:
    value = {"type": "data", "data": [1, -(2**40), 0.5, "é", None, True, {"k": []}]}
    codec = codec_named(name)
    assert codec.carries_messages
    assert codec.decode(codec.encode(value)) == value
    assert codec.decode(memoryview(codec.encode(value))) == value


def test_msgpack_carries_bytes() -> None:
    codec = codec_named("msgpack")
    assert codec.decode(codec.encode({"b": b"\0\xff"})) == {"b": b"\0\xff"}


@dataclass
class Record:
    field: int = 1


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        decimal.Decimal("1.5"),
        uuid.UUID(int=1),
        datetime.datetime(2024, 1, 1),
        Record(),
        math.nan,
        {1: 2},
        "\ud800",
        2**64,
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_msgpack_turns_nothing_into_something_else(value: Any) -> None:
    for held in (value, {"k": [value]}):
        with pytest.raises(SerializationError):
            codec_named("msgpack").encode(held)


def test_msgpack_takes_the_same_subclasses_as_json() -> None:
    class Words(list):  # type: ignore[type-arg]
        pass

    codec = codec_named("msgpack")
    value = {"k": (1, Words([b"x", bytearray(b"y"), memoryview(b"z__")[::3]]))}
    assert codec.decode(codec.encode(value)) == {"k": [1, [b"x", b"y", b"z"]]}


@pytest.mark.parametrize(
    "document",
    [
        b"\x81\x01\x02",
        b"\xcb\x7f\xf8" + bytes(6),
        b"\xd6\xff" + bytes(4),
        b"\xd4\x05\x00",
        b"\x91" * 129 + b"\xc0",
    ],
    ids=["key of int", "NaN", "timestamp", "extension", "depth"],
)
def test_what_json_could_not_hold_is_not_read_from_msgpack(document: bytes) -> None:
    with pytest.raises(SerializationError):
        codec_named("msgpack").decode(document)


def test_raw_passes_bytes_through_and_nothing_else() -> None:
    codec = codec_named("raw")
    data = b"\0\xff"
    assert codec.encode(data) is data
    assert codec.decode(data) is data
    assert (
        codec.encode(bytearray(data))
        == codec.encode(memoryview(data))
        == codec.decode(memoryview(data))
        == data
    )
    assert not codec.carries_messages
    with pytest.raises(SerializationError, match="send_bytes"):
        codec.encode({"type": "data"})


@pytest.mark.parametrize("name, said", [("msgpack", "MessagePack"), ("pickle", "pickle")])
def test_what_a_codec_cannot_carry_is_refused(name: str, said: str) -> None:
    with pytest.raises(SerializationError, match=said):
        codec_named(name).encode(lambda: 1)


@pytest.mark.parametrize(
    "name, document",
    [("msgpack", b""), ("msgpack", b"\xc1"), ("msgpack", b"\x81\xa1"), ("pickle", b""), ("pickle", b"junk")],
)
def test_a_broken_document_is_refused(name: str, document: bytes) -> None:
    with pytest.raises(SerializationError, match=f"{len(document)} bytes"):
        codec_named(name).decode(document)


def test_whatever_loading_a_pickle_raises_is_a_refusal() -> None:
    with pytest.raises(SerializationError, match="unpickled"):
        codec_named("pickle").decode(pickle.dumps(Explosive()))


class Explosive:
    """Raises when it is loaded."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_json_takes_msgspec_where_it_is_installed() -> None:
    assert isinstance(codec_named("json"), MsgspecJson)


def test_making_one_codec_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock is held meanwhile: a process that forked just then would find it locked for ever."""
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> codecs.Codec:
        begun.set()
        assert go_on.wait(HANG)
        return codecs.Raw()

    monkeypatch.setitem(codecs._MAKERS, "slow", slow)
    monkeypatch.setattr(codecs, "_made", {})
    first = Background(codec_named, "slow")
    assert begun.wait(HANG)
    other = Background(codec_named, "json")
    assert other.result().name == "json"
    second = Background(codec_named, "slow")
    go_on.set()
    assert first.result() is second.result()


WITHOUT_MSGSPEC = """
import sys
sys.modules["msgspec"] = None    # importing it fails from here on
from ipcfast.protocol.codec import codec_named
assert type(codec_named("json")).__name__ == "StandardJson"
assert codec_named("json").decode(codec_named("json").encode({"a": [1]})) == {"a": [1]}
try:
    codec_named("msgpack")
except ImportError as error:
    print(error)
"""


def test_without_msgspec_json_works_and_msgpack_names_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MSGSPEC], capture_output=True, text=True, timeout=60, check=True
    )
    assert "ipcfast[msgspec]" in done.stdout
