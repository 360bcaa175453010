# SPDX-License-Identifier: MIT
"""Lets programs of before come, go, die and come back on the documents' addresses, beside ours (R59-R62)."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import ipcfast
from ipcfast import AddressInUse, AddressNotFound, Disconnected, IpcMessage, LocalSocketChannel
from tests.compatibility.foreign import LANGUAGES, Foreign, ForeignError
from tests.peers import HANG, ROOT, Background, until_asleep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


def talk(channel: ipcfast.IpcChannel, foreign: Foreign, word: str) -> None:
    """Exchange one message each way."""
    foreign.do("send", {"type": "request", "id": word, "method": "say", "data": word})
    assert channel.recv(HANG) == IpcMessage(type="request", id=word, method="say", data=word)
    channel.send(IpcMessage(type="response", id=word, data=word))
    assert foreign.do("receive")["data"] == word


# ---- who speaks first, and when


def test_our_listener_may_speak_first(foreign: Foreign, name: str, path: str) -> None:
    with LocalSocketChannel.server(name) as listener:
        foreign.do("connect", path)
        with listener.accept(HANG) as channel:
            channel.send(IpcMessage(type="ping"))
            assert foreign.do("receive")["type"] == "ping"
            talk(channel, foreign, "一")


def test_a_program_that_has_left_before_it_is_accepted(foreign: Foreign, name: str, path: str) -> None:
    with LocalSocketChannel.server(name) as listener:
        foreign.do("connect", path)
        foreign.do("send", {"type": "event", "event": "crashed", "data": {"为": "什么"}})
        foreign.kill()
        with listener.accept(HANG) as channel:
            assert channel.recv(HANG) == IpcMessage(type="event", event="crashed", data={"为": "什么"})
            with pytest.raises(Disconnected):
                channel.recv(HANG)


def test_a_channel_made_by_name_meets_the_program_when_it_is_used(
    foreign: Foreign, name: str, path: str
) -> None:
    with LocalSocketChannel(name, is_server=True) as server:
        receiving = Background(server.recv, HANG)
        until_asleep(os.getpid(), receiving.native_id)
        foreign.do("connect", path)
        foreign.do("send", {"type": "ping", "data": {}})
        assert receiving.result() == IpcMessage(type="ping")
        talk(server, foreign, "二")


@pytest.mark.parametrize(
    "options, prefix, suffix", [({"prefix": "ipckit"}, "/tmp/ipckit_", ""), ({}, "unix:///tmp/", ".sock")]
)
def test_other_places_that_programs_know(
    foreign: Foreign, name: str, options: dict[str, str], prefix: str, suffix: str
) -> None:
    path = f"{prefix}{name}{suffix}".removeprefix("unix://")
    address = f"local://{name}" if options else f"unix://{path}"
    with ipcfast.listen(address, framing="lines", **options) as listener:
        assert listener.path == path
        foreign.do("connect", path)
        with listener.accept(HANG) as channel:
            talk(channel, foreign, "三")
            foreign.do("close")
    foreign.do("listen", path)
    with ipcfast.connect(address, framing="lines", **options) as channel:
        foreign.do("accept")
        talk(channel, foreign, "四")
    foreign.do("close_server")
    Path(f"{path}.lock").unlink()


# ---- several at a time


def test_our_listener_with_clients_of_every_kind(name: str, path: str) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(LocalSocketChannel.server(name))
        programs = {
            str(number): stack.enter_context(Foreign(LANGUAGES[number % len(LANGUAGES)]))
            for number in range(6)
        }
        channels = {}
        for number, program in programs.items():
            program.do("connect", path)
            program.do("send", {"type": "ready", "data": {"handlers": [number]}})
        own = stack.enter_context(LocalSocketChannel.connect(name))
        own.send(IpcMessage(type="ready", data={"handlers": ["own"]}))
        for _ in range(len(programs) + 1):
            channel = stack.enter_context(listener.accept(HANG))
            ready = channel.recv(HANG)
            assert ready.type == "ready"
            (number,) = ready.data["handlers"]
            channels[number] = channel
        assert channels.keys() == {*programs, "own"}
        for program in programs.values():
            program.start("receive")
        for number, channel in channels.items():  # each gets its own
            channel.send_json(number)
        for number, program in programs.items():
            assert program.result()["data"] == number
        assert own.recv_json(HANG) == "own"
        programs["0"].kill()  # concerns nobody else
        assert channels["0"].receive(HANG) is None
        for number in ("1", "2"):
            talk(channels[number], programs[number], number)
        own.send_json("still here")
        assert channels["own"].recv_json(HANG) == "still here"


def test_a_program_serves_several_of_ours(foreign: Foreign, name: str, path: str) -> None:
    foreign.do("listen", path)
    for word in ("first", "second"):
        with LocalSocketChannel.connect(name) as channel:
            foreign.do("accept")
            talk(channel, foreign, word)


# ---- servers that are gone, and back


def test_the_socket_of_a_dead_program_is_taken_over(foreign: Foreign, name: str, path: str) -> None:
    foreign.do("listen", path)
    foreign.kill()
    assert os.path.exists(path)
    with pytest.raises(AddressNotFound):
        LocalSocketChannel.connect(name, timeout=0)
    with LocalSocketChannel.server(name) as listener, Foreign("python") as client:
        client.do("connect", path)
        with listener.accept(HANG) as channel:
            talk(channel, client, "新")
    assert not os.path.exists(path)


def test_a_living_program_is_not_displaced(foreign: Foreign, name: str, path: str) -> None:
    foreign.do("listen", path)
    with pytest.raises(AddressInUse):
        LocalSocketChannel.server(name)
    foreign.do("accept")  # whoever asks whether it lives is a client that leaves without a word
    assert foreign.do("receive") is None
    with LocalSocketChannel.connect(name) as channel:
        foreign.do("accept")
        talk(channel, foreign, "在")


SERVER = """
import sys
from ipcfast import LocalSocketChannel
with LocalSocketChannel.server(sys.argv[1]) as listener:
    print("listening", flush=True)
    for channel in listener:
        for message in channel:
            channel.send(message)
