/* SPDX-License-Identifier: MIT
 * What processes need of one system: process_linux.c and process_macos.c implement it;
 * and what happens in the child between fork and exec, process_child.c.
 */
#ifndef IPCF_POSIX_PROCESS_SYSTEM_H
#define IPCF_POSIX_PROCESS_SYSTEM_H

#include <signal.h>
#include <sys/types.h>

#include "ipcf/process.h"

/* Which step of the child failed. */
typedef enum ipcf_child_step {
    IPCF_CHILD_EXEC = 0,
    IPCF_CHILD_CHDIR,
    IPCF_CHILD_SESSION,
    IPCF_CHILD_STANDARD,
    IPCF_CHILD_INHERITED
} ipcf_child_step;

typedef struct ipcf_child_report {
    int32_t os_error;
    int32_t step; /* ipcf_child_step */
} ipcf_child_report;

/* All that the child does, decided before it exists: it allocates nothing. */
typedef struct ipcf_child_plan {
    const ipcf_process_options *options;
    char *const *environment;
    int standard[3]; /* -1: as it is */
    /* the inherited ones and `report`, in ascending order */
    int kept[IPCF_PROCESS_MAX_INHERITED + 1];
    size_t kept_count;
    int report; /* takes an ipcf_child_report where a step fails; CLOEXEC */
    pid_t parent;
} ipcf_child_plan;

/* What the child does: never comes back. Only async-signal-safe calls, and nothing that
 * changes memory which the parent uses, because it may be the parent's. */
_Noreturn void ipcf_child_run(const ipcf_child_plan *plan);

/* ---- process_linux.c, process_macos.c -------------------------------------------- */

/* Fork, with ipcf_child_run in the child. -1 and errno. *is_final: the child has left
 * for its program, or has reported and ended, by now. */
pid_t ipcf_child_fork(const ipcf_child_plan *plan, bool *is_final);

/* In the child: be killed when the parent ends. */
void ipcf_child_die_with_parent(void);

/* In the child: close the descriptors first to last (-1: the highest). */
void ipcf_child_close_range(int first, int last);

/* A handle that is ready once the process has ended. IPCF_NO_HANDLE and errno; ENOSYS
 * where the system has none, ESRCH when there is no such process. */
ipcf_handle ipcf_process_end_handle(int64_t pid);

/* A second one of that kind for the same process. */
ipcf_handle ipcf_process_end_handle_again(ipcf_handle handle, int64_t pid);

/* Whether the number is still the child's. It is until somebody has collected the child,
 * which a handler of SIGCHLD elsewhere may have done, or the system itself. */
bool ipcf_process_holds_number(const ipcf_process *process);

/* Send a signal to the process that the handle stands for, or that the pid names where
 * there is none. 0, or -1 and errno. */
int ipcf_process_send(ipcf_handle handle, int64_t pid, int number);

/* The time in the unit of ipcf_process_entry.started. */
uint64_t ipcf_process_now(void);

typedef struct ipcf_process_entry {
    int64_t pid, parent, group, session;
    uint64_t started;
    bool is_dead; /* it has ended, and nobody has collected it */
    bool is_member;
} ipcf_process_entry;

/* All processes that this one can see: *entries is the caller's, to be freed. */
IPCF_MUST_CHECK ipcf_status ipcf_process_list(ipcf_process_entry **entries,
                                              size_t *count, ipcf_error *error);

/* One of them. False: there is none. */
bool ipcf_process_look_up(int64_t pid, ipcf_process_entry *entry);

#endif
