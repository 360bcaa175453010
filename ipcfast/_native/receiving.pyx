# SPDX-License-Identifier: MIT
"""Receive messages from a channel of the C core as Python objects; long_body.pyx fetches those that come in parts.

Between begin and finish a channel's receiving direction is locked, and nothing is made but bytes: what the garbage
collector tracks could run a finaliser that uses the same channel (csrc/ipcf/channel.h).
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear, PyErr_NoMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from ipcfast import errors
from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_INTERRUPTED, IPCF_KIND_ANY, IPCF_KIND_BYTES, IPCF_KIND_MESSAGE, IPCF_KIND_NOISE, IPCF_LOOK_ONCE,
    IPCF_NO_WAIT, IPCF_OK, IPCF_TIMEOUT, ipcf_channel, ipcf_channel_begin_stoppable, ipcf_channel_call_begins,
    ipcf_channel_call_ends, ipcf_channel_finish, ipcf_channel_leave, ipcf_channel_next, ipcf_channel_try_begin,
    ipcf_clock_ns, ipcf_error, ipcf_message, ipcf_status, ipcf_stop,
)
from ipcfast._native.interpreter cimport how_to_look
from ipcfast._native.long_body cimport partial_body, read_into, steal, take_part
from ipcfast._native.status cimport deadline_of, raise_for_channel
from ipcfast._native.stop cimport stop_of


cdef extern from "Python.h":
    PyObject *PyBytes_FromStringAndSize(const char *data, Py_ssize_t size)
    char *bytes_memory "PyBytes_AS_STRING"(PyObject *data) nogil
    int list_append "PyList_Append"(PyObject *items, PyObject *item)

cdef enum:
    NOISE_AT_ONCE = 64    # pieces that are passed over after the deadline, for what may be behind them
    # Above this, copying with the GIL held would stop other threads for longer than giving it up costs.
    COPY_WITH_GIL = 32768


cdef str kind_name(uint8_t kind):
    return {IPCF_KIND_MESSAGE: "a message", IPCF_KIND_BYTES: "raw bytes"}.get(kind, f"of kind {kind:#x}")


cdef ipcf_status begin(ipcf_channel *channel, uint64_t deadline, const ipcf_stop *stop, ipcf_message *message,
                       ipcf_error *error) except *:
    cdef ipcf_status status
    while True:
        with nogil:
            status = ipcf_channel_begin_stoppable(channel, deadline, stop, message, error)
        if status != IPCF_INTERRUPTED:
            return status
        PyErr_CheckSignals()


cdef int tell_noise(ipcf_channel *channel, const ipcf_message *message, object on_noise) except -1:
    cdef PyObject *noise = NULL if on_noise is None else copy_whole(message)
    if on_noise is not None and noise == NULL:
        ipcf_channel_leave(channel)
        PyErr_NoMemory()
    ipcf_channel_finish(channel)
    if on_noise is not None:
        on_noise(steal(noise))
    return 0


cdef int pass_noise(ipcf_channel *channel, object on_noise) except -1:
    cdef ipcf_message message
    if ipcf_channel_try_begin(channel, IPCF_LOOK_ONCE, &message, NULL) == IPCF_OK:
        if message.kind == IPCF_KIND_NOISE:
            return tell_noise(channel, &message, on_noise)
        ipcf_channel_leave(channel)
    return 0


cdef bint is_noise(ipcf_channel *channel, uint8_t kind, const ipcf_message *message, object on_noise,
                   str action) except -1:
    """Check the kind of the message at the head. True: it was noise, and is dealt with."""
    cdef uint8_t found = message.kind
    if found == kind or found == IPCF_KIND_ANY:
        return False
    if found == IPCF_KIND_NOISE:
        tell_noise(channel, message, on_noise)
        PyErr_CheckSignals()
        return True
    ipcf_channel_leave(channel)
    raise errors.ReceiveFailed(
        f"{action}: the next message is {kind_name(found)}, not {kind_name(kind)}; it stays at the head, receive it "
        "with the method for its kind"
    )


cdef ipcf_status status_after_noise(int passed, uint64_t deadline):
    """Say how to go on: a peer that makes nothing but noise does not keep a call beyond its deadline."""
    return IPCF_AGAIN if passed < NOISE_AT_ONCE or ipcf_clock_ns() < deadline else IPCF_TIMEOUT


cdef PyObject *copy_whole(const ipcf_message *message) noexcept:
    """Copy a message in place; NULL, with MemoryError set but not raised, where that fails: unlock first."""
    if message.size <= COPY_WITH_GIL:
        return PyBytes_FromStringAndSize(<const char *>message.data, message.size)
    cdef PyObject *body = PyBytes_FromStringAndSize(NULL, message.size)
    if body != NULL:
        with nogil:
            memcpy(bytes_memory(body), message.data, message.size)
    return body


cdef int take_more(ipcf_channel *channel, uint8_t kind, uint64_t used, uint64_t max_bytes, list bodies) except -1:
    """Finish the message at the head, and take what is in place behind it and fits; unlock."""
    cdef ipcf_message message
    cdef PyObject *body
    cdef bint is_full
    while ipcf_channel_next(channel, &message) == IPCF_OK:
        if message.size + used > max_bytes or (message.kind != kind and message.kind != IPCF_KIND_ANY):
            ipcf_channel_leave(channel)
            return 0
        body = copy_whole(&message)
        is_full = body == NULL or list_append(<PyObject *>bodies, body) != 0
        Py_XDECREF(body)
        if is_full:
            # What has been taken must not be lost; the next receive finds out about the memory.
            PyErr_Clear()
            ipcf_channel_leave(channel)
            return 0
        used += message.size
    return 0


cdef object take_whole(ipcf_channel *channel, uint8_t kind, const ipcf_message *message, list bodies,
                       uint64_t max_bytes):
    """Take a message in place, and with bodies what is in place behind it; unlock."""
    cdef PyObject *whole = copy_whole(message)
    if whole == NULL:
        ipcf_channel_leave(channel)
        PyErr_NoMemory()
    if bodies is None:
        ipcf_channel_finish(channel)
    else:
        take_more(channel, kind, message.size, max_bytes, bodies)
    return steal(whole)


cdef object receive_one(ipcf_channel *channel, partial_body *partial, object on_noise, uint8_t kind, bint waits,
                        object timeout, str action, list bodies=None, uint64_t max_bytes=0):
    cdef ipcf_message message
    cdef ipcf_error error
    cdef uint64_t deadline = deadline_of(timeout) if waits else IPCF_NO_WAIT
    error.what = NULL
    cdef ipcf_status status = ipcf_channel_try_begin(channel, how_to_look(waits), &message, &error)
    if status == IPCF_OK and message.data != NULL and (message.kind == kind or message.kind == IPCF_KIND_ANY):
        return take_whole(channel, kind, &message, bodies, max_bytes)
    cdef const ipcf_stop *stop = stop_of(timeout, &deadline)
    cdef int passed = 0
    ipcf_channel_call_begins(channel)
    try:
        while True:
            if status == IPCF_AGAIN or status == IPCF_INTERRUPTED:
                status = begin(channel, deadline, stop, &message, &error)
            if status == IPCF_TIMEOUT and not waits:
                return None
            if status != IPCF_OK:
                raise_for_channel(channel, status, &error, action)
            if is_noise(channel, kind, &message, on_noise, action):
                passed += 1
                status = status_after_noise(passed, deadline)
                continue
            if message.data != NULL:
                return take_whole(channel, kind, &message, bodies, max_bytes)
            body = take_part(channel, partial, &message, deadline, stop, &status, &error)
            if body is not None:
                return body
            PyErr_CheckSignals()
    finally:
        ipcf_channel_call_ends(channel)


cdef object receive_into(ipcf_channel *channel, partial_body *partial, object on_noise, uint8_t kind, object buffer,
                         object timeout, str action):
    cdef Py_buffer view
    cdef ipcf_message message
    cdef ipcf_error error
    cdef ipcf_status status
    cdef int passed = 0
    cdef uint64_t deadline = deadline_of(timeout)
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    ipcf_channel_call_begins(channel)
    try:
        while True:
            status = begin(channel, deadline, NULL, &message, &error)
            if status == IPCF_OK:
                if is_noise(channel, kind, &message, on_noise, action):
                    passed += 1
                    status = status_after_noise(passed, deadline)
            if status == IPCF_OK:
                if message.size > <uint64_t>view.len:
                    ipcf_channel_leave(channel)
                    raise errors.MessageTooLarge(
                        f"{action}: the next message has {message.size} bytes, the buffer {view.len}; it stays "
                        "at the head, receive it into a larger buffer",
                        size=message.size,
                        limit=view.len,
                    )
                status = read_into(channel, partial, &message, <char *>view.buf, deadline, &error)
            if status == IPCF_OK:
                return message.size
            if status != IPCF_INTERRUPTED and status != IPCF_AGAIN:
                raise_for_channel(channel, status, &error, action)
            PyErr_CheckSignals()
    finally:
        ipcf_channel_call_ends(channel)
        PyBuffer_Release(&view)


cdef list receive_all(ipcf_channel *channel, partial_body *partial, object on_noise, uint8_t kind, uint64_t max_bytes,
                      object timeout, str action):
    # The place of the first is taken before it comes, so that nothing can fail afterwards.
    cdef list bodies = [None]
    bodies[0] = receive_one(channel, partial, on_noise, kind, True, timeout, action, bodies, max_bytes)
    return bodies
