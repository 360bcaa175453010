/* SPDX-License-Identifier: MIT
 * Processes on macOS: fork, kqueue, and libproc.
 */
#include <errno.h>
#include <fcntl.h>
#include <libproc.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/proc.h>
#include <sys/time.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/process_system.h"

/* Closing one by one takes 0.1 us each; the table can be unlimited. */
#define DESCRIPTORS_MAX 65536

/* ---- in the child ---------------------------------------------------------------- */

/* vfork is deprecated. */
pid_t ipcf_child_fork(const ipcf_child_plan *plan, bool *is_final)
{
    *is_final = false;
    pid_t pid = fork();
    if (pid == 0)
        ipcf_child_run(plan);
    return pid;
}

void ipcf_child_die_with_parent(void) {}

void ipcf_child_close_range(int first, int last)
{
    int highest = getdtablesize() - 1;
    if (highest >= DESCRIPTORS_MAX)
        highest = DESCRIPTORS_MAX - 1;
    if (last < 0 || last > highest)
        last = highest;
    for (int handle = first; handle <= last; ++handle)
        (void)close(handle);
}

/* ---- handles --------------------------------------------------------------------- */

ipcf_handle ipcf_process_end_handle(int64_t pid)
{
    int queue = kqueue();
    if (queue < 0)
        return IPCF_NO_HANDLE;
    struct kevent change;
    EV_SET(&change, (uintptr_t)pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
    if (fcntl(queue, F_SETFD, FD_CLOEXEC) == 0 &&
        kevent(queue, &change, 1, NULL, 0, NULL) == 0)
        return queue;
    int os_error = errno;
    (void)close(queue);
    errno = os_error;
    return IPCF_NO_HANDLE;
}

ipcf_handle ipcf_process_end_handle_again(ipcf_handle handle, int64_t pid)
{
    (void)handle; /* a copy of a kqueue would share its events */
    return ipcf_process_end_handle(pid);
}

int ipcf_process_send(ipcf_handle handle, int64_t pid, int number)
{
    (void)handle;
    return kill((pid_t)pid, number);
}

/* ---- the table of processes ------------------------------------------------------ */

/* Microseconds of the wall clock. */
uint64_t ipcf_process_now(void)
{
    struct timeval now;
    (void)gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * UINT64_C(1000000) + (uint64_t)now.tv_usec;
}

bool ipcf_process_look_up(int64_t pid, ipcf_process_entry *entry)
{
    struct proc_bsdinfo found;
    if (proc_pidinfo((int)pid, PROC_PIDTBSDINFO, 0, &found, sizeof found) !=
        (int)sizeof found)
        return false;
    *entry = (ipcf_process_entry){
        .pid = pid,
        .parent = found.pbi_ppid,
        .group = found.pbi_pgid,
        .session = getsid((pid_t)pid),
        .started = found.pbi_start_tvsec * UINT64_C(1000000) + found.pbi_start_tvusec,
        .is_dead = found.pbi_status == SZOMB,
    };
    return true;
}

ipcf_status ipcf_process_list(ipcf_process_entry **entries, size_t *count,
                              ipcf_error *error)
{
    *entries = NULL;
    *count = 0;
    int size = proc_listpids(PROC_ALL_PIDS, 0, NULL, 0);
    if (size <= 0)
        return ipcf_fail_os(error, "proc_listpids");
    size_t room = (size_t)size / sizeof(pid_t) + 64; /* others start meanwhile */
    pid_t *numbers = malloc(room * sizeof *numbers);
    *entries = malloc(room * sizeof **entries);
    if (numbers == NULL || *entries == NULL) {
        free(numbers);
        return ipcf_fail(error, IPCF_NO_MEMORY, "processes", room, 0);
    }
    size = proc_listpids(PROC_ALL_PIDS, 0, numbers, (int)(room * sizeof *numbers));
    size_t found = size > 0 ? (size_t)size / sizeof *numbers : 0;
    for (size_t i = 0; i < found; ++i)
        if (numbers[i] > 0 && ipcf_process_look_up(numbers[i], &(*entries)[*count]))
            ++*count;
    free(numbers);
    return IPCF_OK;
}
