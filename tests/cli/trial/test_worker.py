# SPDX-License-Identifier: MIT
"""Holds the service of the worker: what it answers, over real channels within this process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest

import ipcfast
from ipcfast.cli.trial.wires import RING, Wire, channel_wire
from ipcfast.cli.trial.worker import Service, serve


@pytest.fixture
def served() -> Iterator[tuple[Wire, Wire]]:
    """Yield the parent's ends of the control connection and of a ring, while a thread serves the others."""
    control, their_control = ipcfast.pair("local")
    wire, their_wire = ipcfast.pair("shm")
    ended: list[BaseException] = []

    def run() -> None:
        try:
            serve(
                Service(),
                channel_wire(their_control, timeout=None),
                {RING: channel_wire(their_wire, timeout=None)},
            )
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield channel_wire(control, timeout=5.0), channel_wire(wire, timeout=5.0)
    control.close()
    thread.join(5.0)
    assert [type(error) for error in ended] == [ipcfast.Disconnected]
    for channel in (wire, their_wire, their_control):
        channel.close()


def order(control: Wire, work: str, count: int) -> None:
    control.send_json({"work": work, "wire": RING, "count": count})
    assert control.recv_json() == {"ready": work}


def test_answers_with_the_facts(served: tuple[Wire, Wire]) -> None:
    control, wire = served
    order(control, "answer", 2)
    for data, lines in ((b"", 0), (b"one\ntwo", 2)):
        wire.send_bytes(data)
        answer = wire.recv_json()
        assert answer.pop("worked_ns") > 0
        assert answer == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "lines": lines}


def test_echoes(served: tuple[Wire, Wire]) -> None:
    control, wire = served
    order(control, "echo", 2)
    for data in (b"x", b"y" * 100_000):
        wire.send_bytes(data)
        assert wire.recv_bytes() == data


@pytest.mark.parametrize("work", ["collect", "collect_batches"])
def test_collects_and_reports(served: tuple[Wire, Wire], work: str) -> None:
    control, wire = served
    order(control, work, 500)
    sent = [number.to_bytes(2, "little") for number in range(500)]
    assert wire.send_many is not None
    wire.send_many(sent)
    assert wire.recv_json() == {"count": 500}
    assert wire.recv_json() == {"sha256": hashlib.sha256(b"".join(sent)).hexdigest()}


def test_serves_one_order_after_the_other(served: tuple[Wire, Wire]) -> None:
    control, wire = served
    for _ in range(3):
        order(control, "echo", 1)
        wire.send_bytes(b"again")
        assert wire.recv_bytes() == b"again"
