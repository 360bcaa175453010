# SPDX-License-Identifier: MIT
"""The other half of ``packed_host.py``: tells what it can do, answers requests, emits events, and prints."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipcfast

HANDLERS: dict[str, Callable[[Any], Any]] = {
    "add": lambda data: data["a"] + data["b"],
    "shout": lambda data: data["text"].upper(),
}


class Plugins:
    """Whatever has news, and does not know how it gets to the host."""

    def __init__(self) -> None:
        self.emit: Callable[[str, Any], object] = print

    def set_emit_callback(self, callback: Callable[[str, Any], object]) -> None:
        self.emit = callback


def answer(channel: ipcfast.IpcChannel, request: ipcfast.IpcMessage) -> None:
    """Send the response with the same id, whatever the handler does."""
    response = ipcfast.IpcMessage("response", id=request.id)
    try:
        response.data = HANDLERS[request.method or ""](request.data)
    except Exception as error:
        response.error = ipcfast.IpcError(-32603, f"{request.method}: {error!r}")
    channel.send(response)


def serve(channel: ipcfast.IpcChannel) -> None:
    while not channel.is_shutdown():
        try:
            message = channel.recv(timeout=0.1)
            if message.type == "request":
                answer(channel, message)
        except ipcfast.ChannelTimeout:
            continue
        except ipcfast.IpcChannelError:
            break  # the host has left: so do we


if __name__ == "__main__":
    with ipcfast.connect_parent() as channel:
        plugins, send = Plugins(), channel.send
        plugins.set_emit_callback(lambda name, data: send(ipcfast.IpcMessage("event", data, event=name)))
        channel.send(ipcfast.IpcMessage("ready", {"handlers": sorted(HANDLERS)}))
        plugins.emit("progress", {"percent": 50})
        print("the child may print what it likes", flush=True)
        serving = threading.Thread(target=serve, args=(channel,), daemon=True)
        serving.start()
        serving.join()
