# SPDX-License-Identifier: MIT
"""Tests of _native/json_values.pyx: what is plain, what is too deep, and that no code of a value runs."""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfast._native.json_values import is_nested_deeper, is_plain

DEEP = 128
Point = namedtuple("Point", "x y")


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    """A subclass of str."""


@dataclass
class EqualToAll:
    def __eq__(self, other: object) -> bool:
        return True


class Hostile:
    """Fails at whatever is asked of it."""

    def fail(self, *_: object) -> Any:
        raise AssertionError("code of the value has run")

    __eq__ = __bool__ = __len__ = __iter__ = __getattr__ = __hash__ = __repr__ = fail  # type: ignore[assignment]
    __class__ = property(fail)  # type: ignore[assignment]


class HostileDict(dict):  # type: ignore[type-arg]
    items = __iter__ = __len__ = __getitem__ = Hostile.fail  # type: ignore[assignment]


class HostileList(list):  # type: ignore[type-arg]
    __iter__ = __len__ = __getitem__ = Hostile.fail  # type: ignore[assignment]


def nested(depth: int) -> Any:
    value: Any = []
    for level in range(depth - 1):
        value = [[value], {"k": value}, (value,)][level % 3]
    return value if depth else 1


PLAIN = [
    None,
    True,
    0,
    2**63,
    2**64 - 1,
    -(2**63),
    -0.0,
    5e-324,
    "",
    "\U0001f600",
    [],
    (),
    {},
    [1, (2.5, {"a": None}), "x"],
    nested(DEEP),
]
NOT_PLAIN = [
    2**64,
    -(2**63) - 1,
    10**5000,
    math.nan,
    math.inf,
    -math.inf,
    {1: 1},
    {Text("k"): 1},
    Text("t"),
    Number.ONE,
    Point(1, 2),
    OrderedDict(),
    {1},
    1j,
    object(),
    EqualToAll(),
    nested(DEEP + 1),
]
BYTES = [b"x", bytearray(b"x"), memoryview(b"x")]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_what_encoders_write_as_it_is_is_plain(value: Any) -> None:
    assert is_plain(value, DEEP)
    assert is_plain([{"k": (value,)}], DEEP + 3)


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: type(value).__name__)
def test_anything_else_is_not_wherever_it_is(value: Any) -> None:
    for with_bytes in (False, True):
        assert not is_plain(value, DEEP, with_bytes=with_bytes)
        for holder in ([1, value], (value, 1), {"a": 1, "k": value}):
            assert not is_plain(holder, DEEP, with_bytes=with_bytes)


def test_no_code_of_a_value_runs() -> None:
    for kind, content in ((Hostile, ()), (HostileDict, {"a": 1}), (HostileList, (1,))):
        value = kind(content) if content else kind()
        for with_bytes in (False, True):
            assert not is_plain([value], DEEP, with_bytes=with_bytes)


@pytest.mark.parametrize("value", BYTES, ids=lambda value: type(value).__name__)
def test_bytes_are_plain_where_they_are_asked_for(value: Any) -> None:
    assert is_plain([{"k": value}], DEEP, with_bytes=True)
    assert not is_plain([{"k": value}], DEEP)
    assert not is_plain({value: 1} if type(value) is bytes else value, DEEP)


def test_a_value_that_holds_itself_is_not_plain() -> None:
    value: list[Any] = []
    value += [value, {"k": value}]
    assert not is_plain(value, DEEP)


@pytest.mark.parametrize("depth_max", [0, 1, 2, 500])
def test_the_limit_is_the_callers(depth_max: int) -> None:
    assert is_plain(nested(depth_max), depth_max)
    assert not is_plain(nested(depth_max + 1), depth_max)


# ---- documents


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


quoted = st.text(st.sampled_from('[]{}"\\x'), max_size=6)


@given(
    st.recursive(
        quoted, lambda inner: st.one_of(st.lists(inner), st.dictionaries(quoted, inner)), max_leaves=20
    ),
    st.integers(0, 2),
)
def test_depth_is_counted_exactly(value: Any, extra: int) -> None:
    # brought to just below, at, and just above the limit
    for level in range(DEEP - 1 + extra - depth(value)):
        value = [value, "]"] if level % 3 else {"{": value, '"': "["}
    document = json.dumps([value]).encode()
    assert is_nested_deeper(document, DEEP) == (depth([value]) > DEEP)


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize(
    "before",
    [
        b"",
        b'"' + b"[" * 100_000 + b'",',
        b'"' + b"]}" * 50_000 + b'",',
        b'"' + b'\\"[' * 30_000 + b'",',
        b'"\\\\","' + b"\\" * 1000 + b'{",',
        b"[[]]," * 20_000,
        b'{"]":[]},' * 20_000,
    ],
    ids=lambda before: before[:8].decode(),
)
def test_brackets_in_text_do_not_count_and_those_beside_do(before: bytes, extra: int) -> None:
    inner = DEEP - 1 + extra
    document = b"[" + before + b"[" * inner + b"]" * inner + b"]"
    assert json.loads(document)
    assert is_nested_deeper(document, DEEP) == bool(extra)


@pytest.mark.parametrize(
    "document, is_deep",
    [
        (b"[" * 300, True),
        (b'"' + b"[" * 300, False),
        (b'"' + b"[" * 300 + b"\\", False),
        (b"]" * 300 + b"[" * 300, False),
        (b'"' * 501, False),
        (bytes(500), False),
    ],
)
def test_what_is_no_document_is_read_to_its_end_at_most(document: bytes, is_deep: bool) -> None:
    assert is_nested_deeper(document, DEEP) is is_deep
