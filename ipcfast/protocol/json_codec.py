# SPDX-License-Identifier: MIT
"""JSON with one strict reading, whichever library does the work (D11, R123).

Both backends accept and refuse the same values and the same bytes:

- Values: those of ``plain_values``, without bytes.
- Bytes: UTF-8 without byte order mark, RFC 8259 grammar, and the same bounds; a number too large for a
  float is refused. Of equal keys the last one counts.

Non-ASCII text is sent as it is, not escaped. The bytes of the two backends may differ, their meaning does
not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ipcfast._native.json_values import is_nested_deeper, is_plain
from ipcfast.errors import SerializationError
from ipcfast.protocol.plain_values import DEPTH_MAX, INT_DIGITS_MAX, plain_copy

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MsgspecJson", "StandardJson"]

SHOWN = 80

_write = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class StandardJson:
    """JSON by the standard library: works everywhere."""

    name = "json"
    carries_messages = True

    def __init__(self) -> None:
        self._decode = json.JSONDecoder(
            parse_float=finite_float, parse_int=bounded_int, parse_constant=no_constant
        ).decode

    def encode(self, value: Any) -> bytes:
        """Return the document for a value.

        Raises:
            SerializationError: JSON cannot carry the value.
        """
        if is_plain(value, DEPTH_MAX):
            try:
                return _write(value).encode("utf-8")
            except UnicodeEncodeError:
                pass  # a lone surrogate, whose place is named below
        return encode_slowly(value)

    def decode(self, document: Buffer) -> Any:
        """Return the value of a document.

        Raises:
            SerializationError: It is not strict JSON.
        """
        data = document if isinstance(document, bytes) else bytes(document)
        try:
            value = self._decode(str(data, "utf-8"))
            # The parser lets "\ud800" through; a text with it cannot be written again.
            if b"\\ud" in data or b"\\uD" in data:
                json.JSONEncoder(ensure_ascii=False).encode(value).encode("utf-8")
        except (ValueError, RecursionError) as error:
            raise unreadable(data, error) from error
        if is_nested_deeper(data, DEPTH_MAX):
            raise too_deep(data)
        return value


class MsgspecJson:
    """JSON by msgspec: several times faster."""

    name = "json"
    carries_messages = True

    def __init__(self) -> None:
        import msgspec

        # In older releases these are no ValueError.
        self._failures = (ValueError, RecursionError, msgspec.MsgspecError)
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        self._decode: Callable[[Any], Any] = msgspec.json.Decoder().decode

    def encode(self, value: Any) -> bytes:
        """Return the document for a value.

        Raises:
            SerializationError: JSON cannot carry the value.
        """
        # msgspec by itself would write dates, sets, bytes and int keys as text and lists, and NaN as null.
        if is_plain(value, DEPTH_MAX):
            try:
                return self._encode(value)
            except self._failures:
                pass  # a lone surrogate, whose place is named below
        return encode_slowly(value)

    def decode(self, document: Buffer) -> Any:
        """Return the value of a document.

        Raises:
            SerializationError: It is not strict JSON.
        """
        try:
            value = self._decode(document)
        except self._failures as error:
            raise unreadable(bytes(document), error) from error
        if is_nested_deeper(document if isinstance(document, bytes) else bytes(document), DEPTH_MAX):
            raise too_deep(bytes(document))
        return value


def encode_slowly(value: Any) -> bytes:
    """Return the document for a value that is not plain: subclasses, integers beyond 64 bits, or a fault.

    Raises:
        SerializationError: JSON cannot carry the value.
    """
    return _write(plain_copy(value, "JSON")).encode("utf-8")


def finite_float(text: str) -> float:
    """Read a number that is not an integer."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"number {text:.{SHOWN}} is too large")
    return number


def bounded_int(text: str) -> int:
    """Read an integer; the bound holds in Python versions without one of their own, too."""
    if len(text.lstrip("-")) > INT_DIGITS_MAX:
        raise ValueError(f"integer of more than {INT_DIGITS_MAX} digits")
    return int(text)


def no_constant(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which are not JSON."""
    raise ValueError(f"{text} is not JSON")


def unreadable(document: bytes, error: Exception) -> SerializationError:
    """Return the error for a document that cannot be read."""
    if isinstance(error, RecursionError):
        return too_deep(document)
    return SerializationError(
        f"message of {len(document)} bytes is not strict JSON ({error}): {document[:SHOWN]!r}"
    )


def too_deep(document: bytes) -> SerializationError:
    """Return the error for a document that is nested too deep."""
    return SerializationError(f"message of {len(document)} bytes is nested deeper than {DEPTH_MAX} levels")
