"""A timeout that another thread can bring forward: the binding of csrc/ipcf/stop.h."""

from typing import final

@final
class StoppableTimeout(float):
    """A timeout for ``recv_message`` and ``recv_bytes`` of the channel that made it.

    Given to these, it waits until ``stop``: then they raise ChannelTimeout, as when a timeout has passed, and
    nothing is lost. To whatever knows of no stop it is that many seconds, after which the caller may look for
    itself. One thread waits with it, and only that; while the wait sleeps it does not look for signals, so
    this is for threads other than the main one.
    """

    def stop(self) -> None:
        """End the wait, or if there is none the next one, and each one after it until ``reset``."""
    def reset(self) -> None:
        """Take every ``stop`` back. Not at the same time as ``stop``: do both under one lock."""
    @property
    def is_stopped(self) -> bool: ...
