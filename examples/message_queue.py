# SPDX-License-Identifier: MIT
"""A host's in-process queue with the methods that its code calls, on a channel that wakes the host's loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ipcfast import ChannelTimeout, DccIpcChannel, IpcMessage, MainThreadPump, QtWaker


class MessageQueue:
    """What the host had: push from any thread, process in the main thread. Now bounded, and it can end."""

    def __init__(self, capacity: int = 10_000, waker: QtWaker | None = None) -> None:
        self.channel = DccIpcChannel("messages", capacity)
        self.channel.set_qt_waker(waker)
        self._waker = waker
        self._handler: Callable[[IpcMessage], object] = print
        self._pump = MainThreadPump(self.channel, lambda message: self._handler(message))

    def push(self, event: str, data: Any = None) -> bool:
        """Queue an event; False when the queue is full, where the old one grew."""
        try:
            return self.channel.emit(event, data, timeout=0)
        except ChannelTimeout:
            return False

    def pop(self) -> IpcMessage | None:
        """Take the next event, or None."""
        return self.channel.receive(timeout=0)

    def process(self, handler: Callable[[IpcMessage], object], budget_ms: float = 8.0) -> int:
        """Handle what is there, from the host's timer; return how many. For the rest the loop is woken."""
        self._handler = handler
        count = self._pump.pump(budget_ms)
        if count and self._waker is not None and not self._pump.has_ended and self.channel.poll(0):
            self._waker.wake()
        return count


class Loop(threading.Event):
    """Stands for the host's: whoever wakes it makes it go round."""

    wake = threading.Event.set


loop = Loop()
queue = MessageQueue(capacity=3, waker=loop)
print("pushed:", [queue.push("selected", name) for name in ("cube", "lamp", "camera", "too much")])
print("popped:", vars(queue.pop() or IpcMessage())["data"])
worker = threading.Thread(target=lambda: [queue.channel.emit("rendered", frame) for frame in range(5)])
worker.start()
left = 7
while left:
    assert loop.wait(30), "nobody woke the loop"
    loop.clear()
    left -= queue.process(lambda message: print(message.event, message.data), budget_ms=0)  # one at a time
worker.join()
