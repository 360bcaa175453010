# SPDX-License-Identifier: MIT
"""Codecs, chosen by name: what makes bytes of a message and a message of bytes."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any, Protocol

from ipcfast.errors import SerializationError
from ipcfast.protocol.json_codec import MsgspecJson, StandardJson

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
    """MessagePack: like JSON, but binary, with bytes. Needs the extra ``msgspec``."""

    name = "msgpack"
    carries_messages = True

    def __init__(self) -> None:
        try:
            import msgspec
        except ImportError as error:
            raise ImportError("codec 'msgpack' needs msgspec: pip install 'ipcfast[msgspec]'") from error
        # In older releases its errors are no ValueError.
        self._failures = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode

    def encode(self, value: Any) -> bytes:
        """Return the document for a value.

        Raises:
            SerializationError: MessagePack cannot carry the value.
        """
        try:
            return self._encode(value)
        except self._failures as error:
            raise SerializationError(f"codec 'msgpack' cannot carry the value: {error}") from error

    def decode(self, document: Buffer) -> Any:
        """Return the value of a document.

        Raises:
            SerializationError: It is not MessagePack.
        """
        try:
            return self._decode(document)
        except self._failures as error:
            raise SerializationError(
                f"message of {len(memoryview(document))} bytes is not MessagePack: {error}"
            ) from error


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


_MAKERS = {"json": _json, "msgpack": Msgpack, "raw": Raw, "pickle": Pickle}
_made: dict[str, Codec] = {}
_lock = threading.Lock()


def codec_named(name: str) -> Codec:
    """Return the codec of that name; made when first asked for, then shared.

    Raises:
        ValueError: There is none.
        ImportError: It needs an extra that is not installed; the text names it.
    """
    if name not in _MAKERS:
        raise ValueError(f"codec {name!r} is not one of {', '.join(CODECS)}")
    with _lock:
        if name not in _made:
            _made[name] = _MAKERS[name]()
        return _made[name]
