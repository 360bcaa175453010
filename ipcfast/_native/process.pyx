# SPDX-License-Identifier: MIT
"""Start child processes, and wait for them: the binding of csrc/ipcf/process.h."""

import errno as _errno
import os
import weakref

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

cimport cython

from ipcfast import errors

from ipcfast._native.csrc cimport (
    IPCF_AGAIN, IPCF_EXIT_UNKNOWN, IPCF_INTERRUPTED, IPCF_NO_HANDLE, IPCF_NO_WAIT, IPCF_OK, IPCF_PROCESS_MAX_INHERITED,
    IPCF_PROCESS_NONE, IPCF_STANDARD_GIVEN, IPCF_STANDARD_INHERIT, IPCF_STANDARD_NULL, IPCF_TIMEOUT,
    ipcf_clock_ns, ipcf_error, ipcf_handle, ipcf_process, ipcf_process_arm, ipcf_process_await,
    ipcf_process_close, ipcf_process_collect, ipcf_process_options, ipcf_process_signal, ipcf_process_start,
    ipcf_process_watch, ipcf_standard, ipcf_status,
)
from ipcfast._native.status cimport deadline_of, raise_status

NULL_DEVICE = -2
MAX_INHERITED = <int>IPCF_PROCESS_MAX_INHERITED
EXIT_UNKNOWN = <int>IPCF_EXIT_UNKNOWN

cdef enum:
    NAP_NS = 1000000000    # Python's signal handlers run at least this often while a process is waited for

# Only this module can make a process without starting one.
cdef object _token = object()

# Processes that this one has started; after fork, the child's copies are abandoned.
_started = weakref.WeakSet()


def _abandon_started():
    for process in list(_started):
        process.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_started)


def _spawn_failed(str step, code, program, directory):
    kind = {_errno.ENOENT: errors.SpawnNotFound, _errno.EACCES: errors.SpawnNotPermitted}.get(
        code, errors.SpawnFailed
    )
    filename = os.fsdecode(directory if step == "chdir" else program)
    where = "" if directory is None else f" in the directory {os.fsdecode(directory)}"
    advice = {
        "exec": "check the name, PATH, and that it may be executed",
        "chdir": "check that this directory exists and may be entered",
    }.get(step, f"the step that failed: {step}")
    text = f"cannot start {os.fsdecode(program)}{where}: {os.strerror(code)}; {advice}"
    return kind(text, errno=code, filename=filename, step=step)


cdef const char **pointers_of(list texts) except NULL:
    """The list of C that stands for a list of bytes, which must outlive it."""
    cdef const char **pointers = <const char **>malloc((len(texts) + 1) * sizeof(char *))
    if pointers == NULL:
        raise MemoryError()
    for i in range(len(texts)):
        pointers[i] = <bytes>texts[i]
    pointers[len(texts)] = NULL
    return pointers


cdef ipcf_standard standard_of(object handle) except *:
    cdef ipcf_standard standard
    standard.kind = IPCF_STANDARD_INHERIT if handle is None else IPCF_STANDARD_GIVEN
    standard.handle = IPCF_NO_HANDLE if handle is None else handle
    if standard.handle == NULL_DEVICE:
        standard.kind = IPCF_STANDARD_NULL
    return standard


