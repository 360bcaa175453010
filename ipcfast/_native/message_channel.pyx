# SPDX-License-Identifier: MIT
"""What every native channel is to Python: sending and receiving by name, waiting, state, and its end."""

import os
import weakref

from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint64_t

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_CHANNEL_OPTIONS_DEFAULT, IPCF_INTERRUPTED, IPCF_KIND_BYTES, IPCF_KIND_MESSAGE, IPCF_NO_HANDLE,
    IPCF_NOISE, IPCF_OK, IPCF_STATE_CLOSED, IPCF_STATE_FORKED, IPCF_STATE_OPEN, IPCF_TIMEOUT, ipcf_channel,
    ipcf_channel_abandon, ipcf_channel_announce_end, ipcf_channel_call_begins, ipcf_channel_call_ends,
    ipcf_channel_close,
    ipcf_channel_destroy, ipcf_channel_drain, ipcf_channel_is_over, ipcf_channel_options, ipcf_channel_poll,
    ipcf_channel_read_metrics, ipcf_channel_ready_handle, ipcf_channel_set_peer,
    ipcf_channel_shut_down, ipcf_channel_wake_receivers, ipcf_error, ipcf_handle, ipcf_metrics, ipcf_peer, ipcf_status,
)
from ipcfast._native.receiving cimport pass_noise, receive_all, receive_into, receive_one, status_after_noise
from ipcfast._native.sending cimport send_all, send_one
from ipcfast._native.status cimport deadline_of, peer_died, raise_for_channel
from ipcfast._native.stop cimport stoppable_timeout

cdef object SIZE_MAX = 2**63 - 1

# Channels that this process has opened; after fork, the child's copies are abandoned.
_opened = weakref.WeakSet()


def _abandon_opened():
    for channel in list(_opened):
        channel.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_opened)


cdef ipcf_channel_options options_of(message_limit, read_ahead_limit, spin_us) except *:
    cdef ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT
    options.message_limit = message_limit
    options.read_ahead_limit = read_ahead_limit
    options.spin_ns = <uint64_t>spin_us * 1000
    return options


