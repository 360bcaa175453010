# SPDX-License-Identifier: MIT
"""Declare how messages come in from a channel of the C core as Python objects."""

from libc.stdint cimport uint8_t, uint64_t

from ipcfast._native.csrc cimport ipcf_channel, ipcf_status
from ipcfast._native.long_body cimport partial_body

# One message as bytes. Without waits: None when there is none. action: what is being done, for errors. bodies: a list
# that those which have come after it are added to, up to max_bytes in all. on_noise: called with noise that comes
# before it, unless None.
cdef object receive_one(ipcf_channel *channel, partial_body *partial, object on_noise, uint8_t kind, bint waits,
                        object timeout, str action, list bodies=*, uint64_t max_bytes=*)

# One message into what has the writable buffer protocol; its size.
cdef object receive_into(ipcf_channel *channel, partial_body *partial, object on_noise, uint8_t kind, object buffer,
                         object timeout, str action)

# One message, and those that have come after it, up to max_bytes in all.
cdef list receive_all(ipcf_channel *channel, partial_body *partial, object on_noise, uint8_t kind, uint64_t max_bytes,
                      object timeout, str action)

# What to do after noise: AGAIN, or TIMEOUT when the deadline has passed and there was much of it.
cdef ipcf_status status_after_noise(int passed, uint64_t deadline)

# Hand the noise at the head to on_noise, if noise is what is there.
cdef int pass_noise(ipcf_channel *channel, object on_noise) except -1
