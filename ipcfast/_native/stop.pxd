# SPDX-License-Identifier: MIT
"""Declare the timeout that another thread can bring forward, and how a receive finds out that it was given one."""

from libc.stdint cimport uint64_t

from ipcfast._native.csrc cimport IPCF_NEVER, ipcf_stop


cdef class StoppableTimeout(float):
    cdef ipcf_stop state
    cdef object waited_on    # the channel, whose wake_receivers is the second half of stopping


# One for receives of this channel.
cdef StoppableTimeout stoppable_timeout(object seconds, object waited_on)


cdef inline const ipcf_stop *stop_of(object timeout, uint64_t *deadline) noexcept:
    """Give what the timeout of a receive can be stopped by, and then no deadline; NULL where it is a plain one."""
    if type(timeout) is not StoppableTimeout:
        return NULL
    deadline[0] = IPCF_NEVER
    return &(<StoppableTimeout>timeout).state
