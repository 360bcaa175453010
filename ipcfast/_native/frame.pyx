# SPDX-License-Identifier: MIT
"""Cut a stream of bytes into frames, and make frames: the binding of frame_splitter.h and frame.h."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

cimport cython

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_BAD_FRAME, IPCF_FRAME_HEADER_MAX, IPCF_FRAMING_CONTENT_LENGTH, IPCF_FRAMING_LENGTH,
    IPCF_FRAMING_LINES, IPCF_FRAMING_SNIFF, IPCF_FRAMING_U32BE, IPCF_INVALID, IPCF_KIND_BYTES, IPCF_NOISE,
    IPCF_OK, IPCF_TOO_LARGE, ipcf_error, ipcf_frame_body_fits, ipcf_frame_decoder, ipcf_frame_header,
    ipcf_frame_trailer, ipcf_framing, ipcf_status,
)

from ipcfast._native.status import error_for


cdef extern from "ipcf/frame_splitter.h" nogil:
    const uint16_t IPCF_FRAME_CPU_UNKNOWN

    ctypedef struct ipcf_frame_splitter:
        ipcf_frame_decoder decoder
        size_t size

    ctypedef struct ipcf_frame_part:
        const uint8_t *data
        uint64_t size
        uint8_t kind

    void ipcf_frame_splitter_init(ipcf_frame_splitter *splitter, ipcf_framing framing, uint64_t body_limit,
                                  bint skip_noise)
    void ipcf_frame_splitter_free(ipcf_frame_splitter *splitter)
    void ipcf_frame_splitter_give(ipcf_frame_splitter *splitter, const uint8_t *data, size_t size)
    ipcf_status ipcf_frame_splitter_next(ipcf_frame_splitter *splitter, ipcf_frame_part *part,
                                         ipcf_error *error)
    size_t ipcf_frame_splitter_next_run(ipcf_frame_splitter *splitter, ipcf_frame_part *parts, size_t room)
    ipcf_status ipcf_frame_splitter_keep(ipcf_frame_splitter *splitter, ipcf_error *error)
    size_t ipcf_frame_splitter_pending(const ipcf_frame_splitter *splitter)


FRAMINGS = {
    "length": <int>IPCF_FRAMING_LENGTH,
    "lines": <int>IPCF_FRAMING_LINES,
    "content-length": <int>IPCF_FRAMING_CONTENT_LENGTH,
    "u32be": <int>IPCF_FRAMING_U32BE,
}
cdef dict FRAMING_NAMES = {value: name for name, value in FRAMINGS.items()}

cdef enum:
    RUN_ROOM = 256
    LONG_COPY = 32768    # from here on a copy is made without the GIL; below, taking it again would cost more


cdef ipcf_framing framing_named(str name) except *:
    value = FRAMINGS.get(name)
    if value is None:
        raise ValueError(f"unknown framing {name!r}: use one of {', '.join(FRAMINGS)}")
    return <ipcf_framing><int>value


cdef inline void copy(void *target, const void *source, size_t size) noexcept:
    if size < LONG_COPY:
        memcpy(target, source, size)
    else:
        with nogil:
            memcpy(target, source, size)


cdef inline bytes bytes_of(const ipcf_frame_part *part):
    if part.size < LONG_COPY:
        return PyBytes_FromStringAndSize(<const char *>part.data, <Py_ssize_t>part.size)
    made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>part.size)
    copy(PyBytes_AS_STRING(made), part.data, <size_t>part.size)
    return made


cdef inline object frame_of(const ipcf_frame_part *part, bint with_kind):
    return (part.kind, bytes_of(part)) if with_kind else bytes_of(part)


cdef object error_of(str status, const ipcf_error *error):
    what = (<bytes>error.what).decode("ascii")
    return error_for(status, "feed", what=what, expected=error.expected, found=error.found)


@cython.final
cdef class FrameDecoder:
    cdef ipcf_frame_splitter splitter
    cdef readonly list notices
    cdef readonly object error
    cdef bint is_busy

    def __cinit__(self, str framing not None, *, limit=67108864, bint skip_noise=False):
        if not 0 <= limit < 1 << 62:
            raise ValueError(f"limit must be from 0 to 2**62 - 1, not {limit}")
        wire = IPCF_FRAMING_SNIFF if framing == "sniff" else framing_named(framing)
        self.notices = []
        ipcf_frame_splitter_init(&self.splitter, wire, limit, skip_noise)

    def __dealloc__(self):
        ipcf_frame_splitter_free(&self.splitter)

    @property
    def framing(self):
        return FRAMING_NAMES.get(<int>self.splitter.decoder.framing)

    @property
    def pending(self):
        return 0 if self.is_busy else ipcf_frame_splitter_pending(&self.splitter)

    def feed(self, data):
        return self._feed(data, False)

    def feed_frames(self, data):
        return self._feed(data, True)

    cdef list _feed(self, object data, bint with_kinds):
        cdef Py_buffer view
        cdef list frames = []
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self._enter()
            try:
                ipcf_frame_splitter_give(&self.splitter, <const uint8_t *>view.buf, <size_t>view.len)
                self._split(frames, with_kinds)
            except BaseException as lost:
                self.error = lost    # of the bytes: there is no going on
                raise
            finally:
                self.is_busy = False
        finally:
            PyBuffer_Release(&view)
        if self.error is not None and not frames and not self.notices:
            raise self.error
        return frames

    cdef int _enter(self) except -1:
        with cython.critical_section(self):
            if self.is_busy:
                raise RuntimeError("this decoder is being fed by another thread: one at a time")
            self.notices = []
            if self.error is not None:
                raise self.error
            self.is_busy = True
        return 0

    cdef int _split(self, list frames, bint with_kinds) except -1:
        cdef ipcf_frame_part part
        cdef ipcf_frame_part run[RUN_ROOM]
        cdef size_t i, count
        cdef ipcf_error error
        cdef ipcf_status status
        while True:
            count = ipcf_frame_splitter_next_run(&self.splitter, run, RUN_ROOM)
            for i in range(count):
                frames.append(frame_of(&run[i], with_kinds))
            if count != 0:
                continue
            if ipcf_frame_splitter_pending(&self.splitter) != 0 and self.splitter.size >= LONG_COPY:
                with nogil:
                    status = ipcf_frame_splitter_next(&self.splitter, &part, &error)
            else:
                status = ipcf_frame_splitter_next(&self.splitter, &part, &error)
            if status == IPCF_OK:
                frames.append(frame_of(&part, with_kinds))
            elif status == IPCF_NOISE:
                self.notices.append((len(frames), bytes_of(&part)))
            elif status == IPCF_TOO_LARGE:
                self.notices.append((len(frames), error_of("TOO_LARGE", &error)))
            else:
                break
        if status == IPCF_BAD_FRAME:
            self.error = error_of("BAD_FRAME", &error)
            ipcf_frame_splitter_free(&self.splitter)
            return 0
        if status == IPCF_AGAIN:
            if self.splitter.size < LONG_COPY:
                status = ipcf_frame_splitter_keep(&self.splitter, &error)
            else:
                with nogil:
                    status = ipcf_frame_splitter_keep(&self.splitter, &error)
        if status != IPCF_OK:
            raise MemoryError("no memory for an unfinished frame")
        return 0


cdef Py_ssize_t write_header(ipcf_framing framing, int kind, const Py_buffer *body,
                             uint8_t *header) except -1:
    cdef ipcf_status status = IPCF_INVALID
    cdef uint64_t size = <uint64_t>body.len
    cdef size_t header_size = 0
    if 0 <= kind <= 255:
        header_size = ipcf_frame_header(framing, <uint8_t>kind, IPCF_FRAME_CPU_UNKNOWN, size, header, &status)
    if status == IPCF_TOO_LARGE:
        limit = 2**32 - 1 if framing == IPCF_FRAMING_U32BE else 10**10 - 1
        raise error_for("TOO_LARGE", "encode", what="body", found=size, expected=limit)
    if status != IPCF_OK:
        raise ValueError(f"there is no frame of kind {kind} with a body of {size} bytes")
    return <Py_ssize_t>header_size


cdef bytes encode(ipcf_framing framing, const Py_buffer *bodies, Py_ssize_t count, int kind):
    cdef uint8_t header[IPCF_FRAME_HEADER_MAX]
    cdef Py_ssize_t i, size, whole = 0
    for i in range(count):
        if not ipcf_frame_body_fits(framing, bodies[i].buf, <size_t>bodies[i].len):
            raise ValueError("a line must hold no newline, must not be blank, nor end in a carriage return")
        whole += write_header(framing, kind, &bodies[i], header) + bodies[i].len
    whole += count * <Py_ssize_t>ipcf_frame_trailer(framing, header)
    made = PyBytes_FromStringAndSize(NULL, whole)
    target = <uint8_t *>PyBytes_AS_STRING(made)
    for i in range(count):
        size = write_header(framing, kind, &bodies[i], header)
        memcpy(target, header, <size_t>size)
        copy(target + size, bodies[i].buf, <size_t>bodies[i].len)
        target += size + bodies[i].len
        target += ipcf_frame_trailer(framing, target)
    return made


def encode_frame(str framing not None, body, *, int kind=IPCF_KIND_BYTES):
    cdef Py_buffer view
    wire = framing_named(framing)
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        return encode(wire, &view, 1, kind)
    finally:
        PyBuffer_Release(&view)


def encode_frames(str framing not None, bodies, *, int kind=IPCF_KIND_BYTES):
    cdef list items = list(bodies)
    cdef Py_ssize_t i, acquired = 0
    wire = framing_named(framing)
    views = <Py_buffer *>PyMem_Malloc((<size_t>len(items) + 1) * sizeof(Py_buffer))
    if views == NULL:
        raise MemoryError
    try:
        for item in items:
            PyObject_GetBuffer(item, &views[acquired], PyBUF_SIMPLE)
            acquired += 1
        return encode(wire, views, acquired, kind)
    finally:
        for i in range(acquired):
            PyBuffer_Release(&views[i])
        PyMem_Free(views)
