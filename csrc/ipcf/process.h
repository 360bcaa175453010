/* SPDX-License-Identifier: MIT
 * Child processes: start one, wait for it, end it together with all that it started.
 *
 * Between the start and the program nothing of this process runs in the child but a few
 * system calls, so it is safe beside threads that hold any lock. The child gets what is
 * listed here and nothing else: no other descriptor, no blocked signal, no handler.
 *
 * Threads: ipcf_process_start may be called from any thread, but see dies_with_parent.
 * Of the functions on one ipcf_process those that take it as const may run beside each
 * other and beside one that does not; the others need a lock of the caller's.
 */
#ifndef IPCF_PROCESS_H
#define IPCF_PROCESS_H

#include "ipcf/clock.h"
#include "ipcf/status.h"

/* Handles that a child may inherit beside its standard ones. */
#define IPCF_PROCESS_MAX_INHERITED 16

/* What ipcf_process.exit_code says when the system has not kept the status (POSIX:
 * somebody else waited for the child, or SIGCHLD is ignored). */
#define IPCF_EXIT_UNKNOWN 255

typedef enum ipcf_standard_kind {
    /* this process' own; POSIX: the null device where that is closed, or CLOEXEC, as
     * what is opened for other ends while the number is free */
    IPCF_STANDARD_INHERIT = 0,
    IPCF_STANDARD_NULL = 1, /* the null device */
    IPCF_STANDARD_GIVEN = 2 /* `handle`, which stays the caller's */
} ipcf_standard_kind;

typedef struct ipcf_standard {
    ipcf_standard_kind kind;
    ipcf_handle handle;
} ipcf_standard;

/* Texts are UTF-8 on Windows, and whatever the file system takes elsewhere. */
typedef struct ipcf_process_options {
    /* tried in turn until one can be executed; relative ones are looked for in
     * `directory`; NULL ends the list, as it does the next two */
    const char *const *programs;
    const char *const *arguments;   /* the first one is the program's name */
    const char *const *environment; /* NAME=value; NULL: this process' own */
    const char *directory;          /* NULL: this process' own */
    ipcf_standard standard[3];
    /* They keep their numbers. POSIX: 3 or more. */
    const ipcf_handle *inherited;
    size_t inherited_count;
    /* Let the child lead a session and a process group of its own: a Ctrl-C at our
     * terminal does not reach it, and its group can be ended as one. */
    bool new_session;
    /* The system kills the child when the parent ends, however that happens. Linux: the
     * parent is the *thread* that starts the child, so start from one that lives as
     * long as the process; a program that changes its user loses this. macOS has no
     * such thing: no effect. */
    bool dies_with_parent;
} ipcf_process_options;

typedef struct ipcf_process {
    int64_t pid; /* -1: none */
    /* Ready for ipcf_wait once the child has ended; IPCF_NO_HANDLE where the system has
     * no such thing, or had none left. Owned. */
    ipcf_handle handle;
    ipcf_handle job; /* Windows: holds the whole tree. Owned. */
    bool leads_session;
    bool has_ended;    /* set by ipcf_process_collect */
    int32_t exit_code; /* once it has ended; POSIX: minus the signal that ended it */
    uint64_t ended;    /* when that was found, as ipcf_process_tree_member.started */
} ipcf_process;

#define IPCF_PROCESS_NONE                                                              \
    (ipcf_process){-1, IPCF_NO_HANDLE, IPCF_NO_HANDLE, false, false, 0, 0}

/* Start a program. Not OK: no child is left; error->os_error says why and error->what
 * at which step: "exec" (none of the programs could be executed), "chdir" (the
 * directory), "setsid", "standard handles", "inherited handles", "fork", or the call of
 * this process that failed. INVALID: too many handles, or one that cannot be inherited. */
IPCF_MUST_CHECK ipcf_status ipcf_process_start(const ipcf_process_options *options,
                                               ipcf_process *process,
                                               ipcf_error *error);

