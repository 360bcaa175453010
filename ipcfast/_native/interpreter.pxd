# SPDX-License-Identifier: MIT
"""What holding the interpreter's lock means for a wait: whether another thread could want it."""

from cpython.pystate cimport PyInterpreterState, PyThreadState, PyThreadState_Get

from ipcfast._native.csrc cimport IPCF_LOOK_AND_YIELD, IPCF_LOOK_BRIEFLY, IPCF_LOOK_ONCE, ipcf_look


cdef extern from "Python.h":
    PyInterpreterState *PyThreadState_GetInterpreter(PyThreadState *thread)
    PyThreadState *PyInterpreterState_ThreadHead(PyInterpreterState *interpreter)
    PyThreadState *PyThreadState_Next(PyThreadState *thread)


cdef inline ipcf_look how_to_look(bint waits) noexcept:
    """Say how the first attempt to receive may look while it holds the lock.

    In the interpreter's only thread nobody waits for the lock, so the CPU may be given away with it. Only this thread's
    own state is followed: others' may go at any moment.
    """
    if not waits:
        return IPCF_LOOK_ONCE
    cdef PyThreadState *thread = PyThreadState_Get()
    cdef PyThreadState *first = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(thread))
    return IPCF_LOOK_AND_YIELD if first == thread and PyThreadState_Next(thread) == NULL else IPCF_LOOK_BRIEFLY
