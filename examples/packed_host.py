# SPDX-License-Identifier: MIT
"""The host of a packed program: starts its other half, asks it things, and routes what comes back.

Run it: ``python examples/packed_host.py``. The other half is ``packed_child.py``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import ipcfast
from ipcfast.channels.factory import packed_name

REQUESTS = {"1": ("add", {"a": 2, "b": 3}), "2": ("shout", {"text": "hello"}), "3": ("fly", {})}


class Host:
    """Routes the child's messages; a window would put them into its event loop."""

    def __init__(self, channel: ipcfast.IpcChannel) -> None:
        self.channel = channel
        self.waiting = {number: threading.Event() for number in REQUESTS}

    def route(self, message: ipcfast.IpcMessage) -> None:
        if message.type == "event":
            print(f"PluginEvent {message.event}: {message.data}", flush=True)
        elif message.type == "response" and message.id in self.waiting:
            print(f"PythonResponse {message.id}: {message.error or message.data}", flush=True)
            self.waiting[message.id].set()

    def read(self) -> None:
        while not self.channel.is_shutdown():
            try:
                self.route(self.channel.recv(timeout=0.1))
            except ipcfast.ChannelTimeout:
                continue
            except ipcfast.IpcChannelError:
                break  # the child has left, or this side was closed


def main() -> None:
    """Listen under packed_<pid>, start the child (stdin null, stdout and stderr ours), and talk to it."""
    script = Path(__file__).with_name("packed_child.py")
    with ipcfast.spawn([sys.executable, script], name=packed_name(), timeout=30.0) as child:
        ready = child.channel.recv(timeout=30.0)
        print(f"{ready.type}: {ready.data['handlers']}", flush=True)
        host = Host(child.channel)
        threading.Thread(target=host.read, daemon=True).start()
        for number, (method, data) in REQUESTS.items():
            child.channel.send(ipcfast.IpcMessage("request", data, id=number, method=method))
        for answered in host.waiting.values():
            answered.wait(30.0)
    print(f"the child ended with {child.process.returncode}")


if __name__ == "__main__":
    main()