@cython.final
@cython.auto_pickle(False)
cdef class ChildProcess:
    def __cinit__(self, token=None):
        self.process = IPCF_PROCESS_NONE
        if token is not _token:
            raise TypeError("make a ChildProcess with start()")

    def __dealloc__(self):
        ipcf_process_close(&self.process)

    def __reduce__(self):
        raise TypeError("ChildProcess cannot be pickled: it belongs to the process that started it")

    @staticmethod
    def start(list programs not None, list arguments not None, list environment, bytes directory, *, standard,
              inherited=(), new_session=True, dies_with_parent=True):
        cdef ChildProcess made = ChildProcess.__new__(ChildProcess, _token)
        cdef ipcf_handle handles[IPCF_PROCESS_MAX_INHERITED]
        cdef ipcf_process_options options
        cdef ipcf_error error
        cdef ipcf_status status
        options.programs = options.arguments = options.environment = NULL
        options.directory = NULL
        if directory is not None:
            options.directory = directory
        options.new_session = new_session
        options.dies_with_parent = dies_with_parent
        options.inherited = handles
        options.inherited_count = len(inherited)
        if options.inherited_count > IPCF_PROCESS_MAX_INHERITED:
            raise ValueError(f"{len(inherited)} handles to inherit; at most {MAX_INHERITED} can be")
        for i in range(len(inherited)):
            handles[i] = inherited[i]
        for i in range(3):
            options.standard[i] = standard_of(standard[i])
        try:
            options.programs = pointers_of(programs)
            options.arguments = pointers_of(arguments)
            if environment is not None:
                options.environment = pointers_of(environment)
            with nogil:
                status = ipcf_process_start(&options, &made.process, &error)
        finally:
            free(<void *>options.programs)
            free(<void *>options.arguments)
            free(<void *>options.environment)
        if status != IPCF_OK:
            if error.os_error == 0:
                raise_status(status, &error, "start a process")
            raise _spawn_failed((<bytes>error.what).decode(), error.os_error, arguments[0], directory)
        _started.add(made)
        return made

    cdef int check(self) except -1:
        if self.forked:
            raise errors.IoError(
                f"process {self.process.pid} was started by the process that this one was forked from, and only"
                " that one can wait for it",
                errno=_errno.ECHILD,
            )
        return 0

    cdef ipcf_process copy(self) except *:
        with cython.critical_section(self):
            self.check()
            return self.process

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_forked(self):
        return self.forked

    def handle(self):
        self.check()
        if ipcf_process_arm(&self.process) == IPCF_NO_HANDLE:
            raise errors.IoError(
                f"there is no handle to wait for process {self.process.pid} with: this system has none, no"
                " descriptor was left for it, or the process had ended before one could be made",
                errno=_errno.ENOTSUP,
            )
        return ipcf_process_arm(&self.process)

    def watch(self):
        cdef ipcf_handle handle
        cdef ipcf_error error
        cdef ipcf_process process = self.copy()
        cdef ipcf_status status = ipcf_process_watch(&process, &handle, &error)
        if status != IPCF_OK:
            raise_status(status, &error, "watch a process")
        return handle

    def poll(self):
        cdef ipcf_error error
        cdef ipcf_status status
        with cython.critical_section(self):
            self.check()
            status = ipcf_process_collect(&self.process, &error)
            if status == IPCF_OK:
                return self.process.exit_code
        if status != IPCF_AGAIN:
            raise_status(status, &error, "wait for a process")
        return None

    def wait(self, timeout=None):
        cdef uint64_t deadline = deadline_of(timeout), until = deadline
        cdef ipcf_error error
        cdef ipcf_status status
        cdef ipcf_process process = self.copy()
        while True:
            with nogil:
                if deadline != IPCF_NO_WAIT:
                    until = min(deadline, ipcf_clock_ns() + NAP_NS)
                status = ipcf_process_await(&process, until, &error)
            PyErr_CheckSignals()
            if status not in (IPCF_OK, IPCF_TIMEOUT, IPCF_INTERRUPTED):
                raise_status(status, &error, "wait for a process")
            code = self.poll()    # in any case: another thread may have collected it meanwhile
            if code is not None or (status == IPCF_TIMEOUT and until == deadline):
                return code

    def signal(self, int number):
        cdef ipcf_error error
        cdef ipcf_status status
        with cython.critical_section(self):
            self.check()
            status = ipcf_process_signal(&self.process, number, &error)
        if status != IPCF_OK:
            raise_status(status, &error, f"signal {number}")

    def abandon(self):
        # in a forked child there is one thread
        self.forked = True
        ipcf_process_close(&self.process)
