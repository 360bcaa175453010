# SPDX-License-Identifier: MIT
"""Declare how Python objects go out through a channel of the C core."""

from libc.stdint cimport uint8_t, uint64_t

from ipcfast._native.csrc cimport ipcf_channel

# Send what has the buffer protocol as one message. action: what is being done, for errors.
cdef int send_one(ipcf_channel *channel, uint8_t kind, object data, object timeout, str action) except -1

# Send each of the items as a message, in order; ChannelTimeout and SendFailed tell how many were sent. No items:
# finish what was begun.
cdef int send_all(ipcf_channel *channel, uint8_t kind, object items, object timeout, str action) except -1

# Send the rest of a begun message. sent: for the ChannelTimeout of send_many. is_ours: whether this call has begun it,
# which its ChannelTimeout then says.
cdef int finish_begun(ipcf_channel *channel, uint64_t deadline, str action, object sent=*, bint is_ours=*) except -1
