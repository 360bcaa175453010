"""All that a child process has started: the binding of csrc/ipcf/process.h."""

from typing import final

from ipcfast._native.process import ChildProcess

@final
class ProcessTree:
    """A process and whatever descends from it or is in its session. Belongs to one thread."""

    def __new__(cls, root: ChildProcess) -> ProcessTree: ...
    def __len__(self) -> int:
        """Return how many others than the process itself have been found so far."""
    def find(self) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all have ended; False when the timeout has passed."""
