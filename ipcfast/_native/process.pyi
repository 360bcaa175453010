"""Child processes: the binding of csrc/ipcf/process.h."""

from collections.abc import Sequence
from typing import final

NULL_DEVICE: int
MAX_INHERITED: int
EXIT_UNKNOWN: int

@final
class ChildProcess:
    """One process that this one has started. Safe from several threads; after a fork it stays the parent's.

    Where nobody has asked for its exit code when this object is gone, the process, or its entry in the
    system's table, stays.
    """

    def __new__(cls, token: object = None) -> ChildProcess: ...
    @staticmethod
    def start(
        programs: list[bytes],
        arguments: list[bytes],
        environment: list[bytes] | None,
        directory: bytes | None,
        *,
        standard: Sequence[int | None],
        inherited: Sequence[int] = (),
        new_session: bool = True,
        dies_with_parent: bool = True,
    ) -> ChildProcess:
        """Start the first of the programs that can be executed; no text may hold a zero byte.

        ``standard`` are three handles, None for this process' own, NULL_DEVICE for that. Linux: with
        ``dies_with_parent`` the process is killed when the *thread* that calls this ends.

        Raises:
            SpawnFailed: With the step that failed and what it was about.
            ValueError: A handle that cannot be inherited.
        """
    @property
    def pid(self) -> int: ...
    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of the process that started it."""
    def handle(self) -> int:
        """Return the handle that becomes ready when the process has ended. It belongs to this object.

        Raises:
            IoError: There is none.
        """
    def watch(self) -> int:
        """Return another one, which is the caller's to close."""
    def poll(self) -> int | None:
        """Return the exit code, minus the signal that ended it, or None while it runs.

        EXIT_UNKNOWN where somebody else has collected it.
        """
    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the exit code; None when the timeout has passed."""
    def signal(self, number: int) -> None:
        """Send a signal; without effect when the process has ended."""
    def abandon(self) -> None:
        """Forget the process in a forked child."""
