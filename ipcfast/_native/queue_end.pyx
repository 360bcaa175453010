# SPDX-License-Identifier: MIT
"""One end of two queues of objects: what it does as a transport, with errors, states and the end."""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t

from ipcfast import errors
from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_CLOSED, IPCF_DISCONNECTED, IPCF_FORKED, IPCF_INVALID, IPCF_KIND_BYTES, IPCF_NO_WAIT, IPCF_OK,
    IPCF_SHUT_DOWN, IPCF_STATE_CLOSED, IPCF_STATE_FORKED, IPCF_STATE_OPEN, IPCF_STATE_SHUT_DOWN, IPCF_STATUS_COUNT,
    IPCF_TIMEOUT, IPCF_TOO_LARGE, ipcf_add_relaxed, ipcf_compare_exchange_acq_rel, ipcf_load_relaxed, ipcf_metrics,
    ipcf_status, ipcf_stop,
)
from ipcfast._native.csrc_queue cimport (
    IPCF_QUEUE_FOR_ITEM, IPCF_QUEUE_FOR_ROOM, ipcf_queue_abandon, ipcf_queue_close, ipcf_queue_close_handle,
    ipcf_queue_item, ipcf_queue_length, ipcf_queue_read_metrics,
)
from ipcfast._native.object_queue cimport await_idle, await_item, discard, leave, put, steal, take
from ipcfast._native.status cimport deadline_of, raise_status
from ipcfast._native.stop cimport stop_of


cdef int send_object(queue_end *end, uint8_t kind, object data, uint64_t size, uint64_t deadline,
                     str action) except -1:
    cdef ipcf_status status = put_from(end, kind, data, size, deadline)
    return 0 if status == IPCF_OK else fail_to_send(end, status, action)


cdef ipcf_status put_from(queue_end *end, uint8_t kind, object data, uint64_t size,
                          uint64_t deadline) except? IPCF_STATUS_COUNT:
    if end.state == IPCF_STATE_FORKED:
        return IPCF_FORKED
    return put(end.outbound, kind, data, size, deadline)


cdef int fail_to_send(queue_end *end, ipcf_status status, str action, object sent=None) except -1:
    if status == IPCF_DISCONNECTED and end.state == IPCF_STATE_OPEN:
        ipcf_add_relaxed(&end.errors, 1)
    fail(end, status, action, sent)


cdef int send_bodies(queue_end *end, list bodies, uint64_t deadline, object tell) except -1:
    cdef bytes body
    cdef uint64_t size
    cdef ipcf_status status
    cdef bint is_told = True
    try:
        for sent, body in enumerate(bodies):
            size = PyBytes_GET_SIZE(body)
            status = put_from(end, IPCF_KIND_BYTES, body, size, deadline if is_told else IPCF_NO_WAIT)
            if status == IPCF_TIMEOUT and not is_told:
                # Who is to make room may not know yet that something is there.
                is_told = True
                tell()
                status = put_from(end, IPCF_KIND_BYTES, body, size, deadline)
            if status != IPCF_OK:
                fail_to_send(end, status, "send_many", sent)
            is_told = tell is None
    finally:
        if not is_told:
            tell()
    return 0


cdef bint may_receive(queue_end *end) noexcept:
    return end.state == IPCF_STATE_OPEN or (end.state == IPCF_STATE_SHUT_DOWN and end.drains)


cdef ipcf_status receive_object(queue_end *end, uint8_t kind, uint64_t max_size, bint waits, object timeout,
                                ipcf_queue_item *item, str action) except? IPCF_STATUS_COUNT:
    cdef uint64_t deadline = deadline_of(timeout) if waits else IPCF_NO_WAIT
    cdef const ipcf_stop *stop = stop_of(timeout, &deadline)
    cdef ipcf_status status = IPCF_CLOSED
    if may_receive(end):
        status = take(end.inbound, kind, max_size, waits, deadline, stop, item)
    if status == IPCF_INVALID:
        found = "raw bytes" if item.kind == IPCF_KIND_BYTES else "an object"
        raise errors.ReceiveFailed(
            f"{action}: the next message is {found}; it stays at the head, receive it with the method for its kind"
        )
    if status == IPCF_TOO_LARGE:
        raise errors.MessageTooLarge(
            f"{action}: the next message has {item.size} bytes, the buffer {max_size}; it stays at the head, receive "
            "it into a larger buffer",
            size=item.size,
            limit=max_size,
        )
    if status == IPCF_DISCONNECTED:
        end.end_was_received = 1
    if status != IPCF_OK and status != IPCF_AGAIN:
        fail(end, status, action)
    return status


