# SPDX-License-Identifier: MIT
"""JSON with one strict reading, whichever library does the work (D11, R123).

Both backends accept and refuse the same values and the same bytes:

- Values: None, bool, int, float, str, list, tuple (sent as a list), dict, and subclasses of these;
  enumerations that are str or int as well. Nothing else: no bytes, set, date, Decimal, dataclass. Keys are
  str. Floats are finite. Integers have any size up to 4300 digits, which is where Python itself stops
  reading them. No lone surrogates. Lists and dicts are nested at most 128 deep.
- Bytes: UTF-8 without byte order mark, RFC 8259 grammar, and the same bounds; a number too large for a
  float is refused. Of equal keys the last one counts.

Non-ASCII text is sent as it is, not escaped. The bytes of the two backends may differ, their meaning does
not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Optional

from ipcfast.errors import SerializationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DEPTH_MAX", "MsgspecJson", "StandardJson", "depth_exceeds_limit"]

DEPTH_MAX = 128
INT_DIGITS_MAX = 4300
INT_BITS_ALWAYS_FIT = 14000  # 2**14000 has 4215 digits: counting them is slow, and rarely needed
SHOWN = 80

# A document this short cannot be nested deeper: each level takes two bytes.
_SHALLOW_SIZE = 2 * (DEPTH_MAX + 1)
_BRACKETS_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NEITHER_BRACKET_NOR_QUOTE = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_STRING = re.compile(rb'"[^"]*"')


def depth_exceeds_limit(document: bytes) -> bool:
    """Return whether a valid JSON document is nested deeper than 128 levels; builds nothing from it."""
    if len(document) < _SHALLOW_SIZE or document.count(b"[") + document.count(b"{") <= DEPTH_MAX:
        return False
    if b"\\" in document:
        document = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = document.translate(_BRACKETS_AS_SQUARE, _NEITHER_BRACKET_NOR_QUOTE)
    # Strings that held no bracket are "" now. Taking two neighbouring quotes away never changes what is
    # inside.
    brackets = brackets.replace(b'""', b"")
    if b'"' in brackets:
        brackets = _STRING.sub(b"", brackets)
    for _ in range(DEPTH_MAX):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    return bool(brackets)


# Where in a value something lies: the place of what holds it, and the key or index there. Becomes text in an
# error only.
Place = Optional[tuple[Any, Any]]


def check_value(value: Any, place: Place = None, depth: int = 0) -> None:
    """Hold a value against the rules at the top of this file.

    Raises:
        SerializationError: Naming the place and what is wrong there.
    """
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        check_text(value, place)
    elif isinstance(value, int):
        if value.bit_length() > INT_BITS_ALWAYS_FIT and abs(value) >= 10**INT_DIGITS_MAX:
            raise refused(place, f"is an integer of more than {INT_DIGITS_MAX} digits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise refused(place, f"is {value}, which JSON has no word for: send None or text instead")
    elif isinstance(value, (list, tuple, dict)):
        if depth == DEPTH_MAX:
            raise SerializationError(f"the value is nested deeper than {DEPTH_MAX} levels")
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise refused(place, f"has a key of {named(key)}, keys must be str")
                check_text(key, (place, key))
                check_value(item, (place, key), depth + 1)
        else:
            for index, item in enumerate(value):
                check_value(item, (place, index), depth + 1)
    else:
        raise refused(
            place, f"is of {named(value)}, which JSON cannot carry: convert it, or use another codec"
        )


def check_text(text: str, place: Place) -> None:
    """Refuse lone surrogates: they have no UTF-8."""
    try:
        str.encode(text, "utf-8")
    except UnicodeEncodeError as error:
        raise refused(place, f"has a lone surrogate at character {error.start}") from None


def named(value: object) -> str:
    """Return the name of a value's type."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def refused(place: Place, problem: str) -> SerializationError:
    """Return the error for a value that JSON cannot carry."""
    path = ""
    while place is not None:
        place, key = place
        path = f"[{key!r:.{SHOWN}}]{path}"
    return SerializationError(f"the value{path} {problem}")


class StandardJson:
    """JSON by the standard library: works everywhere."""

    name = "json"
    carries_messages = True

    def __init__(self) -> None:
        self._encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
        self._decode = json.JSONDecoder(
            parse_float=finite_float, parse_int=bounded_int, parse_constant=no_constant
        ).decode

    def encode(self, value: Any) -> bytes:
        """Return the document for a value.

        Raises:
            SerializationError: JSON cannot carry the value.
        """
        check_value(value)
        return self._encode(value).encode("utf-8")

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
        if depth_exceeds_limit(data):
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
        # msgspec writes dates, sets, bytes, int keys, and NaN as null. What the peer would read is compared
        # with what was given: that costs twice the encoding (0.3 us for a small message), a walk in Python
        # four times as much.
        try:
            document = self._encode(value)
            if self._decode(document) == value and not depth_exceeds_limit(document):
                return document
        except (TypeError, OverflowError, *self._failures):
            document = b""
        check_value(value)
        # A tuple is not equal to the list that it becomes. What msgspec does not know at all are subclasses
        # of str.
        return document or json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    def decode(self, document: Buffer) -> Any:
        """Return the value of a document.

        Raises:
            SerializationError: It is not strict JSON.
        """
        try:
            value = self._decode(document)
        except self._failures as error:
            raise unreadable(bytes(document), error) from error
        if depth_exceeds_limit(document if isinstance(document, bytes) else bytes(document)):
            raise too_deep(bytes(document))
        return value


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
