# SPDX-License-Identifier: MIT
"""Holds the wire of the documents against programs that were written from them (R54, R63, D1, D11).

Each test runs with a Python and a node program, which listens in one half and connects in the other.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

import ipcfast
from ipcfast import (
    ChannelTimeout,
    Disconnected,
    IpcMessage,
    LocalSocketChannel,
    MessageTooLarge,
    SendFailed,
    SerializationError,
)
from tests.compatibility.foreign import Foreign
from tests.peers import HANG, Background

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

TEXTS = {
    "empty": "",
    "blank": "  \t ",
    "line-ends": "one\ntwo\r\nthree\rfour\u2028five\u2029six\x85seven",
    "control": "".join(map(chr, range(1, 32))) + "\x7f",
    "nul": "\0",
    "quotes": "\"'\\/`{}[],:",
    "latin": "Grüße, ça va?",
    "cjk": "统一 IPC 架构, 日本語, 한국어",
    "emoji": "😀 👩‍👩‍👧 🇩🇪 \U0010ffff",
    "combining": "e\u0301 \u202e \ufeff \uffff",
    "escape-like": "\\n \\u4e2d \\ud83d\\ude00",
}
MESSAGES: list[dict[str, Any]] = [
    *({"type": "data", "data": {text: text}} for text in TEXTS.values()),
    *({"type": "data", "data": value} for value in ("", [], None, False, True, 0, -1, 2**53 - 1, 0.5, 1e300)),
    {"type": "request", "id": "1", "method": "echo", "data": {"nested": [[{"deep": [1, "二"]}]]}},
    {"type": "response", "id": "日本", "data": None},
    {"type": "response", "id": "2", "data": {}, "error": {"code": -32601, "message": "无", "data": [1, {}]}},
    {"type": "event", "event": "选择", "data": {"名": "😀"}},
    {"type": "ping", "data": {}},
    {"type": "pong", "data": {}},
    {"type": "ready", "data": {"handlers": ["api.echo", "api.加"]}},
    {"type": "", "data": " "},
]
FIELDS = ("id", "method", "event", "error")


def as_received(document: dict[str, Any]) -> dict[str, Any]:
    """What the program makes of a message: every field that the documents name."""
    return {**dict.fromkeys(FIELDS), **document}


# ---- whole messages


@pytest.mark.parametrize("escaped", [False, True], ids=["unescaped", "escaped"])
def test_messages_of_the_program_arrive(channel: LocalSocketChannel, foreign: Foreign, escaped: bool) -> None:
    for document in MESSAGES:
        foreign.do("send", document, escaped)
        message = channel.recv(HANG)
        assert message.to_dict() == document
        assert message.extra == {}


def test_our_messages_arrive_there(channel: LocalSocketChannel, foreign: Foreign) -> None:
    for document in MESSAGES:
        channel.send(IpcMessage.from_dict(document))
        assert foreign.do("receive") == as_received(document)
        channel.send(document)
        assert foreign.do("receive") == as_received(document)
    channel.send_json(["数"])
    assert foreign.do("receive") == as_received({"type": "data", "data": ["数"]})
    channel.emit("saved")
    assert foreign.do("receive") == as_received({"type": "event", "event": "saved", "data": {}})


def test_what_we_write_is_one_line_of_unescaped_utf_8_and_nothing_else(
    channel: LocalSocketChannel, foreign: Foreign
) -> None:
    for text in TEXTS.values():
        channel.send(IpcMessage(type="event", event="e", data=text))
        line = foreign.receive_line()
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert b"\r" not in line
        assert json.loads(line) == {"type": "event", "event": "e", "data": text}
        written = text.encode()
        assert all(bytes([byte]) in line for byte in written if byte > 0x7F)


def test_a_reader_of_single_bytes_gets_our_lines(channel: LocalSocketChannel, foreign: Foreign) -> None:
    sent = [{"type": "data", "data": text} for text in TEXTS.values()]
    for size in (1, 2, 3, 7):
        for document in sent:
            channel.send(document)
        assert [json.loads(foreign.receive_line(size)) for _ in sent] == sent


# ---- pieces and heaps of lines


LINE = '{"type":"event","event":"é日😀","data":{"\\u65e5\\ud83d\\ude00":"\\n"}}'.encode()
MEANT = {"type": "event", "event": "é日😀", "data": {"日😀": "\n"}}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\r\n"], ids=["lf", "crlf", "white"])
def test_a_line_may_be_cut_at_every_byte(channel: LocalSocketChannel, foreign: Foreign, end: bytes) -> None:
    line = LINE + end
    for place in range(1, len(line)):
        foreign.send_bytes(line[:place])
        assert channel.try_recv() is None
        assert not channel.poll(0)
        foreign.send_bytes(line[place:])
        message = channel.recv(HANG)
        assert message.to_dict() == MEANT, place


def test_a_first_line_may_come_byte_by_byte(channel: LocalSocketChannel, foreign: Foreign) -> None:
    line = b" \r\n" + LINE + b"\r\n"
    for place in range(len(line)):
        assert channel.try_recv() is None
        foreign.send_bytes(line[place : place + 1])
    assert channel.recv(HANG).to_dict() == MEANT


def test_several_lines_in_one_segment(channel: LocalSocketChannel, foreign: Foreign) -> None:
    lines = [json.dumps({"type": "data", "data": number}).encode() for number in range(500)]
    foreign.send_bytes(b"\n".join(lines[:250]) + b"\n" + b"\r\n".join(lines[250:]) + b"\r\n" + LINE[:20])
    assert [channel.recv(HANG).data for _ in lines] == [*range(500)]
    assert channel.receive(0) is None
    foreign.send_bytes(LINE[20:] + b"\n" + lines[7] + b"\n")
    assert channel.recv(HANG).to_dict() == MEANT
    assert channel.recv(HANG).data == 7


def test_blank_lines_are_passed_over(channel: LocalSocketChannel, foreign: Foreign) -> None:
    for blank in (b"\n", b"\r\n", b"   \n", b"\t\r\n", b"\n\n \n\r\n"):
        foreign.send_bytes(blank)
        assert channel.receive(0) is None
        foreign.send_bytes(blank + LINE + b"\n" + blank + LINE + b"\n" + blank)
        assert [channel.recv(HANG).to_dict() for _ in range(2)] == [MEANT, MEANT]
        assert channel.receive(0) is None
    foreign.do("end_writing")
    assert channel.receive(HANG) is None


def test_lines_pass_as_text(channel: LocalSocketChannel, foreign: Foreign) -> None:
    for line in ("{}", "统一 IPC", " {not: json ", "x\ry", "😀" * 100_000):
        sending = Background(channel.send_line, line)
        assert foreign.receive_line() == line.encode() + b"\n"
        sending.result()
        foreign.start("send_bytes", (b" \n" + line.encode() + b"\r\n").hex())
        assert channel.recv_line_timeout(HANG) == line
        foreign.result()
    for bad in ("", " \t", "two\nlines", "ends\r"):
        with pytest.raises(SendFailed):
            channel.send_line(bad)
    with pytest.raises(SerializationError, match="character 2"):
        channel.send_line("ab\ud800")
    foreign.send_bytes(b"par")
    with pytest.raises(ChannelTimeout):
        channel.recv_line_timeout(0.01)
    foreign.send_bytes(b"tial\n\xff\n")
    assert channel.recv_line_timeout(HANG) == "partial"
    with pytest.raises(SerializationError, match="UTF-8"):
        channel.recv_line_timeout(HANG)


# ---- what is only just JSON, and what is not


WRITTEN_OTHERWISE: list[tuple[bytes, object]] = [
    (b'{"type":"data","data":"\\ud83d\\ude00"}', "😀"),
    (b'{"type":"data","data":"\\uD83D\\uDE00 \\u65E5\\u672C"}', "😀 日本"),
    (b'{"type":"data","data":"\\/\\b\\f\\n\\r\\t\\"\\\\"}', '/\b\f\n\r\t"\\'),
    (' { "type" : "data" , "data" : "日" } '.encode(), "日"),
    (b'{"data":"two","type":"data"}', "two"),
    (b'{"type":"event","type":"data","data":1,"data":2}', 2),
    (b'{"data":"without a type"}', "without a type"),
    (b'{"type":"data"}', {}),
    (b"{}", {}),
    (b'{"type":"data","data":null}', None),
    (b'{"type":"data","data":"","id":null,"method":null,"event":null,"error":null}', ""),
    (b'{"type":"data","data":1E2}', 100.0),
    (b'{"type":"data","data":-0}', 0),
    (b'{"type":"data","data":123456789012345678901234567890}', 123456789012345678901234567890),
]


def test_every_way_to_write_a_message(channel: LocalSocketChannel, foreign: Foreign) -> None:
    for line, meant in WRITTEN_OTHERWISE:
        foreign.send_bytes(line + b"\n")
        assert channel.recv(HANG) == IpcMessage(type="data", data=meant)


NO_MESSAGES: list[tuple[bytes, str | None]] = [
    (b"{broken", None),
    (b'{"type":"data","data":NaN}', None),
    (b'{"type":"data","data":"\\ud83d"}', None),
    (b'{"type":"data","data":"\\ude00\\ud83d"}', None),
    (b'{"type":"data","data":"\xff"}', None),
    (b'{"type":"data","data":"\xed\xa0\xbd"}', None),
    (b'{"type":"data","data":"\xf0\x9f\x98"}', None),
    (b"{'type':'data'}", None),
    (b'{"type":"data"} {"type":"data"}', None),
    (b"[1]", None),
    (b'"text"', None),
    (b"null", None),
    (b'{"type":7}', "type"),
    (b'{"id":[1]}', "id"),
    (b'{"id":1.5}', "id"),
    (b'{"method":{}}', "method"),
    (b'{"event":false}', "event"),
    (b'{"error":"text"}', "error"),
    (b'{"error":{"message":"m"}}', "error.code"),
    (b'{"error":{"code":1}}', "error.message"),
    (b"[" * 200 + b"]" * 200, None),
]


def test_a_bad_line_is_told_and_the_next_ones_arrive(channel: LocalSocketChannel, foreign: Foreign) -> None:
    for line, field in NO_MESSAGES:
        foreign.send_bytes(LINE + b"\n" + line + b"\n" + LINE + b"\r\n")
        assert channel.recv(HANG).to_dict() == MEANT
        with pytest.raises(SerializationError) as caught:
            channel.recv(HANG)
        assert caught.value.field == field, line
        assert channel.recv(HANG).to_dict() == MEANT


def test_a_lone_surrogate_that_the_program_escapes(channel: LocalSocketChannel, foreign: Foreign) -> None:
    foreign.do("send", {"type": "data", "data": "half \ud83d"}, True)
    foreign.do("send", {"type": "data", "data": "whole 😀"}, True)
    with pytest.raises(SerializationError):
        channel.recv(HANG)
    assert channel.recv(HANG).data == "whole 😀"


# ---- keys that one side does not know


def test_keys_that_we_do_not_know_are_kept_and_sent_again(
    channel: LocalSocketChannel, foreign: Foreign
) -> None:
    line = '{"jsonrpc":"2.0","type":"request","id":"1","method":"m","data":1,"params":{"键":[]},"trace":null}'
    foreign.send_bytes(line.encode() + b"\n")
    message = channel.recv(HANG)
    assert message.extra == {"jsonrpc": "2.0", "params": {"键": []}, "trace": None}
    channel.send(message)
    assert json.loads(foreign.receive_line()) == json.loads(line)


def test_keys_that_the_program_does_not_know_do_no_harm(
    channel: LocalSocketChannel, foreign: Foreign
) -> None:
    channel.send({"type": "request", "id": "1", "method": "m", "data": 1, "priority": 9, "追踪": {"a": [1]}})
    document = {"type": "request", "id": "1", "method": "m", "data": 1}
    assert foreign.do("receive") == as_received(document)


# ---- large lines


def test_large_lines_both_ways_at_the_same_time(channel: LocalSocketChannel, foreign: Foreign) -> None:
    characters = (5 << 20) // 3 + 1  # of three bytes
    sender = Background(channel.send_json, "小" * characters)
    foreign.start("exchange_large", characters)
    assert channel.recv(HANG).data == "大" * characters
    sender.result()
    assert foreign.result() is True


@pytest.mark.parametrize("escaped", [False, True], ids=["unescaped", "escaped"])
def test_a_large_line_in_a_heap_of_small_ones(
    channel: LocalSocketChannel, foreign: Foreign, escaped: bool
) -> None:
    texts = ["前", "x" * (1 << 20), "后", "日" * 100_000, ""]
    sending = Background(lambda: [channel.send_json(text) for text in texts])
    for text in texts:
        assert foreign.do("receive") == as_received({"type": "data", "data": text})
    sending.result()
    receiving = Background(lambda: [channel.recv(HANG).data for _ in texts])
    for text in texts:
        foreign.do("send", {"type": "data", "data": text}, escaped)
    assert receiving.result() == texts


# ---- the end


def test_what_was_sent_before_the_end_is_received(channel: LocalSocketChannel, foreign: Foreign) -> None:
    for number in range(100):
        foreign.do("send", {"type": "data", "data": number})
    foreign.do("close")
    assert [message.data for message in channel] == [*range(100)]
    assert channel.receive() is None
    with pytest.raises(Disconnected) as caught:
        channel.recv(HANG)
    assert caught.value.peer_died is None  # lines have no goodbye


def test_a_partial_line_at_the_end_is_told_and_is_no_message(
    channel: LocalSocketChannel, foreign: Foreign
) -> None:
    foreign.send_bytes(LINE + b"\n" + LINE)
    foreign.do("close")
    assert channel.recv(HANG).to_dict() == MEANT
    with pytest.raises(Disconnected, match="inside a message") as caught:
        channel.recv(HANG)
    assert caught.value.peer_died is True
    assert channel.receive() is None


def test_white_bytes_at_the_end_are_no_partial_line(channel: LocalSocketChannel, foreign: Foreign) -> None:
    foreign.send_bytes(LINE + b"\n" + b"\r\n")
    foreign.do("close")
    assert channel.recv(HANG).to_dict() == MEANT
    with pytest.raises(Disconnected) as caught:
        channel.recv(HANG)
    assert caught.value.peer_died is None


def test_a_program_that_is_killed_in_the_middle_of_a_line(
    channel: LocalSocketChannel, foreign: Foreign
) -> None:
    foreign.send_bytes(LINE[:10])
    waiting = Background(channel.recv)
    foreign.kill()
    with pytest.raises(Disconnected):
        waiting.result()


def test_a_program_that_has_finished_writing_is_answered(
    channel: LocalSocketChannel, foreign: Foreign
) -> None:
    foreign.do("send", {"type": "request", "id": "1", "method": "m", "data": "问"})
    foreign.do("end_writing")
    request = channel.recv(HANG)
    assert channel.poll(HANG)
    assert channel.receive(HANG) is None
    channel.send(IpcMessage(type="response", id=request.id, data=request.data))
    assert foreign.do("receive") == as_received({"type": "response", "id": "1", "data": "问"})


@pytest.mark.parametrize("ending", ["close", "shutdown"])
def test_the_program_gets_all_that_we_sent_and_then_the_end(
    channel: LocalSocketChannel, foreign: Foreign, ending: str
) -> None:
    for number in range(100):
        channel.send_json(number)
    getattr(channel, ending)()
    for number in range(100):
        assert foreign.do("receive") == as_received({"type": "data", "data": number})
    assert foreign.do("receive") is None


def test_a_line_beyond_the_limit_is_skipped(foreign: Foreign, path: str) -> None:
    with ipcfast.listen(f"unix://{path}", framing="lines", message_limit=2000) as listener:
        foreign.do("connect", path)
        foreign.do("send", {"type": "data", "data": "x" * 5000})
        foreign.do("send", {"type": "data", "data": "next"})
        with listener.accept(HANG) as channel:
            with pytest.raises(MessageTooLarge):
                channel.recv(HANG)
            assert channel.recv(HANG).data == "next"
