# SPDX-License-Identifier: MIT
"""Declare what turns a status of the C core into an exception, and a timeout into a deadline."""

from libc.stdint cimport uint64_t

from ipcfast._native.csrc cimport ipcf_channel, ipcf_error, ipcf_status

# Raise what the status means. action: what was being done, as the start of a sentence ("recv_bytes").
# peer_died: for Disconnected. sent: for the ChannelTimeout and SendFailed of send_many. path: for IoError.
cdef int raise_status(ipcf_status status, const ipcf_error *error, str action, object peer_died=*,
                      object sent=*, object path=*) except -1

# raise_status for what is done at a path: the action ("listen at") is completed by it.
cdef int raise_at(ipcf_status status, const ipcf_error *error, str action, str path) except -1

# Whether the peer of a channel died; None while it is there, and where the wire cannot tell.
cdef object peer_died(const ipcf_channel *channel)

# raise_status for an operation of a channel.
cdef int raise_for_channel(const ipcf_channel *channel, ipcf_status status, const ipcf_error *error,
                           str action, object sent=*) except -1

# Whether a failed send has begun: its rest goes out before the next message, and it must not be sent again.
cdef bint is_begun(const ipcf_error *error) noexcept nogil

# The absolute deadline of a timeout in seconds: None = never, not above zero = no wait. ValueError for NaN,
# TypeError for what is no number.
cdef uint64_t deadline_of(object timeout) except? 0
