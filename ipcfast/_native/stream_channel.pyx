# SPDX-License-Identifier: MIT
"""Make channels over local sockets, and carry their handshakes; messages are MessageChannel's."""

import os

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint8_t, uint64_t

cimport cython

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_INTERRUPTED, IPCF_KIND_ANY, IPCF_KIND_BYTES, IPCF_KIND_HELLO, IPCF_KIND_MESSAGE,
    IPCF_KIND_REFUSAL, IPCF_KIND_WELCOME, IPCF_NO_HANDLE, IPCF_OK, IPCF_STREAM_HANDSHAKE_MAX, IPCF_STREAM_MAX_HANDLES,
    IPCF_TIMEOUT, ipcf_channel_options, ipcf_channel_watch_peer, ipcf_error, ipcf_framing, ipcf_handle,
    ipcf_handle_close, ipcf_status, ipcf_stream, ipcf_stream_adopt, ipcf_stream_adopt_pair, ipcf_stream_channel_init,
    ipcf_stream_channel_read_handle,
    ipcf_stream_channel_receive_handles, ipcf_stream_channel_release_stream,
    ipcf_stream_channel_send_framing, ipcf_stream_channel_send_handles,
    ipcf_stream_channel_set_send_framing, ipcf_stream_channel_sniff, ipcf_stream_channel_use_times,
    ipcf_stream_close, ipcf_stream_connect, ipcf_stream_pair,
)
from ipcfast._native.frame cimport framing_named
from ipcfast._native.frame import FRAMINGS as _FRAMINGS
from ipcfast._native.message_channel cimport MessageChannel, options_of
from ipcfast._native.sending cimport finish_begun
from ipcfast._native.status cimport deadline_of, is_begun, raise_at, raise_status

KIND_ANY = <int>IPCF_KIND_ANY
KIND_MESSAGE = <int>IPCF_KIND_MESSAGE
KIND_BYTES = <int>IPCF_KIND_BYTES
KIND_HELLO = <int>IPCF_KIND_HELLO
KIND_WELCOME = <int>IPCF_KIND_WELCOME
KIND_REFUSAL = <int>IPCF_KIND_REFUSAL

cdef dict FRAMING_NAMES = {number: name for name, number in _FRAMINGS.items()}

# Only this module can make a channel without a connection.
cdef object _token = object()


cdef ipcf_channel_options stream_options(framing, sniff, skip_noise, message_limit, read_ahead_limit,
                                         spin_us) except *:
    cdef ipcf_channel_options options = options_of(message_limit, read_ahead_limit, spin_us)
    options.framing = framing_named(framing)
    options.sniff = sniff
    options.skip_noise = skip_noise
    return options


cdef StreamChannel channel_over(ipcf_stream *stream, const ipcf_channel_options *options):
    """Make a channel of an open stream, which stays the caller's when that fails."""
    cdef ipcf_error error
    cdef StreamChannel made = StreamChannel.__new__(StreamChannel, _token)
    cdef ipcf_status status = ipcf_stream_channel_init(&made.stream_channel, stream, options, &error)
    if status != IPCF_OK:
        raise_status(status, &error, "open a channel")
    made.register(&made.stream_channel.base)
    return made


cdef StreamChannel open_channel(ipcf_stream *stream, const ipcf_channel_options *options):
    try:
        return channel_over(stream, options)
    finally:
        ipcf_stream_close(stream)    # which is empty once the channel has it


