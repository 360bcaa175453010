# SPDX-License-Identifier: MIT
"""Pass references to Python objects through the queue of csrc/ipcf/queue.h, and wait without the GIL.

All pushes and pops are made with the GIL held (where there is none: attached to the interpreter), only waits are not.
So the garbage collector, which has the GIL or has stopped the world, never finds a push or a pop halfway.
"""

import os
import threading

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject, visitproc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport UINT32_MAX, UINT64_MAX, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_DISCONNECTED, IPCF_INTERRUPTED, IPCF_NEVER, IPCF_OK, IPCF_STATUS_COUNT, ipcf_add_seq_cst,
    ipcf_clock_ns, ipcf_error, ipcf_status, ipcf_stop, ipcf_thread_yield,
)
from ipcfast._native.csrc_queue cimport (
    IPCF_QUEUE_ANY_KIND, IPCF_QUEUE_FOR_ITEM, IPCF_QUEUE_FOR_ROOM, IPCF_SLEEP_FIRST_NS, IPCF_SLEEP_MAX_NS, ipcf_baton,
    ipcf_baton_give, ipcf_baton_keep, ipcf_queue, ipcf_queue_count_discarded, ipcf_queue_count_received,
    ipcf_queue_destroy, ipcf_queue_direction, ipcf_queue_drain, ipcf_queue_init, ipcf_queue_item, ipcf_queue_try_pop,
    ipcf_queue_try_push, ipcf_queue_visit, ipcf_queue_wait, ipcf_queue_wait_begin, ipcf_queue_wait_end,
    ipcf_queue_wait_on,
)
from ipcfast._native.status cimport raise_status


