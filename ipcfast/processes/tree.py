# SPDX-License-Identifier: MIT
"""Ends a process together with all that it started: asks, waits, and kills what is left."""

from __future__ import annotations

from ipcfast._native.process_tree import ProcessTree
from ipcfast.errors import ChannelTimeout
from ipcfast.processes.process import Process

__all__ = ["terminate_tree"]

# What was killed is gone at once, unless it hangs in the kernel (a dead network drive).
KILLED_SECONDS = 5.0


def terminate_tree(process: Process, grace: float = 5.0) -> int:
    """End a process and all that it started; return its exit code.

    SIGTERM for everybody, then up to ``grace`` seconds for all of them to end, then SIGKILL for who is left.
    Everybody is: its descendants, also those in sessions of their own; and where it leads its session (as it
    does unless ``new_session=False``), whoever else is in that, also when the process itself has ended
    before. A process that left the session, and whose parent ended before this call, cannot be found.

    Args:
        process: What ``Process`` or ``ipcfast.spawn`` has started.
        grace: Seconds; 0 kills at once.

    Raises:
        ChannelTimeout: Something does not end although it was killed: it hangs in the kernel.
        IoError: This is a forked child of the process that started it.
    """
    tree = ProcessTree(process.native)
    try:
        if grace > 0:
            tree.terminate()
            tree.wait(grace)
    finally:
        tree.kill()  # also after Ctrl-C; without effect on what has ended
    if not tree.wait(KILLED_SECONDS):
        raise ChannelTimeout(
            f"{process!r}, or one of the {len(tree)} processes below it, was killed and has not ended within "
            f"{KILLED_SECONDS:g} s"
        )
    return process.wait()
