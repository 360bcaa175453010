# SPDX-License-Identifier: MIT
"""Shows what each codec carries, refuses, and needs."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

from ipcfast.errors import SerializationError
from ipcfast.protocol.codec import CODECS, codec_named
from ipcfast.protocol.json_codec import MsgspecJson


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


@pytest.mark.parametrize("name", ["msgpack", "pickle"])
def test_what_a_codec_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(SerializationError, match=name):
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
