# SPDX-License-Identifier: MIT
"""A Qt program: a worker thread and another process fill a list in the main thread. Needs ``ipcfast[qt]``."""

from __future__ import annotations

import subprocess
import sys
import threading

from PySide6.QtCore import QCoreApplication, QObject, Slot

import ipcfast
from ipcfast import DccIpcChannel, IpcMessage
from ipcfast.integrations import qt

ADDRESS = "local://qt-host-example"
COUNT = 1000
RENDERER = f"""
import ipcfast
with ipcfast.connect({ADDRESS!r}) as channel:
    for frame in range({COUNT}):
        channel.emit("rendered", frame)
    channel.poll(30)
"""


class Progress(QObject):
    """Lives in the main thread, and needs no lock: all handlers are called there."""

    def __init__(self, application: QCoreApplication) -> None:
        super().__init__()
        self._application = application
        self.seen: dict[str, list[int]] = {"rendered": [], "simulated": []}

    @Slot(object)
    def show(self, message: IpcMessage) -> None:
        """Take one event in; leave the loop after the last."""
        self.seen[message.event or ""].append(message.data)
        if all(len(frames) == COUNT for frames in self.seen.values()):
            self._application.quit()


application = QCoreApplication([])
progress = Progress(application)
simulator = DccIpcChannel("simulator")
worker = threading.Thread(target=lambda: [simulator.emit("simulated", frame) for frame in range(COUNT)])
with ipcfast.listen(ADDRESS) as listener, subprocess.Popen([sys.executable, "-c", RENDERER]):
    with listener.accept(timeout=30) as renderer:
        receivers = [qt.receive(channel, progress.show) for channel in (simulator, renderer)]
        worker.start()
        application.exec()
        for receiver in receivers:
            receiver.stop()
worker.join()
for event, frames in progress.seen.items():
    print(event, len(frames), "in order" if frames == sorted(frames) else "in disorder")
