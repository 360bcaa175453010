# SPDX-License-Identifier: MIT
"""Declare a child process, so that its tree can be ended."""

from ipcfast._native.csrc cimport ipcf_process


cdef class ChildProcess:
    cdef ipcf_process process
    cdef bint forked
    cdef object __weakref__

    cdef int check(self) except -1
    # As it is at the moment. IoError in a forked child.
    cdef ipcf_process copy(self) except *
