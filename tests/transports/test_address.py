# SPDX-License-Identifier: MIT
"""Shows where addresses lie, which names are refused, and that a stranger's directory is not trusted."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipcfast.errors import IoError, PermissionDenied
from ipcfast.transports import address as module
from ipcfast.transports.address import (
    PIPE_NAME_MAX,
    RUNTIME_DIR_VARIABLE,
    SOCKET_PATH_MAX,
    Address,
    default_directory,
    named_address,
    parse_address,
    pipe_path,
    private_directory,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="paths of Unix sockets")


@pytest.fixture(autouse=True)
def runtime_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A private directory of this test's own, and another in place of the one that is not chosen."""
    with tempfile.TemporaryDirectory(prefix="ipcf-") as place:
        directory = Path(place, "run")
        monkeypatch.setenv(RUNTIME_DIR_VARIABLE, str(directory))
        monkeypatch.setattr(module, "default_directory", lambda: f"{place}/default")
        yield directory


@posix
def test_local_and_shm_are_one_address(runtime_directory: Path) -> None:
    local, shm = parse_address("local://render"), parse_address("shm://render")
    assert (local.wants_ring, shm.wants_ring) == (False, True)
    assert local.path_to_connect() == shm.path_to_connect() == f"{runtime_directory}/render.sock"
    assert local.name == "render"


@posix
@pytest.mark.parametrize("prefix", ["auroraview", "ipckit", "my.own"])
def test_a_prefix_leads_to_tmp(prefix: str) -> None:
    assert parse_address("local://packed_7", prefix=prefix).path_to_listen() == f"/tmp/{prefix}_packed_7"


@posix
def test_a_unix_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = f"{tmp_path}/a b.sock"
    assert parse_address(f"unix://{path}").path_to_connect() == path
    assert parse_address("unix:///x/../y.sock").path_to_connect() == "/x/../y.sock"


@pytest.mark.parametrize(
    "text",
    [
        "local://",
        "shm://",
        "local://a/b",
        "local:///a",
        "local://a\\b",
        "local://..",
        "local://a..b",
        "local://.",
        "local://~1a",
        "local://a\0b",
        "local://a\ud800",
        "local://a.lock",
        "shm://.lock",
        "unix://",
        "unix:///",
        "unix:///directory/",
        "unix://relative",
        "unix:///a\0b",
        "tcp://",
        "tcp://localhost",
        "tcp://localhost:",
        "tcp://localhost:port",
        "tcp://localhost:-1",
        "tcp://localhost:65536",
        "tcp://localhost:٣",
        "tcp://::1:5000",
        "tcp://[::1:5000",
        "tcp://user@host:1",
        "tcp://host/path:1",
        "tcp://two words:1",
        "tcp://[]:1",
        "tcp://[localhost]:1",
        "tcp://a..b:1",
        "tcp://.a:1",
        f"tcp://{'a' * 64}:1",
        "tcp://a\ud800:1",
        "udp://localhost:1",
        "render",
        "",
        "LOCAL://a",
    ],
)
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        parse_address(text)
    assert not isinstance(caught.value, UnicodeError)  # which says nothing of the address


@pytest.mark.parametrize("address, prefix", [(None, None), (b"local://a", None), ("local://a", 5)])
def test_what_is_no_text_is_refused(address: Any, prefix: Any) -> None:
    with pytest.raises(TypeError, match="is no str"):
        parse_address(address, prefix=prefix)


@pytest.mark.parametrize("prefix", ["", "a/b", "..", "a\\b", "a\0"])
def test_a_bad_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        parse_address("local://a", prefix=prefix)


@pytest.mark.parametrize("text", ["unix:///a", "tcp://:1"])
def test_a_path_and_a_port_take_no_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        parse_address(text, prefix="auroraview")


