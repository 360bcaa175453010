# SPDX-License-Identifier: MIT
"""Shows the three ways to a channel, and that their defaults are those of the options behind them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ipcfast
from ipcfast import ConnectError, LocalSocketChannel, MessageTooLarge, SharedMemoryChannel
from ipcfast.transports.contract import Options
from tests.peers import HANG, Background, connected


@pytest.mark.parametrize("function", [ipcfast.listen, ipcfast.connect, ipcfast.pair])
def test_defaults_are_those_of_the_options(function: Callable[..., Any]) -> None:
    options = Options()
    names = []
    for name, parameter in inspect.signature(function).parameters.items():
        if hasattr(options, name) and (function, name) != (ipcfast.connect, "framing"):  # the address says
            assert parameter.default == getattr(options, name), name
            names.append(name)
    assert len(names) > 4


@pytest.mark.parametrize(
    "address, kind", [("local://a", LocalSocketChannel), ("shm://a", SharedMemoryChannel)]
)
def test_the_address_chooses_the_channel(address: str, kind: type) -> None:
    with connected(address) as (server, client):
        assert type(server) is type(client) is kind
        assert server.name == client.name == "a"


def test_a_path_is_an_address(private_runtime_directory: Path) -> None:
    address = f"unix://{private_runtime_directory.parent}/any.sock"
    with connected(address) as (server, client):
        client.send_json("x")
        assert server.recv_json(HANG) == "x"


def test_a_prefix_leads_both_to_the_same_place() -> None:
    name = f"prefixed-{os.getpid()}"
    with ipcfast.listen(f"local://{name}", prefix="ipcfast-test") as listener:
        assert listener.path == f"/tmp/ipcfast-test_{name}"
        client = Background(lambda: ipcfast.connect(f"shm://{name}", prefix="ipcfast-test", timeout=HANG))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_bytes(b"x")
            assert other.recv_bytes(HANG) == b"x"
    os.unlink(f"{listener.path}.lock")  # it stays by design, but this name is never used again


def test_each_side_has_its_own_limit() -> None:
    with ipcfast.listen("local://limit", message_limit=2000) as listener:
        client = Background(lambda: ipcfast.connect("local://limit", timeout=HANG, message_limit=3000))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_bytes(b"x" * 2500)
            assert other.recv_bytes(HANG) == b"x" * 2500
            other.send_bytes(b"x" * 2500)
            with pytest.raises(MessageTooLarge):
                server.recv_bytes(HANG)


def test_codecs_must_be_equal() -> None:
    with ipcfast.listen("local://codec", codec="msgpack") as listener:
        client = Background(lambda: ipcfast.connect("local://codec", timeout=HANG))
        with pytest.raises(ipcfast.ChannelTimeout):
            listener.accept(0.2)
        with pytest.raises(ConnectError, match="codec 'json' is not spoken here, only 'msgpack'"):
            client.result()
        other = Background(lambda: ipcfast.connect("local://codec", timeout=HANG, codec="msgpack"))
        with listener.accept(HANG) as server, other.result() as channel:
            channel.send_json(b"\xff")
            assert server.recv_json(HANG) == b"\xff"


@pytest.mark.parametrize("spin_us", [0, 200])
@pytest.mark.parametrize("kind", ["local", "shm"])
def test_spinning_may_be_turned_off(kind: str, spin_us: int) -> None:
    one, other = ipcfast.pair(kind, spin_us=spin_us)
    with one, other:
        waiting = Background(other.recv_bytes)
        one.send_bytes(b"x")
        assert waiting.result() == b"x"


@pytest.mark.parametrize(
    "call",
    [
        lambda: ipcfast.listen(None),
        lambda: ipcfast.connect(None, timeout=0),
        lambda: ipcfast.listen(b"local://x"),
        lambda: ipcfast.listen("local://x", prefix=5),
        lambda: ipcfast.listen("local://x", message_limit=5000.5),
        lambda: ipcfast.listen("local://x", capacity_limit=None),
        lambda: ipcfast.connect("local://x", spin_us="80"),
        lambda: ipcfast.connect("local://x", timeout="5"),
        lambda: ipcfast.pair("shm", capacity=4096.0),
        lambda: LocalSocketChannel(None),
        lambda: LocalSocketChannel.server(None),
        lambda: SharedMemoryChannel.server(b"x"),
        lambda: SharedMemoryChannel("x", timeout="5"),
    ],
)
def test_what_is_of_another_type_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        call()


def test_a_timeout_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        ipcfast.connect("local://x", timeout=float("nan"))


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..", "a\0", "a.lock"])
@pytest.mark.parametrize("scheme", ["local", "shm"])
def test_bad_names_are_refused(scheme: str, name: str) -> None:
    for function in (ipcfast.listen, ipcfast.connect):
        with pytest.raises(ValueError, match="name"):
            function(f"{scheme}://{name}")


def test_an_option_that_is_none_is_refused_before_anything_is_opened() -> None:
    for call in (
        lambda: ipcfast.listen("local://x", codec="yaml"),
        lambda: ipcfast.connect("local://x", codec="yaml", timeout=0),
        lambda: ipcfast.pair("local", codec="yaml"),
    ):
        with pytest.raises(ValueError, match="codec 'yaml'"):
            call()
