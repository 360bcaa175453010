# SPDX-License-Identifier: MIT
"""Holds both JSON backends to one strict reading, and to each other."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any, Union

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipcfast.errors import SerializationError
from ipcfast.protocol.json_codec import MsgspecJson, StandardJson
from ipcfast.protocol.plain_values import DEPTH_MAX

Backend = Union[MsgspecJson, StandardJson]
BACKENDS: list[Backend] = [MsgspecJson(), StandardJson()]

Point = namedtuple("Point", "x y")


class Number(enum.IntEnum):
    ONE = 1


class Word(str, enum.Enum):
    YES = "yes"


class Plain(enum.Enum):
    ONE = 1


class Text(str):
    """A subclass of str."""


class Disguised(int, enum.Enum):
    """Stands for another number than its value."""

    FIVE = "five"

    def __new__(cls, value: str) -> Disguised:
        member = int.__new__(cls, 5)
        member._value_ = value
        return member


@dataclass
class Record:
    field: int = 1


@dataclass
class EqualToAll:
    """What is compared with its own document would pass for it."""

    def __eq__(self, other: object) -> bool:
        return True


@dataclass
class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")


class ShowsOtherItems(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [("shown", 1)]


both = pytest.mark.parametrize("codec", BACKENDS, ids=lambda codec: type(codec).__name__)


def nested(depth: int, empty: Any = None) -> Any:
    value: Any = [] if empty is None else empty
    for level in range(depth - 1):
        value = [value] if level % 2 else {"k": value}
    return value


GOOD = [
    None,
    True,
    0,
    -1,
    2**53 + 1,
    2**63,
    2**64,
    -(2**64),
    10**4299,
    10**4300 - 1,
    0.1,
    -0.0,
    1e308,
    5e-324,
    "",
    "日本語 – ж\u2028\x7f",
    '"\\/\b\f\n\r\t\x01',
    "\U0001f600",
    [],
    {},
    {"": {"a": [1, 2.5, None, True, "x"]}},
    [[]] * 200,
    nested(DEPTH_MAX),
    ["[" * 300, "\\", '"', "{" * 300],
    {"[" * 200: "]"},
]
BAD = [
    math.nan,
    math.inf,
    [-math.inf],
    {"deep": [{"er": math.nan}]},
    "\ud800",
    {"\udfff": 1},
    ["\ud83d"],
    b"bytes",
    bytearray(b"x"),
    memoryview(b"x"),
    {1, 2},
    frozenset(),
    {1: 2},
    {1.5: 2},
    {None: 1},
    {True: 1},
    {(1, 2): 3},
    {"a": {2: 3}},
    datetime.datetime(2024, 1, 1),
    datetime.date(2024, 1, 1),
    datetime.timedelta(1),
    uuid.UUID(int=1),
    decimal.Decimal("1.5"),
    1j,
    object(),
    Record(),
    EqualToAll(),
    [EqualToAll()],
    Incomparable(),
    {"a": Incomparable()},
    Plain.ONE,
    range(3),
    10**4300,
    {10**4300: 1},
    -(10**5000),
    nested(DEPTH_MAX + 1),
    nested(DEPTH_MAX + 1, empty={}),
    nested(5000),
    [nested(3), nested(DEPTH_MAX)],
]
GOOD_DOCUMENTS = [
    (b" 1 ", 1),
    (b"\t\r\n[1 , 2]\n", [1, 2]),
    (b'{"a":1,"a":2}', {"a": 2}),
    (b"1e5", 1e5),
    (b"1E+5", 1e5),
    (b"-0", 0),
    (b"1e-999", 0.0),
    (b"123456789012345678901234567890", 123456789012345678901234567890),
    (b'"\\ud83d\\ude00\\u0041\\/"', "\U0001f600A/"),
    (b'"\\u0000"', "\0"),
    ('"\u2028é"'.encode(), "\u2028é"),
]
BAD_DOCUMENTS = [
    b"",
    b" ",
    b"nul",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"[NaN]",
    b"1e999",
    b"-1e999",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"- 1",
    b"1e",
    b"0x10",
    b"1_000",
    b"[1,]",
    b'{"a":1,}',
    b"{a:1}",
    b"{'a':1}",
    b'{"a"}',
    b"{1:2}",
    b"[1",
    b"1 2",
    b"1\0",
    b"\x0c1",
    b"// 1\n1",
    b'"\x01"',
    b'"\n"',
    b'"\\x"',
    b'"\\u12"',
    b'"open',
    b'"\\ud800"',
    b'"\\udc00"',
    b'"\\uDBFFx"',
    b'{"\\ud800":1}',
    b'"\\ud800\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"\xc0\x80"',
    b"\xef\xbb\xbf1",
    '"x"'.encode("utf-16"),
    b"9" * 4301,
    b"[" * 129 + b"]" * 129,
    b"[" * 100_000,
    b'{"a":' * 129 + b"1" + b"}" * 129,
]


@both
@pytest.mark.parametrize("value", GOOD, ids=lambda value: type(value).__name__)
def test_a_value_arrives_as_it_was(codec: Backend, value: Any) -> None:
    document = codec.encode(value)
    for reader in BACKENDS:
        assert same(reader.decode(document), value)


@both
@pytest.mark.parametrize("value", BAD, ids=lambda value: type(value).__name__)
def test_a_value_outside_json_is_refused(codec: Backend, value: Any) -> None:
    with pytest.raises(SerializationError):
        codec.encode(value)


@both
@pytest.mark.parametrize("document, value", GOOD_DOCUMENTS)
def test_a_good_document_is_read(codec: Backend, document: bytes, value: Any) -> None:
    for form in (document, bytearray(document), memoryview(document)):
        assert same(codec.decode(form), value)


@both
@pytest.mark.parametrize("document", BAD_DOCUMENTS)
def test_a_bad_document_is_refused(codec: Backend, document: bytes) -> None:
    with pytest.raises(SerializationError):
        codec.decode(document)


@both
@pytest.mark.parametrize(
    "value, arrives",
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=(1,)), {"a": [1]}),
        (Number.ONE, 1),
        (Word.YES, "yes"),
        ({Word.YES: Number.ONE}, {"yes": 1}),
        ([Text("t"), {Text("k"): Text("v")}], ["t", {"k": "v"}]),
        ([Disguised.FIVE], [5]),
        ([ShowsOtherItems(held=2)], [{"held": 2}]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_and_tuples_become_what_they_stand_for(codec: Backend, value: Any, arrives: Any) -> None:
    assert codec.decode(codec.encode(value)) == arrives


@both
def test_text_is_not_escaped(codec: Backend) -> None:
    assert codec.encode("ü日") == '"ü日"'.encode()


@both
def test_there_is_no_line_end_in_a_document(codec: Backend) -> None:
    assert b"\n" not in codec.encode({"a\nb": ["\r\n", {"c": "\n"}]})


@both
def test_a_value_that_holds_itself_is_refused(codec: Backend) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(SerializationError, match="nested"):
        codec.encode(value)


@both
def test_the_error_names_the_place(codec: Backend) -> None:
    with pytest.raises(SerializationError, match=r"\['frames'\]\[2\]\['at'\].*datetime"):
        codec.encode({"frames": [1, 2, {"at": datetime.date(2024, 1, 1)}]})
    with pytest.raises(SerializationError, match="nan"):
        codec.encode([math.nan])
    with pytest.raises(SerializationError, match="key of int"):
        codec.encode({1: 1})


@both
def test_the_error_of_a_bad_document_shows_its_start_only(codec: Backend) -> None:
    with pytest.raises(SerializationError, match="1000003 bytes") as caught:
        codec.decode(b'["' + b"x" * 1_000_000 + b"\x01")
    assert len(str(caught.value)) < 500


def same(left: Any, right: Any) -> bool:
    """Equal, and of equal types: 1, 1.0 and True are three values."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float) and isinstance(right, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return type(left) is type(right) and left == right


