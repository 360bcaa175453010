/* SPDX-License-Identifier: MIT
 * Linux' side of the system calls that differ between POSIX systems; macos.h has the
 * same names. Only posix/ includes it, as IPCF_SYSTEM_HEADER. Functions here answer as
 * system calls do: -1 and errno.
 */
#ifndef IPCF_POSIX_LINUX_H
#define IPCF_POSIX_LINUX_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ipcf/clock.h"

/* MSG_DONTWAIT and not O_NONBLOCK alone: that flag belongs to the open file, which
 * other processes may share. */
#define IPCF_OS_SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#define IPCF_OS_RECEIVE_FLAGS (MSG_DONTWAIT | MSG_CMSG_CLOEXEC)

static inline struct timespec ipcf_os_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / UINT64_C(1000000000)),
                             .tv_nsec = (long)(ns % UINT64_C(1000000000))};
}

/* ---- threads --------------------------------------------------------------------- */

static inline bool ipcf_os_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return done;
}

/* Sleep until woken, until the monotonic time until_ns, or for no reason; the caller
 * finds out which. */
static inline void ipcf_os_condition_wait(pthread_cond_t *condition,
                                          pthread_mutex_t *mutex, uint64_t until_ns)
{
    struct timespec until = ipcf_os_timespec(until_ns);
    (void)pthread_cond_timedwait(condition, mutex, &until);
}

/* ---- waiting --------------------------------------------------------------------- */

/* poll until a monotonic deadline, to the nanosecond. */
static inline int ipcf_os_poll(struct pollfd *polled, size_t count,
                               uint64_t deadline_ns)
{
    if (deadline_ns == IPCF_NEVER)
        return ppoll(polled, (nfds_t)count, NULL, NULL);
    uint64_t now = deadline_ns == IPCF_NO_WAIT ? 0 : ipcf_clock_ns();
    struct timespec left = ipcf_os_timespec(deadline_ns > now ? deadline_ns - now : 0);
    return ppoll(polled, (nfds_t)count, &left, NULL);
}

/* ---- descriptors ----------------------------------------------------------------- */

static inline int ipcf_os_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static inline int ipcf_os_socket_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static inline int ipcf_os_accept(int listening)
{
    return accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* What a socket made elsewhere needs beside CLOEXEC and O_NONBLOCK. */
static inline int ipcf_os_adopt_socket(int socket_handle)
{
    (void)socket_handle;
    return 0;
}

/* Descriptors that recvmsg has delivered. */
static inline void ipcf_os_received(const int *handles, size_t count)
{
    (void)handles; /* MSG_CMSG_CLOEXEC has done it */
    (void)count;
}

/* Let the number `replaced` stand for the open file of `handle`. */
static inline void ipcf_os_replace(int handle, int replaced)
{
    while (dup3(handle, replaced, O_CLOEXEC) < 0 && (errno == EINTR || errno == EBUSY))
        continue;
}

static inline int ipcf_os_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

/* What a pipe's writing end made elsewhere needs beside CLOEXEC and O_NONBLOCK. */
static inline int ipcf_os_adopt_pipe(int ring_end)
{
    (void)ring_end;
    return 0;
}

/* writev to a pipe that may have lost its reader, without SIGPIPE: it is blocked in this
 * thread meanwhile, and taken away if it was our write that raised it. */
static inline ssize_t ipcf_os_writev_quietly(int handle, const struct iovec *parts,
                                             int count)
{
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    /* none can be pending already where it was not blocked */
    bool was_pending = sigismember(&before, SIGPIPE) == 1 &&
                       sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    ssize_t put = writev(handle, parts, count);
    int os_error = errno;
    if (put < 0 && os_error == EPIPE && !was_pending) {
        struct timespec at_once = {0, 0};
        while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = os_error;
    return put;
}

static inline ssize_t ipcf_os_write_quietly(int handle, const void *data, size_t size)
{
    struct iovec part = {.iov_base = NULL, .iov_len = size};
    /* no const there, and nothing is written */
    memcpy(&part.iov_base, &data, sizeof part.iov_base);
    return ipcf_os_writev_quietly(handle, &part, 1);
}

/* Open the pipe, FIFO or terminal behind a descriptor once more, non-blocking: an open
 * file of our own, whose flags nobody shares. -1 where that cannot be had; the caller
 * compares what it is. */
static inline int ipcf_os_reopen(int handle, int access)
{
    char path[32];
    unsigned number;
    /* opening the master's side of a terminal would make another terminal */
    if (ioctl(handle, TIOCGPTN, &number) == 0) {
        errno = ENXIO;
        return -1;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    return open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* ---- memory ---------------------------------------------------------------------- */

/* Fault the pages of small mappings in at once (2 us each on first touch); large ones
 * come as they are used. */
#define IPCF_OS_POPULATE_MAX ((size_t)4 << 20)

static inline int ipcf_os_map_flags(size_t size)
{
    return size <= IPCF_OS_POPULATE_MAX ? MAP_SHARED | MAP_POPULATE : MAP_SHARED;
}

/* Size the file, and allocate its pages in steps: a signal undoes no more than the step
 * it met. */
static inline int ipcf_os_allocate(int handle, size_t size)
{
    const size_t step = (size_t)64 << 20;
    if (ftruncate(handle, (off_t)size) != 0)
        return -1;
    for (size_t start = 0; start < size; start += step) {
        size_t length = size - start < step ? size - start : step;
        while (fallocate(handle, 0, (off_t)start, (off_t)length) != 0)
            if (errno != EINTR)
                return -1;
    }
    return 0;
}

#endif
