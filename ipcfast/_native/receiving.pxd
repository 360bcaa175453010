# SPDX-License-Identifier: MIT
"""Declare how messages come in from a channel of the C core as Python objects."""

from libc.stdint cimport uint8_t, uint64_t

from ipcfast._native.csrc cimport ipcf_channel
from ipcfast._native.long_body cimport partial_body

# One message as bytes. Without waits: None when there is none. action: what is being done, for errors. bodies: a list
# that those which have come after it are added to, up to max_bytes in all.
cdef object receive_one(ipcf_channel *channel, partial_body *partial, uint8_t kind, bint waits, object timeout,
                        str action, list bodies=*, uint64_t max_bytes=*)

# One message into what has the writable buffer protocol; its size.
cdef object receive_into(ipcf_channel *channel, partial_body *partial, uint8_t kind, object buffer, object timeout,
                         str action)

# One message, and those that have come after it, up to max_bytes in all.
cdef list receive_all(ipcf_channel *channel, partial_body *partial, uint8_t kind, uint64_t max_bytes, object timeout,
                      str action)
