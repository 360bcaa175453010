# SPDX-License-Identifier: MIT
"""Make channels through shared memory; what they do with messages is MessageChannel's."""

from libc.stdint cimport uint64_t

from ipcfast._native.csrc cimport (
    IPCF_OK, IPCF_RING_SEGMENT_MAX_HANDLES, IPCF_RING_VERSION, ipcf_channel_options, ipcf_error,
    ipcf_handle, ipcf_handle_close, ipcf_ring_channel, ipcf_ring_channel_init, ipcf_ring_channel_use_times,
    ipcf_ring_segment, ipcf_ring_segment_adopt, ipcf_ring_segment_close, ipcf_ring_segment_create,
    ipcf_ring_segment_handle_count, ipcf_ring_segment_handles, ipcf_status, ipcf_stream, ipcf_stream_close,
)
from ipcfast._native.message_channel cimport MessageChannel, options_of
from ipcfast._native.status cimport raise_status
from ipcfast._native.stream_channel cimport StreamChannel

LAYOUT_VERSION = IPCF_RING_VERSION
HANDLE_COUNT = ipcf_ring_segment_handle_count()

# Only this module can make an empty segment.
cdef object _token = object()


cdef class RingSegment:
    cdef ipcf_ring_segment segment
    cdef bint owned

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("make a RingSegment with create() or adopt()")

    def __dealloc__(self):
        self.close()

    @staticmethod
    def create(*, inbound=262144, outbound=262144):
        cdef RingSegment made = RingSegment.__new__(RingSegment, _token)
        cdef ipcf_error error
        cdef ipcf_status status
        cdef uint64_t to_us = inbound, from_us = outbound
        with nogil:    # up to 128 MiB are allocated and zeroed
            status = ipcf_ring_segment_create(&made.segment, to_us, from_us, &error)
        if status != IPCF_OK:
            raise_status(status, &error, "shared memory")
        made.owned = True
        return made

    @staticmethod
    def adopt(handles, *, inbound, outbound):
        cdef RingSegment made = RingSegment.__new__(RingSegment, _token)
        cdef ipcf_handle taken[IPCF_RING_SEGMENT_MAX_HANDLES]
        cdef ipcf_handle extra
        cdef ipcf_error error
        cdef size_t count = 0
        for handle in handles:
            if count < IPCF_RING_SEGMENT_MAX_HANDLES:
                taken[count] = handle
                count += 1
            else:
                extra = handle
                ipcf_handle_close(&extra)
        cdef ipcf_status status
        cdef uint64_t to_us = inbound, from_us = outbound
        with nogil:
            status = ipcf_ring_segment_adopt(&made.segment, taken, count, to_us, from_us, &error)
        if status != IPCF_OK:
            raise_status(status, &error, "shared memory from the peer")
        made.owned = True
        return made

    @property
    def handles(self):
        cdef ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES]
        cdef size_t count = 0
        if self.owned:
            count = ipcf_ring_segment_handles(&self.segment, handles)
        return [handles[i] for i in range(count)]

    def close(self):
        if self.owned:
            self.owned = False
            with nogil:
                ipcf_ring_segment_close(&self.segment)


cdef class RingChannel(MessageChannel):
    cdef ipcf_ring_channel ring

    def __cinit__(self, StreamChannel control not None, RingSegment segment not None, *, message_limit=67108864,
                  read_ahead_limit=134217728, spin_us=80, bint times=False):
        cdef ipcf_channel_options options = options_of(message_limit, read_ahead_limit, spin_us)
        cdef ipcf_stream stream
        cdef ipcf_error error
        cdef ipcf_status status
        if not segment.owned:
            raise ValueError("this segment is closed, or belongs to a channel already")
        control.release_stream(&stream)
        status = ipcf_ring_channel_init(&self.ring, &stream, &segment.segment, &options, &error)
        if status != IPCF_OK:
            ipcf_stream_close(&stream)
            raise_status(status, &error, "shared-memory channel")
        segment.owned = False
        if times:
            ipcf_ring_channel_use_times(&self.ring)
        self.register(&self.ring.base)
