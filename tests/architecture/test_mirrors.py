# SPDX-License-Identifier: MIT
"""Holds the tree to its mirrors: a test for every module and every C file, and twins with equal stems."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ipcfast"
CORE = ROOT / "csrc" / "ipcf"
C_TESTS = ROOT / "csrc" / "tests"

# Modules and C files whose test is not at the mirrored path, with the test that covers them.
TESTED_ELSEWHERE = {
    "__init__.py": "architecture/test_exports.py",
    "_native/object_queue.pyx": "_native/test_queue.py",
    "_native/queue_end.pyx": "_native/test_queue.py",
}
C_TESTED_ELSEWHERE = {
    "posix/descriptor.c": "test_stream.c",
    "posix/listener_lock.c": "test_listener.c",
    "posix/os_error.c": "test_status.c",
    "posix/peer_linux.c": "test_stream_peer.c",
    "posix/peer_macos.c": "test_stream_peer.c",
    "posix/ready_set_epoll.c": "test_stream_channel.c",
    "posix/ready_set_kqueue.c": "test_stream_channel.c",
    "posix/unix_socket.c": "test_stream_connect.c",
    "testing.c": "test_listener.c",
}


def modules() -> list[str]:
    """Every module with something to test: an __init__ that only documents or gathers has nothing."""
    found = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx")]
    return sorted(
        path.relative_to(PACKAGE).as_posix()
        for path in found
        if path.name != "__init__.py" or "\ndef " in path.read_text(encoding="utf-8")
    )


def mirrored(module: str) -> str:
    """The path of a module's test below tests/."""
    path = Path(module)
    # a package's __init__ is tested by a file named after the package
    place = path.parent if path.name != "__init__.py" else path.parent.parent
    stem = path.stem if path.name != "__init__.py" else path.parent.name
    return (place / f"test_{stem.strip('_')}.py").as_posix()


def mechanism(path: Path) -> str:
    """The contract that a platform's file implements: doorbell_eventfd.c implements doorbell.h."""
    contracts = [header.stem for folder in (CORE, path.parent) for header in folder.glob("*.h")]
    fitting = [stem for stem in contracts if path.stem == stem or path.stem.startswith(stem + "_")]
    return max(fitting, key=len, default=path.stem)


def contracts_of(platform: str) -> set[str]:
    """The shared headers that a platform implements; what else it has is its own business."""
    return {mechanism(path) for path in (CORE / platform).glob("*.c")} & {
        path.stem for path in CORE.glob("*.h")
    }


def c_files() -> list[str]:
    found = [*CORE.glob("*.c"), *CORE.glob("posix/*.c")]
    return sorted(path.relative_to(CORE).as_posix() for path in found)


@pytest.mark.parametrize("module", modules())
def test_every_module_has_a_test(module: str) -> None:
    test = ROOT / "tests" / TESTED_ELSEWHERE.get(module, mirrored(module))
    assert test.is_file(), f"ipcfast/{module} wants {test.relative_to(ROOT)}"


@pytest.mark.parametrize("source", c_files())
def test_every_c_file_has_a_test(source: str) -> None:
    test = C_TESTS / C_TESTED_ELSEWHERE.get(source, f"test_{mechanism(CORE / source)}.c")
    assert test.is_file(), f"csrc/ipcf/{source} wants {test.relative_to(ROOT)}"


def test_both_families_implement_the_same_contracts() -> None:
    due = {"clock", "doorbell", "lock", "park", "process", "ready_set", "shm", "stream", "wait"}
    assert contracts_of("posix") == due
    assert contracts_of("win32") <= contracts_of("posix")


def test_no_exception_is_out_of_date() -> None:
    assert [name for name in TESTED_ELSEWHERE if not (PACKAGE / name).is_file()] == []
    assert [name for name in C_TESTED_ELSEWHERE if not (CORE / name).is_file()] == []


def test_no_exception_has_a_test_of_its_own() -> None:
    assert [name for name in TESTED_ELSEWHERE if (ROOT / "tests" / mirrored(name)).is_file()] == []
    of_contracts = {name: C_TESTS / f"test_{mechanism(CORE / name)}.c" for name in C_TESTED_ELSEWHERE}
    assert [name for name, test in of_contracts.items() if test.is_file()] == []
