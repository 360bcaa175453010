# SPDX-License-Identifier: MIT
"""The child's side: which variable counts, what it may say, and that the channel is taken once."""

from __future__ import annotations

import json
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipcfast
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.channels import parent
from ipcfast.channels.parent import CHANNEL_ALIAS, CHANNEL_VARIABLE, PACKED_VARIABLE
from ipcfast.transports.contract import Options
from ipcfast.transports.inherited import answer_child, place_of
from tests.peers import HANG, Background, until, until_asleep


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was not spawned, and has taken nothing."""
    for name in ("_greeting", "_taken"):
        monkeypatch.setattr(parent, name, None)
    for variable in (CHANNEL_VARIABLE, CHANNEL_ALIAS, PACKED_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def parents_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamChannel]:
    """The parent's end of a connection that this process has inherited, as far as it knows."""
    ours, theirs = StreamChannel.pair()
    descriptor = os.dup(theirs.handle())
    theirs.abandon()
    monkeypatch.setenv(CHANNEL_VARIABLE, place_of(descriptor, Options(), ring=True).text)
    monkeypatch.setenv(CHANNEL_ALIAS, "not this one")
    yield ours
    ours.close()


def test_a_process_that_nobody_spawned() -> None:
    with pytest.raises(ipcfast.NotSpawned) as caught:
        ipcfast.connect_parent()
    assert isinstance(caught.value, ipcfast.ConnectError)
    assert caught.value.variable == CHANNEL_VARIABLE
    assert CHANNEL_VARIABLE in str(caught.value)
    assert CHANNEL_ALIAS in str(caught.value)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHANNEL_VARIABLE, "")
    with pytest.raises(ipcfast.NotSpawned):
        ipcfast.connect_parent()


def test_an_inherited_channel_is_taken_once(parents_end: StreamChannel) -> None:
    answered = Background(lambda: answer_child(parents_end, Options(), HANG, lambda: False, []))
    with ipcfast.connect_parent(HANG) as channel:
        result = answered.result()
        assert result is not None
        result[0].transport.send_bytes(b"from the parent")
        assert channel.recv_bytes(HANG) == b"from the parent"
        assert channel.name == "parent"
        assert CHANNEL_VARIABLE not in os.environ
        assert CHANNEL_ALIAS not in os.environ
        assert ipcfast.is_packed_mode()
        with pytest.raises(ipcfast.NotSpawned, match="before") as caught:
            ipcfast.connect_parent()
        assert caught.value.variable == CHANNEL_VARIABLE
        result[0].transport.close()


def test_the_channel_ends_with_its_state(parents_end: StreamChannel) -> None:
    over = ipcfast.ShutdownState()
    over.shutdown()
    with pytest.raises(ipcfast.ShuttingDown):
        ipcfast.connect_parent(HANG, shutdown_state=over)
    state = ipcfast.ShutdownState()
    answered = Background(lambda: answer_child(parents_end, Options(), HANG, lambda: False, []))
    with ipcfast.connect_parent(HANG, shutdown_state=state) as channel:  # it has not been taken before
        result = answered.result()
        assert result is not None
        assert channel.shutdown_state is state
        channel.send_bytes(b"last")
        state.shutdown()
        assert channel.is_shutdown()
        assert result[0].transport.recv_bytes(HANG) == b"last"
        with pytest.raises(ipcfast.Disconnected):
            result[0].transport.recv_bytes(HANG)
        result[0].transport.close()


def test_a_parent_that_answers_late(parents_end: StreamChannel) -> None:
    for _ in range(2):
        with pytest.raises(ipcfast.ChannelTimeout, match=r"child\.channel"):
            ipcfast.connect_parent(0.01)
        assert CHANNEL_VARIABLE in os.environ
    answered = Background(lambda: answer_child(parents_end, Options(), HANG, lambda: False, []))
    with ipcfast.connect_parent(HANG) as channel:
        result = answered.result()
        assert result is not None
        result[0].transport.send_bytes(b"at last")
        assert channel.recv_bytes(HANG) == b"at last"
        assert CHANNEL_VARIABLE not in os.environ
        result[0].transport.close()


def test_what_was_inherited_is_waited_for_without_end(
    parents_end: StreamChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "CONNECT_TIMEOUT", 0.01)
    waiting = Background(ipcfast.connect_parent)
    until(lambda: waiting.native_id is not None)
    until_asleep(os.getpid(), waiting.native_id)
    with pytest.raises(ipcfast.ChannelTimeout, match="another thread"):
        ipcfast.connect_parent(0.01)
    assert answer_child(parents_end, Options(), HANG, lambda: False, []) is not None
    waiting.result().close()


