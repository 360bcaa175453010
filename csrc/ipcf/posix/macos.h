/* SPDX-License-Identifier: MIT
 * macOS' side of the system calls that differ between POSIX systems; linux.h has the
 * same names. Only posix/ includes it, as IPCF_SYSTEM_HEADER. Functions here answer as
 * system calls do: -1 and errno.
 *
 * What macOS lacks: CLOEXEC at birth. A descriptor has it from the next system call on,
 * and a process that is started here closes all but what it was given (process_child.c);
 * one that another library starts in between inherits it. A full backlog answers ECONNREFUSED: the lock file alone
 * tells a busy server from a dead one.
 */
#ifndef IPCF_POSIX_MACOS_H
#define IPCF_POSIX_MACOS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ipcf/clock.h"

/* SIGPIPE is kept away by SO_NOSIGPIPE. */
#define IPCF_OS_SEND_FLAGS MSG_DONTWAIT
#define IPCF_OS_RECEIVE_FLAGS MSG_DONTWAIT

/* ---- threads --------------------------------------------------------------------- */

static inline bool ipcf_os_condition_init(pthread_cond_t *condition)
{
    return pthread_cond_init(condition, NULL) == 0;
}

/* Sleep until woken, until the monotonic time until_ns, or for no reason; the caller
 * finds out which. */
static inline void ipcf_os_condition_wait(pthread_cond_t *condition,
                                          pthread_mutex_t *mutex, uint64_t until_ns)
{
    uint64_t now = ipcf_clock_ns();
    uint64_t left = until_ns > now ? until_ns - now : 0;
    struct timespec duration = {.tv_sec = (time_t)(left / UINT64_C(1000000000)),
                                .tv_nsec = (long)(left % UINT64_C(1000000000))};
    (void)pthread_cond_timedwait_relative_np(condition, mutex, &duration);
}

/* ---- waiting --------------------------------------------------------------------- */

/* poll until a monotonic deadline, rounded up to milliseconds; it may return 0 before a
 * very distant one. */
static inline int ipcf_os_poll(struct pollfd *polled, size_t count,
                               uint64_t deadline_ns)
{
    if (deadline_ns == IPCF_NEVER)
        return poll(polled, (nfds_t)count, -1);
    uint64_t now = deadline_ns == IPCF_NO_WAIT ? 0 : ipcf_clock_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    uint64_t ms = left / 1000000u + (left % 1000000u != 0 ? 1u : 0u);
    return poll(polled, (nfds_t)count, ms < INT_MAX ? (int)ms : INT_MAX);
}

/* ---- descriptors ----------------------------------------------------------------- */

static inline int ipcf_os_set_flags(int handle)
{
    if (fcntl(handle, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    int flags = fcntl(handle, F_GETFL);
    return flags < 0 ? -1 : fcntl(handle, F_SETFL, flags | O_NONBLOCK);
}

/* What a socket made elsewhere needs beside CLOEXEC and O_NONBLOCK. */
static inline int ipcf_os_adopt_socket(int socket_handle)
{
    int on = 1;
    return setsockopt(socket_handle, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
}

/* handle, ready for use; closed and -1 where that failed. */
static inline int ipcf_os_finish_socket(int handle)
{
    if (handle < 0 ||
        (ipcf_os_set_flags(handle) == 0 && ipcf_os_adopt_socket(handle) == 0))
        return handle;
    int os_error = errno;
    (void)close(handle);
    /* setsockopt says EINVAL for an accepted client that is already gone */
    errno = os_error == EINVAL ? ECONNABORTED : os_error;
    return -1;
}

static inline int ipcf_os_socket(void)
{
    return ipcf_os_finish_socket(socket(AF_UNIX, SOCK_STREAM, 0));
}

static inline int ipcf_os_accept(int listening)
{
    return ipcf_os_finish_socket(accept(listening, NULL, NULL));
}

static inline int ipcf_os_socket_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    if (ipcf_os_finish_socket(ends[0]) < 0) {
        (void)close(ends[1]);
        return -1;
    }
    if (ipcf_os_finish_socket(ends[1]) < 0) {
        (void)close(ends[0]);
        return -1;
    }
    return 0;
}

/* Descriptors that recvmsg has delivered. */
static inline void ipcf_os_received(const int *handles, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        (void)fcntl(handles[i], F_SETFD, FD_CLOEXEC);
}

/* What a pipe's writing end made elsewhere needs beside CLOEXEC and O_NONBLOCK. */
static inline int ipcf_os_adopt_pipe(int ring_end)
{
    return fcntl(ring_end, F_SETNOSIGPIPE, 1);
}

/* Let the number `replaced` stand for the open file of `handle`. */
static inline void ipcf_os_replace(int handle, int replaced)
{
    while (dup2(handle, replaced) < 0 && errno == EINTR)
        continue;
    (void)fcntl(replaced, F_SETFD, FD_CLOEXEC);
}

static inline int ipcf_os_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return -1;
    if (ipcf_os_set_flags(ends[0]) == 0 && ipcf_os_set_flags(ends[1]) == 0 &&
        ipcf_os_adopt_pipe(ends[1]) == 0)
        return 0;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return -1;
}

/* Both write to a pipe that may have lost its reader, without SIGPIPE: F_SETNOSIGPIPE
 * has seen to that. */
static inline ssize_t ipcf_os_writev_quietly(int handle, const struct iovec *parts,
                                             int count)
{
    return writev(handle, parts, count);
}

static inline ssize_t ipcf_os_write_quietly(int handle, const void *data, size_t size)
{
    return write(handle, data, size);
}

/* Open the terminal behind a descriptor once more, non-blocking: an open file of our
 * own, whose flags nobody shares. -1 where that cannot be had, as for pipes: /dev/fd only
 * duplicates. The caller compares what it is. */
static inline int ipcf_os_reopen(int handle, int access)
{
    char path[128]; /* the size that TIOCPTYGNAME fills */
    /* the master's side of a terminal has the other side's name */
    if (ioctl(handle, TIOCPTYGNAME, path) == 0 ||
        ttyname_r(handle, path, sizeof path) != 0) {
        errno = ENXIO;
        return -1;
    }
    return open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* ---- memory ---------------------------------------------------------------------- */

static inline int ipcf_os_map_flags(size_t size)
{
    (void)size;
    return MAP_SHARED;
}

/* Pages come from swap that grows, and never from a quota: the size is all there is to
 * set. */
static inline int ipcf_os_allocate(int handle, size_t size)
{
    return ftruncate(handle, (off_t)size);
}

#endif
