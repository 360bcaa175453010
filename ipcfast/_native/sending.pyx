# SPDX-License-Identifier: MIT
"""Send Python objects through a channel: small ones in one step with the GIL held, others without it."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint8_t, uint64_t

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_INTERRUPTED, IPCF_NEVER, IPCF_OK, IPCF_TIMEOUT, ipcf_channel, ipcf_channel_call_begins,
    ipcf_channel_call_ends, ipcf_channel_flush, ipcf_channel_send, ipcf_channel_send_many, ipcf_channel_try_send,
    ipcf_error, ipcf_piece, ipcf_status,
)
from ipcfast._native.status cimport deadline_of, is_begun, raise_for_channel

cdef enum:
    # Above this, copying with the GIL held would stop other threads for longer than giving it up costs.
    COPY_WITH_GIL = 32768
    # Messages handed to the core at a time.
    BATCH = 64


cdef int send_one(ipcf_channel *channel, uint8_t kind, object data, object timeout, str action) except -1:
    cdef Py_buffer view
    cdef ipcf_error error
    cdef ipcf_status status
    cdef bint begun = False
    cdef uint64_t deadline = IPCF_NEVER
    if timeout is not None:
        deadline = deadline_of(timeout)    # may raise, so before anything has gone out
    if PyBytes_CheckExact(data) and PyBytes_GET_SIZE(data) <= COPY_WITH_GIL:
        error.what = NULL
        status = ipcf_channel_try_send(channel, kind, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &error)
        if status == IPCF_OK:
            return 0
        if status != IPCF_AGAIN:
            return raise_for_channel(channel, status, &error, action)
        begun = is_begun(&error)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    ipcf_channel_call_begins(channel)
    try:
        return send_waiting(channel, kind, view.buf, view.len, begun, deadline, action)
    finally:
        ipcf_channel_call_ends(channel)
        PyBuffer_Release(&view)


cdef int send_waiting(ipcf_channel *channel, uint8_t kind, const void *body, size_t size, bint begun,
                      uint64_t deadline, str action) except -1:
    """Send a message, or what is left of a begun one."""
    cdef ipcf_error error
    cdef ipcf_status status
    while not begun:
        error.what = NULL
        with nogil:
            status = ipcf_channel_send(channel, kind, body, size, deadline, &error)
        if status == IPCF_OK:
            return 0
        if status != IPCF_INTERRUPTED:
            return raise_for_channel(channel, status, &error, action)
        begun = is_begun(&error)
        PyErr_CheckSignals()
    return finish_begun(channel, deadline, action)


cdef int finish_begun(ipcf_channel *channel, uint64_t deadline, str action, object sent=None,
                      bint is_ours=True) except -1:
    cdef ipcf_error error
    cdef ipcf_status status
    while True:
        error.what = NULL
        with nogil:
            status = ipcf_channel_flush(channel, deadline, &error)
        if status == IPCF_OK:
            return 0
        if status == IPCF_TIMEOUT:
            error.what = NULL
            if is_ours:
                error.what = b"begun"
        if status != IPCF_INTERRUPTED:
            return raise_for_channel(channel, status, &error, action, sent)
        PyErr_CheckSignals()


cdef int send_all(ipcf_channel *channel, uint8_t kind, object items, object timeout, str action) except -1:
    cdef list bodies = list(items)
    cdef uint64_t deadline = deadline_of(timeout)
    cdef size_t done = 0, count = len(bodies)
    for body in bodies:
        check_body(body)
    ipcf_channel_call_begins(channel)
    try:
        if count == 0:
            finish_begun(channel, deadline, action, 0, is_ours=False)
        while done < count:
            done += send_batch(channel, kind, bodies, done, deadline, action)
    finally:
        ipcf_channel_call_ends(channel)
    return 0


cdef int check_body(object body) except -1:
    """Raise for what cannot be sent: once some have gone out, it would be too late to tell how many."""
    cdef Py_buffer view
    if not PyBytes_CheckExact(body):
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        PyBuffer_Release(&view)
    return 0


cdef size_t send_batch(ipcf_channel *channel, uint8_t kind, list bodies, size_t first, uint64_t deadline,
                       str action) except? 0:
    """Send up to BATCH messages from the first on; returns how many."""
    cdef Py_buffer views[BATCH]
    cdef ipcf_piece pieces[BATCH]
    cdef ipcf_error error
    cdef ipcf_status status
    cdef bint begun = False
    cdef size_t held = 0, done = 0, sent = 0, total = 0
    cdef size_t count = min(<size_t>len(bodies) - first, <size_t>BATCH)
    try:
        while held < count:
            PyObject_GetBuffer(bodies[first + held], &views[held], PyBUF_SIMPLE)
            pieces[held].data = views[held].buf
            pieces[held].size = views[held].len
            total += views[held].len
            held += 1
        if total <= COPY_WITH_GIL:
            error.what = NULL
            status = ipcf_channel_send_many(channel, kind, pieces, count, &done, 0, &error)
            if status != IPCF_OK and status != IPCF_TIMEOUT and status != IPCF_INTERRUPTED:
                raise_for_channel(channel, status, &error, action, first + done)
            begun = status != IPCF_OK and is_begun(&error)
        while done < count:
            error.what = NULL
            with nogil:
                status = ipcf_channel_send_many(
                    channel, kind, pieces + done, count - done, &sent, deadline, &error
                )
            done += sent
            begun = status == IPCF_INTERRUPTED and is_begun(&error)
            if status == IPCF_INTERRUPTED:
                PyErr_CheckSignals()
            elif status != IPCF_OK:
                raise_for_channel(channel, status, &error, action, first + done)
        if begun:
            finish_begun(channel, deadline, action, first + done)
        return count
    finally:
        while held > 0:
            held -= 1
            PyBuffer_Release(&views[held])
