# SPDX-License-Identifier: MIT
"""How a child's channel opens: over what it has inherited, by a name, or over its stdin and stdout."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Protocol

from ipcfast._native.message_channel import MessageChannel
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.listener import channel_of
from ipcfast.errors import ChannelTimeout, ChildExited, ConnectError, Disconnected, IoError
from ipcfast.processes.process import EXIT_UNKNOWN, Process
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options
from ipcfast.transports.inherited import answer_child

__all__ = ["ByName", "Inherited", "Opening", "OverStdio"]

# A child that has hung up has mostly ended, and its exit code says more than the hang-up.
HANG_UP_SECONDS = 1.0
# How often a host that waits for a client by name looks whether its child is still there.
LOOK_SECONDS = 0.05
CALL_AND_STAY = "call ipcfast.connect_parent() and not give up before child.channel is used here"


class Opening(Protocol):
    """A channel in the making: our side is there, the child has not come yet."""

    def open(self, process: Process, timeout: float | None) -> IpcChannel:
        """Wait for the child; what goes wrong is said in the terms of ``Child.channel``."""
        ...

    def cancel(self) -> None:
        """Make ``open`` give up, in whichever thread it is."""

    def close(self) -> None:
        """Free what there is, unless a channel was made of it. Nobody is in ``open``."""


class Inherited:
    """Our end of a connection whose other end the child inherits."""

    def __init__(self, connection: StreamChannel, options: Options) -> None:
        self._connection = connection
        self._options = options
        self._is_open = False

    def open(self, process: Process, timeout: float | None) -> IpcChannel:
        """Wait for the child's hello, and answer it."""
        pid: int | None = None
        if self._options.framing != OWN_FRAMING:
            opened = Opened(self._connection, is_ring=False, framing=self._options.framing)
        else:
            opened, pid = self._answer(process, timeout)
        self._is_open = True
        tell_peer(opened, process, pid)
        return channel_of(opened, f"child_{process.pid}", self._options.codec)

    def _answer(self, process: Process, timeout: float | None) -> tuple[Opened, int]:
        try:
            answered = answer_child(
                self._connection,
                self._options,
                timeout,
                lambda: process.poll() is not None,
                handles_of(process),
            )
        except Disconnected as error:
            try:
                process.wait(HANG_UP_SECONDS)
            except ChannelTimeout:
                raise ConnectError(
                    f"{process!r} has closed the connection that it inherited, and runs: its program must "
                    f"{CALL_AND_STAY}, and programs between must leave descriptors open"
                ) from error
            raise exited(process) from error
        if answered is None:
            raise exited(process)
        return answered

    def cancel(self) -> None:
        """Make ``open`` raise ShuttingDown."""
        if not self._is_open:
            self._connection.shutdown()

    def close(self) -> None:
        """Close our end."""
        if not self._is_open:
            self._connection.close()


class ByName:
    """A listener that the child connects to, as the documents' hosts do (R90-R94)."""

    def __init__(self, address: Address, options: Options) -> None:
        self._options = options
        self._name = address.name
        self._acceptor = Acceptor(address, options)  # from now on the child can connect

    def open(self, process: Process, timeout: float | None) -> IpcChannel:
        """Accept the child, and give the name back."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            has_ended = process.poll() is not None  # asked first: it may have connected before
            left = LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, deadline - time.monotonic())
            try:
                opened = self._acceptor.accept(0.0 if has_ended else max(0.0, left))
                break
            except ChannelTimeout:
                if has_ended:
                    raise exited(process) from None
                if left <= 0:
                    raise ChannelTimeout(
                        f"{process!r} has not connected to {self._acceptor.path} within {timeout:g} s"
                    ) from None
        self._acceptor.close()
        return channel_of(opened, self._name, self._options.codec)

    def cancel(self) -> None:
        """Make ``open`` raise ChannelClosed."""
        self._acceptor.close()

    def close(self) -> None:
        """Give the name back."""
        self._acceptor.close()


class OverStdio:
    """The child's standard input and output. There is no handshake, so the channel is open at once (R117)."""

    def __init__(self, process: Process, options: Options) -> None:
        self._process = process
        self._options = options
        self._is_open = False

    def open(self, process: Process, timeout: float | None) -> IpcChannel:
        """Take the pipes over."""
        from ipcfast.channels.stdio import StdioChannel  # not needed by other children

        assert process.stdout is not None
        assert process.stdin is not None
        channel = StdioChannel(
            process.stdout,
            process.stdin,
            name=f"child_{process.pid}",
            framing=self._options.framing,
            codec=self._options.codec,
            message_limit=self._options.message_limit,
            read_ahead_limit=self._options.read_ahead_limit,
            spin_us=self._options.spin_us,
        )
        self._is_open = True
        return channel

    def cancel(self) -> None:
        """Do nothing: ``open`` waits for nobody."""

    def close(self) -> None:
        """Let the child read the end."""
        if not self._is_open:
            self._process.close_stdin()


def handles_of(process: Process) -> list[int]:
    """Return what becomes ready when the process ends, as far as the system has such a thing."""
    try:
        return [process.sentinel]
    except IoError:
        return []


def tell_peer(opened: Opened, process: Process, pid: int | None) -> None:
    """Tell the transport who is at the other end; the system says that we are, because we have made both.

    A child that is not the process we started (a program between has started it) is not watched: its
    hang-up tells.
    """
    watch: int | None = None
    if pid == process.pid:
        with contextlib.suppress(IoError):  # where the system has no such thing
            watch = process.native.watch()
    assert isinstance(opened.transport, MessageChannel)  # streams and rings are
    opened.transport.set_peer(pid if pid == process.pid else None, os.geteuid(), watch)


def exited(process: Process) -> ChildExited:
    """Return the error for a child that ended too early."""
    code = process.wait()
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
    if code == EXIT_UNKNOWN:
        how += ", or with one that is unknown because somebody else here has waited for it (SIGCHLD?),"
    return ChildExited(
        f"{process!r} ended {how} before it connected: its program must {CALL_AND_STAY}, and its stderr may "
        "say what went wrong",
        exit_code=code,
    )