cdef list receive_bodies(queue_end *end, uint64_t max_bytes, object timeout):
    cdef ipcf_queue_item item
    # A place is there before the message is taken, so that nothing can fail afterwards.
    cdef list bodies = [None]
    receive_object(end, IPCF_KIND_BYTES, UINT64_MAX, True, timeout, &item, "recv_many")
    # No more than there are now: a sender that keeps up with this could go on for ever.
    cdef uint64_t behind = ipcf_queue_length(&end.inbound.queue)
    cdef uint64_t used = item.size
    bodies[0] = steal(&item)
    while behind > 0 and used <= max_bytes:
        bodies.append(None)
        if take(end.inbound, IPCF_KIND_BYTES, max_bytes - used, False, 0, NULL, &item) != IPCF_OK:
            bodies.pop()
            break
        bodies[len(bodies) - 1] = steal(&item)
        used += item.size
        behind -= 1
    return bodies


cdef bint poll_end(queue_end *end, uint64_t deadline) except -1:
    cdef ipcf_status status = IPCF_CLOSED
    if may_receive(end):
        status = await_item(end.inbound, deadline)
    if status == IPCF_OK and end.state != IPCF_STATE_OPEN and ipcf_queue_length(&end.inbound.queue) == 0:
        status = IPCF_CLOSED
    if status != IPCF_OK and status != IPCF_TIMEOUT:
        fail(end, status, "poll")
    return status == IPCF_OK


cdef int drain_end(queue_end *end, uint64_t deadline) except -1:
    cdef ipcf_status status = IPCF_FORKED
    if end.state != IPCF_STATE_FORKED:
        status = await_idle(end.outbound, IPCF_QUEUE_FOR_ROOM, deadline)
    if status == IPCF_OK:
        status = await_idle(end.inbound, IPCF_QUEUE_FOR_ITEM, deadline)
    return 0 if status == IPCF_OK else fail(end, status, "drain")


cdef void read_metrics(const queue_end *end, ipcf_metrics *metrics) noexcept:
    ipcf_queue_read_metrics(&end.outbound.queue, &end.inbound.queue, metrics)
    metrics.errors = ipcf_load_relaxed(&end.errors)


cdef int fail(queue_end *end, ipcf_status status, str action, object sent=None) except -1:
    cdef uint32_t state = end.state
    if status != IPCF_TIMEOUT and state != IPCF_STATE_OPEN:
        status = IPCF_SHUT_DOWN if state == IPCF_STATE_SHUT_DOWN else IPCF_CLOSED
        if state == IPCF_STATE_FORKED:
            status = IPCF_FORKED
    raise_status(status, NULL, action, False if status == IPCF_DISCONNECTED else None, sent)


cdef void finish(queue_end *end, uint32_t ending) noexcept:
    cdef uint32_t before = end.state
    if end.inbound == NULL or end.outbound == NULL:
        return
    while before == IPCF_STATE_OPEN or (before == IPCF_STATE_SHUT_DOWN and ending == IPCF_STATE_CLOSED):
        if ipcf_compare_exchange_acq_rel(&end.state, &before, ending):
            break
    if before == IPCF_STATE_CLOSED or before == IPCF_STATE_FORKED:
        return
    # Also where the state was SHUT_DOWN already: it may only have been announced.
    ipcf_queue_close(&end.outbound.queue)
    ipcf_queue_close(&end.inbound.queue)
    if ending == IPCF_STATE_CLOSED or not end.drains:
        discard(end.inbound)
    if ending == IPCF_STATE_CLOSED:
        ipcf_queue_close_handle(&end.inbound.queue)


cdef void announce(queue_end *end, bint drains) noexcept:
    cdef uint32_t before = IPCF_STATE_OPEN
    if end.state == IPCF_STATE_OPEN:
        end.drains = drains
    ipcf_compare_exchange_acq_rel(&end.state, &before, IPCF_STATE_SHUT_DOWN)


cdef void abandon(queue_end *end) noexcept:
    end.state = IPCF_STATE_FORKED
    if end.inbound != NULL and end.outbound != NULL:
        ipcf_queue_abandon(&end.inbound.queue)
        ipcf_queue_abandon(&end.outbound.queue)


cdef void free_end(queue_end *end) noexcept:
    if end.inbound != NULL:
        leave(end.inbound)
    if end.outbound != NULL:
        leave(end.outbound)
