# SPDX-License-Identifier: MIT
"""Declare a queue of Python objects between threads."""

from cpython.object cimport visitproc
from libc.stdint cimport uint8_t, uint64_t

from ipcfast._native.csrc cimport IPCF_STATUS_COUNT, ipcf_atomic_u32, ipcf_status, ipcf_stop
from ipcfast._native.csrc_queue cimport ipcf_queue, ipcf_queue_direction, ipcf_queue_item

# Owns a reference to each object in it. Freed with the last of its owners.
cdef struct object_queue:
    ipcf_queue queue
    ipcf_atomic_u32 owners

cdef object_queue *new_queue(capacity, spin_us) except NULL
cdef object_queue *share(object_queue *shared) noexcept
cdef void leave(object_queue *shared) noexcept

# Push one object. OK, TIMEOUT, DISCONNECTED.
cdef ipcf_status put(object_queue *shared, uint8_t kind, object data, uint64_t size,
                     uint64_t deadline) except? IPCF_STATUS_COUNT

# Pop one object, if it is of this kind and not larger. OK: *item owns the reference. AGAIN: none there, where it does
# not wait. TIMEOUT, DISCONNECTED. INVALID, TOO_LARGE: *item tells of one that stays, and owns nothing.
cdef ipcf_status take(object_queue *shared, uint8_t kind, uint64_t max_size, bint waits, uint64_t deadline,
                      const ipcf_stop *stop, ipcf_queue_item *item) except? IPCF_STATUS_COUNT

# The reference that the item owns becomes the result's.
cdef object steal(const ipcf_queue_item *item)

# Wait until a pop would not wait. OK, TIMEOUT.
cdef ipcf_status await_item(object_queue *shared, uint64_t deadline) except? IPCF_STATUS_COUNT

# Wait until no thread waits in this direction. OK, TIMEOUT.
cdef ipcf_status await_idle(object_queue *shared, ipcf_queue_direction direction,
                            uint64_t deadline) except? IPCF_STATUS_COUNT

# Release all objects of a closed queue.
cdef void discard(object_queue *shared) noexcept

# For tp_traverse: visit all objects.
cdef int visit_objects(object_queue *shared, visitproc visit, void *argument) noexcept

# Bytes as they are; a copy of what else has the buffer protocol, because its owner may change it.
cdef bytes as_bytes(object data)

# memcpy, without the GIL where it takes long.
cdef int copy(char *dest, const char *source, size_t size) except -1
