# SPDX-License-Identifier: MIT
"""The child's side of a channel that its parent has made: found by an environment variable, taken once."""

from __future__ import annotations

import os
import threading

from ipcfast.channels.connecting import CONNECT_TIMEOUT
from ipcfast.channels.endpoints import connect
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.listener import channel_of
from ipcfast.channels.local_socket import FRAMING, PREFIX
from ipcfast.errors import ChannelTimeout, ConnectError, NotSpawned
from ipcfast.protocol.codec import codec_named
from ipcfast.transports.contract import Options
from ipcfast.transports.inherited import Place, greet_parent, parse_place

__all__ = [
    "CHANNEL_ALIAS",
    "CHANNEL_VARIABLE",
    "PACKED_VARIABLE",
    "channel_place",
    "connect_parent",
    "is_packed_mode",
    "taken_place",
]

CHANNEL_VARIABLE = "IPCFAST_CHANNEL"
CHANNEL_ALIAS = "AURORAVIEW_IPC_CHANNEL"
PACKED_VARIABLE = "AURORAVIEW_PACKED"

_taking = threading.Lock()
_taken: tuple[str, Place] | None = None  # the variable that named the channel and what it said, once taken


def connect_parent(
    timeout: float | None = CONNECT_TIMEOUT,
    *,
    message_limit: int = Options.message_limit,
    read_ahead_limit: int = Options.read_ahead_limit,
    spin_us: int = Options.spin_us,
) -> IpcChannel:
    """Connect to the process that started this one, on the channel that it has made for that.

    ``IPCFAST_CHANNEL`` says where: the descriptor that ``ipcfast.spawn`` lets its child inherit, an
    address, or a name. ``AURORAVIEW_IPC_CHANNEL`` is read where that is not set: a name in it means JSON
    lines on ``/tmp/auroraview_<name>`` (R91). What was named is this process' alone from then on: the
    variables are removed from ``os.environ``, and programs that it starts inherit neither them nor the
    descriptor.

    Args:
        timeout: Seconds for the parent to answer, which it does when it first uses ``child.channel``; None
            waits for ever.
        message_limit: As for ``ipcfast.listen``; each side has its own.
        read_ahead_limit: As for ``ipcfast.listen``.
        spin_us: As for ``ipcfast.listen``.

    Returns:
        A SharedMemoryChannel, a LocalSocketChannel or a StdioChannel, as the parent has chosen. There is none
        for ``tcp://``, because a variable carries no secret.

    Raises:
        NotSpawned: Neither variable is set, or the channel was taken by an earlier call (R98).
        ConnectError: There is no parent at the other end, or it refused.
        ChannelTimeout: The parent did not answer in time.
    """
    global _taken
    with _taking:
        if _taken is not None:
            raise NotSpawned(
                "connect_parent() was called before in this process and has taken the channel of "
                f"{_taken[0]}: use the one that it returned",
                variable=_taken[0],
            )
        variable, place = channel_place()
        if variable is None or place is None:
            raise NotSpawned(
                f"this process was given no channel: neither {CHANNEL_VARIABLE} nor {CHANNEL_ALIAS} is set; "
                "start it with ipcfast.spawn, or set one of them to the address of a listener",
                variable=CHANNEL_VARIABLE,
            )
        settings = place.settings
        options = Options(
            settings.get("framing", Options.framing),
            settings.get("codec", Options.codec),
            message_limit,
            read_ahead_limit,
            spin_us,
            int(settings.get("capacity", Options.capacity)),
        )
        codec_named(options.codec)
        if place.descriptor is None:
            channel = connect_by_name(variable, place, options, timeout)
            _take(variable, place)
            return channel
        _take(variable, place)
        return inherited_channel(variable, place, options, timeout)


def _take(variable: str, place: Place) -> None:
    global _taken
    _taken = variable, place
    for name in (CHANNEL_VARIABLE, CHANNEL_ALIAS):
        os.environ.pop(name, None)


def taken_place() -> Place | None:
    """Return what the variable said whose channel ``connect_parent`` has taken, None before that."""
    return None if _taken is None else _taken[1]


def channel_place() -> tuple[str | None, Place | None]:
    """Return the variable that names this process' channel, and what it says; (None, None) without one.

    Raises:
        ConnectError: It says nothing that could be understood.
    """
    for variable in (CHANNEL_VARIABLE, CHANNEL_ALIAS):
        value = os.environ.get(variable)
        if value:
            try:
                return variable, parse_place(value)
            except ValueError as error:
                raise ConnectError(f"{variable} is {value!r}, which names no channel: {error}") from error
    return None, None


def inherited_channel(variable: str, place: Place, options: Options, timeout: float | None) -> IpcChannel:
    """Return the channel over the descriptor that was inherited."""
    try:
        return channel_of(greet_parent(place, options, timeout), "parent", options.codec)
    except ChannelTimeout as error:
        raise ChannelTimeout(
            f"the parent has not answered on {variable}={place.where} within {timeout:g} s: it does when it "
            "first uses child.channel"
        ) from error
    except ConnectError as error:
        raise ConnectError(f"{variable}={place.text}: {error}", errno=error.errno) from error


def connect_by_name(variable: str, place: Place, options: Options, timeout: float | None) -> IpcChannel:
    """Connect to the address or name that the parent listens at."""
    is_name = "://" not in place.where
    prefix, framing = place.settings.get("prefix"), options.framing
    if is_name and variable == CHANNEL_ALIAS:
        prefix, framing = prefix or PREFIX, place.settings.get("framing", FRAMING)
    try:
        return connect(
            f"local://{place.where}" if is_name else place.where,
            timeout=timeout,
            prefix=prefix,
            framing=framing,
            codec=options.codec,
            message_limit=options.message_limit,
            read_ahead_limit=options.read_ahead_limit,
            spin_us=options.spin_us,
            capacity=options.capacity,
        )
    except ValueError as error:
        raise ConnectError(f"{variable} is {place.text!r}, which names no channel: {error}") from error


def is_packed_mode() -> bool:
    """Return whether a host has started this process as its other half (R102).

    So it is when ``AURORAVIEW_PACKED``, ``IPCFAST_CHANNEL`` or ``AURORAVIEW_IPC_CHANNEL`` is set to
    something, or ``connect_parent`` has taken the channel of one.
    """
    return _taken is not None or any(
        os.environ.get(name) for name in (PACKED_VARIABLE, CHANNEL_VARIABLE, CHANNEL_ALIAS)
    )