def test_a_name_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "CONNECT_TIMEOUT", 0.01)
    monkeypatch.setenv(CHANNEL_VARIABLE, "local://nobody")
    with pytest.raises(ipcfast.AddressNotFound):
        ipcfast.connect_parent()


def test_a_parent_that_is_gone(parents_end: StreamChannel) -> None:
    parents_end.close()
    with pytest.raises(ipcfast.ConnectError, match=CHANNEL_VARIABLE):
        ipcfast.connect_parent()
    with pytest.raises(ipcfast.NotSpawned, match="could not be opened"):
        ipcfast.connect_parent()


@pytest.mark.parametrize("timeout", ["5", float("nan")])
def test_a_timeout_that_is_none_costs_nothing(parents_end: StreamChannel, timeout: float) -> None:
    with pytest.raises((TypeError, ValueError)):
        ipcfast.connect_parent(timeout)
    assert CHANNEL_VARIABLE in os.environ


def test_a_fork_in_the_middle_does_not_wait_for_it(parents_end: StreamChannel) -> None:
    waiting = Background(ipcfast.connect_parent)
    until(lambda: waiting.native_id is not None)
    until_asleep(os.getpid(), waiting.native_id)
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            ipcfast.connect_parent(HANG)
        except BaseException as error:
            os.write(writing, type(error).__name__.encode())
        os._exit(0)
    os.close(writing)
    assert select.select([reading], [], [], HANG)[0]
    assert os.read(reading, 100) == b"ConnectError"
    os.close(reading)
    os.waitpid(process, 0)
    assert answer_child(parents_end, Options(), HANG, lambda: False, []) is not None  # it is as it was
    waiting.result().close()


def test_a_name_in_the_alias_means_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"ipcf-parent-{os.getpid()}"
    path = Path(f"/tmp/auroraview_{name}")
    monkeypatch.setenv(CHANNEL_ALIAS, name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        try:
            listening.listen()
            with ipcfast.connect_parent(HANG) as channel:
                channel.send({"type": "ready", "data": {"handlers": ["\N{SNOWMAN}"]}})
                connection, _ = listening.accept()
                with connection, connection.makefile("rb") as lines:
                    assert json.loads(lines.readline())["data"] == {"handlers": ["\N{SNOWMAN}"]}
                    connection.sendall(b'{"type": "request", "id": "1"}\n')
                    assert channel.recv(HANG).id == "1"
        finally:
            path.unlink()
    assert CHANNEL_ALIAS not in os.environ


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("shm://parent", "SharedMemoryChannel"),
        ("local://parent", "LocalSocketChannel"),
        ("parent", "LocalSocketChannel"),
        ("local://parent?framing=lines", "LocalSocketChannel"),
    ],
)
@pytest.mark.parametrize("variable", [CHANNEL_VARIABLE, CHANNEL_ALIAS])
def test_an_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, kind: str
) -> None:
    prefix = "auroraview" if (variable, value) == (CHANNEL_ALIAS, "parent") else None
    monkeypatch.setenv(variable, value)
    with ipcfast.listen("local://parent", prefix=prefix) as listener:
        accepted = Background(listener.accept, HANG)
        with ipcfast.connect_parent(HANG) as channel:
            channel.send_json(3)
            assert type(channel).__name__ == kind
            with accepted.result() as server:
                assert server.recv_json(HANG) == 3


def test_an_address_where_nobody_listens_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHANNEL_VARIABLE, "local://nobody")
    for _ in range(2):
        with pytest.raises(ipcfast.AddressNotFound):
            ipcfast.connect_parent(0.0)
    assert os.environ[CHANNEL_VARIABLE] == "local://nobody"


@pytest.mark.parametrize(
    "value",
    [
        "fd:x",
        "fd:7?speed=9",
        "tcp://x",
        "a/b",
        "local://a/b",
        "fd:99999",
        "fd:99999999999999999999",
        "fd:0?framing=morse",
        "fd:0?codec=morse",
        "fd:0?codec=pickle&framing=lines",
        "fd:0?capacity=99999999999999999999",
        f"fd:{'9' * 5000}",
    ],
)
def test_a_variable_that_names_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(CHANNEL_VARIABLE, value)
    with pytest.raises(ipcfast.ConnectError, match=CHANNEL_VARIABLE):
        ipcfast.connect_parent(0.0)


@pytest.mark.parametrize("variable", [CHANNEL_VARIABLE, CHANNEL_ALIAS, PACKED_VARIABLE])
def test_packed_mode_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert not ipcfast.is_packed_mode()
    monkeypatch.setenv(variable, "1")
    assert ipcfast.is_packed_mode()
