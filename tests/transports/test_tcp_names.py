# SPDX-License-Identifier: MIT
"""Shows which hosts are this machine, and that nobody waits longer for the resolver than he likes."""

from __future__ import annotations

import socket
import threading

import pytest

from ipcfast.errors import AddressNotFound
from ipcfast.transports import tcp_names
from ipcfast.transports.address import parse_address
from ipcfast.transports.tcp_names import (
    Candidate,
    HostNames,
    candidates_of,
    endpoint_text,
    is_loopback,
    no_such_host,
)
from tests.peers import HANG, until

NAME = parse_address("tcp://somewhere:1")
HERE = [Candidate(socket.AF_INET, ("127.0.0.1", 1))]
THERE = [Candidate(socket.AF_INET, ("127.0.0.2", 1))]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1%lo", "128.0.0.1"]
)
def test_other_machines_may_be_there(host: str) -> None:
    assert not is_loopback(host)


def test_a_hosts_addresses_come_once_each() -> None:
    found = candidates_of("127.0.0.1", 80)
    assert [candidate.sockaddr for candidate in found] == [("127.0.0.1", 80)]


def test_an_address_as_text_can_be_connected_to() -> None:
    index, name = socket.if_nameindex()[0]
    assert endpoint_text(("127.0.0.1", 5)) == "127.0.0.1:5"
    assert endpoint_text(("::1", 5, 0, 0)) == "[::1]:5"
    assert endpoint_text(("fe80::1", 5, 0, index)) == f"[fe80::1%{name}]:5"
    assert endpoint_text(("fe80::1", 5, 0, 1 << 30)) == f"[fe80::1%{1 << 30}]:5"
    assert parse_address(f"tcp://{endpoint_text(('fe80::1', 5, 0, index))}").endpoint() == (
        f"fe80::1%{name}",
        5,
    )


# ---- asking


class Resolver:
    """Stands in for the system's: answers when it is let, and counts how often it is asked."""

    def __init__(self, *answers: list[Candidate] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.may_answer = threading.Semaphore(0)

    def __call__(self, host: str, port: int) -> list[Candidate]:
        self.asked += 1
        assert self.may_answer.acquire(timeout=HANG)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_names, "ASK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(tcp_names, "PAUSE_SECONDS", 0.0)


def test_a_number_is_known_at_once_and_for_good(no_pauses: None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = HostNames(parse_address("tcp://127.0.0.1:5"))
    assert names.look(0.0) == [Candidate(socket.AF_INET, ("127.0.0.1", 5))]
    resolver = Resolver(THERE)
    monkeypatch.setattr(tcp_names, "candidates_of", resolver)
    assert names.look(0.0) == [Candidate(socket.AF_INET, ("127.0.0.1", 5))]
    assert resolver.asked == 0


def test_an_answer_is_waited_for_over_several_looks_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(HERE)
    monkeypatch.setattr(tcp_names, "candidates_of", resolver)
    names = HostNames(NAME)
    assert not names.is_awaited
    for _ in range(5):
        assert names.look(0.0) == []
        assert names.is_awaited
    resolver.may_answer.release()
    assert names.look(HANG) == HERE
    assert not names.is_awaited
    assert resolver.asked == 1


def test_a_name_is_asked_for_again_and_the_last_answer_stands_meanwhile(
    no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(HERE, socket.gaierror(socket.EAI_NONAME, "unknown"), THERE)
    monkeypatch.setattr(tcp_names, "candidates_of", resolver)
    names = HostNames(NAME)
    resolver.may_answer.release()
    assert names.look(HANG) == HERE
    assert names.look(HANG) == HERE
    resolver.may_answer.release(2)
    until(lambda: names.look(0.0) == THERE)
    resolver.may_answer.release()


def test_a_resolver_that_cannot_tell_now_is_asked_again(
    no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(socket.gaierror(socket.EAI_AGAIN, "not now"), HERE)
    monkeypatch.setattr(tcp_names, "candidates_of", resolver)
    names = HostNames(NAME)
    resolver.may_answer.release()
    assert names.look(HANG) == []
    assert not names.is_awaited
    assert "not now" in str(no_such_host(NAME, names.problem or Exception()))
    resolver.may_answer.release()
    assert names.look(HANG) == HERE
    assert names.problem is None


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("no name"), MemoryError("full")]
)
def test_whatever_the_resolver_raises_is_told(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(error, HERE)
    monkeypatch.setattr(tcp_names, "candidates_of", resolver)
    names = HostNames(NAME)
    resolver.may_answer.release(2)
    with pytest.raises(
        AddressNotFound, match=r"tcp://somewhere:1 is not known: (unknown|no name|full);"
    ) as caught:
        names.look(HANG)
    assert caught.value.__cause__ is error
    assert names.look(HANG) == HERE  # and may be asked again


def test_a_number_that_this_machine_does_not_know() -> None:
    with pytest.raises(AddressNotFound, match="nosuch"):
        HostNames(parse_address("tcp://[fe80::1%nosuch]:1")).look(0.0)


def test_without_a_thread_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(AddressNotFound, match="can't start"):
        HostNames(NAME).look(0.0)