"""


def start_server(name: str) -> subprocess.Popen[bytes]:
    """A server of ours that sends everything back, in a process of its own; it listens."""
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, name],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    return process


def test_a_server_of_ours_dies_and_comes_back(foreign: Foreign, name: str, path: str) -> None:
    document = {"type": "data", "data": "回"}
    for _ in range(2):
        with start_server(name) as server:
            try:
                foreign.do("connect", path)
                foreign.do("send", document)
                assert foreign.do("receive")["data"] == "回"
            finally:
                server.kill()
        assert foreign.do("receive") is None
        foreign.do("close")
        assert os.path.exists(path)  # nobody could tidy up, and the next one does not mind
        with pytest.raises(ForeignError):
            foreign.do("connect", path)
    foreign.do("listen", path)  # neither does a program
    with LocalSocketChannel.connect(name) as channel:
        foreign.do("accept")
        talk(channel, foreign, "换")


def test_a_program_dies_and_another_one_takes_its_place(foreign: Foreign, name: str, path: str) -> None:
    foreign.do("listen", path)
    with LocalSocketChannel.connect(name) as channel:
        foreign.do("accept")
        talk(channel, foreign, "前")
        waiting = Background(channel.recv)
        foreign.kill()
        with pytest.raises(Disconnected):
            waiting.result()
    connecting = Background(lambda: LocalSocketChannel.connect(name, timeout=HANG))
    until_asleep(os.getpid(), connecting.native_id)
    with Foreign("node") as another:
        another.do("listen", path)
        with connecting.result() as channel:
            another.do("accept")
            talk(channel, another, "后")


# ---- packed programs: a host and its other half, one of them from before


def converse(host: ipcfast.IpcChannel) -> None:
    """What a host has to say to its other half, whoever wrote that."""
    assert host.recv(HANG) == IpcMessage(type="ready", data={"handlers": ["echo"]})
    for number in ("1", "2"):
        host.send(IpcMessage(type="request", id=number, method="echo", data={"文": number}))
        assert host.recv(HANG) == IpcMessage(type="event", event="called", data="echo")
        assert host.recv(HANG) == IpcMessage(type="response", id=number, data={"文": number})


def test_a_host_of_ours_and_a_child_of_before(foreign: Foreign, name: str, path: str) -> None:
    with LocalSocketChannel.server(name) as listener:
        foreign.do("connect", path)
        foreign.start("serve")
        with listener.accept(HANG) as channel:
            converse(channel)
        assert foreign.result() == 2


CHILD = """
import ipcfast
with ipcfast.connect_parent(timeout=30) as channel:
    channel.send(ipcfast.IpcMessage("ready", {"handlers": ["echo"]}))
    print("free for logs", flush=True)
    for request in channel:
        channel.send(ipcfast.IpcMessage("response", request.data, id=request.id))
"""


def test_a_host_of_before_and_a_child_of_ours(foreign: Foreign, name: str, path: str) -> None:
    foreign.do("listen", path)
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths, "AURORAVIEW_IPC_CHANNEL": name}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        try:
            foreign.do("accept")
            assert foreign.do("receive")["data"] == {"handlers": ["echo"]}
            for number in ("1", "2"):
                foreign.do(
                    "send", {"type": "request", "id": number, "method": "echo", "data": {"文": number}}
                )
                response = foreign.do("receive")
                assert (response["id"], response["data"]) == (number, {"文": number})
            foreign.do("close")
            output, _ = child.communicate(timeout=HANG)
            assert (child.returncode, output) == (0, b"free for logs\n")
        finally:
            child.kill()
