# SPDX-License-Identifier: MIT
"""Declare how bodies that come in parts are fetched, for receiving.pyx."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint64_t

from ipcfast._native.csrc cimport ipcf_channel, ipcf_error, ipcf_message, ipcf_status, ipcf_stop

# The long message whose body is coming in: an unfinished bytes object that is owned, and its size. Used under the
# receiving direction's lock.
cdef struct partial_body:
    PyObject *bytes
    size_t size


cdef inline bytes steal(PyObject *body):
    """Make the one reference to body that the caller owns the result's."""
    cdef bytes result = <bytes><object>body
    Py_DECREF(result)
    return result


# Fetch the next part of a long body; the whole of it once that is the last. None when *status is not OK: unlocked,
# nothing is lost, begin again. INTERRUPTED comes between any two parts, so that the caller looks for signals.
cdef bytes take_part(ipcf_channel *channel, partial_body *partial, const ipcf_message *message, uint64_t deadline,
                     const ipcf_stop *stop, ipcf_status *status, ipcf_error *error)

# Fetch a body, or the rest of one, into dest, and unlock. What has come when that fails is kept as the partial body.
cdef ipcf_status read_into(ipcf_channel *channel, partial_body *partial, const ipcf_message *message, char *dest,
                           uint64_t deadline, ipcf_error *error) except *
