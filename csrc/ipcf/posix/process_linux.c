/* SPDX-License-Identifier: MIT
 * Processes on Linux: vfork, PDEATHSIG, pidfds, close_range, and /proc.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/process_system.h"

/* The kernel's numbers on all processors that we build for; headers older than Linux
 * 5.1 to 5.9 lack them. */
enum {
    LINUX_SYS_PIDFD_SEND_SIGNAL = 424,
    LINUX_SYS_PIDFD_OPEN = 434,
    LINUX_SYS_CLOSE_RANGE = 436
};

/* As many descriptors as a process can have, unless the machine was told otherwise. */
#define DESCRIPTORS_MAX 1048576

/* ---- in the child ---------------------------------------------------------------- */

/* vfork: the page tables are not copied (fork took 18 ms in a process that used 1 GiB),
 * and the parent's thread sleeps until exec. */
pid_t ipcf_child_fork(const ipcf_child_plan *plan, bool *is_final)
{
    *is_final = !IPCF_THREAD_SANITIZER; /* which makes a fork of it */
    pid_t pid = vfork();
    if (pid == 0)
        ipcf_child_run(plan);
    return pid;
}

void ipcf_child_die_with_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* ---- closing --------------------------------------------------------------------- */

/* One entry of /proc/self/fd, as the system call gives it. */
typedef struct linux_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
} linux_entry;

static int number_of(const char *name)
{
    int number = 0;
    if (*name == '\0')
        return -1;
    for (; *name != '\0'; ++name) {
        if (*name < '0' || *name > '9')
            return -1;
        number = 10 * number + (*name - '0');
    }
    return number;
}

/* Where nothing can be listed: no /proc, or no descriptor is left to open it with. */
static void close_each(int first, int last)
{
    struct rlimit limit;
    int highest = DESCRIPTORS_MAX - 1;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_MAX)
        highest = (int)limit.rlim_cur - 1;
    if (last < 0 || last > highest)
        last = highest;
    for (int handle = first; handle <= last; ++handle)
        (void)close(handle);
}

/* Kernels before 5.9. readdir allocates, so the system call itself. Closing while
 * listing may hide entries: listed again until nothing was closed. */
static void close_listed(int first, int last)
{
    _Alignas(linux_entry) char block[4096];
    int listing = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool has_closed = listing >= 0;
    if (listing < 0)
        close_each(first, last);
    while (has_closed) {
        has_closed = false;
        long got;
        (void)lseek(listing, 0, SEEK_SET);
        while ((got = syscall(SYS_getdents64, listing, block, sizeof block)) > 0)
            for (long at = 0; at < got;) {
                const linux_entry *entry =
                    (const linux_entry *)(const void *)&block[at];
                int handle = number_of(entry->name);
                at += entry->size;
                if (handle < first || (last >= 0 && handle > last) || handle == listing)
                    continue;
                has_closed = close(handle) == 0 || has_closed;
            }
    }
    if (listing >= 0)
        (void)close(listing);
}

void ipcf_child_close_range(int first, int last)
{
    unsigned to = last < 0 ? ~0u : (unsigned)last;
    if (IPCF_TEST_FAILS("close_range") ||
        syscall(LINUX_SYS_CLOSE_RANGE, (unsigned)first, to, 0u) != 0)
        close_listed(first, last);
}

/* ---- handles --------------------------------------------------------------------- */

ipcf_handle ipcf_process_end_handle(int64_t pid)
{
    if (IPCF_TEST_FAILS("pidfd_open"))
        return IPCF_NO_HANDLE;
    long made = syscall(LINUX_SYS_PIDFD_OPEN, (pid_t)pid, 0u);
    if (made >= 0)
        return (ipcf_handle)made;
    if (errno == EPERM || errno == EINVAL)
        errno = ENOSYS; /* a sandbox; threads and the like */
    return IPCF_NO_HANDLE;
}

ipcf_handle ipcf_process_end_handle_again(ipcf_handle handle, int64_t pid)
{
    (void)pid; /* which may be another process' by now */
    return fcntl((int)handle, F_DUPFD_CLOEXEC, 3);
}

int ipcf_process_send(ipcf_handle handle, int64_t pid, int number)
{
    if (handle != IPCF_NO_HANDLE) {
        if (syscall(LINUX_SYS_PIDFD_SEND_SIGNAL, (int)handle, number, NULL, 0u) == 0)
            return 0;
        if (errno != ENOSYS && errno != EPERM)
            return -1;
    }
    return kill((pid_t)pid, number);
}

/* ---- the table of processes ------------------------------------------------------ */

/* Ticks since the machine was started, sleep included. */
uint64_t ipcf_process_now(void)
{
    struct timespec now;
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * ticks +
           (uint64_t)now.tv_nsec * ticks / UINT64_C(1000000000);
}

/* `pid (name) state parent group session ...`, the 22nd is when it started. The name
 * may hold anything, so from the last parenthesis on. */
static bool read_stat(int directory, const char *name, ipcf_process_entry *entry)
{
    char path[32], text[1024];
    (void)snprintf(path, sizeof path, "%.20s/stat", name);
    int handle = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (handle < 0)
        return false;
    ssize_t got = read(handle, text, sizeof text - 1);
    (void)close(handle);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *rest = strrchr(text, ')');
    char state;
    long parent, group, session;
    unsigned long long started;
    if (rest == NULL ||
        sscanf(rest,
               ") %c %ld %ld %ld %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
               "%*d %*d %*d %llu",
               &state, &parent, &group, &session, &started) != 5)
        return false;
    *entry = (ipcf_process_entry){.pid = number_of(name),
                                  .parent = parent,
                                  .group = group,
                                  .session = session,
                                  .started = started,
                                  .is_dead = state == 'Z' || state == 'X'};
    return true;
}

bool ipcf_process_look_up(int64_t pid, ipcf_process_entry *entry)
{
    char name[24];
    (void)snprintf(name, sizeof name, "%lld", (long long)pid);
    int directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return false;
    bool is_there = read_stat(directory, name, entry);
    (void)close(directory);
    return is_there;
}

static bool has_room(ipcf_process_entry **entries, size_t count, size_t *room)
{
    if (count < *room)
        return true;
    size_t more = *room == 0 ? 256 : 2 * *room;
    ipcf_process_entry *grown = realloc(*entries, more * sizeof *grown);
    if (grown == NULL)
        return false;
    *entries = grown;
    *room = more;
    return true;
}

ipcf_status ipcf_process_list(ipcf_process_entry **entries, size_t *count,
                              ipcf_error *error)
{
    size_t room = 0;
    ipcf_status status = IPCF_OK;
    *entries = NULL;
    *count = 0;
    DIR *listing = opendir("/proc");
    if (listing == NULL)
        return ipcf_fail_os(error, "/proc");
    for (struct dirent *item; (item = readdir(listing)) != NULL;) {
        if (number_of(item->d_name) < 0)
            continue;
        if (!has_room(entries, *count, &room)) {
            status = ipcf_fail(error, IPCF_NO_MEMORY, "processes", *count, 0);
            break;
        }
        if (read_stat(dirfd(listing), item->d_name, &(*entries)[*count]))
            ++*count;
    }
    (void)closedir(listing);
    return status;
}
