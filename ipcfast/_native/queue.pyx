# SPDX-License-Identifier: MIT
"""The transport between threads of one process: objects pass as they are, through two queues."""

import os
import weakref

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject, inquiry, traverseproc, visitproc
from libc.stdint cimport INT64_MAX, UINT64_MAX

cimport cython

from ipcfast._native.csrc cimport (
    IPCF_CLOSED, IPCF_KIND_BYTES, IPCF_KIND_MESSAGE, IPCF_OK, IPCF_STATE_CLOSED, IPCF_STATE_FORKED, IPCF_STATE_OPEN,
    IPCF_STATE_SHUT_DOWN, ipcf_error, ipcf_handle, ipcf_metrics, ipcf_status,
)
from ipcfast._native.csrc_queue cimport (
    ipcf_queue_is_closed, ipcf_queue_item, ipcf_queue_length, ipcf_queue_peak, ipcf_queue_ready_handle,
    ipcf_queue_wake_receivers,
)
from ipcfast._native.object_queue cimport as_bytes, copy, new_queue, share, steal, visit_objects
from ipcfast._native.queue_end cimport (
    abandon, announce, drain_end, fail, finish, free_end, may_receive, poll_end, queue_end, read_metrics,
    receive_bodies, receive_object, send_bodies, send_object,
)
from ipcfast._native.status cimport deadline_of, raise_status
from ipcfast._native.stop cimport stoppable_timeout

# Only who has this makes a QueueChannel: one without queues could not be used.
cdef object _token = object()

# Channels that this process has opened; after fork, the child's copies are abandoned.
_opened = weakref.WeakSet()


def _abandon_opened():
    for channel in list(_opened):
        channel.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_opened)


