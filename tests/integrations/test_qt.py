# SPDX-License-Identifier: MIT
"""Drives a real Qt loop, without a screen, from worker threads and from other processes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ipcfast
from ipcfast import DccIpcChannel, IpcChannel, IpcMessage
from ipcfast.integrations import qt
from tests.peers import HANG, ROOT, Background, PeerProcess, until

QtCore = pytest.importorskip("PySide6.QtCore", reason="needs the extra 'qt'")
QtGui = pytest.importorskip("PySide6.QtGui", reason="needs the extra 'qt'")

COUNT = 10_000

# Workers go on sending while the host's loop, its window system and its interpreter go.
OUTLIVING = """
import threading, ipcfast
from PySide6 import QtCore, QtGui
from ipcfast.integrations import qt
app = QtGui.QGuiApplication([])
channel = ipcfast.DccIpcChannel("host")
def handler(message):
    if message.data == 100:
        app.quit()
receiver = qt.receive(channel, handler)
def work():
    number = 0
    while True:
        try:
            channel.emit("work", number, timeout=1)
        except (ipcfast.ShuttingDown, ipcfast.ChannelTimeout):
            return
        number += 1
workers = [threading.Thread(target=work, daemon=daemon) for daemon in (True, False)]
for worker in workers:
    worker.start()
app.exec()
del app
channel.shutdown()
print("left")
"""


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    """The application, which a process can have once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("QT_QPA_PLATFORM", "offscreen")
        yield QtGui.QGuiApplication([])


@pytest.fixture
def run(app: Any) -> Callable[[], None]:
    """Run the loop until somebody calls ``app.quit()``, which must happen."""

    def run() -> None:
        timer = QtCore.QTimer()
        timer.setSingleShot(True)
        timer.timeout.connect(lambda: app.exit(1))
        timer.start(int(HANG * 1000))
        assert app.exec() == 0, "waited in vain"
        timer.stop()

    return run


def turn(app: Any, milliseconds: int = 30) -> None:
    """Let the loop go round for a while."""
    QtCore.QTimer.singleShot(milliseconds, app.quit)
    app.exec()


def counted_pumps(receiver: qt.QtReceiver) -> list[int]:
    """Return a list that gets an item whenever the receiver pumps."""
    pumps: list[int] = []
    pump = receiver._pump.pump

    def counted(budget_ms: float | None = None) -> int:
        pumps.append(1)
        return pump(budget_ms)

    receiver._pump.pump = counted  # type: ignore[method-assign]
    return pumps


class Seen:
    """A handler that notes what comes, and ends the loop after so many."""

    def __init__(self, app: Any, count: int = COUNT) -> None:
        self.numbers: list[int] = []
        self.threads: set[int] = set()
        self._app = app
        self._count = count

    def __call__(self, message: IpcMessage) -> None:
        self.numbers.append(message.data)
        self.threads.add(threading.get_ident())
        if len(self.numbers) == self._count:
            self._app.quit()


def dcc_ends(kind: str) -> tuple[IpcChannel, IpcChannel]:
    """Who sends and who receives: of a pair, or alone."""
    if kind == "dcc pair":
        return DccIpcChannel.pair("host")
    if kind == "dcc":
        channel = DccIpcChannel("host")
        return channel, channel
    return ipcfast.pair(kind)


