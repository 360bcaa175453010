# SPDX-License-Identifier: MIT
"""Blender, Houdini, Tk: a timer of the main thread handles what workers send, some milliseconds at a time."""

from __future__ import annotations

import sched
import threading

from ipcfast import DccIpcChannel, IpcMessage, MainThreadPump, ShuttingDown

channel = DccIpcChannel("scene")
timers = sched.scheduler()  # stands for the host's: bpy.app.timers, hou.ui event loop callbacks, root.after
finished: list[int] = []


@channel.on_message
def touch_the_scene(message: IpcMessage) -> None:
    """Runs in the main thread, where it may."""
    assert threading.current_thread() is threading.main_thread()
    if message.data["percent"] == 100:
        finished.append(message.data["job"])
        print(f"{len(finished)} of 3 jobs are done")
    if len(finished) == 3:
        channel.shutdown()  # from here on no handler is called, whoever still sends


def work(job: int) -> None:
    """Report without caring whether the host still listens."""
    for percent in range(0, 101, 5):
        channel.emit("progress", {"job": job, "percent": percent})


def idle_chatter() -> None:
    while True:
        try:
            channel.emit("progress", {"job": 0, "percent": 0})
        except ShuttingDown:
            print("told to end")
            return


pump = MainThreadPump(channel)


def tick() -> None:
    """What the host calls."""
    pump.pump(budget_ms=5)
    if not pump.has_ended:
        timers.enter(0.01, 0, tick)


threads = [threading.Thread(target=work, args=[job]) for job in (1, 2, 3)]
threads.append(threading.Thread(target=idle_chatter))
for thread in threads:
    thread.start()
tick()
timers.run()
for thread in threads:
    thread.join()
