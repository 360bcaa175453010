# SPDX-License-Identifier: MIT
"""The extension table: which capability is built from which C files."""

from __future__ import annotations

import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# What one system does in its own way: (doorbell, peer's process, ready set, shared memory, children).
MECHANISMS = {
    "linux": ("doorbell_eventfd", "peer_linux", "ready_set_epoll", "shm_memfd", "process_linux"),
    "darwin": ("doorbell_pipe", "peer_macos", "ready_set_kqueue", "shm_named", "process_macos"),
}
if sys.platform not in MECHANISMS:
    raise SystemExit(f"ipcfast cannot be built for {sys.platform} yet, only for Linux and macOS")
DOORBELL, PEER, READY_SET, MEMORY, PROCESSES = (f"posix/{name}" for name in MECHANISMS[sys.platform])

SOCKET = ["posix/descriptor", "posix/os_error", "posix/unix_socket", PEER]
LISTENER = [*SOCKET, "posix/accept", "posix/listener", "posix/listener_lock"]
FRAME = ["buffer", "frame", "frame_content_length", "frame_lines"]
CHANNEL = [
    *SOCKET,
    "buffer",
    "channel",
    "latency",
    "metrics",
    "posix/park",
    "posix/lock",
    "posix/stream",
    "posix/stream_ends",
    DOORBELL,
    READY_SET,
]
STREAM_CHANNEL = [
    "posix/stream_handles",
    "stream_channel",
    "stream_channel_intake",
    "stream_channel_receive",
    "stream_channel_send",
    "stream_channel_wait",
]
RING_CHANNEL = [
    "posix/shm",
    "ring",
    "ring_channel",
    "ring_channel_ahead",
    "ring_channel_receive",
    "ring_channel_room",
    "ring_channel_send",
    "ring_channel_wait",
    "ring_segment",
    MEMORY,
]
PROCESS = [
    "posix/descriptor",
    "posix/os_error",
    "posix/process",
    "posix/process_child",
    "posix/process_tree",
    "posix/wait",
    PROCESSES,
]
QUEUE = [
    "latency",
    "metrics",
    "posix/descriptor",
    "posix/lock",
    "posix/os_error",
    "posix/park",
    "queue",
    "queue_metrics",
    "queue_wait",
    DOORBELL,
]
EVERYWHERE = ["status", "posix/clock"]
WAITING = ["posix/wait"]

CAPABILITIES = {
    "status": [],
    "stop": ["posix/descriptor", "posix/os_error", DOORBELL],
    "c_streams": [],
    "frame": [*FRAME, "frame_splitter"],
    "sending": ["latency", "metrics", "posix/park"],
    "receiving": CHANNEL,
    "long_body": CHANNEL,
    "message_channel": CHANNEL,
    "stream_channel": [*CHANNEL, *FRAME, *STREAM_CHANNEL, *WAITING],
    "stream_listener": [*LISTENER, "posix/wait"],
    "process": PROCESS,
    "process_tree": PROCESS,
    "ring_channel": [*CHANNEL, *RING_CHANNEL, *WAITING],
    "object_queue": QUEUE,
    "queue_end": QUEUE,
    "queue": QUEUE,
}
# Cython alone.
WITHOUT_CORE = ["json_values"]


def extension(capability: str, c_files: list[str]) -> Extension:
    """Give the extension of one capability: its binding, and the C files that the table names."""
    return Extension(
        f"ipcfast._native.{capability}",
        [f"ipcfast/_native/{capability}.pyx", *(f"csrc/ipcf/{name}.c" for name in sorted(set(c_files)))],
        include_dirs=["csrc"],
        define_macros=[("_GNU_SOURCE", None)] if sys.platform == "linux" else [],
        extra_compile_args=["-std=c11", "-O3", "-flto", "-g0", "-fvisibility=hidden", "-pthread"],
        extra_link_args=["-O3", "-flto", "-pthread"],
        depends=glob("csrc/ipcf/**/*.h", recursive=True),
    )


setup(
    ext_modules=cythonize(
        [
            *(extension(capability, [*EVERYWHERE, *files]) for capability, files in CAPABILITIES.items()),
            *(extension(capability, []) for capability in WITHOUT_CORE),
        ],
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "freethreading_compatible": True,
            "boundscheck": False,
            "wraparound": False,
            "auto_pickle": False,
            "autotestdict": False,
        },
    )
)
