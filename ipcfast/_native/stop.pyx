# SPDX-License-Identifier: MIT
"""A timeout that another thread can bring forward: the binding of csrc/ipcf/stop.h."""

from ipcfast._native.csrc cimport (
    IPCF_OK, ipcf_error, ipcf_status, ipcf_stop_destroy, ipcf_stop_init, ipcf_stop_is_set, ipcf_stop_reset,
    ipcf_stop_set,
)
from ipcfast._native.status cimport raise_status


cdef class StoppableTimeout(float):
    def __cinit__(self, *args):
        cdef ipcf_error error
        cdef ipcf_status status = ipcf_stop_init(&self.state, &error)
        if status != IPCF_OK:
            raise_status(status, &error, "stoppable")

    def __dealloc__(self):
        ipcf_stop_destroy(&self.state)

    def stop(self):
        ipcf_stop_set(&self.state)
        if self.waited_on is not None:
            self.waited_on.wake_receivers()

    def reset(self):
        ipcf_stop_reset(&self.state)

    @property
    def is_stopped(self):
        return ipcf_stop_is_set(&self.state)


cdef StoppableTimeout stoppable_timeout(object seconds, object waited_on):
    cdef StoppableTimeout made = StoppableTimeout(seconds)
    made.waited_on = waited_on
    return made