@pytest.mark.parametrize("kind", ["dcc", "dcc pair", "thread"])
def test_a_worker_thread_drives_the_loop(app: Any, run: Callable[[], None], kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        seen = Seen(app)
        receiver = qt.receive(other, seen)
        worker = Background(lambda: [one.emit("number", number) for number in range(COUNT)])
        run()
        worker.result()
        assert seen.numbers == [*range(COUNT)]
        assert seen.threads == {threading.get_ident()}
        receiver.stop()


@pytest.mark.parametrize("kind", ["local", "shm"])
def test_another_process_drives_the_loop(app: Any, run: Callable[[], None], kind: str) -> None:
    address = f"{kind}://qt"
    with ipcfast.listen(address) as listener, PeerProcess("events", address, COUNT):
        with listener.accept(HANG) as channel:
            seen = Seen(app)
            receiver = qt.receive(channel, seen)
            run()
            assert seen.numbers == [*range(COUNT)]
            assert seen.threads == {threading.get_ident()}
            receiver.stop()


def test_a_thread_and_two_processes_at_the_same_time(app: Any, run: Callable[[], None]) -> None:
    with ipcfast.listen("local://qt") as listener, DccIpcChannel("host") as own:
        with PeerProcess("events", "local://qt", 3000) as _, PeerProcess("events", "shm://qt", 3000) as _:
            with listener.accept(HANG) as one, listener.accept(HANG) as other:
                left = {"own", "one", "other"}
                seen: dict[str, list[int]] = {name: [] for name in left}

                def handler_for(name: str) -> Callable[[IpcMessage], None]:
                    def handler(message: IpcMessage) -> None:
                        seen[name].append(message.data)
                        if len(seen[name]) == 3000:
                            left.remove(name)
                        if not left:
                            app.quit()

                    return handler

                channels = {"own": own, "one": one, "other": other}
                receivers = [qt.receive(channel, handler_for(name)) for name, channel in channels.items()]
                worker = Background(lambda: [own.emit("number", number) for number in range(3000)])
                run()
                worker.result()
                assert all(numbers == [*range(3000)] for numbers in seen.values())
                for receiver in receivers:
                    receiver.stop()


def test_nothing_is_handled_after_the_shutdown(app: Any, run: Callable[[], None]) -> None:
    channel = DccIpcChannel("host")
    seen: list[int] = []

    def handler(message: IpcMessage) -> None:
        seen.append(message.data)
        if message.data == COUNT // 2:
            channel.shutdown()
            app.quit()

    def work() -> None:
        number = 0
        while True:
            try:
                channel.emit("number", number)
            except ipcfast.ShuttingDown:
                return
            number += 1

    receiver = qt.receive(channel, handler)
    worker = Background(work)
    run()
    worker.result()
    turn(app)
    assert seen == [*range(COUNT // 2 + 1)]
    assert not receiver.is_receiving


@pytest.mark.parametrize("kind", ["local", "shm", "thread", "dcc pair"])
def test_the_end_of_the_peer_ends_it(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        seen: list[int] = []
        receiver = qt.receive(other, lambda message: seen.append(message.data))
        for number in range(3):
            one.emit("number", number)
        one.close()
        until(lambda: turn(app, 1) is None and not receiver.is_receiving)
        assert seen == [0, 1, 2]
        receiver.stop()


@pytest.mark.parametrize("kind", ["local", "shm", "dcc", "dcc pair"])
def test_the_loop_gets_its_turn_while_messages_pour_in(app: Any, run: Callable[[], None], kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 50:
                app.quit()

        timer = QtCore.QTimer()
        timer.timeout.connect(tick)
        timer.start(0)
        handled: list[int] = []
        receiver = qt.receive(other, lambda message: handled.append(message.data), budget_ms=0.5)

        def work() -> None:
            number = 0
            while True:
                try:
                    one.emit("number", number)
                except (ipcfast.ShuttingDown, ipcfast.Disconnected):
                    return
                number += 1

        worker = Background(work)
        until(lambda: turn(app, 1) is None and bool(handled))
        ticks = 0
        run()
        timer.stop()
        receiver.stop()
        other.shutdown()
        worker.result()
        assert handled == [*range(len(handled))]


@pytest.mark.parametrize("kind", ["local", "thread", "dcc", "dcc pair"])
def test_a_dialog_within_a_handler_keeps_the_order_and_lets_the_processor_rest(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        seen: list[object] = []

        def handler(message: IpcMessage) -> None:
            seen.append(("begin", message.data))
            if message.data == 0:
                dialog = QtCore.QEventLoop()
                QtCore.QTimer.singleShot(50, dialog.quit)
                one.emit("number", 1)
                dialog.exec()
            seen.append(("end", message.data))

        receiver = qt.receive(other, handler)
        pumps = counted_pumps(receiver)
        one.emit("number", 0)
        until(lambda: turn(app, 1) is None and len(seen) == 4)
        assert seen == [(step, number) for number in (0, 1) for step in ("begin", "end")]
        assert len(pumps) < 10
        receiver.stop()


@pytest.mark.parametrize("kind", ["local", "thread", "dcc"])
def test_a_handler_that_comes_late_gets_what_waits(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        seen: list[int] = []
        receiver = qt.receive(other)
        one.emit("number", 1)
        turn(app)
        other.on_message(lambda message: seen.append(message.data))
        until(lambda: turn(app, 10) is None and seen == [1])
        one.emit("number", 2)
        until(lambda: turn(app, 10) is None and seen == [1, 2])
        receiver.stop()
        receiver.stop()
        one.emit("number", 3)
        turn(app)
        assert seen == [1, 2]
        assert other.recv(HANG).data == 3


@pytest.mark.parametrize("kind", ["local", "dcc"])
def test_what_waits_for_a_handler_is_looked_at_now_and_then(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        receiver = qt.receive(other)
        for number in range(20):
            one.emit("number", number)
            turn(app, 1)
        pumps, began = counted_pumps(receiver), time.monotonic()
        turn(app, 600)
        assert 1 <= len(pumps) <= (time.monotonic() - began) * 1000 / qt.STUCK_MS + 2
        receiver.stop()


def test_what_a_handler_was_interrupted_before_is_handled(app: Any) -> None:
    with DccIpcChannel("host") as channel:
        seen: list[int] = []

        def handler(message: IpcMessage) -> None:
            seen.append(message.data)
            if message.data == 1:
                raise KeyboardInterrupt

        receiver = qt.receive(channel, handler)
        for number in (1, 2, 3):
            channel.emit("number", number)
        until(lambda: turn(app, 1) is None and len(seen) == 3)
        assert seen == [1, 2, 3]
        receiver.stop()


@pytest.mark.parametrize("kind", ["local", "dcc"])
def test_what_is_skipped_holds_up_nothing_behind_it(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        seen: list[int] = []
        receiver = qt.receive(other, lambda message: seen.append(message.data), budget_ms=0)
        for _ in range(3):
            one.send({"type": 5})
        one.emit("number", 1)
        until(lambda: turn(app, 1) is None and seen == [1])
        receiver.stop()


@pytest.mark.parametrize("kind", ["local", "dcc"])
def test_a_receiver_that_is_dropped_receives_no_more(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        receiver = qt.receive(other, lambda message: pytest.fail("too late"))
        watch = weakref.ref(receiver)
        del receiver
        gc.collect()
        assert watch() is None
        one.emit("number", 1)
        turn(app)
        assert other.recv(HANG).data == 1
        seen: list[int] = []
        receiver = qt.receive(other, lambda message: seen.append(message.data))
        one.emit("number", 2)
        until(lambda: turn(app, 1) is None and seen == [2])
        receiver.stop()


def test_stopping_leaves_the_waker_of_somebody_else(app: Any) -> None:
    with DccIpcChannel("host") as channel:
        seen: list[int] = []
        first = qt.receive(channel, lambda message: pytest.fail("not this one"))
        second = qt.receive(channel, lambda message: seen.append(message.data))
        first.stop()
        channel.emit("number", 1)
        until(lambda: turn(app, 1) is None and seen == [1])
        second.stop()


@pytest.mark.parametrize("kind", ["local", "dcc"])
def test_a_shutdown_elsewhere_is_seen(app: Any, kind: str) -> None:
    one, other = dcc_ends(kind)
    with one, other:
        receiver = qt.receive(other, print)
        assert receiver.is_receiving
        Background(other.shutdown).result()
        assert not receiver.is_receiving
        receiver.stop()


def test_a_waker_calls_once_for_many(app: Any) -> None:
    calls: list[int] = []
    waker = qt.QtLoopWaker(lambda: calls.append(threading.get_ident()))
    for thread in [Background(lambda: [waker.wake() for _ in range(100)]) for _ in range(4)]:
        thread.result()
    turn(app)
    assert calls == [threading.get_ident()]
    waker.wake()
    waker.close()
    waker.close()
    waker.wake()
    turn(app)
    assert len(calls) == 1


def test_workers_may_outlive_the_host() -> None:
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "-c", OUTLIVING],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "PYTHONPATH": paths, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "left\n", "")


def test_the_binding_of_the_host_is_taken_and_a_missing_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert qt.qt_core() is QtCore
    for binding in qt.BINDINGS:
        monkeypatch.delitem(sys.modules, f"{binding}.QtCore", raising=False)
    marker = object()
    monkeypatch.setitem(sys.modules, "PyQt5.QtCore", marker)  # type: ignore[arg-type]
    assert qt.qt_core() is marker
    monkeypatch.delitem(sys.modules, "PyQt5.QtCore")

    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(qt, "import_module", missing)
    with pytest.raises(ImportError, match=r"ipcfast\[qt\]"):
        qt.qt_core()


def test_nothing_of_qt_is_imported_before_it_is_used() -> None:
    program = "import sys, ipcfast.integrations.qt; print([name for name in sys.modules if 'Qt' in name])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG)
    assert ended.stdout.strip() == "[]", ended.stderr
