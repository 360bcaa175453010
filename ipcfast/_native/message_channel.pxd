# SPDX-License-Identifier: MIT
"""Declare the class that StreamChannel and RingChannel derive from."""

from ipcfast._native.csrc cimport ipcf_channel, ipcf_channel_options, ipcf_error, ipcf_status
from ipcfast._native.long_body cimport partial_body


cdef class MessageChannel:
    # Points into the subclass, which embeds the C struct by value and makes it in __cinit__ or a factory.
    cdef ipcf_channel *channel
    cdef partial_body partial
    # Called with each piece of noise, where the channel is one that receives it (csrc/ipcf/channel.h, skip_noise).
    cdef public object on_noise
    cdef object __weakref__

    # The subclass has made its channel: from now on it is closed by __dealloc__ and abandoned after fork.
    cdef int register(self, ipcf_channel *channel) except -1
    # Raise what the status means.
    cdef int fail(self, ipcf_status status, const ipcf_error *error, str action) except -1


cdef ipcf_channel_options options_of(message_limit, read_ahead_limit, spin_us) except *
