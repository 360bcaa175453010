# SPDX-License-Identifier: MIT
"""Find and end all that a child process has started: the binding of csrc/ipcf/process.h."""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

cimport cython

from ipcfast._native.csrc cimport (
    IPCF_NO_WAIT, IPCF_OK, IPCF_INTERRUPTED, IPCF_PROCESS_TREE_NONE, IPCF_TIMEOUT, ipcf_clock_ns, ipcf_error,
    ipcf_process, ipcf_process_tree, ipcf_process_tree_await, ipcf_process_tree_close,
    ipcf_process_tree_find, ipcf_process_tree_kill, ipcf_process_tree_terminate, ipcf_status,
)
from ipcfast._native.process cimport ChildProcess
from ipcfast._native.status cimport deadline_of, raise_status

cdef enum:
    NAP_NS = 1000000000    # Python's signal handlers run at least this often while a tree is waited for

ctypedef ipcf_status (*step_function)(const ipcf_process *, ipcf_process_tree *, ipcf_error *) noexcept nogil


@cython.final
@cython.auto_pickle(False)
cdef class ProcessTree:
    cdef ChildProcess root
    cdef ipcf_process_tree tree

    def __cinit__(self, ChildProcess root not None):
        self.root = root
        self.tree = IPCF_PROCESS_TREE_NONE

    def __dealloc__(self):
        ipcf_process_tree_close(&self.tree)

    def __reduce__(self):
        raise TypeError("ProcessTree cannot be pickled: it belongs to the process that started it")

    def __len__(self):
        return self.tree.count

    cdef int run(self, step_function step, str action) except -1:
        cdef ipcf_error error
        cdef ipcf_status status
        cdef ipcf_process process = self.root.copy()
        with nogil:
            status = step(&process, &self.tree, &error)
        if status != IPCF_OK:
            raise_status(status, &error, action)
        return 0

    def find(self):
        self.run(ipcf_process_tree_find, "find the processes of a tree")

    def terminate(self):
        self.run(ipcf_process_tree_terminate, "terminate a tree of processes")

    def kill(self):
        self.run(ipcf_process_tree_kill, "kill a tree of processes")

    def wait(self, timeout=None):
        cdef uint64_t deadline = deadline_of(timeout), until = deadline
        cdef ipcf_error error
        cdef ipcf_status status
        cdef ipcf_process process
        if self.root.wait(timeout) is None:
            return False
        process = self.root.copy()
        while True:
            with nogil:
                if deadline != IPCF_NO_WAIT:
                    until = min(deadline, ipcf_clock_ns() + NAP_NS)
                status = ipcf_process_tree_await(&process, &self.tree, until, &error)
            PyErr_CheckSignals()
            if status == IPCF_OK or (status == IPCF_TIMEOUT and until == deadline):
                return status == IPCF_OK
            if status != IPCF_TIMEOUT and status != IPCF_INTERRUPTED:
                raise_status(status, &error, "wait for a tree of processes")
