# SPDX-License-Identifier: MIT
"""Starts a program with a channel to it: made before the process, opened when it is first used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from ipcfast.channels.connecting import CONNECT_TIMEOUT
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.local_socket import FRAMING, PREFIX
from ipcfast.channels.parent import CHANNEL_ALIAS, CHANNEL_VARIABLE
from ipcfast.channels.shutdown import ShutdownState, join
from ipcfast.errors import ChannelClosed, ChannelTimeout
from ipcfast.processes.opening import ByName, Inherited, Opening, OverStdio
from ipcfast.processes.process import (
    DEVNULL,
    PIPE,
    Arguments,
    Environment,
    Process,
    Standard,
    Text,
    named_environment,
)
from ipcfast.processes.tree import terminate_tree
from ipcfast.protocol.codec import codec_named
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import OWN_FRAMING, Options, checked_timeout
from ipcfast.transports.inherited import Place, inheritable_end, place_of
from ipcfast.transports.stream import stream_pair
from ipcfast.transports.turn import Turn

__all__ = ["Child", "spawn"]

TRANSPORTS = ("shm", "local", "stdio")
GRACE_SECONDS = 5.0

_ChildT = TypeVar("_ChildT", bound="Child")


class Child:
    """A program that was started by ``ipcfast.spawn``, and the channel to it.

    As a context manager it closes the channel at the end of the block, gives the child 5 s to end by itself
    (it receives everything that was sent, then Disconnected), and terminates it and all that it started
    when it does not.

    Threads: every method may be called from any thread. After a fork the child stays the parent's.
    """

    def __init__(
        self,
        process: Process,
        opening: Opening,
        timeout: float | None,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        self._process = process
        self._opening = opening
        self._timeout = timeout
        self._turn = Turn("child.channel")
        self._channel: IpcChannel | None = None
        self._is_closed = False
        self._shutdown_state: ShutdownState | None = None
        join(self, shutdown_state)

    @property
    def channel(self) -> IpcChannel:
        """The channel to the child; the first use waits until the child has connected.

        Raises:
            ChildExited: It ended before it had connected; ``exit_code`` says how. Told at once.
            ChannelTimeout: It has not called ``connect_parent`` within the timeout that ``spawn`` was
                given. It still may: use the channel again.
            ConnectError: It hung up, or nothing could be agreed on with it.
            ChannelClosed: ``close`` was called before; or this is a forked child of the process that has
                spawned it.
            ShuttingDown: ``shutdown`` of the ShutdownState was called before, or meanwhile.
            IpcChannelError: Called by a signal handler that has interrupted this.
        """
        if self._channel is None:
            if self._process.native.is_forked:
                raise ChannelClosed(f"the channel to {self!r} is opened by the process that has spawned it")
            # None is no answer here: whoever waits has as much time as the one who opens it
            self._turn.take(None, self._open, self._free_if_closed)
        assert self._channel is not None
        return self._channel

    def _open(self) -> None:
        if self._channel is None:
            if self._is_closed:
                raise ChannelClosed(f"the channel to {self!r} was closed before the child had connected")
            state = self._shutdown_state
            if state is not None:
                state.check()
            try:
                channel = self._opening.open(self._process, self._timeout)
            except ChannelClosed:
                if state is not None:
                    state.check()  # which knows better why
                raise
            join(channel, state)
            self._channel = channel

    def _announce_end(self) -> None:
        """Do nothing: the channel will be told, once there is one."""

    def _end_gracefully(self) -> None:
        """Do what the ShutdownState does before there is a channel: nobody waits for the child any more."""
        self._opening.cancel()

    def _drain(self, timeout: float | None) -> None:
        """Return at once: what is under way is the channel's."""

    @property
    def process(self) -> Process:
        """The process, as subprocess.Popen has it."""
        return self._process

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end, and return its exit code, or minus the signal that ended it.

        Raises:
            ChannelTimeout: It has not ended within ``timeout`` seconds.
        """
        return self._process.wait(timeout)

    def terminate(self, grace: float = GRACE_SECONDS) -> int:
        """End the child and all that it started: SIGTERM, and after ``grace`` seconds SIGKILL.

        Returns:
            Its exit code.

        Raises:
            ChannelTimeout: Something does not end although it was killed.
        """
        return terminate_tree(self._process, grace)

    def close(self) -> None:
        """Close the channel. The process goes on. Idempotent, never fails.

        From any thread, and from a signal handler.
        """
        self._is_closed = True
        if self._process.native.is_forked:  # whoever opened it there is not here, and the child hears nothing
            self._free()
            return
        self._opening.cancel()
        self._turn.when_free(self._free)

    def _free_if_closed(self) -> None:
        if self._is_closed:
            self._free()

    def _free(self) -> None:
        """When nobody opens it: close everything."""
        if self._channel is not None:
            self._channel.close()
        self._opening.close()

    def __enter__(self: _ChildT) -> _ChildT:
        """Return the child; see the class for the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channel, wait for the child, terminate it."""
        self.close()
        if self._process.native.is_forked:
            return
        try:
            self._process.close_stdin()
            self.wait(GRACE_SECONDS)
        except ChannelTimeout:
            self.terminate(GRACE_SECONDS)
        except BaseException:
            self.terminate(0)
            raise
        finally:
            self._process.close_pipes()  # not before: who writes to a closed one is killed by that

    def __repr__(self) -> str:
        """Return the process and the state of the channel."""
        channel = "not used yet" if self._channel is None else repr(self._channel)
        if self._is_closed:
            channel = "closed"
        return f"<{type(self).__name__} {self._process!r}, channel: {channel}>"


def spawn(
    args: Arguments,
    *,
    transport: str = "shm",
    framing: str | None = None,
    codec: str = Options.codec,
    env: Environment | None = None,
    cwd: Text | None = None,
    stdin: Standard = DEVNULL,
    stdout: Standard = None,
    stderr: Standard = None,
    timeout: float | None = CONNECT_TIMEOUT,
    name: str | None = None,
    new_session: bool = True,
    dies_with_parent: bool = True,
    message_limit: int = Options.message_limit,
    read_ahead_limit: int = Options.read_ahead_limit,
    spin_us: int = Options.spin_us,
    capacity: int = Options.capacity,
    shutdown_state: ShutdownState | None = None,
) -> Child:
    """Start a program with a channel to it, which it opens with ``ipcfast.connect_parent()``.

    The channel is made before the process and inherited without a name: nobody else can connect to it, and
    nothing is left of it. Standard output and error stay free for logs, and are this process' own unless
    given. The child leads a session of its own, and on Linux it dies with this process; elsewhere it goes on
    until it finds the end of its channel, with Disconnected when it receives. See
    ``ipcfast.processes.process.Process``.

    Args:
        args: The program and its arguments: ``[sys.executable, "worker.py"]``. Inside of a host with a Python
            of its own (Maya, Blender) ``sys.executable`` may be the host: name an interpreter then, such as
            its ``mayapy``.
        transport: "shm" for shared memory, "local" for the socket alone, "stdio" for JSON lines over the
            child's standard input and output, as programs have it that know nothing of channels (R117). One
            that calls ``connect_parent`` may print nonetheless; what others print is passed over as noise,
            see StdioChannel.
        framing: As for ``ipcfast.listen``. One other than "length" needs transport "local", and has no
            handshake: the channel is open at once, and the child may be any program that takes over a
            socket, found by ``IPCFAST_CHANNEL=fd:<number>?...``. None: "length", and "lines" with "stdio",
            where "length" has no handshake.
        codec: As for ``ipcfast.listen``; the child is told.
        env: The whole environment of the child but for the variable that names the channel; None for
            ``os.environ``.
        cwd: The directory to start in.
        stdin: DEVNULL unless given: None for this process' own, PIPE, a descriptor, or a file (R93).
        stdout: Likewise, but this process' own unless given.
        stderr: As stdout, or STDOUT.
        timeout: Seconds that the first use of ``child.channel`` waits for the child to connect (R94); None
            waits for ever.
        name: Listen under ``/tmp/auroraview_<name>`` in place of handing a descriptor over, from before the
            start until the child has connected, and say so in ``AURORAVIEW_IPC_CHANNEL`` as well (R90-R92).
            For children that connect by name; clients of all sorts are served, as by ``ipcfast.listen``, and
            the first one of this user that comes is taken for the child, whichever process it is.
            ``packed_name`` of ``ipcfast.channels.factory`` gives the documents' name.
        new_session: False leaves the child in our session, where Ctrl-C at the terminal reaches it too.
        dies_with_parent: False lets the child outlive this process.
        message_limit: As for ``ipcfast.listen``; each side has its own.
        read_ahead_limit: As for ``ipcfast.listen``.
        spin_us: As for ``ipcfast.listen``.
        capacity: As for ``ipcfast.connect``.
        shutdown_state: What the channel ends with, and waiting for the child. The process goes on until it
            finds its channel at its end.

    Raises:
        ShuttingDown: ``shutdown_state`` is shut down already; nothing was started.
        SpawnNotFound, SpawnNotPermitted, SpawnFailed: ``filename`` and ``errno`` say why.
        AddressInUse: Another process listens under ``name``.
        IoError: The system refused something else.
        ValueError: An option is none of these.
    """
    if transport not in TRANSPORTS:
        raise ValueError(f"transport {transport!r} is not one of {', '.join(TRANSPORTS)}")
    if shutdown_state is not None:
        shutdown_state.check()
    is_ring = transport == "shm"
    is_stdio = transport == "stdio"
    if is_stdio and (stdin, stdout, name) != (DEVNULL, None, None):
        raise ValueError("with transport='stdio' stdin and stdout are the channel, and there is no name")
    if framing is None:
        framing = FRAMING if is_stdio else OWN_FRAMING
    if is_ring and framing != OWN_FRAMING:
        raise ValueError(f"shared memory has no framing {framing!r}: name transport='local' with it")
    if is_stdio:
        stdin, stdout = PIPE, PIPE
    limit = max(capacity, Options.capacity_limit)  # the child asks for what we say
    options = Options(framing, codec, message_limit, read_ahead_limit, spin_us, capacity, limit)
    codec_named(codec)  # an unknown one, or a missing extra, is told before anything is started
    timeout = checked_timeout(timeout)
    environment = named_environment(env)
    environment.pop(CHANNEL_ALIAS, None)

    def start(place: Place, *inherited: int) -> Process:
        environment[CHANNEL_VARIABLE] = place.text
        return Process(
            args,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=cwd,
            inherited=inherited,
            new_session=new_session,
            dies_with_parent=dies_with_parent,
        )

    opening: Opening
    if name is not None:
        address = parse_address(f"{transport}://{name}", prefix=PREFIX)
        opening = ByName(address, options)
        settings = {"prefix": PREFIX, "framing": framing, "codec": codec, "capacity": str(capacity)}
        environment[CHANNEL_ALIAS] = name
        with closed_on_failure(opening):
            return Child(start(Place(address.text, settings)), opening, timeout, shutdown_state)
    if is_stdio:
        process = start(Place("stdio://", {"framing": framing, "codec": codec}))
        return Child(process, OverStdio(process, options), timeout, shutdown_state)
    ours, theirs = stream_pair(options)
    opening = Inherited(ours, options)
    with closed_on_failure(opening), inheritable_end(theirs) as descriptor:
        process = start(place_of(descriptor, options, ring=is_ring), descriptor)
        return Child(process, opening, timeout, shutdown_state)


@contextmanager
def closed_on_failure(opening: Opening) -> Iterator[None]:
    """Close what the child would have connected to, when it cannot be started."""
    try:
        yield
    except BaseException:
        opening.close()
        raise