@cython.final
cdef class QueueChannel:
    cdef queue_end end
    cdef object __weakref__
    # Never holds anything: for its sake Cython gives the type to the garbage collector, see traverse below.
    cdef object collected

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("make a QueueChannel with pair() or loop()")

    def __dealloc__(self):
        finish(&self.end, IPCF_STATE_CLOSED)
        free_end(&self.end)

    def __reduce__(self):
        raise TypeError("a QueueChannel cannot be pickled or copied: it belongs to one process")

    @staticmethod
    def pair(*, capacity=10000, spin_us=80):
        cdef QueueChannel one = QueueChannel.__new__(QueueChannel, _token)
        cdef QueueChannel other = QueueChannel.__new__(QueueChannel, _token)
        one.end.inbound = new_queue(capacity, spin_us)
        other.end.inbound = new_queue(capacity, spin_us)
        one.end.outbound = share(other.end.inbound)
        other.end.outbound = share(one.end.inbound)
        _opened.update((one, other))
        return one, other

    @staticmethod
    def loop(*, capacity=10000, spin_us=80):
        cdef QueueChannel made = QueueChannel.__new__(QueueChannel, _token)
        made.end.inbound = new_queue(capacity, spin_us)
        made.end.outbound = share(made.end.inbound)
        _opened.add(made)
        return made

    # ---- sending

    def send_message(self, data, timeout=None):
        """Hand one object over; see ipcfast.ThreadChannel.send."""
        send_object(&self.end, IPCF_KIND_MESSAGE, data, 0, deadline_of(timeout), "send")

    def send_bytes(self, data, timeout=None):
        """Send one message of raw bytes; see ipcfast.IpcChannel.send_bytes."""
        cdef bytes body = as_bytes(data)
        send_object(&self.end, IPCF_KIND_BYTES, body, PyBytes_GET_SIZE(body), deadline_of(timeout), "send_bytes")

    def send_many(self, items, timeout=None, *, tell=None):
        """Send several messages of raw bytes in order; see ipcfast.IpcChannel.send_many, and the .pyi for tell."""
        cdef list bodies = [as_bytes(data) for data in items]
        send_bodies(&self.end, bodies, deadline_of(timeout), tell)

    # ---- receiving

    def recv_bytes(self, timeout=None):
        """Return the next message of raw bytes; see ipcfast.IpcChannel.recv_bytes."""
        cdef ipcf_queue_item item
        receive_object(&self.end, IPCF_KIND_BYTES, UINT64_MAX, True, timeout, &item, "recv_bytes")
        return steal(&item)

    def recv_message(self, timeout=None):
        """Return the next object; see ipcfast.ThreadChannel.recv."""
        cdef ipcf_queue_item item
        receive_object(&self.end, IPCF_KIND_MESSAGE, UINT64_MAX, True, timeout, &item, "recv")
        return steal(&item)

    def try_recv_bytes(self):
        """Return the next message of raw bytes, or None; see ipcfast.IpcChannel.try_recv_bytes."""
        cdef ipcf_queue_item item
        if receive_object(&self.end, IPCF_KIND_BYTES, UINT64_MAX, False, None, &item, "try_recv_bytes") == IPCF_OK:
            return steal(&item)

    def try_recv_message(self):
        """Return the next object, or None; see ipcfast.ThreadChannel.try_recv."""
        cdef ipcf_queue_item item
        if receive_object(&self.end, IPCF_KIND_MESSAGE, UINT64_MAX, False, None, &item, "try_recv") == IPCF_OK:
            return steal(&item)

    def recv_bytes_into(self, buffer, timeout=None):
        """Receive raw bytes into a buffer, return their number; see ipcfast.IpcChannel.recv_bytes_into."""
        cdef ipcf_queue_item item
        cdef Py_buffer view
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            receive_object(&self.end, IPCF_KIND_BYTES, view.len, True, timeout, &item, "recv_bytes_into")
            body = <bytes>steal(&item)
            copy(<char *>view.buf, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
            return PyBytes_GET_SIZE(body)
        finally:
            PyBuffer_Release(&view)

    def recv_many(self, max_bytes=65536, timeout=None):
        """Return one message of raw bytes and those behind it; see ipcfast.IpcChannel.recv_many."""
        if not 0 <= max_bytes <= INT64_MAX:
            raise ValueError(f"recv_many: max_bytes is {max_bytes}, must be 0 or more, and below 2**63")
        return receive_bodies(&self.end, max_bytes, timeout)

    # ---- waiting

    def poll(self, timeout=0.0):
        """Return whether a receive would not wait; see ipcfast.IpcChannel.poll."""
        return poll_end(&self.end, deadline_of(timeout))

    def stoppable(self, seconds):
        return stoppable_timeout(seconds, self)

    def wake_receivers(self):
        ipcf_queue_wake_receivers(&self.end.inbound.queue)

    def drain(self, timeout=None):
        """Wait until no call of this end waits any more; see ipcfast.IpcChannel.wait_for_drain."""
        drain_end(&self.end, deadline_of(timeout))

    def fileno(self):
        """Return a descriptor that is readable while poll is true; see ipcfast.IpcChannel.fileno."""
        cdef ipcf_handle handle
        cdef ipcf_error error
        if not may_receive(&self.end):
            fail(&self.end, IPCF_CLOSED, "fileno")
        cdef ipcf_status status = ipcf_queue_ready_handle(&self.end.inbound.queue, &handle, &error)
        if status != IPCF_OK:
            raise_status(status, &error, "fileno")
        return handle

    # ---- state

    @property
    def peer_pid(self):
        return os.getpid()

    @property
    def peer_uid(self):
        return os.geteuid() if hasattr(os, "geteuid") else None

    @property
    def peer_died(self):
        return False if self.end.state == IPCF_STATE_OPEN and ipcf_queue_is_closed(&self.end.inbound.queue) else None

    @property
    def has_ended(self):
        return self.end.end_was_received != 0

    @property
    def lengths(self):
        return ipcf_queue_length(&self.end.inbound.queue), ipcf_queue_length(&self.end.outbound.queue)

    @property
    def peak_lengths(self):
        return ipcf_queue_peak(&self.end.inbound.queue), ipcf_queue_peak(&self.end.outbound.queue)

    def metrics(self):
        cdef ipcf_metrics metrics
        read_metrics(&self.end, &metrics)
        return metrics

    @property
    def closed(self):
        return self.end.state == IPCF_STATE_CLOSED or self.end.state == IPCF_STATE_FORKED

    def is_shutdown(self):
        return self.end.state != IPCF_STATE_OPEN

    def announce_shutdown(self, drains=False):
        announce(&self.end, drains)

    def shutdown(self, drains=False):
        announce(&self.end, drains)
        finish(&self.end, IPCF_STATE_SHUT_DOWN)

    def close(self):
        finish(&self.end, IPCF_STATE_CLOSED)

    def abandon(self):
        abandon(&self.end)


# Cython's own two, which visit and clear the attributes.
cdef traverseproc traverse_attributes = (<PyTypeObject *>QueueChannel).tp_traverse
cdef inquiry clear_attributes = (<PyTypeObject *>QueueChannel).tp_clear


cdef int traverse(PyObject *channel, visitproc visit, void *argument) noexcept:
    """Visit also the objects that only this end can receive: they may refer to it, alone or through others."""
    cdef queue_end *end = &(<QueueChannel>channel).end
    cdef int result = traverse_attributes(channel, visit, argument)
    return visit_objects(end.inbound, visit, argument) if result == 0 and end.inbound != NULL else result


cdef int clear(object channel) noexcept:
    finish(&(<QueueChannel>channel).end, IPCF_STATE_CLOSED)
    return clear_attributes(channel)


(<PyTypeObject *>QueueChannel).tp_traverse = <traverseproc>traverse
(<PyTypeObject *>QueueChannel).tp_clear = <inquiry>clear
