# SPDX-License-Identifier: MIT
"""One program, two wires: JSON lines over standard input and output, as ever, or a channel.

Started by ``legacy_host.py``. The environment says which: ``IPCFAST_MODE=legacy`` is the old protocol, for a
host that does not know of channels. So is ``AURORAVIEW_IPC_MODE=legacy``.
"""

from __future__ import annotations

import contextlib

import ipcfast

HANDLERS = {
    "add": lambda data: data["a"] + data["b"],
    "echo": lambda data: data,
}

# The host may leave at any moment, also while it is answered.
with ipcfast.IpcChannelFactory.create_for_context() as channel, contextlib.suppress(ipcfast.Disconnected):
    channel.send(ipcfast.IpcMessage("ready", {"handlers": sorted(HANDLERS)}))
    for request in channel:
        print("this would have broken the old protocol")
        result = HANDLERS[request.method](request.data)
        channel.send(ipcfast.IpcMessage("response", result, id=request.id))