@pytest.mark.parametrize(
    "text, endpoint",
    [
        ("tcp://host:5000", ("host", 5000)),
        ("tcp://127.0.0.1:0", ("127.0.0.1", 0)),
        ("tcp://:65535", ("127.0.0.1", 65535)),
        ("tcp://[::1]:1", ("::1", 1)),
        ("tcp://[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("tcp://grüße.example.:1", ("grüße.example.", 1)),
    ],
)
def test_hosts_and_ports(text: str, endpoint: tuple[str, int]) -> None:
    address = parse_address(text)
    assert address.is_tcp
    assert address.endpoint() == endpoint
    assert named_address("tcp", text.partition("://")[2]) == address


@posix
@pytest.mark.parametrize(
    "address, place",
    [
        (Address("local://long", "local", "n" * 200), "run"),
        (Address("local://long", "local", "é" * 60), "run"),
        (Address("local://long", "local", "n" * 200, "auroraview"), "default"),
        (Address("unix://long", "unix", "/tmp/" + "d" * 120 + "/s"), "default"),
    ],
    ids=["private", "bytes count", "prefix", "path"],
)
def test_a_path_too_long_has_a_short_stand_in(runtime_directory: Path, address: Address, place: str) -> None:
    path = address.path_to_listen()
    assert len(os.fsencode(path)) <= SOCKET_PATH_MAX
    assert os.path.dirname(path) == str(runtime_directory.with_name(place))
    assert path == address.path_to_connect()
    other = Address(address.text, address.scheme, address.name + "x", address.prefix)
    assert other.path_to_connect() != path


@posix
@pytest.mark.parametrize("room", [8, 30])
def test_a_long_private_directory_has_a_short_stand_in(
    runtime_directory: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """One that has no room for the name that is bound first, or none for the stand-in."""
    directory = runtime_directory.with_name(
        "d" * (SOCKET_PATH_MAX - len(str(runtime_directory.parent)) - room)
    )
    monkeypatch.setenv(RUNTIME_DIR_VARIABLE, str(directory))
    address = parse_address(f"local://{'a' * (1 if room == 8 else 40)}")
    path = address.path_to_listen()
    assert len(f"{directory}/a.sock") <= SOCKET_PATH_MAX
    assert os.path.dirname(path) == module.default_directory()
    assert path == address.path_to_connect()


@posix
def test_the_limit_itself_is_not_too_long() -> None:
    path = "/" + "p" * (SOCKET_PATH_MAX - 1)
    assert parse_address(f"unix://{path}").path_to_connect() == path
    assert parse_address(f"unix://{path}p").path_to_connect() != path + "p"


@posix
def test_listening_makes_the_directory_and_connecting_does_not(runtime_directory: Path) -> None:
    parse_address("local://a").path_to_connect()
    assert not runtime_directory.exists()
    old = os.umask(0)
    try:
        parse_address("local://a").path_to_listen()
    finally:
        os.umask(old)
    assert runtime_directory.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o770, 0o701, 0o755, 0o704])
def test_a_directory_open_to_others_is_refused(runtime_directory: Path, mode: int) -> None:
    runtime_directory.mkdir()
    runtime_directory.chmod(mode)
    for path in (parse_address("local://a").path_to_listen, parse_address("local://a").path_to_connect):
        with pytest.raises(PermissionDenied, match=f"{mode:04o}.*{RUNTIME_DIR_VARIABLE}"):
            path()


@posix
def test_what_is_no_directory_is_refused(runtime_directory: Path, tmp_path: Path) -> None:
    runtime_directory.write_text("")
    with pytest.raises(PermissionDenied, match="no directory"):
        private_directory(create=True)
    runtime_directory.unlink()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    runtime_directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionDenied, match="symbolic link"):
        private_directory(create=True)


@posix
def test_a_directory_of_somebody_else_is_refused(
    runtime_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_directory.mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PermissionDenied, match=f"belongs to user {owner}, not to user {owner + 1}"):
        private_directory(create=False)


@posix
def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_DIR_VARIABLE, str(tmp_path / "absent" / "run"))
    with pytest.raises(IoError, match=RUNTIME_DIR_VARIABLE):
        private_directory(create=True)


def test_the_variable_must_be_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_DIR_VARIABLE, "run")
    with pytest.raises(ValueError, match="absolute"):
        private_directory(create=False)


@posix
def test_the_directory_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_DIR_VARIABLE)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    assert default_directory() == "/tmp/ipcfast-4000000000"
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/run/user/4000000000")
    assert default_directory() == "/run/user/4000000000/ipcfast"


AS_SOMEBODY_ELSE = """
import os
from ipcfast.transports.address import parse_address
os.setgid(65534)
os.setuid(65534)
for path in (parse_address("local://a").path_to_connect, parse_address("local://a").path_to_listen):
    try:
        print(path())
    except PermissionError as error:
        print(error)
"""


@posix
def test_a_real_other_user_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        monkeypatch.setenv(RUNTIME_DIR_VARIABLE, "/")  # root's, and everybody may look into it
        with pytest.raises(PermissionDenied, match="belongs to user 0"):
            private_directory(create=True)
        return
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # pytest's own directories keep others out already
        os.chmod(place, 0o777)
        os.mkdir(f"{place}/run", 0o700)
        monkeypatch.setenv(RUNTIME_DIR_VARIABLE, f"{place}/run")
        done = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY_ELSE], capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout.count("belongs to user 0, not to user 65534") == 2


def test_pipes_have_the_users_identifier_or_the_prefix() -> None:
    user = "S-1-5-21-1-2-3-1001"
    assert pipe_path("a", None, user) == rf"\\.\pipe\ipcfast_{user}_a"
    assert pipe_path("a", "auroraview", user) == r"\\.\pipe\auroraview_a"


@pytest.mark.parametrize("prefix", [None, "auroraview"])
def test_a_long_pipe_name_has_a_short_stand_in(prefix: str | None) -> None:
    paths = {pipe_path("n" * length, prefix, "S-1-5-18") for length in (300, 301)}
    assert len(paths) == 2
    assert all(len(path) - len("\\\\.\\pipe\\") <= PIPE_NAME_MAX for path in paths)