/* OK: it has ended, exit_code holds; also when asked again. AGAIN: it runs. */
IPCF_MUST_CHECK ipcf_status ipcf_process_collect(ipcf_process *process,
                                                 ipcf_error *error);

/* Sleep until it has ended and can be collected, which a debugger that traces it holds
 * up: OK, TIMEOUT, INTERRUPTED. Where there is no handle to wait for it looks every few
 * milliseconds. */
IPCF_MUST_CHECK ipcf_status ipcf_process_await(const ipcf_process *process,
                                               uint64_t deadline_ns, ipcf_error *error);

/* What to wait for; IPCF_NO_HANDLE where there is none. Valid until close. */
static inline ipcf_handle ipcf_process_arm(const ipcf_process *process)
{
    return process->handle;
}

/* A second handle, the caller's own, that becomes ready when the child has ended.
 * UNSUPPORTED where there is none. */
IPCF_MUST_CHECK ipcf_status ipcf_process_watch(const ipcf_process *process,
                                               ipcf_handle *handle, ipcf_error *error);

/* Send a signal to this one process. OK also when it has ended; nobody who has been
 * given its number since then hears of it. Windows knows two: the
 * numbers of SIGTERM and SIGKILL both end it. */
IPCF_MUST_CHECK ipcf_status ipcf_process_signal(const ipcf_process *process, int number,
                                                ipcf_error *error);

/* Give the handles back. The process goes on; one that has not been collected stays in
 * the system's table until this process ends (POSIX). Idempotent. */
void ipcf_process_close(ipcf_process *process);

/* ---- the process and all that it started ----------------------------------------- */

/* A tree is the process, its descendants, and, where it leads a session, whoever else is
 * in that session. Descendants are found while they are descendants: one that has left
 * the session, and whose parent then ended, cannot be found any more, so find them
 * before anything is ended. Those found are remembered, and recognised by more than
 * their number; so is the session once its leader has been collected: by a member that
 * was there before. POSIX: nothing else is needed of them; in particular this process does
 * not become the parent of orphans. */
typedef struct ipcf_process_tree_member {
    int64_t pid;
    uint64_t started;   /* in whatever unit: tells two processes with one pid apart */
    ipcf_handle handle; /* as ipcf_process.handle; owned */
    bool is_stopped;
} ipcf_process_tree_member;

typedef struct ipcf_process_tree {
    ipcf_process_tree_member *members; /* without the process itself; owned */
    size_t count, room;
} ipcf_process_tree;

#define IPCF_PROCESS_TREE_NONE (ipcf_process_tree){NULL, 0, 0}

/* Remember whoever belongs to the tree now and is not known yet. */
IPCF_MUST_CHECK ipcf_status ipcf_process_tree_find(const ipcf_process *process,
                                                   ipcf_process_tree *tree,
                                                   ipcf_error *error);
/* Find, then ask all of them to end: SIGTERM, once each, and SIGCONT, so that stopped
 * ones hear it. Windows has nothing of the kind: OK, without effect. */
IPCF_MUST_CHECK ipcf_status ipcf_process_tree_terminate(const ipcf_process *process,
                                                        ipcf_process_tree *tree,
                                                        ipcf_error *error);
/* Find, and end all of them. They are stopped first, so that none starts another one
 * while the others end. */
IPCF_MUST_CHECK ipcf_status ipcf_process_tree_kill(const ipcf_process *process,
                                                   ipcf_process_tree *tree,
                                                   ipcf_error *error);
/* Sleep until the process has been collected by its owner (asks for has_ended, so call
 * it when that is so), and all of the tree have ended: OK, TIMEOUT, INTERRUPTED. */
IPCF_MUST_CHECK ipcf_status ipcf_process_tree_await(const ipcf_process *process,
                                                    ipcf_process_tree *tree,
                                                    uint64_t deadline_ns,
                                                    ipcf_error *error);
void ipcf_process_tree_close(ipcf_process_tree *tree); /* idempotent */

#endif
