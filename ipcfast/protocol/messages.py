# SPDX-License-Identifier: MIT
"""The message that a channel carries, as a value and as the object on the wire (R30-R43, D11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from ipcfast.errors import SerializationError
from ipcfast.protocol.codec import codec_named

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["IpcError", "IpcMessage", "IpcMessageType"]


class IpcMessageType(str, Enum):
    """The types that the documents name (R41); a message may have any other text as its type, too."""

    REQUEST = "request"
    RESPONSE = "response"
    EVENT = "event"
    PING = "ping"
    PONG = "pong"
    DATA = "data"


_MESSAGE_FIELDS = frozenset({"type", "data", "id", "method", "event", "error"})
_TEXT_FIELDS = ("method", "event")
_ERROR_FIELDS = frozenset({"code", "message", "data"})


@dataclass
class IpcError:
    """What went wrong at the peer (R43).

    Attributes:
        code: A number, as in JSON-RPC.
        message: For a person.
        data: Anything more; left out on the wire when None.
        extra: Keys of the object on the wire that are not named here.
    """

    code: int
    message: str
    data: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the object for the wire.

        Raises:
            SerializationError: A field has another type than it should (``.field``).
        """
        result: dict[str, Any] = {
            "code": _integer("error.code", self.code),
            "message": _text("error.message", self.message),
        }
        if self.data is not None:
            result["data"] = self.data
        _add_extra(result, "error.extra", self.extra, _ERROR_FIELDS)
        return result

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> IpcError:
        """Read the object from the wire.

        Raises:
            SerializationError: A field is missing or has another type (``.field``).
        """
        if not isinstance(value, Mapping):
            raise _wrong("error", "an object", value)
        code = _integer("error.code", value.get("code"))
        message = _text("error.message", value.get("message"))
        extra = {key: item for key, item in value.items() if key not in _ERROR_FIELDS}
        return cls(code, message, value.get("data"), extra)


@dataclass
class IpcMessage:
    """One message (R30).

    Attributes:
        type: What it is; one of IpcMessageType or any other text.
        data: What it carries: anything that the codec can.
        id: Ties a response to its request: text, or an integer as in JSON-RPC (R103). Left out on the wire
            when None or "" (R32); 0 is an id like any other.
        method: Of a request; left out when empty (R33).
        event: Of an event; left out when empty (R34).
        error: Of a response; left out when empty (R35). An IpcError where it was received; to be sent it may
            be a mapping with the same keys, as the documents' programs write it.
        extra: Keys of the object on the wire that are not named here; they are written again (D11).
    """

    type: str = IpcMessageType.DATA.value
    data: Any = field(default_factory=dict)
    id: str | int | None = None
    method: str | None = None
    event: str | None = None
    error: IpcError | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the object for the wire (R31, R36, R37).

        Raises:
            SerializationError: A field has another type than it should (``.field``).
        """
        result: dict[str, Any] = {"type": _text("type", self.type), "data": self.data}
        if self.id is not None and (identifier := _identifier(self.id)) != "":
            result["id"] = identifier
        if self.method is not None and (method := _text("method", self.method)):
            result["method"] = method
        if self.event is not None and (event := _text("event", self.event)):
            result["event"] = event
        if self.error is not None and (error := _error(self.error)) is not None:
            result["error"] = error.to_dict()
        _add_extra(result, "extra", self.extra, _MESSAGE_FIELDS)
        return result

    def to_json(self) -> str:
        """Return the wire's object as JSON text, non-ASCII unescaped (R38).

        Raises:
            SerializationError: The data is outside JSON.
        """
        return codec_named("json").encode(self.to_dict()).decode("utf-8")

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> IpcMessage:
        """Read the object from the wire: type defaults to "data", data to {} (R39).

        Raises:
            SerializationError: A field has another type than it should (``.field``).
        """
        if type(value) is not dict and not isinstance(value, Mapping):  # the latter takes 0.3 us
            raise SerializationError(f"a message must be an object, found {_named(value)}")
        message = cls()
        for key, item in value.items():
            if key == "data":
                message.data = item
            elif key == "type":
                message.type = _text("type", item)
            elif key == "id":
                message.id = None if item is None else _identifier(item)
            elif key in _TEXT_FIELDS:
                setattr(message, key, None if item is None else _text(key, item))
            elif key == "error":
                message.error = None if item is None else IpcError.from_dict(item)
            else:
                message.extra[key] = item
        return message

    @classmethod
    def from_json(cls, text: str | Buffer) -> IpcMessage:
        """Read JSON text or its UTF-8 (R40).

        Raises:
            SerializationError: It is not strict JSON, not an object, or a field has another type.
        """
        try:
            document = text.encode("utf-8") if isinstance(text, str) else text
        except UnicodeEncodeError as error:
            raise SerializationError(f"a lone surrogate at character {error.start}") from error
        return cls.from_dict(codec_named("json").decode(document))


def _text(name: str, value: object) -> str:
    """Return the text of a field; a member of an enumeration becomes plain text."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    raise _wrong(name, "text", value)


def _integer(name: str, value: object, expected: str = "an integer") -> int:
    """Return the integer of a field; a member of an enumeration becomes a plain one; booleans are none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    raise _wrong(name, expected, value)


def _identifier(value: object) -> str | int:
    return _text("id", value) if isinstance(value, str) else _integer("id", value, "text or an integer")


def _error(value: object) -> IpcError | None:
    """Return the error of a message that is sent; None for an empty mapping."""
    if isinstance(value, IpcError):
        return value
    if not isinstance(value, Mapping):
        raise _wrong("error", "an IpcError or a mapping", value)
    return IpcError.from_dict(value) if value else None


def _add_extra(result: dict[str, Any], name: str, extra: object, fields: frozenset[str]) -> None:
    """Add the keys that are not named; none of them hides a field."""
    if type(extra) is not dict and not isinstance(extra, Mapping):
        raise _wrong(name, "a mapping", extra)
    for key, value in extra.items():
        if key not in fields:
            result[key] = value


def _named(value: object) -> str:
    """Return the JSON name of a value's type."""
    names = {
        dict: "an object",
        list: "an array",
        str: "text",
        int: "an integer",
        float: "a number",
        bool: "a boolean",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _wrong(name: str, expected: str, found: object) -> SerializationError:
    return SerializationError(
        f"field {name!r} of the message must be {expected}, found {_named(found)}", field=name
    )
