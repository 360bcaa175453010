# SPDX-License-Identifier: MIT
"""Shows what a message is on the wire, and what of the wire is refused (R30-R43, D11)."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfast.errors import SerializationError
from ipcfast.protocol.messages import IpcError, IpcMessage, IpcMessageType


def test_an_empty_message_has_type_and_data_only() -> None:
    assert IpcMessage().to_dict() == {"type": "data", "data": {}}
    assert IpcMessage.from_dict({}) == IpcMessage()


def test_data_of_two_messages_is_not_shared() -> None:
    one, other = IpcMessage(), IpcMessage()
    one.data["k"] = one.extra["x"] = 1
    assert (other.data, other.extra) == ({}, {})


def test_the_types_have_the_documents_names() -> None:
    assert [kind.value for kind in IpcMessageType] == ["request", "response", "event", "ping", "pong", "data"]


def test_a_type_may_be_given_as_enumeration_or_as_any_text() -> None:
    document = IpcMessage(type=IpcMessageType.REQUEST).to_dict()
    assert document["type"] == "request"
    assert type(document["type"]) is str
    assert IpcMessage(type="ready").to_dict()["type"] == "ready"


def test_empty_fields_are_left_out() -> None:
    for empty in (None, ""):
        message = IpcMessage(type="response", data=None, id=empty, method=empty, event=empty, error=None)
        assert message.to_dict() == {"type": "response", "data": None}


def test_a_whole_message_goes_there_and_back() -> None:
    message = IpcMessage(
        type="response",
        data=[1],
        id="7",
        method="m",
        event="e",
        error=IpcError(-32601, "no such method", {"name": "m"}, {"hint": 1}),
        extra={"trace": "abc"},
    )
    assert message.to_dict() == {
        "type": "response",
        "data": [1],
        "id": "7",
        "method": "m",
        "event": "e",
        "error": {"code": -32601, "message": "no such method", "data": {"name": "m"}, "hint": 1},
        "trace": "abc",
    }
    assert IpcMessage.from_dict(message.to_dict()) == message
    assert IpcMessage.from_json(message.to_json()) == message
    assert IpcMessage.from_json(message.to_json().encode()) == message


def test_an_error_may_be_written_as_the_documents_write_it() -> None:
    error = {"code": 1, "message": "m", "data": [2], "hint": 3}
    message = IpcMessage(type="response", error=error)  # type: ignore[arg-type]
    assert message.to_dict()["error"] == error
    assert IpcMessage.from_json(message.to_json()).error == IpcError(1, "m", [2], {"hint": 3})
    assert IpcMessage(error={}).to_dict() == {"type": "data", "data": {}}  # type: ignore[arg-type]


def test_json_is_not_escaped() -> None:
    assert "日本" in IpcMessage(data="日本").to_json()


def test_unknown_keys_are_kept_and_written_again() -> None:
    message = IpcMessage.from_dict({"type": "x", "jsonrpc": "2.0", "params": [1]})
    assert message.extra == {"jsonrpc": "2.0", "params": [1]}
    assert message.to_dict() == {"type": "x", "data": {}, "jsonrpc": "2.0", "params": [1]}


def test_extra_never_hides_a_field() -> None:
    assert IpcMessage(id="1", extra={"type": "evil", "id": "2", "error": 3}).to_dict() == {
        "type": "data",
        "data": {},
        "id": "1",
    }
    assert IpcError(1, "m", extra={"code": 2}).to_dict() == {"code": 1, "message": "m"}


def test_null_is_as_good_as_absent() -> None:
    message = IpcMessage.from_dict({"data": None, "id": None, "method": None, "event": None, "error": None})
    assert message == IpcMessage(data=None)


@pytest.mark.parametrize(
    "document, field",
    [
        ({"type": 1}, "type"),
        ({"type": None}, "type"),
        ({"id": 1.0}, "id"),
        ({"id": True}, "id"),
        ({"id": [1]}, "id"),
        ({"method": ["m"]}, "method"),
        ({"event": {}}, "event"),
        ({"error": "text"}, "error"),
        ({"error": {}}, "error.code"),
        ({"error": {"code": "1", "message": "m"}}, "error.code"),
        ({"error": {"code": True, "message": "m"}}, "error.code"),
        ({"error": {"code": 1.0, "message": "m"}}, "error.code"),
        ({"error": {"code": 1}}, "error.message"),
        ({"error": {"code": 1, "message": None}}, "error.message"),
    ],
)
def test_a_wrong_type_names_its_field(document: dict[str, Any], field: str) -> None:
    with pytest.raises(SerializationError, match=repr(field)) as caught:
        IpcMessage.from_dict(document)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "field, values",
    [
        ("type", [1, None, b"x"]),
        ("id", [1.5, True, False, b"", []]),
        ("method", [5, 0, False, b"", {}]),
        ("event", [b"e", 0, b"", []]),
        ("error", ["boom", 0, False, [], [("code", 1)]]),
        (
            "error.code",
            [
                {"message": "m"},
                {"code": "1", "message": "m"},
                IpcError("x", "m"),
                IpcError(True, "m"),
                IpcError(1.0, "m"),
                IpcError(None, "m"),
            ],
        ),
        ("error.message", [{"code": 1}, IpcError(1, 5), IpcError(1, None), IpcError(1, b"m")]),
        ("error.extra", [IpcError(1, "m", extra=None), IpcError(1, "m", extra=["a"])]),
        ("extra", [None, [("a", 1)]]),
    ],
)
def test_a_wrong_type_is_not_sent_either(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(SerializationError, match=repr(field)) as caught:
            IpcMessage(**{field.partition(".")[0]: value}).to_dict()
        assert caught.value.field == field


@pytest.mark.parametrize("identifier", ["7", 7, 0, -1, 2**70])
def test_an_id_of_json_rpc_goes_there_and_back(identifier: str | int) -> None:
    message = IpcMessage.from_json(json.dumps({"jsonrpc": "2.0", "id": identifier, "method": "m"}))
    assert message.id == identifier
    assert type(message.id) is type(identifier)
    assert json.loads(message.to_json())["id"] == identifier


class Ids(enum.IntEnum):
    FIRST = 1


class Methods(str, enum.Enum):
    CALL = "call"


def test_members_of_enumerations_become_what_they_stand_for() -> None:
    message = IpcMessage(id=Ids.FIRST, method=Methods.CALL, error=IpcError(Ids.FIRST, Methods.CALL))
    document = message.to_dict()
    for value, kind in (
        (document["id"], int),
        (document["method"], str),
        (document["error"]["code"], int),
        (document["error"]["message"], str),
    ):
        assert type(value) is kind


@pytest.mark.parametrize(
    "document", ["[]", "1", "null", '"text"', "", "{", b"\xff", '{"id": NaN}', '"\ud800"']
)
def test_what_is_no_message_is_refused(document: str | bytes) -> None:
    with pytest.raises(SerializationError):
        IpcMessage.from_json(document)


words = st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
optional = st.none() | st.text(min_size=1, max_size=5)
errors = st.builds(IpcError, st.integers(), words, json_values)
documents = st.fixed_dictionaries(
    {},
    optional={
        "type": words,
        "data": json_values,
        "id": optional | st.integers(),
        "method": optional,
        "event": optional,
        "error": st.none() | errors.map(IpcError.to_dict),
        "other": json_values,
    },
)


@given(documents)
def test_reading_and_writing_keep_every_message(document: dict[str, Any]) -> None:
    message = IpcMessage.from_dict(document)
    written = message.to_dict()
    expected = {"type": "data", "data": {}, **document}
    assert written == {
        key: item for key, item in expected.items() if item is not None or key in ("data", "other")
    }
    assert IpcMessage.from_dict(written) == message
    assert json.loads(message.to_json()) == written
