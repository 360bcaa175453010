# SPDX-License-Identifier: MIT
"""Shows whose an address is: a live one is never taken, a dead one is, and another user gets nowhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ipcfast.errors import AddressInUse, ChannelTimeout, PermissionDenied
from ipcfast.transports import address as address_module
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import Address, parse_address
from ipcfast.transports.contract import Opened, Options
from ipcfast.transports.open import open_connection
from tests.peers import HANG, Background, PeerProcess, until

OWN = Options()
ADDRESS = parse_address("local://owned")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    with closing(Acceptor(ADDRESS, OWN)) as made:
        yield made


def talk(one: Opened, other: Opened) -> None:
    """Show that both ends are connected, and close them."""
    for here, there in ((one, other), (other, one)):
        here.transport.send_bytes(b"x", HANG)
        assert there.transport.recv_bytes(HANG) == b"x"
    close(one, other)


def close(*opened: Opened) -> None:
    for one in opened:
        one.transport.close()


def test_a_live_name_is_never_taken(acceptor: Acceptor) -> None:
    for _ in range(3):
        with pytest.raises(AddressInUse, match="owned"):
            Acceptor(ADDRESS, OWN)
    client = Background(open_connection, ADDRESS, OWN, HANG)
    server = acceptor.accept(HANG)
    talk(server, client.result())


def test_a_live_name_of_another_process_is_never_taken() -> None:
    with PeerProcess("holder", ADDRESS.text, 1) as process:
        assert process.line() == "listening"
        with pytest.raises(AddressInUse):
            Acceptor(ADDRESS, OWN)
        client = open_connection(ADDRESS, OWN, HANG)
        assert process.line() == "accepted"
        close(client)


def test_a_name_is_free_again_after_close() -> None:
    for _ in range(3):
        with closing(Acceptor(ADDRESS, OWN)) as acceptor:
            assert os.path.exists(acceptor.path)
            assert os.stat(acceptor.path).st_mode & 0o777 == 0o600
        assert not os.path.exists(acceptor.path)


def test_a_stale_socket_is_taken_over() -> None:
    path = ADDRESS.path_to_listen()
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(path)
    assert os.path.exists(path)
    with closing(Acceptor(ADDRESS, OWN)) as acceptor:
        client = Background(open_connection, ADDRESS, OWN, HANG)
        close(acceptor.accept(HANG), client.result())


def test_what_a_killed_server_left_is_taken_over() -> None:
    with PeerProcess("holder", ADDRESS.text, 1) as process:
        assert process.line() == "listening"
        process.kill()
    assert os.path.exists(ADDRESS.path_to_connect())
    with closing(Acceptor(ADDRESS, OWN)):
        pass
    assert not os.path.exists(ADDRESS.path_to_connect())


def test_what_is_no_socket_is_left_alone() -> None:
    path = Path(ADDRESS.path_to_listen())
    path.write_text("precious")
    with pytest.raises(AddressInUse):
        Acceptor(ADDRESS, OWN)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    "address",
    [
        Address("local://long", "local", "n" * 200),
        Address("local://long", "local", "n" * 100, "auroraview"),
        Address("unix://long", "unix", "/tmp/" + "d" * 200),
    ],
    ids=lambda address: address.scheme,
)
def test_a_path_too_long_works_on_both_sides(
    address: Address, monkeypatch: pytest.MonkeyPatch, private_runtime_directory: Path
) -> None:
    monkeypatch.setattr(address_module, "default_directory", lambda: str(private_runtime_directory))
    with closing(Acceptor(address, OWN)) as acceptor:
        client = Background(open_connection, address, OWN, HANG)
        server = acceptor.accept(HANG)
        talk(server, client.result())


AS_SOMEBODY_ELSE = """
import os, sys
from ipcfast.errors import PermissionDenied
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.open import open_connection
os.setgid(65534)
os.setuid(65534)
address = parse_address(sys.argv[1])
for attempt in (lambda: open_connection(address, Options(), 1), lambda: Acceptor(address, Options())):
    try:
        attempt()
    except PermissionDenied as error:
        print("denied", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
@pytest.mark.parametrize("mode", [0o600, 0o777])
def test_another_user_is_refused_whatever_the_modes_say(mode: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o777)
        address = parse_address(f"unix://{place}/s")
        with closing(Acceptor(address, OWN)) as acceptor:
            os.chmod(acceptor.path, mode)
            other = Background(
                lambda: subprocess.run(
                    [sys.executable, "-c", AS_SOMEBODY_ELSE, address.text],
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                )
            )
            until(lambda: accepts_nothing(acceptor, other))
            assert other.result().stdout.split() == ["denied", "denied"]
            assert os.path.exists(acceptor.path)


def accepts_nothing(acceptor: Acceptor, other: Background[object]) -> bool:
    """Keep accepting while the other user tries; whether it is done."""
    with pytest.raises(ChannelTimeout):
        acceptor.accept(0.05)
    return not other.is_alive()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_a_socket_of_another_user_is_refused() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        path = f"{place}/s"
        with closing(socket.socket(socket.AF_UNIX)) as stranger:
            stranger.bind(path)
            stranger.listen()
            os.chown(path, 65534, 65534)
            with pytest.raises(PermissionDenied):
                Acceptor(parse_address(f"unix://{path}"), OWN)
        with pytest.raises(PermissionDenied):
            Acceptor(parse_address(f"unix://{path}"), OWN)  # nor is a stale one of theirs