def answer(function: Any, argument: Any) -> Any:
    try:
        return ("value", function(argument))
    except SerializationError:
        return ("refused", None)


text = st.text(st.characters(), max_size=8)  # lone surrogates included
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    text,
    st.sampled_from(
        [b"x", decimal.Decimal(1), datetime.date(2024, 1, 1), Number.ONE, Word.YES, Plain.ONE, Text("t")]
    ),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(
            st.one_of(text, text, text, leaves.filter(lambda leaf: leaf == leaf)), inner, max_size=4
        ),
        st.sets(st.integers(), max_size=2),
    ),
    max_leaves=12,
)


@given(values)
def test_backends_agree_on_every_value(value: Any) -> None:
    answers = [answer(codec.encode, value) for codec in BACKENDS]
    assert answers[0][0] == answers[1][0]
    if answers[0][0] == "value":
        meanings = [codec.decode(document) for codec in BACKENDS for _, document in answers]
        assert all(same(meanings[0], meaning) for meaning in meanings)


WORDS = '{ } [ ] , : " \\ \\u d800 DC00 0 1 - . e E + null true NaN Infinity é \u2028 \ufeff a "a" "a": 1e400'
fragments = st.sampled_from([*WORDS.split(), " ", "\n", "\t", "\x00", "\x0b"])


@given(st.lists(fragments, max_size=12).map("".join).map(lambda document: document.encode()))
@example(b'"\\ud800\\udc00"')
@settings(max_examples=500)
def test_backends_agree_on_every_document(document: bytes) -> None:
    answers = [answer(codec.decode, document) for codec in BACKENDS]
    assert answers[0][0] == answers[1][0]
    assert same(answers[0][1], answers[1][1])


@given(
    st.recursive(st.just(b"1"), lambda inner: inner.map(lambda d: b"[" + d + b"]"), max_leaves=3), st.binary()
)
@settings(max_examples=100)
def test_backends_agree_on_any_bytes(document: bytes, noise: bytes) -> None:
    for data in (noise, document + noise, b'"' + noise + b'"'):
        answers = [answer(codec.decode, data) for codec in BACKENDS]
        assert answers[0][0] == answers[1][0]
        assert same(answers[0][1], answers[1][1])