cdef class MessageChannel:
    def __init__(self, *args, **kwargs):
        if self.channel == NULL:
            raise TypeError("a MessageChannel is made by its subclasses only")

    def __dealloc__(self):
        if self.channel != NULL:
            ipcf_channel_destroy(self.channel)
        Py_XDECREF(self.partial.bytes)

    def __reduce__(self):
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied: connect in the other process"
        )

    cdef int register(self, ipcf_channel *channel) except -1:
        self.channel = channel
        _opened.add(self)
        return 0

    cdef int fail(self, ipcf_status status, const ipcf_error *error, str action) except -1:
        raise_for_channel(self.channel, status, error, action)

    # ---- messages

    def send_bytes(self, data, timeout=None):
        """Send one message of raw bytes; see ipcfast.IpcChannel.send_bytes."""
        send_one(self.channel, IPCF_KIND_BYTES, data, timeout, "send_bytes")

    def send_message(self, data, timeout=None):
        """Send one document of a codec; see ipcfast.IpcChannel.send."""
        send_one(self.channel, IPCF_KIND_MESSAGE, data, timeout, "send")

    def send_many(self, items, timeout=None):
        """Send several messages of raw bytes in order; see ipcfast.IpcChannel.send_many."""
        send_all(self.channel, IPCF_KIND_BYTES, items, timeout, "send_many")

    def recv_bytes(self, timeout=None):
        """Return the next message of raw bytes; see ipcfast.IpcChannel.recv_bytes."""
        return receive_one(self.channel, &self.partial, self.on_noise, IPCF_KIND_BYTES, True, timeout, "recv_bytes")

    def recv_message(self, timeout=None):
        """Return the next document of a codec; see ipcfast.IpcChannel.recv."""
        return receive_one(self.channel, &self.partial, self.on_noise, IPCF_KIND_MESSAGE, True, timeout, "recv")

    def try_recv_bytes(self):
        """Return the next message of raw bytes, or None; see ipcfast.IpcChannel.try_recv_bytes."""
        return receive_one(self.channel, &self.partial, self.on_noise, IPCF_KIND_BYTES, False, None, "try_recv_bytes")

    def try_recv_message(self):
        """Return the next document of a codec, or None; see ipcfast.IpcChannel.try_recv."""
        return receive_one(self.channel, &self.partial, self.on_noise, IPCF_KIND_MESSAGE, False, None, "try_recv")

    def recv_bytes_into(self, buffer, timeout=None):
        """Receive raw bytes into a buffer, return their number; see ipcfast.IpcChannel.recv_bytes_into."""
        return receive_into(
            self.channel, &self.partial, self.on_noise, IPCF_KIND_BYTES, buffer, timeout, "recv_bytes_into"
        )

    def recv_many(self, max_bytes=65536, timeout=None):
        """Return one message of raw bytes and those behind it; see ipcfast.IpcChannel.recv_many."""
        if not 0 <= max_bytes <= SIZE_MAX:
            raise ValueError(f"recv_many: max_bytes is {max_bytes}, must be 0 or more, and below 2**63")
        return receive_all(
            self.channel, &self.partial, self.on_noise, IPCF_KIND_BYTES, max_bytes, timeout, "recv_many"
        )

    # ---- waiting

    def poll(self, timeout=0.0):
        """Return whether a receive would not wait; see ipcfast.IpcChannel.poll."""
        cdef uint64_t deadline = deadline_of(timeout)
        cdef ipcf_error error
        cdef ipcf_status status = IPCF_INTERRUPTED
        cdef int passed = 0
        ipcf_channel_call_begins(self.channel)
        try:
            while status == IPCF_INTERRUPTED or status == IPCF_AGAIN:
                with nogil:
                    status = ipcf_channel_poll(self.channel, deadline, &error)
                if status == IPCF_NOISE:
                    pass_noise(self.channel, self.on_noise)
                    passed += 1
                    status = status_after_noise(passed, deadline)
                if status == IPCF_INTERRUPTED or status == IPCF_AGAIN:
                    PyErr_CheckSignals()
        finally:
            ipcf_channel_call_ends(self.channel)
        if status != IPCF_OK and status != IPCF_TIMEOUT:
            self.fail(status, &error, "poll")
        return status == IPCF_OK

    def stoppable(self, seconds):
        return stoppable_timeout(seconds, self)

    def wake_receivers(self):
        ipcf_channel_wake_receivers(self.channel)

    def drain(self, timeout=None):
        """Wait until the operations under way have left; see ipcfast.IpcChannel.wait_for_drain."""
        cdef uint64_t deadline = deadline_of(timeout)
        cdef ipcf_error error
        cdef ipcf_status status = IPCF_INTERRUPTED
        while status == IPCF_INTERRUPTED:
            with nogil:
                status = ipcf_channel_drain(self.channel, deadline, &error)
            if status == IPCF_INTERRUPTED:
                PyErr_CheckSignals()
        if status != IPCF_OK:
            self.fail(status, &error, "drain")

    def fileno(self):
        """Return a descriptor that is readable while poll is true; see ipcfast.IpcChannel.fileno."""
        cdef ipcf_handle handle
        cdef ipcf_error error
        cdef ipcf_status status = IPCF_INTERRUPTED
        while status == IPCF_INTERRUPTED:
            PyErr_CheckSignals()
            with nogil:
                status = ipcf_channel_ready_handle(self.channel, &handle, &error)
        if status != IPCF_OK:
            self.fail(status, &error, "fileno")
        return handle

    # ---- state

    @property
    def peer_pid(self):
        return None if self.channel.peer.pid < 0 else self.channel.peer.pid

    @property
    def peer_uid(self):
        return None if self.channel.peer.uid < 0 else self.channel.peer.uid

    def set_peer(self, pid, uid, process):
        cdef ipcf_peer peer
        cdef ipcf_handle handle = IPCF_NO_HANDLE if process is None else process
        peer.pid = -1 if pid is None else pid
        peer.uid = -1 if uid is None else uid
        ipcf_channel_set_peer(self.channel, &peer, &handle)

    @property
    def peer_died(self):
        return peer_died(self.channel)

    @property
    def has_ended(self):
        return ipcf_channel_is_over(self.channel)

    @property
    def closed(self):
        return self.channel.state == IPCF_STATE_CLOSED or self.channel.state == IPCF_STATE_FORKED

    def metrics(self):
        """Return what has been counted, by name; see csrc/ipcf/metrics.h."""
        cdef ipcf_metrics metrics
        ipcf_channel_read_metrics(self.channel, &metrics)
        return metrics

    def is_shutdown(self):
        return self.channel.state != IPCF_STATE_OPEN

    def announce_shutdown(self):
        with nogil:
            ipcf_channel_announce_end(self.channel)

    def shutdown(self):
        with nogil:
            ipcf_channel_shut_down(self.channel)

    def close(self):
        with nogil:
            ipcf_channel_close(self.channel)

    def abandon(self):
        ipcf_channel_abandon(self.channel)
