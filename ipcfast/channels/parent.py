# SPDX-License-Identifier: MIT
"""The child's side of a channel that its parent has made: found by an environment variable, taken once."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal, Union

from ipcfast.channels.connecting import CONNECT_TIMEOUT
from ipcfast.channels.endpoints import connect
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.listener import channel_of
from ipcfast.channels.local_socket import FRAMING, PREFIX
from ipcfast.channels.shutdown import ShutdownState, join
from ipcfast.errors import ChannelTimeout, ConnectError, NotSpawned
from ipcfast.protocol.codec import codec_named
from ipcfast.transports.contract import Options, checked_timeout
from ipcfast.transports.inherited import Greeting, Place, parse_place
from ipcfast.transports.turn import Turn

__all__ = [
    "CHANNEL_ALIAS",
    "CHANNEL_VARIABLE",
    "PACKED_VARIABLE",
    "UNTIL_ANSWERED",
    "ParentTimeout",
    "channel_place",
    "connect_parent",
    "is_packed_mode",
    "taken_place",
]

CHANNEL_VARIABLE = "IPCFAST_CHANNEL"
CHANNEL_ALIAS = "AURORAVIEW_IPC_CHANNEL"
PACKED_VARIABLE = "AURORAVIEW_PACKED"

ParentTimeout = Union[float, None, Literal["until answered"]]
UNTIL_ANSWERED: Literal["until answered"] = "until answered"

_turn = Turn("connect_parent")
_greeting: Greeting | None = None  # an inherited connection that the parent's answer is due on
_taken: tuple[str, Place] | None = None  # the variable that named the channel and what it said, once taken
_failure = ""  # why there is no channel although it was taken


def connect_parent(
    timeout: ParentTimeout = UNTIL_ANSWERED,
    *,
    message_limit: int = Options.message_limit,
    read_ahead_limit: int = Options.read_ahead_limit,
    spin_us: int = Options.spin_us,
    shutdown_state: ShutdownState | None = None,
) -> IpcChannel:
    """Connect to the process that started this one, on the channel that it has made for that.

    ``IPCFAST_CHANNEL`` says where: the descriptor that ``ipcfast.spawn`` lets its child inherit, an
    address, or a name. ``AURORAVIEW_IPC_CHANNEL`` is read where that is not set: a name in it means JSON
    lines on ``/tmp/auroraview_<name>`` (R91). What was named is this process' alone from then on: the
    variables are removed from ``os.environ``, and programs that it starts inherit neither them nor the
    descriptor.

    Args:
        timeout: Seconds for the parent to answer, which it does when it first uses ``child.channel``; None
            waits for ever. Unless given, what was inherited is waited for until the parent answers or has
            gone, and an address or a name is connected to within 5 s.
        message_limit: As for ``ipcfast.listen``; each side has its own.
        read_ahead_limit: As for ``ipcfast.listen``.
        spin_us: As for ``ipcfast.listen``.
        shutdown_state: What the channel ends with, once it is connected.

    Returns:
        A SharedMemoryChannel, a LocalSocketChannel or a StdioChannel, as the parent has chosen. There is none
        for ``tcp://``, because a variable carries no secret.

    Raises:
        NotSpawned: Neither variable is set, or the channel was taken by an earlier call (R98).
        ConnectError: There is no parent at the other end, or it refused; or the variable names no channel.
        ChannelTimeout: The parent did not answer in time. Another call goes on with what this one has begun,
            its limits included.
        ShuttingDown: ``shutdown_state`` is shut down already; the channel was not taken.
        IpcChannelError: Called by a signal handler that has interrupted this.
    """
    if shutdown_state is not None:
        shutdown_state.check()
    by_name: float | None = CONNECT_TIMEOUT
    inherited: float | None = None
    if timeout != UNTIL_ANSWERED:
        by_name = inherited = checked_timeout(timeout)
    limits = Options(message_limit=message_limit, read_ahead_limit=read_ahead_limit, spin_us=spin_us)
    channel = _turn.take(inherited, lambda: _connect(by_name, inherited, limits), lambda: None)
    if channel is None:
        raise ChannelTimeout("another thread is still in connect_parent()")
    join(channel, shutdown_state)
    return channel


def _connect(by_name: float | None, inherited: float | None, limits: Options) -> IpcChannel:
    if _taken is not None:
        problem = f"could not be opened ({_failure})" if _failure else "was opened: use what that returned"
        raise NotSpawned(
            f"connect_parent() was called before in this process, and the channel of {_taken[0]} {problem}",
            variable=_taken[0],
        )
    variable, place = channel_place()
    if variable is None or place is None:
        raise NotSpawned(
            f"this process was given no channel: neither {CHANNEL_VARIABLE} nor {CHANNEL_ALIAS} is set; "
            "start it with ipcfast.spawn, or set one of them to the address of a listener",
            variable=CHANNEL_VARIABLE,
        )
    options = options_of(variable, place, limits)
    if place.descriptor is None:
        channel = connect_by_name(variable, place, options, by_name)
        _take(variable, place)
        return channel
    return inherited_channel(variable, place, options, inherited)


def _take(variable: str, place: Place, failure: str = "") -> None:
    global _taken, _failure, _greeting
    _taken, _failure, _greeting = (variable, place), failure, None
    for name in (CHANNEL_VARIABLE, CHANNEL_ALIAS):
        os.environ.pop(name, None)


def _begin_anew() -> None:
    """In a forked child: the connection stays the parent's, and so does whoever was in the middle of it."""
    global _greeting
    _turn.renew()
    _greeting = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


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
                raise names_no_channel(variable, value, error) from error
    return None, None


