# SPDX-License-Identifier: MIT
"""Shows what a value becomes before it is encoded, and that a fault is named with its place."""

from __future__ import annotations

import datetime
import enum
import math
from collections import OrderedDict, namedtuple
from typing import Any

import pytest

from ipcfast._native.json_values import is_plain
from ipcfast.errors import SerializationError
from ipcfast.protocol.plain_values import DEPTH_MAX, plain_copy

Point = namedtuple("Point", "x y")


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    def __str__(self) -> str:
        return "another text"


class Ratio(float):
    pass


class Lying(dict):  # type: ignore[type-arg]
    """Shows other items than it holds."""

    def items(self) -> Any:
        return [("shown", 1)]


class Pretending:
    """Says that it is text."""

    __class__ = str  # type: ignore[assignment]


@pytest.mark.parametrize(
    "value, copy",
    [
        (1, 1),
        (True, True),
        (None, None),
        ((1, (2, [])), [1, [2, []]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=(1,)), {"a": [1]}),
        (Lying(held=2), {"held": 2}),
        (Number.ONE, 1),
        (Text("t"), "t"),
        ({Text("k"): Ratio(0.5)}, {"k": 0.5}),
        (2**64, 2**64),
    ],
    ids=repr,
)
def test_a_copy_is_of_the_plain_types(value: Any, copy: Any) -> None:
    made = plain_copy(value, "JSON")
    assert made == copy
    assert type(made) is type(copy)
    assert is_plain(made, DEPTH_MAX) or made == 2**64


@pytest.mark.parametrize("value", [b"a", bytearray(b"a"), memoryview(b"a"), memoryview(b"a_b_")[::4]])
def test_bytes_pass_where_the_codec_has_them(value: Any) -> None:
    made = plain_copy([value], "MessagePack", with_bytes=True)
    assert made == [b"a"]
    assert type(made[0]) is bytes
    with pytest.raises(SerializationError, match=r"value\[0\] is of .*JSON cannot carry"):
        plain_copy([value], "JSON")


def released() -> memoryview:
    view = memoryview(b"x")
    view.release()
    return view


@pytest.mark.parametrize(
    "value, text, field",
    [
        (
            {"frames": [1, {"at": datetime.date(2024, 1, 1)}]},
            r"value\['frames'\]\[1\]\['at'\] is of datetime.date",
            "frames",
        ),
        ([math.nan], r"value\[0\] is nan", None),
        ({"a": {1: 1}}, r"value\['a'\] has a key of int", "a"),
        ({"a": "\ud800"}, r"value\['a'\] has a lone surrogate at character 0", "a"),
        ({"x\udc00": 1}, "has a lone surrogate at character 1", "x\udc00"),
        ((10**4300,), r"value\[0\] is an integer of more than 4300 digits", None),
        (Pretending(), "Pretending", None),
        ([released()], r"value\[0\] is a memoryview that was released", None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_is_named_with_its_place(value: Any, text: str, field: str | None) -> None:
    with pytest.raises(SerializationError, match=text) as caught:
        plain_copy(value, "MessagePack", with_bytes=True)
    assert caught.value.field == field


@pytest.mark.parametrize("extra", [0, 1])
def test_the_depth_is_limited(extra: int) -> None:
    value: Any = []
    for _ in range(DEPTH_MAX - 1 + extra):
        value = (value,)
    if extra:
        with pytest.raises(SerializationError, match="deeper than 128"):
            plain_copy(value, "JSON")
    else:
        assert is_plain(plain_copy(value, "JSON"), DEPTH_MAX)
