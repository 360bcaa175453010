# SPDX-License-Identifier: MIT
"""The values that messages are made of, whichever codec carries them (D11).

None, bool, int, float, str, list, tuple (sent as a list), dict, and subclasses of these; enumerations that
are str or int as well. Keys are str. Floats are finite. Integers have any size up to 4300 digits, which is
where Python itself stops reading them. No lone surrogates. Lists and dicts are nested at most 128 deep.
Nothing else: no set, date, Decimal, dataclass. Bytes only in codecs that have them.

Almost every value is plain already, which ``ipcfast._native.json_values`` tells in no time. What is here is
for the others: it makes a plain one of a value, or names the place that is at fault.
"""

from __future__ import annotations

import math
from typing import Any, Optional

from ipcfast.errors import SerializationError

__all__ = ["DEPTH_MAX", "INT_DIGITS_MAX", "plain_copy"]

DEPTH_MAX = 128
INT_DIGITS_MAX = 4300
INT_BITS_ALWAYS_FIT = 14000  # 2**14000 has 4215 digits: counting them is slow, and rarely needed
SHOWN = 80

# Where in a value something lies: the place of what holds it, and the key or index there. Becomes text in an
# error only.
Place = Optional[tuple[Any, Any]]


def plain_copy(
    value: Any, format_name: str, *, with_bytes: bool = False, place: Place = None, depth: int = 0
) -> Any:
    """Return what a value stands for, made of exactly the types above: lists, not tuples, and no subclasses.

    No method of the value is called, so a class cannot show one thing here and another one to an encoder.

    Args:
        value: Anything.
        format_name: What an error calls the codec.
        with_bytes: Whether bytes, bytearray and memoryview may pass.
        place: Where the value lies in the whole one.
        depth: How many lists and dicts it lies in.

    Raises:
        SerializationError: Naming the place and what is wrong there.
    """
    kind = type(value)  # isinstance would ask the value
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return plain_text(value, place)
    if issubclass(kind, int):
        return plain_integer(value, place)
    if issubclass(kind, float):
        if not math.isfinite(float.__float__(value)):
            raise refused(place, f"is {float.__repr__(value)}: send None or text instead")
        return float.__float__(value)
    if with_bytes and issubclass(kind, (bytes, bytearray, memoryview)):
        return plain_bytes(value, place)
    if not issubclass(kind, (list, tuple, dict)):
        raise refused(
            place, f"is of {named(kind)}, which {format_name} cannot carry: convert it, or use another codec"
        )
    if depth == DEPTH_MAX:
        raise SerializationError(f"the value is nested deeper than {DEPTH_MAX} levels")
    if not issubclass(kind, dict):
        items = list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value)
        return [
            plain_copy(item, format_name, with_bytes=with_bytes, place=(place, index), depth=depth + 1)
            for index, item in enumerate(items)
        ]
    copy = {}
    for key, item in dict.items(value):
        if not issubclass(type(key), str):
            raise refused(place, f"has a key of {named(type(key))}, keys must be str")
        name = plain_text(key, (place, str.__str__(key)))
        copy[name] = plain_copy(
            item, format_name, with_bytes=with_bytes, place=(place, name), depth=depth + 1
        )
    return copy


def plain_text(text: str, place: Place) -> str:
    """Return a str itself; lone surrogates are refused, because they have no UTF-8."""
    try:
        str.encode(text, "utf-8")
    except UnicodeEncodeError as error:
        raise refused(place, f"has a lone surrogate at character {error.start}") from None
    return str.__str__(text)


def plain_bytes(data: Any, place: Place) -> bytes:
    """Return the bytes of a buffer, of a memoryview with gaps as well."""
    try:
        return bytes(memoryview(data))
    except ValueError:
        raise refused(place, "is a memoryview that was released") from None


def plain_integer(value: int, place: Place) -> int:
    """Return an int itself, unless it is too long to be read again."""
    number = int.__int__(value)
    if number.bit_length() > INT_BITS_ALWAYS_FIT and abs(number) >= 10**INT_DIGITS_MAX:
        raise refused(place, f"is an integer of more than {INT_DIGITS_MAX} digits")
    return number


def named(kind: type) -> str:
    """Return the name of a type."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def refused(place: Place, problem: str) -> SerializationError:
    """Return the error for a value that cannot be carried; its field is the outermost key."""
    path, key = "", None
    while place is not None:
        place, key = place
        path = f"[{key!r:.{SHOWN}}]{path}"
    return SerializationError(f"the value{path} {problem}", field=key if isinstance(key, str) else None)
