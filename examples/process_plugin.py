# SPDX-License-Identifier: MIT
"""A plugin for ``process_plugin_host.py``: one program, over lines on stdin and stdout, a socket, a ring."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import ipcfast
from ipcfast import IpcError, IpcMessage


class Plugin:
    """Has handlers and news; how they travel is the channel's business."""

    def __init__(self, name: str, channel: ipcfast.IpcChannel) -> None:
        self._channel = channel
        self._handlers: dict[str, Callable[[Any], Any]] = {f"{name}.sort": self.sort}

    def sort(self, data: Any) -> Any:
        self._channel.emit("sorted", len(data))
        return sorted(data)

    def run(self) -> None:
        """Say what can be asked, and answer until the host leaves."""
        self._channel.send(IpcMessage("ready", {"handlers": sorted(self._handlers)}))
        for request in self._channel:
            response = IpcMessage("response", id=request.id)
            try:
                response.data = self._handlers[request.method or ""](request.data)
            except Exception as error:
                response.error = IpcError(-32603, f"{request.method}: {error!r}")
            self._channel.send(response)


if __name__ == "__main__":
    with ipcfast.connect_parent() as channel:
        Plugin(sys.argv[1], channel).run()
