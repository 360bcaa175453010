# SPDX-License-Identifier: MIT
"""Declare StreamChannel for those who open streams (listener) or take one over (ring channel)."""

from ipcfast._native.csrc cimport ipcf_channel_options, ipcf_stream, ipcf_stream_channel
from ipcfast._native.message_channel cimport MessageChannel


cdef class StreamChannel(MessageChannel):
    cdef ipcf_stream_channel stream_channel

    # Take the stream out; the channel is closed then. The caller closes the stream.
    cdef int release_stream(self, ipcf_stream *stream) except -1


cdef ipcf_channel_options stream_options(framing, sniff, skip_noise, message_limit, read_ahead_limit,
                                         spin_us) except *
# Make a channel of an open stream, which is closed when that fails.
cdef StreamChannel open_channel(ipcf_stream *stream, const ipcf_channel_options *options)
