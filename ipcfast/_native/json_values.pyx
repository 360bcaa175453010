# SPDX-License-Identifier: MIT
"""Hold values and documents against the rules of the codecs, in one pass: nothing here calls into the C core.

A walk over values runs no code of theirs: it looks at exact types only, and takes everything else for not plain.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.tuple cimport PyTuple_CheckExact
from cpython.unicode cimport PyUnicode_CheckExact
from libc.math cimport isfinite
from libc.stdint cimport uint8_t
from libc.string cimport memchr

cdef enum:
    # Above this, reading with the GIL held would stop other threads for longer than giving it up costs.
    SCAN_WITH_GIL = 32768
    # What a byte of a document outside of strings does to the depth.
    STAYS = 0
    OPENS = 1
    CLOSES = 2
    QUOTES = 3

cdef object UINT64_MAX = 2**64 - 1
cdef uint8_t[256] STEPS    # all STAYS but these
STEPS[b"["] = STEPS[b"{"] = OPENS
STEPS[b"]"] = STEPS[b"}"] = CLOSES
STEPS[b'"'] = QUOTES


def is_plain(value, int depth_max, *, bint with_bytes=False):
    return walk(value, depth_max, with_bytes)


cdef bint walk(object value, int depth_left, bint with_bytes) except -1:
    if PyUnicode_CheckExact(value) or value is None or value is True or value is False:
        return True
    if PyLong_CheckExact(value):
        return fits_64_bits(value)
    if PyFloat_CheckExact(value):
        return isfinite(PyFloat_AS_DOUBLE(value))
    if PyDict_CheckExact(value):
        return depth_left > 0 and walk_dict(<dict>value, depth_left - 1, with_bytes)
    if PyList_CheckExact(value):
        return depth_left > 0 and walk_list(<list>value, depth_left - 1, with_bytes)
    if PyTuple_CheckExact(value):
        return depth_left > 0 and walk_tuple(<tuple>value, depth_left - 1, with_bytes)
    return with_bytes and (PyBytes_CheckExact(value) or type(value) is bytearray or type(value) is memoryview)


cdef bint walk_dict(dict items, int depth_left, bint with_bytes) except -1:
    for key, item in items.items():
        if not PyUnicode_CheckExact(key) or not walk(item, depth_left, with_bytes):
            return False
    return True


cdef bint walk_list(list items, int depth_left, bint with_bytes) except -1:
    for item in items:
        if not walk(item, depth_left, with_bytes):
            return False
    return True


cdef bint walk_tuple(tuple items, int depth_left, bint with_bytes) except -1:
    for item in items:
        if not walk(item, depth_left, with_bytes):
            return False
    return True


cdef bint fits_64_bits(object number) except -1:
    cdef int overflow
    PyLong_AsLongLongAndOverflow(number, &overflow)
    return overflow == 0 or (overflow > 0 and number <= UINT64_MAX)


def is_nested_deeper(bytes document not None, Py_ssize_t depth_max):
    cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(document)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(document)
    cdef bint result
    if size <= 2 * depth_max:    # each level takes two bytes
        return False
    if size <= SCAN_WITH_GIL:
        return scan(start, start + size, depth_max)
    with nogil:
        result = scan(start, start + size, depth_max)
    return result


cdef bint scan(const uint8_t *at, const uint8_t *end, Py_ssize_t depth_max) noexcept nogil:
    cdef Py_ssize_t depth = 0
    cdef uint8_t step
    # Counting is many times faster than following, and settles it for most documents.
    if count_up_to(at, end, b"[", depth_max) + count_up_to(at, end, b"{", depth_max) <= depth_max:
        return False
    while at < end:
        step = STEPS[at[0]]
        at += 1
        if step == STAYS:
            continue
        if step == QUOTES:
            at = end_of_string(at, end)
        elif step == OPENS:
            depth += 1
            if depth > depth_max:
                return True
        else:
            depth -= 1
    return False


cdef Py_ssize_t count_up_to(const uint8_t *at, const uint8_t *end, uint8_t byte, Py_ssize_t most) noexcept nogil:
    """Count a byte, up to one more than most."""
    cdef Py_ssize_t count = 0
    while count <= most:
        at = <const uint8_t *>memchr(at, byte, end - at)
        if at == NULL:
            return count
        at += 1
        count += 1
    return count


cdef const uint8_t *end_of_string(const uint8_t *at, const uint8_t *end) noexcept nogil:
    """Return what follows the string whose inside starts at at."""
    cdef const uint8_t *quote
    cdef Py_ssize_t backslashes
    while True:
        quote = <const uint8_t *>memchr(at, b'"', end - at)
        if quote == NULL:
            return end
        backslashes = 0    # right before the quote; they escape each other in pairs
        while quote - backslashes > at and (quote - backslashes - 1)[0] == b"\\":
            backslashes += 1
        at = quote + 1
        if backslashes % 2 == 0:
            return at
