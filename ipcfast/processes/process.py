# SPDX-License-Identifier: MIT
"""A child process with the interface of subprocess.Popen, and what that has not: it dies with its parent.

``subprocess`` can tie a child to its parent only by ``preexec_fn``, which runs Python between fork and
exec, where any lock may be held by a thread that is not there. Here that part is C
(csrc/ipcf/posix/process_child.c), and waiting sleeps on a handle of the process in place of looking every
50 ms.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from subprocess import DEVNULL, PIPE, STDOUT
from types import TracebackType
from typing import IO, Any, TypeVar, Union

from ipcfast._native.process import EXIT_UNKNOWN, NULL_DEVICE, ChildProcess
from ipcfast.errors import ChannelTimeout
from ipcfast.processes.spawner import start_child

__all__ = ["DEVNULL", "EXIT_UNKNOWN", "PIPE", "STDOUT", "Arguments", "Environment", "Process", "Standard"]

Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Arguments = Union[Text, Sequence[Text]]
Environment = Mapping[Any, Any]
Standard = Union[int, IO[Any], None]

_ProcessT = TypeVar("_ProcessT", bound="Process")

# Processes whose objects are gone and that nobody has waited for: collected when the next one is started.
_unwaited: list[ChildProcess] = []


class Process:
    """Start a program, wait for it, signal it, as ``subprocess.Popen`` does.

    The child leads a session of its own, so that Ctrl-C at the terminal reaches this process only, and the
    child's whole tree can be ended. It inherits the standard handles and ``inherited``, nothing else. No
    signal is blocked, and none is ignored but those that this process ignores, without SIGPIPE, SIGXFSZ and
    SIGCHLD. On Linux the kernel kills it when this process ends, however that happens, and whichever thread
    has started it; a program that runs as another user (setuid) loses that.

    Threads: every method may be called from any thread. After a fork the process stays the parent's: in the
    forked child every call but ``pid`` and ``args`` raises IoError.

    Args:
        args: The program and its arguments, or a program alone. Looked for in PATH (that of ``env`` where
            given) unless it has a slash; a relative path counts from ``cwd``.
        stdin: None for this process' own (the null device where that is closed, or has become a descriptor
            that no child inherits), PIPE, DEVNULL, a descriptor, or a file.
        stdout: Likewise.
        stderr: Likewise, or STDOUT.
        env: The whole environment; None for ``os.environ``.
        cwd: The directory to start in.
        inherited: Descriptors, 3 or more, that the child gets under the same numbers.
        new_session: False leaves the child in our session and process group.
        dies_with_parent: False lets it outlive this process. Without effect on macOS.

    Raises:
        SpawnNotFound, SpawnNotPermitted, SpawnFailed: ``filename`` and ``errno`` say why.
        ValueError: An argument cannot be passed to a program.
    """

    def __init__(
        self,
        args: Arguments,
        *,
        stdin: Standard = None,
        stdout: Standard = None,
        stderr: Standard = None,
        env: Environment | None = None,
        cwd: Text | None = None,
        inherited: Sequence[int] = (),
        new_session: bool = True,
        dies_with_parent: bool = True,
    ) -> None:
        self.args = args
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        _collect_unwaited()
        texts = [args] if isinstance(args, (str, bytes, os.PathLike)) else args
        arguments = [encoded(text) for text in texts]
        if not arguments:
            raise ValueError("args is empty: it must name the program at least")
        named = named_environment(env)
        programs = candidates(arguments[0], named)
        environment = encoded_environment(named)
        directory = None if cwd is None else encoded(cwd)
        with ExitStack() as theirs, ExitStack() as ours:
            standard = self._open_standard(stdin, stdout, stderr, theirs, ours)
            self.native = start_child(
                lambda: ChildProcess.start(
                    programs,
                    arguments,
                    environment,
                    directory,
                    standard=standard,
                    inherited=inherited,
                    new_session=new_session,
                    dies_with_parent=dies_with_parent,
                )
            )
            ours.pop_all()
        self.pid = self.native.pid

    def _open_standard(
        self, stdin: Standard, stdout: Standard, stderr: Standard, theirs: ExitStack, ours: ExitStack
    ) -> list[int | None]:
        """Return the child's three; its ends of pipes are closed by ``theirs``, ours by ``ours``."""
        handles: list[int | None] = []
        for wanted, name in ((stdin, "stdin"), (stdout, "stdout"), (stderr, "stderr")):
            if wanted is None:
                handles.append(None)
            elif wanted == DEVNULL:
                handles.append(NULL_DEVICE)
            elif wanted == STDOUT and name == "stderr":
                handles.append(own_stdout() if handles[1] is None else handles[1])
            elif wanted == PIPE:
                reading, writing = os.pipe()
                child_end, our_end = (reading, writing) if name == "stdin" else (writing, reading)
                theirs.callback(os.close, child_end)
                pipe: IO[bytes] = ours.enter_context(os.fdopen(our_end, "wb" if name == "stdin" else "rb"))
                setattr(self, name, pipe)
                handles.append(child_end)
            else:
                handle = wanted if isinstance(wanted, int) else wanted.fileno()
                if handle < 0:
                    raise ValueError(f"{name} is {wanted!r}, which is no descriptor")
                handles.append(handle)
        return handles

    @property
    def sentinel(self) -> int:
        """A handle that becomes ready when the process has ended: for select, asyncio and ``wait_any``.

        Raises:
            IoError: There is none: the system knows no such thing (Linux before 5.3), had no descriptor left,
                or has kept nothing of a process that ended at once (SIGCHLD is ignored).
        """
        return self.native.handle()

    def poll(self) -> int | None:
        """Return the exit code, minus the signal that ended it, or None while it runs.

        255 (EXIT_UNKNOWN) stands for an end that the system has told somebody else (SIGCHLD is ignored, or
        another library waits for any child).
        """
        if self.returncode is None:
            self.returncode = self.native.poll()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process and return its exit code, as ``poll`` does.

        Raises:
            ChannelTimeout: It has not ended within ``timeout`` seconds.
        """
        if self.returncode is None:
            self.returncode = self.native.wait(timeout)
            if self.returncode is None:
                raise ChannelTimeout(f"{self!r} has not ended within {timeout:g} s")
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to this one process; without effect when it has ended."""
        self.native.signal(number)

    def terminate(self) -> None:
        """Send SIGTERM to this one process. ``terminate_tree`` ends those that it started as well."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to this one process."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self: _ProcessT) -> _ProcessT:
        """Return the process; at the end of the block its pipes are closed and it is waited for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipes and wait."""
        self.close_pipes()
        if not self.native.is_forked:
            self.wait()

    def close_stdin(self) -> None:
        """Close our end of its standard input, where it is a pipe: the child finds its end."""
        if self.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended: what was not flushed is lost, and the pipe closed
                self.stdin.close()

    def close_pipes(self) -> None:
        """Close our ends of all pipes that were asked for."""
        self.close_stdin()
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()

    def __del__(self) -> None:
        native = getattr(self, "native", None)
        if native is None or self.returncode is not None or native.is_forked or native.poll() is not None:
            return
        warnings.warn(f"nobody has waited for {self!r}", ResourceWarning, source=self, stacklevel=2)
        _unwaited.append(native)

    def __repr__(self) -> str:
        """Return the program, the number and the state, as far as it is known."""
        state = "running" if self.returncode is None else f"ended with {self.returncode}"
        return f"<{type(self).__name__} {getattr(self, 'pid', None)} {self.args!r} {state}>"


def _collect_unwaited() -> None:
    for native in list(_unwaited):
        if native.is_forked or native.poll() is not None:
            with suppress(ValueError):  # another thread was faster
                _unwaited.remove(native)


def own_stdout() -> int:
    """Return what a child inherits as its standard output."""
    try:
        return 1 if os.get_inheritable(1) else NULL_DEVICE
    except OSError:  # it is closed
        return NULL_DEVICE


def named_environment(environment: Environment | None) -> dict[str, Any]:
    """Return an environment by names that are text; for None this process' own, as Python knows it.

    Of this process' own without a name that is empty, as some programs hand on and none can be started with.
    """
    if environment is None:
        return {name: value for name, value in os.environ.items() if name}
    return {os.fsdecode(name): value for name, value in environment.items()}


def encoded(text: Text) -> bytes:
    """Return a text as the system takes it.

    Raises:
        ValueError: It holds a zero byte, which would end it.
    """
    given = os.fsencode(text)
    if b"\0" in given:
        raise ValueError(f"{text!r} holds a zero byte, which no program can be given")
    return given


def encoded_environment(environment: Environment) -> list[bytes]:
    """Return an environment as the system takes it.

    Raises:
        ValueError: A name is empty or holds "=", or something holds a zero byte.
    """
    variables = []
    for name, value in environment.items():
        encoded_name = encoded(name)
        if not encoded_name or b"=" in encoded_name:
            raise ValueError(f"{name!r} is no name of an environment variable")
        variables.append(encoded_name + b"=" + encoded(value))
    return variables


def candidates(program: bytes, environment: dict[str, Any]) -> list[bytes]:
    """Return the paths to try for a program: itself where it has a slash, else one in each part of PATH."""
    if os.path.dirname(program):
        return [program]
    directories = os.get_exec_path(environment)
    return [os.path.join(os.fsencode(directory), program) for directory in directories]
