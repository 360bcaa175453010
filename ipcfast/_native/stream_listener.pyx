# SPDX-License-Identifier: MIT
"""Own an address and accept connections, and wait for handles: the binding of stream.h and wait.h."""

import os
import weakref

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

cimport cython

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_CLOSED, IPCF_FORKED, IPCF_INTERRUPTED, IPCF_NO_WAIT, IPCF_OK, IPCF_TIMEOUT,
    IPCF_WAIT_MAX, ipcf_channel_options, ipcf_clock_ns, ipcf_error, ipcf_listener, ipcf_listener_abandon,
    ipcf_listener_arm, ipcf_listener_close, ipcf_listener_open, ipcf_listener_try_accept, ipcf_status,
    ipcf_stream, ipcf_wait, ipcf_wait_item,
)
from ipcfast._native.status cimport deadline_of, raise_at, raise_status
from ipcfast._native.stream_channel cimport open_channel, stream_options

cdef enum:
    NAP_NS = 1000000000    # Python's signal handlers run at least this often while wait_any waits

# Listeners that this process has opened; after fork, the child's copies are abandoned.
_listening = weakref.WeakSet()


def _abandon_listening():
    for listener in list(_listening):
        listener.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_listening)


@cython.final
cdef class StreamListener:
    cdef ipcf_listener listener
    cdef readonly str path
    cdef bint require_same_user
    cdef ipcf_status ended      # OK: open; CLOSED; FORKED
    cdef object __weakref__

    def __cinit__(self, str path not None, *, int backlog=128, bint require_same_user=True):
        cdef ipcf_error error
        cdef ipcf_status status
        cdef bytes name = os.fsencode(path)
        self.ended = IPCF_CLOSED
        self.path = path
        self.require_same_user = require_same_user
        status = ipcf_listener_open(name, backlog, &self.listener, &error)
        if status != IPCF_OK:
            raise_at(status, &error, "listen at", path)
        self.ended = IPCF_OK
        _listening.add(self)

    def __dealloc__(self):
        if self.ended == IPCF_OK:
            ipcf_listener_close(&self.listener)

    def __reduce__(self):
        raise TypeError("a StreamListener cannot be pickled or copied: listen in the other process")

    @property
    def closed(self):
        return self.ended != IPCF_OK

    def handle(self):
        with cython.critical_section(self):
            if self.ended != IPCF_OK:
                raise_status(self.ended, NULL, f"listener at {self.path}")
            return ipcf_listener_arm(&self.listener)

    def try_accept(self, *, framing="length", sniff=False, skip_noise=False, message_limit=67108864,
                   read_ahead_limit=134217728, spin_us=80):
        cdef ipcf_channel_options options = stream_options(
            framing, sniff, skip_noise, message_limit, read_ahead_limit, spin_us
        )
        cdef ipcf_stream stream
        cdef ipcf_error error
        cdef ipcf_status status
        with cython.critical_section(self):
            if self.ended != IPCF_OK:
                raise_status(self.ended, NULL, f"accept at {self.path}")
            status = ipcf_listener_try_accept(&self.listener, self.require_same_user, &stream, &error)
        if status == IPCF_AGAIN:
            return None
        if status != IPCF_OK:
            raise_at(status, &error, "accept at", self.path)
        return open_channel(&stream, &options)

    def close(self):
        with cython.critical_section(self):
            if self.ended == IPCF_OK:
                self.ended = IPCF_CLOSED
                ipcf_listener_close(&self.listener)

    def abandon(self):
        # in a forked child there is one thread
        if self.ended == IPCF_OK:
            self.ended = IPCF_FORKED
            ipcf_listener_abandon(&self.listener)


def wait_any(handles, timeout=None):
    cdef ipcf_wait_item items[IPCF_WAIT_MAX]
    cdef ipcf_error error
    cdef ipcf_status status
    cdef uint64_t deadline = deadline_of(timeout), until = deadline
    cdef size_t count = len(handles)
    if count > IPCF_WAIT_MAX:
        raise ValueError(f"wait_any: {count} handles; at most {IPCF_WAIT_MAX} can be waited for at once")
    for i in range(count):
        items[i].handle = handles[i]
        items[i].for_writing = False
    while True:
        with nogil:
            if deadline != IPCF_NO_WAIT:
                until = min(deadline, ipcf_clock_ns() + NAP_NS)
            status = ipcf_wait(items, count, until, &error)
        if status == IPCF_OK:
            return next(i for i in range(count) if items[i].is_ready)
        if status == IPCF_TIMEOUT and until == deadline:
            return -1
        if status != IPCF_TIMEOUT and status != IPCF_INTERRUPTED:
            raise_status(status, &error, "wait_any")
        PyErr_CheckSignals()