cdef enum:
    # Above this, copying with the GIL held would stop other threads for longer than giving it up costs.
    COPY_WITH_GIL = 32768

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define IPCFAST_HAS_GIL 0
    #else
    #define IPCFAST_HAS_GIL 1
    #endif
    """
    bint IPCFAST_HAS_GIL


cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()

# From whoever waits to whoever has something to do (queue.h). One for all queues, as the GIL is one.
cdef ipcf_baton the_baton
cdef ipcf_baton *baton = &the_baton if IPCFAST_HAS_GIL else NULL

cdef unsigned long main_thread = threading.main_thread().ident


def _note_main_thread():
    global main_thread
    main_thread = threading.main_thread().ident


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_main_thread)


cdef object_queue *new_queue(capacity, spin_us) except NULL:
    cdef ipcf_error error
    cdef object_queue *made
    cdef uint64_t count = capacity
    cdef uint64_t spin_ns = <uint64_t>spin_us * 1000
    made = <object_queue *>PyMem_Malloc(sizeof(object_queue))
    if made == NULL:
        raise MemoryError()
    memset(made, 0, sizeof(object_queue))
    cdef ipcf_status status = ipcf_queue_init(&made.queue, count, spin_ns, baton, &error)
    if status != IPCF_OK:
        PyMem_Free(made)
        raise_status(status, &error, "thread channel")
    return share(made)


cdef object_queue *share(object_queue *shared) noexcept:
    ipcf_add_seq_cst(&shared.owners, 1)
    return shared


cdef void leave(object_queue *shared) noexcept:
    if ipcf_add_seq_cst(&shared.owners, UINT32_MAX) == 1:
        ipcf_queue_destroy(&shared.queue)
        PyMem_Free(shared)


cdef inline uint64_t nap() noexcept:
    """How long a wait may sleep at once: signal handlers run in the main thread only."""
    return IPCF_SLEEP_FIRST_NS if PyThread_get_thread_ident() == main_thread else IPCF_SLEEP_MAX_NS


cdef ipcf_status wait_on(ipcf_queue_wait *wait) except? IPCF_STATUS_COUNT:
    """Wait without the GIL. OK: try again; or TIMEOUT."""
    cdef ipcf_status status
    while True:
        with nogil:
            ipcf_baton_give(baton)
            status = ipcf_queue_wait_on(wait)
        ipcf_baton_keep(baton)
        if status != IPCF_INTERRUPTED:
            return status
        PyErr_CheckSignals()


cdef ipcf_status put_waiting(ipcf_queue *queue, const ipcf_queue_item *item,
                             uint64_t deadline) except? IPCF_STATUS_COUNT:
    cdef ipcf_queue_wait wait
    cdef ipcf_status status = IPCF_AGAIN
    ipcf_queue_wait_begin(&wait, queue, IPCF_QUEUE_FOR_ROOM, deadline, nap())
    try:
        while status == IPCF_AGAIN:
            status = wait_on(&wait)
            if status == IPCF_OK:
                status = ipcf_queue_try_push(queue, item)
    finally:
        ipcf_queue_wait_end(&wait, False)
    return status


cdef ipcf_status put(object_queue *shared, uint8_t kind, object data, uint64_t size,
                     uint64_t deadline) except? IPCF_STATUS_COUNT:
    cdef ipcf_queue_item item = ipcf_queue_item(pointer=<void *>data, size=size, kind=kind, sent_ns=0)
    Py_INCREF(data)
    cdef ipcf_status status = ipcf_queue_try_push(&shared.queue, &item)
    if status == IPCF_OK:
        return status
    try:
        if status == IPCF_AGAIN:
            item.sent_ns = ipcf_clock_ns()
            status = put_waiting(&shared.queue, &item, deadline)
    finally:
        if status != IPCF_OK:
            Py_DECREF(data)
    return status


cdef ipcf_status take_waiting(ipcf_queue *queue, uint8_t kind, uint64_t max_size, uint64_t deadline,
                              const ipcf_stop *stop, ipcf_queue_item *item) except? IPCF_STATUS_COUNT:
    cdef ipcf_queue_wait wait
    cdef ipcf_status status = IPCF_AGAIN
    ipcf_queue_wait_begin(&wait, queue, IPCF_QUEUE_FOR_ITEM, deadline, nap() if stop == NULL else IPCF_NEVER)
    wait.stop = stop
    try:
        while status == IPCF_AGAIN:
            status = wait_on(&wait)
            if status == IPCF_OK:
                status = ipcf_queue_try_pop(queue, kind, max_size, item)
    finally:
        ipcf_queue_wait_end(&wait, status == IPCF_OK)
    return status


cdef ipcf_status take(object_queue *shared, uint8_t kind, uint64_t max_size, bint waits, uint64_t deadline,
                      const ipcf_stop *stop, ipcf_queue_item *item) except? IPCF_STATUS_COUNT:
    cdef ipcf_status status = ipcf_queue_try_pop(&shared.queue, kind, max_size, item)
    if status == IPCF_AGAIN and waits:
        status = take_waiting(&shared.queue, kind, max_size, deadline, stop, item)
    if status == IPCF_OK:
        ipcf_queue_count_received(&shared.queue, item)
    return status


cdef object steal(const ipcf_queue_item *item):
    cdef object result = <object>item.pointer
    Py_DECREF(result)
    return result


cdef ipcf_status await_item(object_queue *shared, uint64_t deadline) except? IPCF_STATUS_COUNT:
    cdef ipcf_queue_wait wait
    ipcf_queue_wait_begin(&wait, &shared.queue, IPCF_QUEUE_FOR_ITEM, deadline, nap())
    try:
        return wait_on(&wait)
    finally:
        ipcf_queue_wait_end(&wait, False)


cdef ipcf_status await_idle(object_queue *shared, ipcf_queue_direction direction,
                            uint64_t deadline) except? IPCF_STATUS_COUNT:
    cdef ipcf_status status
    cdef uint64_t longest = nap()
    while True:
        with nogil:
            ipcf_baton_give(baton)
            status = ipcf_queue_drain(&shared.queue, direction, deadline, longest)
        ipcf_baton_keep(baton)
        if status != IPCF_INTERRUPTED:
            return status
        PyErr_CheckSignals()


cdef void discard(object_queue *shared) noexcept:
    cdef ipcf_queue_item item
    cdef ipcf_status status = IPCF_OK
    while status != IPCF_DISCONNECTED:
        status = ipcf_queue_try_pop(&shared.queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item)
        if status == IPCF_OK:
            ipcf_queue_count_discarded(&shared.queue, &item)
            # May run anything: nothing is held here, and who pushes to a closed queue is refused.
            Py_DECREF(<object>item.pointer)
        elif status == IPCF_AGAIN:
            ipcf_thread_yield()  # without a GIL: another thread is within a push that it began before the end


cdef struct visiting:
    visitproc visit
    void *argument


cdef int visit_one(void *pointer, void *argument) noexcept:
    cdef visiting *how = <visiting *>argument
    return how.visit(<PyObject *>pointer, how.argument)


cdef int visit_objects(object_queue *shared, visitproc visit, void *argument) noexcept:
    cdef visiting how
    how.visit = visit
    how.argument = argument
    return ipcf_queue_visit(&shared.queue, visit_one, &how)


cdef int copy(char *dest, const char *source, size_t size) except -1:
    if size <= COPY_WITH_GIL:
        memcpy(dest, source, size)
    else:
        with nogil:
            memcpy(dest, source, size)
    return 0


cdef bytes as_bytes(object data):
    cdef Py_buffer view
    cdef bytes body
    if PyBytes_CheckExact(data):
        return <bytes>data
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        body = PyBytes_FromStringAndSize(NULL, view.len)
        copy(PyBytes_AS_STRING(body), <const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return body
