# SPDX-License-Identifier: MIT
"""Routes calls to plugins that are processes; each may be connected in another way, and does not notice.

Run it: ``python examples/process_plugin_host.py``. The plugin is ``process_plugin.py``.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import ipcfast
from ipcfast import IpcMessage

PLUGIN = Path(__file__).with_name("process_plugin.py")


class ProcessPlugin:
    """A plugin in a process of its own. ``transport`` is the only thing that knows how it is connected."""

    def __init__(self, name: str, transport: str) -> None:
        self._child = ipcfast.spawn([sys.executable, PLUGIN, name], transport=transport, timeout=30.0)
        self._numbers = itertools.count(1)
        self.handlers: list[str] = self._child.channel.recv(timeout=30.0).data["handlers"]  # its "ready"

    def call(self, method: str, data: Any) -> Any:
        """Ask, show the events that come meanwhile, and return the answer."""
        number = str(next(self._numbers))
        self._child.channel.send(IpcMessage("request", data, id=number, method=method), timeout=30.0)
        while (message := self._child.channel.recv(timeout=30.0)).id != number:
            print(f"{message.event}: {message.data}")
        if message.error is not None:
            raise RuntimeError(message.error.message)
        return message.data

    def stop(self) -> int:
        """Let it end; kill it and all that it started when it does not."""
        with self._child:
            pass
        return self._child.wait(0)


class PluginRouter:
    """Finds the plugin that handles a method."""

    def __init__(self, *plugins: ProcessPlugin) -> None:
        self.table = {method: plugin for plugin in plugins for method in plugin.handlers}

    def call(self, method: str, data: Any) -> Any:
        return self.table[method].call(method, data)


if __name__ == "__main__":
    plugins = [ProcessPlugin(f"over-{transport}", transport) for transport in ("stdio", "local", "shm")]
    router = PluginRouter(*plugins)
    for method in sorted(router.table):
        print(f"{method}: {router.call(method, ['ü', 'b', 'a'])}")
    print("ended with", [plugin.stop() for plugin in plugins])
