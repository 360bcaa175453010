# SPDX-License-Identifier: MIT
"""A child that answers over its standard input and output, and prints what it likes meanwhile.

Started by ``stdio_parent.py``.
"""

from __future__ import annotations

import subprocess
import sys

import ipcfast

print("a library says hello before anybody knows of a channel")

# From here on the wire is out of reach for everybody: what is printed goes to standard error, by whomever:
# Python, C code, programs that are started.
with ipcfast.connect("stdio://") as channel:
    print("log: ready")
    for request in channel:
        print(f"log: {request.method}")
        if request.method == "stop":
            break
        if request.method == "run":
            subprocess.run([sys.executable, "-c", request.data["code"]], check=True)
        channel.send(ipcfast.IpcMessage("response", {"done": request.method}, id=request.id))

print("standard output is what it was")