def names_no_channel(variable: str, value: str, problem: Exception) -> ConnectError:
    """Return the error for a variable that says nothing that could be done."""
    return ConnectError(f"{variable} is {value!r}, which names no channel: {problem}")


def options_of(variable: str, place: Place, limits: Options) -> Options:
    """Return what the variable says of the channel, together with the limits of this side.

    Raises:
        ConnectError: A setting that cannot be.
    """
    settings = place.settings
    try:
        options = replace(
            limits,
            framing=settings.get("framing", Options.framing),
            codec=settings.get("codec", Options.codec),
            capacity=int(settings.get("capacity", Options.capacity)),
        )
        codec_named(options.codec)
    except (ValueError, ImportError) as error:
        raise names_no_channel(variable, place.text, error) from error
    return options


def inherited_channel(variable: str, place: Place, options: Options, timeout: float | None) -> IpcChannel:
    """Return the channel over the descriptor that was inherited; it is taken but for a timeout."""
    global _greeting
    try:
        if _greeting is None:
            _greeting = Greeting(place, options)
        channel = channel_of(_greeting.advance(timeout), "parent", options.codec)
    except ChannelTimeout as error:
        raise ChannelTimeout(
            f"the parent has not answered on {variable}={place.where} within {timeout:g} s: it does when it "
            "first uses child.channel, and another call goes on waiting for that"
        ) from error
    except BaseException as error:
        _take(variable, place, f"{type(error).__name__}: {error}")
        if isinstance(error, ConnectError):
            raise ConnectError(f"{variable}={place.text}: {error}", errno=error.errno) from error
        raise
    _take(variable, place)
    return channel


def connect_by_name(variable: str, place: Place, options: Options, timeout: float | None) -> IpcChannel:
    """Connect to the address or name that the parent listens at."""
    is_name = "://" not in place.where
    prefix, framing = place.settings.get("prefix"), place.settings.get("framing")
    if is_name and variable == CHANNEL_ALIAS:
        prefix, framing = prefix or PREFIX, framing or FRAMING
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
        raise names_no_channel(variable, place.text, error) from error


def is_packed_mode() -> bool:
    """Return whether a host has started this process as its other half (R102).

    So it is when ``AURORAVIEW_PACKED``, ``IPCFAST_CHANNEL`` or ``AURORAVIEW_IPC_CHANNEL`` is set to
    something, or ``connect_parent`` has taken the channel of one.
    """
    return _taken is not None or any(
        os.environ.get(name) for name in (PACKED_VARIABLE, CHANNEL_VARIABLE, CHANNEL_ALIAS)
    )
