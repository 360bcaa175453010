# SPDX-License-Identifier: MIT
"""Codecs, chosen by name: what makes bytes of a message and a message of bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ipcfast._native.json_values import is_plain
from ipcfast.errors import SerializationError
from ipcfast.protocol.json_codec import MsgspecJson, StandardJson
from ipcfast.protocol.plain_values import DEPTH_MAX, plain_copy

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["CODECS", "Codec", "codec_named"]

CODECS = ("json", "msgpack", "raw", "pickle")


class Codec(Protocol):
    """Turns values into documents and back. Safe from several threads.

    Attributes:
        name: What the two sides of a handshake compare.
        carries_messages: Whether dicts, and so messages, can travel.
    """

    @property
    def name(self) -> str:
        """The name that both sides of a handshake must give."""
        ...

    @property
    def carries_messages(self) -> bool:
        """Whether dicts, and so messages, can travel."""
        ...

    def encode(self, value: Any) -> bytes:
        """Return the document for a value; SerializationError where there is none."""
        ...

    def decode(self, document: Buffer) -> Any:
        """Return the value of a document; SerializationError where it has none."""
        ...


class Msgpack:
    """MessagePack: the values of JSON in binary, and bytes; integers of 64 bits. Needs the extra ``msgspec``.

    What MessagePack has beyond that (extensions, timestamps, keys that are not str, NaN) is refused both
    ways: by itself msgspec would turn a date or a set into text or a list without a word.
    """

    name = "msgpack"
    carries_messages = True

    def __init__(self) -> None:
        try:
            import msgspec
        except ImportError as error:
            raise ImportError("codec 'msgpack' needs msgspec: pip install 'ipcfast[msgspec]'") from error
        # In older releases its errors are no ValueError. BufferError: a memoryview with gaps.
        self._failures = (
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
            BufferError,
            msgspec.MsgspecError,
        )
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode

    def encode(self, value: Any) -> bytes:
        """Return the document for a value.

        Raises:
            SerializationError: MessagePack cannot carry the value.
        """
        try:
            if is_plain(value, DEPTH_MAX, with_bytes=True):
                return self._encode(value)
        except self._failures:
            pass  # a lone surrogate, or a memoryview with gaps
        value = plain_copy(value, "MessagePack", with_bytes=True)
        try:
            return self._encode(value)
        except self._failures as error:
            raise SerializationError(f"codec 'msgpack' cannot carry the value: {error}") from error

    def decode(self, document: Buffer) -> Any:
        """Return the value of a document.

        Raises:
            SerializationError: It is not MessagePack, or holds what JSON could not, bytes aside.
        """
        try:
            value = self._decode(document)
        except self._failures as error:
            raise SerializationError(
                f"message of {len(memoryview(document))} bytes is not MessagePack: {error}"
            ) from error
        if not is_plain(value, DEPTH_MAX, with_bytes=True):
            plain_copy(value, "MessagePack", with_bytes=True)
        return value


class Raw:
    """Bytes pass through; there are no messages."""

    name = "raw"
    carries_messages = False

    def encode(self, value: Any) -> bytes:
        """Return the bytes themselves.

        Raises:
            SerializationError: The value is not bytes.
        """
        if isinstance(value, bytes):
            return value
        if isinstance(value, (bytearray, memoryview)):
            return bytes(value)
        raise SerializationError(
            f"codec 'raw' carries bytes only, not {type(value).__name__}: use send_bytes, or another codec"
        )

    def decode(self, document: Buffer) -> bytes:
        """Return the bytes themselves."""
        return document if isinstance(document, bytes) else bytes(document)


class Pickle:
    """Any Python object. Runs what the peer sends: only for a peer that may do all this process may (D10)."""

    name = "pickle"
    carries_messages = True

    def encode(self, value: Any) -> bytes:
        """Return the pickle of a value.

        Raises:
            SerializationError: It cannot be pickled.
        """
        try:
            return pickle.dumps(value, protocol=5)
        except Exception as error:  # whatever a __reduce__ raises
            raise SerializationError(
                f"codec 'pickle' cannot carry {type(value).__name__}: {error}"
            ) from error

    def decode(self, document: Buffer) -> Any:
        """Return the object of a pickle.

        Raises:
            SerializationError: It cannot be loaded here.
        """
        try:
            return pickle.loads(document)
        except Exception as error:  # whatever an object's loading raises
            size = len(memoryview(document))
            raise SerializationError(f"message of {size} bytes cannot be unpickled: {error}") from error


def _json() -> Codec:
    try:
        return MsgspecJson()
    except ImportError:
        return StandardJson()


_MAKERS: dict[str, Callable[[], Codec]] = {"json": _json, "msgpack": Msgpack, "raw": Raw, "pickle": Pickle}
_made: dict[str, Codec] = {}


def codec_named(name: str) -> Codec:
    """Return the codec of that name; made when first asked for, then shared.

    Raises:
        ValueError: There is none.
        ImportError: It needs an extra that is not installed; the text names it.
    """
    if name not in _MAKERS:
        raise ValueError(f"codec {name!r} is not one of {', '.join(CODECS)}")
    if name not in _made:
        # Without a lock, which a fork in the middle of importing msgspec would leave locked for ever in the
        # child: of two that are made at the same time one is kept.
        _made.setdefault(name, _MAKERS[name]())
    return _made[name]