@cython.final
@cython.auto_pickle(False)
cdef class StreamChannel(MessageChannel):
    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("make a StreamChannel with connect(), adopt() or pair()")

    @staticmethod
    def connect(str path not None, *, require_same_user=True, framing="length", sniff=False, skip_noise=False,
                message_limit=67108864, read_ahead_limit=134217728, spin_us=80):
        cdef ipcf_channel_options options = stream_options(
            framing, sniff, skip_noise, message_limit, read_ahead_limit, spin_us
        )
        cdef ipcf_stream stream
        cdef ipcf_error error
        cdef bytes name = os.fsencode(path)
        cdef ipcf_status status = ipcf_stream_connect(name, require_same_user, &stream, &error)
        if status == IPCF_AGAIN:
            return None
        if status != IPCF_OK:
            raise_at(status, &error, "connect to", path)
        return open_channel(&stream, &options)

    @staticmethod
    def adopt(ipcf_handle handle, *, framing="length", sniff=False, skip_noise=False, message_limit=67108864,
              read_ahead_limit=134217728, spin_us=80):
        cdef ipcf_channel_options options = stream_options(
            framing, sniff, skip_noise, message_limit, read_ahead_limit, spin_us
        )
        cdef ipcf_stream stream
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stream_adopt(handle, &stream, &error)
        if status != IPCF_OK:
            raise_status(status, &error, f"adopt handle {handle}")
        return channel_over(&stream, &options)    # the stream is no more than the handle

    @staticmethod
    def adopt_pair(ipcf_handle read_handle, ipcf_handle write_handle, *, framing="length", skip_noise=False,
                   message_limit=67108864, read_ahead_limit=134217728, spin_us=80):
        cdef ipcf_channel_options options
        cdef ipcf_stream stream
        cdef ipcf_error error
        cdef ipcf_status status
        try:
            options = stream_options(framing, False, skip_noise, message_limit, read_ahead_limit, spin_us)
            status = ipcf_stream_adopt_pair(read_handle, write_handle, &stream, &error)
            if status != IPCF_OK:
                raise_status(status, &error, f"adopt handles {read_handle} and {write_handle}")
        except BaseException:
            if write_handle == read_handle:
                write_handle = IPCF_NO_HANDLE
            ipcf_handle_close(&read_handle)
            ipcf_handle_close(&write_handle)
            raise
        return open_channel(&stream, &options)

    @staticmethod
    def pair(*, framing="length", message_limit=67108864, read_ahead_limit=134217728, spin_us=80):
        cdef ipcf_channel_options options = stream_options(
            framing, False, False, message_limit, read_ahead_limit, spin_us
        )
        cdef ipcf_stream one, other
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stream_pair(&one, &other, &error)
        if status != IPCF_OK:
            raise_status(status, &error, "pair")
        try:
            return open_channel(&one, &options), open_channel(&other, &options)
        finally:
            ipcf_stream_close(&other)

    # ---- handshake

    def handle(self):
        cdef ipcf_handle handle
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stream_channel_read_handle(&self.stream_channel, &handle, &error)
        if status != IPCF_OK:
            self.fail(status, &error, "handle")
        return handle

    def sniff(self):
        cdef ipcf_framing framing
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stream_channel_sniff(&self.stream_channel, &framing, &error)
        if status == IPCF_TIMEOUT:
            return None
        if status != IPCF_OK:
            self.fail(status, &error, "sniff")
        return FRAMING_NAMES[<int>framing]

    def send_handles(self, uint8_t kind, body, handles, timeout=None):
        cdef ipcf_handle sent[IPCF_STREAM_MAX_HANDLES]
        cdef Py_buffer view
        cdef ipcf_error error
        cdef ipcf_status status = IPCF_INTERRUPTED
        cdef uint64_t deadline = deadline_of(timeout)
        cdef size_t count = len(handles)
        if count > IPCF_STREAM_MAX_HANDLES:
            raise ValueError(f"send_handles: {count} handles; at most {IPCF_STREAM_MAX_HANDLES} can travel")
        for i in range(count):
            sent[i] = handles[i]
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            while status == IPCF_INTERRUPTED:
                error.what = NULL
                with nogil:
                    status = ipcf_stream_channel_send_handles(
                        &self.stream_channel, kind, view.buf, view.len, sent, count, deadline, &error
                    )
                if status == IPCF_INTERRUPTED:
                    PyErr_CheckSignals()
                    if is_begun(&error):
                        finish_begun(self.channel, deadline, "handshake")    # the handles are out
                        return
        finally:
            PyBuffer_Release(&view)
        if status != IPCF_OK:
            self.fail(status, &error, "handshake")

    def receive_handles(self, timeout=None):
        cdef uint8_t body[IPCF_STREAM_HANDSHAKE_MAX]
        cdef ipcf_handle handles[IPCF_STREAM_MAX_HANDLES]
        cdef uint8_t kind
        cdef size_t size, count
        cdef ipcf_error error
        cdef ipcf_status status = IPCF_INTERRUPTED
        cdef uint64_t deadline = deadline_of(timeout)
        while status == IPCF_INTERRUPTED:
            count = IPCF_STREAM_MAX_HANDLES
            with nogil:
                status = ipcf_stream_channel_receive_handles(
                    &self.stream_channel, &kind, body, sizeof(body), &size, handles, &count, deadline, &error
                )
            if status == IPCF_INTERRUPTED:
                PyErr_CheckSignals()
        if status != IPCF_OK:
            self.fail(status, &error, "handshake")
        return kind, (<char *>body)[:size], [handles[i] for i in range(count)]

    def watch_peer(self):
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_channel_watch_peer(&self.stream_channel.base, &error)
        if status != IPCF_OK:
            self.fail(status, &error, "watch_peer")

    def use_times(self):
        ipcf_stream_channel_use_times(&self.stream_channel)

    def set_send_framing(self, framing):
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stream_channel_set_send_framing(
            &self.stream_channel, framing_named(framing), &error
        )
        if status != IPCF_OK:
            self.fail(status, &error, "set_send_framing")

    @property
    def framing(self):
        return FRAMING_NAMES[<int>ipcf_stream_channel_send_framing(&self.stream_channel)]

    @property
    def cut_short(self):
        return bool(self.stream_channel.base.cut_short)

    cdef int release_stream(self, ipcf_stream *stream) except -1:
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stream_channel_release_stream(&self.stream_channel, stream, &error)
        if status != IPCF_OK:
            self.fail(status, &error, "control connection")
        return 0
