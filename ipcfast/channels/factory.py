# SPDX-License-Identifier: MIT
"""Channels by mode, and the mode by the environment: the same code in every context (R79-R84, D2)."""

from __future__ import annotations

import os
from enum import Enum

from ipcfast.channels.connecting import CONNECT_TIMEOUT
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.local_socket import LocalSocketChannel
from ipcfast.channels.parent import (
    PACKED_VARIABLE,
    UNTIL_ANSWERED,
    ParentTimeout,
    channel_place,
    connect_parent,
    taken_place,
)
from ipcfast.channels.shared_memory import SharedMemoryChannel
from ipcfast.channels.shutdown import ShutdownState

__all__ = ["IpcChannelFactory", "IpcMode", "packed_name"]

MODE_VARIABLE = "IPCFAST_MODE"
MODE_ALIAS = "AURORAVIEW_IPC_MODE"
ALIASES = {"channel": "local_socket", "shm": "shared_memory", "pipe": "stdio"}


class IpcMode(Enum):
    """How two parts of a program talk to each other (R80).

    By value ("local_socket"), in any case, and by the values' aliases: "channel" is LOCAL_SOCKET, "shm" is
    SHARED_MEMORY, "pipe" is STDIO (D2). LEGACY is the protocol that was there before channels, and STDIO
    speaks it too: JSON lines over this process' own standard input and output (R116).
    """

    AUTO = "auto"
    LOCAL_SOCKET = "local_socket"
    SHARED_MEMORY = "shared_memory"
    THREAD = "thread"
    STDIO = "stdio"
    LEGACY = "legacy"

    @classmethod
    def _missing_(cls, value: object) -> IpcMode | None:
        if not isinstance(value, str):
            return None
        plain = value.strip().lower()
        plain = ALIASES.get(plain, plain)
        return cls(plain) if plain != value and plain in cls._value2member_map_ else None


class IpcChannelFactory:
    """Makes channels for programs that do not care how they are connected."""

    @staticmethod
    def create(
        mode: IpcMode | str,
        name: str,
        *,
        timeout: float | None = CONNECT_TIMEOUT,
        shutdown_state: ShutdownState | None = None,
    ) -> IpcChannel:
        """Return a channel of that mode (R79).

        Args:
            mode: LOCAL_SOCKET connects to the server at ``/tmp/auroraview_<name>`` as
                ``LocalSocketChannel.connect`` does, SHARED_MEMORY to the one in the private directory as
                ``SharedMemoryChannel.connect``; THREAD makes a ThreadChannel; STDIO and LEGACY take standard
                input and output, as ``StdioChannel`` does; AUTO is what ``auto_detect`` says.
            name: Of the channel.
            timeout: Seconds that connecting may take; None for ever.
            shutdown_state: What the channel ends with.

        Raises:
            AddressNotFound, PermissionDenied, ConnectError, ChannelTimeout: As ``connect`` of those classes.
            AddressInUse, IoError: As StdioChannel.
            ValueError: The mode or the name is none.
        """
        mode = IpcMode(mode)
        if mode is IpcMode.AUTO:
            mode = IpcChannelFactory.auto_detect()
        if mode is IpcMode.LOCAL_SOCKET:
            return LocalSocketChannel.connect(name, timeout=timeout, shutdown_state=shutdown_state)
        if mode is IpcMode.SHARED_MEMORY:
            return SharedMemoryChannel.connect(name, timeout=timeout, shutdown_state=shutdown_state)
        if mode is IpcMode.THREAD:
            from ipcfast.channels.thread import ThreadChannel

            return ThreadChannel(name, shutdown_state=shutdown_state)
        from ipcfast.channels.stdio import StdioChannel

        return StdioChannel(name=name, shutdown_state=shutdown_state)

    @staticmethod
    def auto_detect() -> IpcMode:
        """Return the mode that the environment asks for; never AUTO (R81-R83).

        The first of these that is set to something: ``IPCFAST_MODE``, then ``AURORAVIEW_IPC_MODE``, unless
        they say "auto"; ``IPCFAST_CHANNEL``, then ``AURORAVIEW_IPC_CHANNEL`` (SHARED_MEMORY or STDIO
        where they say so, else LOCAL_SOCKET), also after ``connect_parent`` has taken the channel;
        ``AURORAVIEW_PACKED`` (LOCAL_SOCKET). Else THREAD.

        Raises:
            ValueError: A variable names no mode.
            ConnectError: A variable names no channel.
        """
        for variable in (MODE_VARIABLE, MODE_ALIAS):
            value = os.environ.get(variable)
            if value:
                try:
                    mode = IpcMode(value)
                except ValueError:
                    modes = ", ".join([*IpcMode._value2member_map_, *ALIASES])
                    raise ValueError(f"{variable} is {value!r}, must be one of {modes}") from None
                if mode is not IpcMode.AUTO:
                    return mode
        place = taken_place() or channel_place()[1]
        if place is not None:
            if place.is_stdio:
                return IpcMode.STDIO
            return IpcMode.SHARED_MEMORY if place.wants_ring else IpcMode.LOCAL_SOCKET
        return IpcMode.LOCAL_SOCKET if os.environ.get(PACKED_VARIABLE) else IpcMode.THREAD

    @staticmethod
    def create_for_context(
        name: str = "main",
        *,
        timeout: ParentTimeout = UNTIL_ANSWERED,
        shutdown_state: ShutdownState | None = None,
    ) -> IpcChannel:
        """Return the channel for the context that this process runs in: the same call everywhere (R84).

        In a process that was given a channel by its parent that is ``connect_parent()``, with everything
        that this raises; unless the mode is THREAD, which is a ThreadChannel of that name, as it is in a
        process of its own, or STDIO or LEGACY by one of the mode's variables, which is
        ``StdioChannel(name=name)`` (R116, R117).

        Args:
            name: Of a ThreadChannel or StdioChannel; the others have the names that they were given.
            timeout: As for ``ipcfast.connect_parent``.
            shutdown_state: What the channel ends with.
        """
        mode = IpcChannelFactory.auto_detect()
        place = taken_place() or channel_place()[1]
        is_given = mode is IpcMode.STDIO and place is not None and place.is_stdio
        if mode in (IpcMode.THREAD, IpcMode.STDIO, IpcMode.LEGACY) and not is_given:
            return IpcChannelFactory.create(mode, name, shutdown_state=shutdown_state)
        return connect_parent(timeout, shutdown_state=shutdown_state)


def packed_name(pid: int | None = None) -> str:
    """Return the name of a packed program's channel: ``packed_<pid>`` of its host (R90).

    Args:
        pid: The host; None for this process.
    """
    return f"packed_{os.getpid() if pid is None else pid}"
