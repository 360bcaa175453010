# SPDX-License-Identifier: MIT
"""Fast channels between the processes of one machine: shared memory and local sockets behind one interface.

::

    with ipcfast.listen("local://render") as listener:         # one process
        with listener.accept(timeout=5.0) as channel:
            request = channel.recv(timeout=1.0)
            channel.send(ipcfast.IpcMessage(type="response", id=request.id, data={"ok": True}))

    with ipcfast.connect("shm://render", timeout=5.0) as channel:    # another one
        channel.send({"type": "request", "id": "1", "method": "frame", "data": {"number": 1}})
        response = channel.recv(timeout=1.0)

The names below are loaded when they are first used, so importing ipcfast costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipcfast import errors as errors
    from ipcfast.channels.dcc import DccIpcChannel, QtWaker
    from ipcfast.channels.endpoints import connect, listen, pair
    from ipcfast.channels.factory import IpcChannelFactory, IpcMode
    from ipcfast.channels.ipc_channel import IpcChannel, Peer
    from ipcfast.channels.listener import Listener
    from ipcfast.channels.local_socket import LocalSocketChannel, LocalSocketChannelServer
    from ipcfast.channels.metrics import IpcChannelMetrics, IpcChannelMetricsSnapshot
    from ipcfast.channels.parent import connect_parent, is_packed_mode
    from ipcfast.channels.pump import MainThreadPump
    from ipcfast.channels.shared_memory import SharedMemoryChannel
    from ipcfast.channels.shutdown import ShutdownState
    from ipcfast.channels.stdio import StdioChannel
    from ipcfast.channels.tcp import TcpChannel
    from ipcfast.channels.thread import ThreadChannel
    from ipcfast.errors import (
        AddressInUse,
        AddressNotFound,
        ChannelClosed,
        ChannelTimeout,
        ChildExited,
        ConnectError,
        Disconnected,
        FrameError,
        IoError,
        IpcChannelError,
        MessageTooLarge,
        NotSpawned,
        PermissionDenied,
        ReceiveFailed,
        SendFailed,
        SerializationError,
        ShuttingDown,
        SpawnFailed,
        SpawnNotFound,
        SpawnNotPermitted,
    )
    from ipcfast.processes.spawn import Child, spawn
    from ipcfast.protocol.messages import IpcError, IpcMessage, IpcMessageType

__version__ = "0.1.0"

__all__ = [
    "AddressInUse",
    "AddressNotFound",
    "ChannelClosed",
    "ChannelTimeout",
    "Child",
    "ChildExited",
    "ConnectError",
    "DccIpcChannel",
    "Disconnected",
    "FrameError",
    "IoError",
    "IpcChannel",
    "IpcChannelError",
    "IpcChannelFactory",
    "IpcChannelMetrics",
    "IpcChannelMetricsSnapshot",
    "IpcError",
    "IpcMessage",
    "IpcMessageType",
    "IpcMode",
    "Listener",
    "LocalSocketChannel",
    "LocalSocketChannelServer",
    "MainThreadPump",
    "MessageTooLarge",
    "NotSpawned",
    "Peer",
    "PermissionDenied",
    "QtWaker",
    "ReceiveFailed",
    "SendFailed",
    "SerializationError",
    "SharedMemoryChannel",
    "ShutdownState",
    "ShuttingDown",
    "SpawnFailed",
    "SpawnNotFound",
    "SpawnNotPermitted",
    "StdioChannel",
    "TcpChannel",
    "ThreadChannel",
    "__version__",
    "connect",
    "connect_parent",
    "is_packed_mode",
    "listen",
    "pair",
    "spawn",
]

_HOMES = {
    "connect": "channels.endpoints",
    "listen": "channels.endpoints",
    "pair": "channels.endpoints",
    "IpcChannelFactory": "channels.factory",
    "IpcMode": "channels.factory",
    "IpcChannel": "channels.ipc_channel",
    "Peer": "channels.ipc_channel",
    "IpcChannelMetrics": "channels.metrics",
    "IpcChannelMetricsSnapshot": "channels.metrics",
    "Listener": "channels.listener",
    "LocalSocketChannel": "channels.local_socket",
    "LocalSocketChannelServer": "channels.local_socket",
    "connect_parent": "channels.parent",
    "is_packed_mode": "channels.parent",
    "DccIpcChannel": "channels.dcc",
    "MainThreadPump": "channels.pump",
    "QtWaker": "channels.dcc",
    "SharedMemoryChannel": "channels.shared_memory",
    "ShutdownState": "channels.shutdown",
    "ThreadChannel": "channels.thread",
    "StdioChannel": "channels.stdio",
    "TcpChannel": "channels.tcp",
    "Child": "processes.spawn",
    "spawn": "processes.spawn",
    "IpcError": "protocol.messages",
    "IpcMessage": "protocol.messages",
    "IpcMessageType": "protocol.messages",
}


def __getattr__(name: str) -> object:
    if name not in __all__ and name != "errors":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "errors":
        return import_module(f"{__name__}.errors")
    value: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "errors"})
