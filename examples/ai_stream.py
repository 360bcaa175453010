# SPDX-License-Identifier: MIT
"""An AI provider streams tokens to a view as events, and stops in the middle when the view asks it to.

With ``shm://assistant`` the provider may be another process; nothing else changes.
"""

from __future__ import annotations

import threading

import ipcfast
from ipcfast import IpcChannel, IpcMessage

ADDRESS = "thread://assistant"
ANSWER = ["Frames", "carry", "messages", ",", "rings", "carry", "records", ",", "and", "doorbells", "wake"]


def provide(channel: IpcChannel) -> None:
    """Answer prompts token by token; between two tokens see whether to go on."""
    for request in channel:
        sent = 0
        for token in ANSWER if request.method == "complete" else []:
            channel.emit("token", {"id": request.id, "text": token})
            sent += 1
            if sent == request.data["patience"]:  # as long as a model takes, the view may interrupt
                channel.recv(timeout=30)
                break
        channel.send(IpcMessage(type="response", id=request.id, data={"tokens": sent}))


class View:
    """Shows what comes; its handler runs in the channel's own thread."""

    def __init__(self, channel: IpcChannel) -> None:
        self.text: list[str] = []
        self.is_done = threading.Event()
        self._channel = channel
        channel.on_message(self.show)
        channel.start_receiving()

    def show(self, message: IpcMessage) -> None:
        if message.event == "token":
            self.text.append(message.data["text"])
            if message.data["text"] == "records":
                self._channel.send(IpcMessage(type="request", method="cancel", id=message.data["id"]))
        elif message.type == "response":
            print(f"{' '.join(self.text)} ... {message.data['tokens']} tokens")
            self.is_done.set()


with ipcfast.listen(ADDRESS) as listener:
    provider = threading.Thread(target=lambda: provide(listener.accept(timeout=30)))
    provider.start()
    with ipcfast.connect(ADDRESS, timeout=30) as channel:
        view = View(channel)
        channel.send(IpcMessage(type="request", id="1", method="complete", data={"patience": 7}))
        view.is_done.wait(30)
    provider.join()
