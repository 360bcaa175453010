# SPDX-License-Identifier: MIT
"""Fetch bodies that come in parts: into memory that grows as they come, or into the caller's.

The channel's receiving direction is locked, as in receiving.pyx, and nothing is made but bytes. What has come of a body
when fetching it stops is kept with the channel, and whoever receives next goes on with it.
"""

from cpython.exc cimport PyErr_NoMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from ipcfast._native.csrc cimport (
    IPCF_BAD_FRAME, IPCF_CLOSED, IPCF_CORRUPT, IPCF_DISCONNECTED, IPCF_INTERRUPTED, IPCF_OK, IPCF_SHUT_DOWN,
    ipcf_channel, ipcf_channel_close, ipcf_channel_finish, ipcf_channel_leave, ipcf_channel_read_body,
    ipcf_channel_read_body_stoppable, ipcf_error, ipcf_message, ipcf_status, ipcf_stop,
)


cdef extern from "Python.h":
    PyObject *PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size)
    char *bytes_memory "PyBytes_AS_STRING"(PyObject *data) nogil

cdef enum:
    # A long body gets memory as it comes: this much at first, then twice as much each time.
    FIRST_PART = 1048576


cdef int grow(ipcf_channel *channel, partial_body *partial, uint64_t whole, size_t come) except -1:
    """Make more room for a body of which so much has come."""
    cdef bint is_first = partial.bytes == NULL
    cdef uint64_t size = min(<uint64_t>FIRST_PART if is_first else 2 * <uint64_t>partial.size, whole)
    if is_first:
        partial.bytes = PyBytes_FromStringAndSize(NULL, size)
    else:
        _PyBytes_Resize(&partial.bytes, size)
    if partial.bytes == NULL:
        ipcf_channel_leave(channel)
        if come != 0:
            # What had come of the message is gone, so the rest of it can be no message.
            with nogil:
                ipcf_channel_close(channel)
        PyErr_NoMemory()
    partial.size = size
    return 0


cdef int leave_partial(ipcf_channel *channel, partial_body *partial, ipcf_status status) except -1:
    """Unlock in mid-message. What has come is kept, unless the rest never will come."""
    if status in (IPCF_DISCONNECTED, IPCF_CLOSED, IPCF_SHUT_DOWN, IPCF_BAD_FRAME, IPCF_CORRUPT):
        Py_CLEAR(partial.bytes)
    ipcf_channel_leave(channel)
    return 0


cdef bytes take_part(ipcf_channel *channel, partial_body *partial, const ipcf_message *message, uint64_t deadline,
                     const ipcf_stop *stop, ipcf_status *status, ipcf_error *error):
    cdef size_t at = message.received, got = 0
    cdef PyObject *body
    if at == 0:
        Py_CLEAR(partial.bytes)
    if at < message.size:
        while partial.bytes == NULL or at >= partial.size:
            grow(channel, partial, message.size, at)
        with nogil:
            status[0] = ipcf_channel_read_body_stoppable(
                channel, bytes_memory(partial.bytes) + at, partial.size - at, &got, deadline, stop, error
            )
        if status[0] == IPCF_OK and at + got < message.size:
            status[0] = IPCF_INTERRUPTED
        if status[0] != IPCF_OK:
            leave_partial(channel, partial, status[0])
            return None
    body = partial.bytes
    partial.bytes = NULL
    ipcf_channel_finish(channel)
    return steal(body)


cdef ipcf_status read_into(ipcf_channel *channel, partial_body *partial, const ipcf_message *message, char *dest,
                           uint64_t deadline, ipcf_error *error) except *:
    cdef size_t before = message.received, at = before, got = 0
    cdef ipcf_status status = IPCF_OK
    if message.data != NULL:
        with nogil:
            memcpy(dest, message.data, message.size)
    elif before != 0:
        memcpy(dest, bytes_memory(partial.bytes), before)
    while message.data == NULL and status == IPCF_OK and at < message.size:
        with nogil:
            status = ipcf_channel_read_body(channel, dest + at, message.size - at, &got, deadline, error)
        at += got
    if status == IPCF_OK:
        Py_CLEAR(partial.bytes)
        ipcf_channel_finish(channel)
        return status
    if before == 0:
        Py_CLEAR(partial.bytes)
    if at > before:
        while partial.bytes == NULL or partial.size < at:
            grow(channel, partial, message.size, at)
        memcpy(bytes_memory(partial.bytes) + before, dest + before, at - before)
    leave_partial(channel, partial, status)
    return status
