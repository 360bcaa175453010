# SPDX-License-Identifier: MIT
"""A worker thread behind a channel: requests in, responses out, events on the way, one shutdown for all.

Change ``thread://`` to ``shm://`` and run ``worker`` in another process: nothing else changes.
"""

from __future__ import annotations

import threading

import ipcfast
from ipcfast import IpcMessage

ADDRESS = "thread://squares"


def worker(listener: ipcfast.Listener) -> None:
    """Answer requests until the channel ends."""
    with listener.accept(timeout=5.0) as channel:
        for request in channel:
            if request.method == "squares":
                for number in request.data:
                    channel.send({"type": "event", "event": "square", "data": number * number})
                channel.send(IpcMessage(type="response", id=request.id, data=len(request.data)))


def main() -> None:
    """Ask, and print what comes."""
    state = ipcfast.ShutdownState()
    with ipcfast.listen(ADDRESS) as listener:
        thread = threading.Thread(target=worker, args=[listener])
        thread.start()
        with ipcfast.connect(ADDRESS, timeout=5.0, shutdown_state=state) as channel:
            channel.send(IpcMessage(type="request", id="1", method="squares", data=[1, 2, 3]))
            for message in channel:
                print(message.type, message.event or message.id, message.data)
                if message.type == "response":
                    state.shutdown()  # ends this loop, and the worker's
        thread.join()

    # Without a listener: two ends that share one state, for objects of any kind.
    one, other = ipcfast.ThreadChannel.pair("objects", capacity=100)
    shared = object()
    one.send_json(shared)
    print("the same object:", other.recv_json(timeout=5.0) is shared)
    one.shutdown()
    print("both ends:", one.is_shutdown(), other.is_shutdown(), other.receive())


if __name__ == "__main__":
    main()
