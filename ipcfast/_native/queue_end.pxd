# SPDX-License-Identifier: MIT
"""Declare one end of two queues of objects: what a QueueChannel does, and how it ends."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from ipcfast._native.csrc cimport IPCF_STATUS_COUNT, ipcf_atomic_u32, ipcf_atomic_u64, ipcf_metrics, ipcf_status
from ipcfast._native.csrc_queue cimport ipcf_queue_item
from ipcfast._native.object_queue cimport object_queue

# Zeroed memory is an end without queues, on which only finish and free_end may be called.
cdef struct queue_end:
    object_queue *inbound
    object_queue *outbound    # the same, where the end is its own peer
    ipcf_atomic_u32 state    # ipcf_channel_state; once it is not OPEN, both queues are closed, or about to be
    ipcf_atomic_u32 end_was_received    # 1: receiving has given DISCONNECTED
    bint drains    # what had come before SHUT_DOWN can still be received
    ipcf_atomic_u64 errors    # sends to a peer that had ended

# Send one object.
cdef int send_object(queue_end *end, uint8_t kind, object data, uint64_t size, uint64_t deadline,
                     str action) except -1

# Send bytes objects in order. tell, unless None, is called when some have been sent: before a wait for room, and at the
# end, whatever ends it.
cdef int send_bodies(queue_end *end, list bodies, uint64_t deadline, object tell) except -1

# Whether its state lets it receive what has come.
cdef bint may_receive(queue_end *end) noexcept

# Take the object at the head. OK: *item owns the reference. AGAIN: none there, where it does not wait. Anything else
# raises: an object of another kind, or larger than max_size, stays at the head.
cdef ipcf_status receive_object(queue_end *end, uint8_t kind, uint64_t max_size, bint waits, object timeout,
                                ipcf_queue_item *item, str action) except? IPCF_STATUS_COUNT

# Take the bytes at the head, and of those behind them as many as are there and make up to max_bytes in all.
cdef list receive_bodies(queue_end *end, uint64_t max_bytes, object timeout)

# Whether a receive would not wait.
cdef bint poll_end(queue_end *end, uint64_t deadline) except -1

# Wait until nobody waits within this end.
cdef int drain_end(queue_end *end, uint64_t deadline) except -1

# What the end has counted: at any time, also after a fork.
cdef void read_metrics(const queue_end *end, ipcf_metrics *metrics) noexcept

# Raise what the status means; that a queue has ended means what the own state says. sent: for the ChannelTimeout of
# send_many.
cdef int fail(queue_end *end, ipcf_status status, str action, object sent=*) except -1

# From OPEN to SHUT_DOWN, or from either to CLOSED: both directions end, and what nobody can receive is released.
cdef void finish(queue_end *end, uint32_t ending) noexcept

# From OPEN to SHUT_DOWN, but leave it to finish to end the directions: whoever the peer's end interrupts here meanwhile
# is told of the own end.
cdef void announce(queue_end *end, bint drains) noexcept

# In a forked child: touch nothing that another thread may have held.
cdef void abandon(queue_end *end) noexcept

cdef void free_end(queue_end *end) noexcept
