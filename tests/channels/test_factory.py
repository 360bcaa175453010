# SPDX-License-Identifier: MIT
"""Modes and the environment table, and one call that is right in every context."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import ipcfast
from ipcfast import IpcChannelFactory, IpcMode
from ipcfast.channels import parent
from ipcfast.channels.factory import packed_name
from ipcfast.processes.process import PIPE, Process
from tests.peers import HANG, Background
from tests.processes.children import environment, program, read_to_end

VARIABLES = (
    "IPCFAST_MODE",
    "IPCFAST_CHANNEL",
    "AURORAVIEW_IPC_MODE",
    "AURORAVIEW_IPC_CHANNEL",
    "AURORAVIEW_PACKED",
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "_taken", None)
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_modes_by_value_and_by_alias() -> None:
    assert {mode.value for mode in IpcMode} == {
        "auto",
        "local_socket",
        "shared_memory",
        "thread",
        "stdio",
        "legacy",
    }
    for text, mode in {
        "thread": IpcMode.THREAD,
        "LOCAL_SOCKET": IpcMode.LOCAL_SOCKET,
        "channel": IpcMode.LOCAL_SOCKET,
        " shm ": IpcMode.SHARED_MEMORY,
        "Auto": IpcMode.AUTO,
        "pipe": IpcMode.STDIO,
        "Legacy": IpcMode.LEGACY,
    }.items():
        assert IpcMode(text) is mode
    for nothing in ("telepathy", "", 7):
        with pytest.raises(ValueError, match="not a valid IpcMode"):
            IpcMode(nothing)


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({}, "thread"),
        ({"AURORAVIEW_PACKED": "1"}, "local_socket"),
        ({"AURORAVIEW_PACKED": ""}, "thread"),
        ({"AURORAVIEW_IPC_CHANNEL": "packed_1"}, "local_socket"),
        ({"IPCFAST_CHANNEL": "local://x"}, "local_socket"),
        ({"IPCFAST_CHANNEL": "unix:///x"}, "local_socket"),
        ({"IPCFAST_CHANNEL": "shm://x"}, "shared_memory"),
        ({"IPCFAST_CHANNEL": "fd:7?transport=shm"}, "shared_memory"),
        ({"IPCFAST_CHANNEL": "stdio://?framing=lines&codec=json"}, "stdio"),
        ({"IPCFAST_CHANNEL": "fd:7?transport=local", "AURORAVIEW_IPC_CHANNEL": "shm://x"}, "local_socket"),
        ({"IPCFAST_MODE": "thread", "IPCFAST_CHANNEL": "shm://x"}, "thread"),
        ({"IPCFAST_MODE": "auto", "IPCFAST_CHANNEL": "shm://x"}, "shared_memory"),
        ({"IPCFAST_MODE": "shm", "AURORAVIEW_IPC_MODE": "thread"}, "shared_memory"),
        ({"AURORAVIEW_IPC_MODE": "channel"}, "local_socket"),
        ({"AURORAVIEW_IPC_MODE": "legacy", "AURORAVIEW_IPC_CHANNEL": "packed_1"}, "legacy"),
        ({"IPCFAST_MODE": "pipe"}, "stdio"),
        ({"IPCFAST_MODE": "auto", "AURORAVIEW_IPC_MODE": "shared_memory"}, "shared_memory"),
    ],
    ids=str,
)
def test_the_environment_table(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], mode: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert IpcChannelFactory.auto_detect() is IpcMode(mode)


def test_what_the_environment_says_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFAST_MODE", "telepathy")
    with pytest.raises(ValueError, match=r"IPCFAST_MODE is 'telepathy', must be one of auto, .*shm"):
        IpcChannelFactory.auto_detect()
    monkeypatch.delenv("IPCFAST_MODE")
    monkeypatch.setenv("IPCFAST_CHANNEL", "fd:x")
    with pytest.raises(ipcfast.ConnectError, match="IPCFAST_CHANNEL"):
        IpcChannelFactory.auto_detect()


@pytest.mark.parametrize("mode", ["local_socket", IpcMode.LOCAL_SOCKET, "auto"])
def test_a_local_socket_is_the_documents(monkeypatch: pytest.MonkeyPatch, mode: str | IpcMode) -> None:
    monkeypatch.setenv("AURORAVIEW_PACKED", "1")
    name = f"ipcf-factory-{os.getpid()}"
    with ipcfast.LocalSocketChannel.server(name) as server:
        with IpcChannelFactory.create(mode, name, timeout=HANG) as channel:
            assert type(channel) is ipcfast.LocalSocketChannel
            channel.send({"type": "ready"})
            with server.accept(HANG) as other:
                assert other.recv(HANG).type == "ready"


def test_shared_memory() -> None:
    with ipcfast.SharedMemoryChannel.server("factory") as server:
        accepted = Background(server.accept, HANG)
        with IpcChannelFactory.create("shm", "factory", timeout=HANG) as channel, accepted.result():
            assert type(channel) is ipcfast.SharedMemoryChannel


def test_nobody_there() -> None:
    for mode in (IpcMode.LOCAL_SOCKET, IpcMode.SHARED_MEMORY):
        with pytest.raises(ipcfast.AddressNotFound):
            IpcChannelFactory.create(mode, f"ipcf-nobody-{os.getpid()}", timeout=0)


def test_a_thread_channel() -> None:
    with IpcChannelFactory.create("thread", "within") as channel:
        assert type(channel) is ipcfast.ThreadChannel
        assert channel.name == "within"
    with IpcChannelFactory.create_for_context("within") as channel:
        assert type(channel) is ipcfast.ThreadChannel


def test_channels_end_with_their_state() -> None:
    state = ipcfast.ShutdownState()
    name = f"ipcf-factory-state-{os.getpid()}"
    with ipcfast.LocalSocketChannel.server(name) as server, ipcfast.SharedMemoryChannel.server(name) as ring:
        made = [
            IpcChannelFactory.create("local_socket", name, timeout=HANG, shutdown_state=state),
            IpcChannelFactory.create("thread", name, shutdown_state=state),
            IpcChannelFactory.create_for_context(name, shutdown_state=state),
        ]
        accepted = Background(ring.accept, HANG)
        made.append(IpcChannelFactory.create("shm", name, timeout=HANG, shutdown_state=state))
        with server.accept(HANG), accepted.result():
            assert not any(channel.is_shutdown() for channel in made)
            state.shutdown()
            assert all(channel.is_shutdown() for channel in made)
            for channel in made:
                assert channel.shutdown_state is state
                channel.close()


def test_packed_without_a_channel_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURORAVIEW_PACKED", "1")
    with pytest.raises(ipcfast.NotSpawned, match="AURORAVIEW_IPC_CHANNEL"):
        IpcChannelFactory.create_for_context()


def test_the_network_is_no_parents_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFAST_CHANNEL", "tcp://127.0.0.1:5000")
    for call in (IpcChannelFactory.auto_detect, ipcfast.connect_parent, IpcChannelFactory.create_for_context):
        with pytest.raises(ipcfast.ConnectError, match=r"IPCFAST_CHANNEL is .* carries no secret"):
            call()


@pytest.mark.parametrize(
    ("transport", "framing", "mode"),
    [
        ("shm", "length", "shared_memory"),
        ("local", "length", "local_socket"),
        ("stdio", "lines", "stdio"),
        ("stdio", "content-length", "stdio"),
    ],
)
def test_a_spawned_process_gets_its_parents_channel(transport: str, framing: str, mode: str) -> None:
    with ipcfast.spawn(
        program("context"), transport=transport, framing=framing, env=environment(), timeout=HANG
    ) as child:
        assert child.channel.recv_json(HANG) == [mode, mode]


def test_a_process_of_its_own_is_in_thread_mode() -> None:
    script = "from ipcfast import IpcChannelFactory as f; print(f.auto_detect(), f.create_for_context().name)"
    with Process([sys.executable, "-c", script], stdout=PIPE, env=environment()) as process:
        assert read_to_end(process.stdout) == b"IpcMode.THREAD main\n"


def test_the_name_of_a_packed_program() -> None:
    assert packed_name() == f"packed_{os.getpid()}"
    assert packed_name(12) == "packed_12"


@pytest.mark.parametrize("variable", ["IPCFAST_MODE", "AURORAVIEW_IPC_MODE"])
@pytest.mark.parametrize("call", ["create_for_context()", "create('auto', 'old')", "create('stdio', 'old')"])
def test_the_old_protocol_is_one_variable_away(variable: str, call: str) -> None:
    """Plain lines, spoken with the standard library alone on the other side."""
    text = f"""
        import ipcfast
        with ipcfast.IpcChannelFactory.{call} as channel:
            print("this goes elsewhere")
            for message in channel:
                channel.send({{"type": "response", "id": message.id, "data": message.data}})
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment(), variable: "legacy"},
    ) as child:
        out, err = child.communicate(b'{"type":"request","id":"1","data":"\xc3\xbc"}\n', timeout=HANG)
    assert out == '{"type":"response","id":"1","data":"ü"}\n'.encode()
    assert err == b"this goes elsewhere\n"
