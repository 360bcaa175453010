/* SPDX-License-Identifier: MIT
 * A stream over two descriptors of any kind, one for each direction. See stream_ends.h
 * and ipcf_stream_adopt_pair in stream.h.
 */
#include "ipcf/posix/stream_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/ready_set.h"
#include IPCF_SYSTEM_HEADER

/* What a terminal takes without blocking when it can be written to at all; of pipes
 * that is PIPE_BUF. */
#define DEVICE_STEP ((size_t)256)

typedef struct stream_end {
    ipcf_os_mutex lock;
    ipcf_handle handle;
    bool is_socket;       /* recv and send in place of read and write */
    bool is_always_ready; /* a file: cannot be waited for, and never says EAGAIN */
    bool is_device;       /* EIO is how a terminal tells that its other side is gone */
    bool is_pipe;
    /* The open file is not ours alone, and whether it blocks is for others to say: each
     * call asks first whether it would. */
    bool may_block;
    bool has_ended; /* under the lock */
} stream_end;

typedef struct stream_ends {
    stream_end reading, writing;
    ipcf_handle
        dead_end; /* of a pipe without a writer: always ready, nothing to read */
    pid_t owner;  /* in a forked child the locks may be held by threads of its parent */
} stream_ends;

/* ---- taking over ----------------------------------------------------------------- */

static bool can_be_waited_for(ipcf_handle handle)
{
    ipcf_handle set;
    if (ipcf_ready_set_create(&handle, 1, &set, NULL) != IPCF_OK)
        return false;
    ipcf_handle_close(&set);
    return true;
}

/* Find out what it is. refused: the access mode that does not allow the direction. */
static ipcf_status examine(stream_end *end, int refused, ipcf_error *error)
{
    struct stat found;
    int type = SOCK_STREAM, flags = fcntl((int)end->handle, F_GETFL);
    socklen_t size = sizeof type;
    if (flags < 0 || fstat((int)end->handle, &found) != 0)
        return ipcf_fail_os(error, "descriptor to take over");
    if ((flags & O_ACCMODE) == refused || S_ISDIR(found.st_mode))
        return ipcf_fail(error, IPCF_INVALID, "a descriptor's direction", 0,
                         (uint64_t)end->handle);
    end->is_socket = S_ISSOCK(found.st_mode);
    end->is_device = S_ISCHR(found.st_mode);
    end->is_pipe = S_ISFIFO(found.st_mode);
    if (end->is_socket &&
        (getsockopt((int)end->handle, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
         type != SOCK_STREAM))
        return ipcf_fail(error, IPCF_INVALID, "type of the socket", SOCK_STREAM,
                         (uint64_t)type);
    end->is_always_ready =
        !end->is_socket && !end->is_pipe && !can_be_waited_for(end->handle);
    return IPCF_OK;
}

/* Those of the events that are there, and what poll tells without being asked: the end
 * of the other side. */
static short events_of(ipcf_handle handle, short events)
{
    struct pollfd polled = {.fd = (int)handle, .events = events, .revents = 0};
    while (poll(&polled, 1, 0) < 0 && errno == EINTR)
        continue;
    return polled.revents;
}

static bool are_same(ipcf_handle one, ipcf_handle other)
{
    struct stat first, second;
    return fstat((int)one, &first) == 0 && fstat((int)other, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino &&
           first.st_rdev == second.st_rdev;
}

/* An open file of our own, or IPCF_NO_HANDLE. Of other things than pipes and terminals
 * a second one need not be the same thing: some devices are new with each open. Who
 * comes to read a pipe when its last writer has gone is not told of that end by the
 * system, but the old descriptor is. */
static ipcf_handle open_anew(const stream_end *end)
{
    int access = fcntl((int)end->handle, F_GETFL) & O_ACCMODE;
    if (IPCF_TEST_FAILS("reopen") || (!end->is_pipe && isatty((int)end->handle) != 1))
        return IPCF_NO_HANDLE;
    ipcf_handle opened = ipcf_os_reopen((int)end->handle, access);
    if (opened != IPCF_NO_HANDLE && (!are_same(end->handle, opened) ||
                                     (events_of(end->handle, POLLIN) & POLLHUP) != 0))
        ipcf_handle_close(&opened);
    return opened;
}

/* Make sure that operations do not block, and change nothing for those who share the
 * open file; *anew is what to use in place of the handle, IPCF_NO_HANDLE where it stays. */
static void unblock(stream_end *end, ipcf_handle *anew)
{
    if (end->is_socket || end->is_always_ready)
        return;
    *anew = open_anew(end);
    end->may_block = *anew == IPCF_NO_HANDLE;
}

/* Let no write raise SIGPIPE. */
static ipcf_status silence(stream_end *writing, ipcf_handle used, ipcf_error *error)
{
    int result = IPCF_TEST_FAILS("silence") ? -1
                 : writing->is_socket       ? ipcf_os_adopt_socket((int)used)
                                            : ipcf_os_adopt_pipe((int)used);
    if (result == 0)
        return IPCF_OK;
    if (!writing->is_socket || errno != EINVAL)
        return ipcf_fail_os(error, "option of a descriptor");
    /* macOS says so of a socket that has been shut down: what came before may be read */
    writing->has_ended = true;
    return IPCF_OK;
}

static ipcf_status make_dead_end(stream_ends *ends, ipcf_error *error)
{
    int pipe_ends[2];
    if (ipcf_os_pipe(pipe_ends) != 0)
        return ipcf_fail_os(error, "pipe");
    ends->dead_end = pipe_ends[0];
    (void)close(pipe_ends[1]);
    return IPCF_OK;
}

static ipcf_status mark_cloexec(const stream_end *end, ipcf_error *error)
{
    return fcntl((int)end->handle, F_SETFD, FD_CLOEXEC) == 0
               ? IPCF_OK
               : ipcf_fail_os(error, "flags of a descriptor");
}

/* All that may fail. */
static ipcf_status take_over(stream_ends *ends, ipcf_handle *read_anew,
                             ipcf_handle *write_anew, ipcf_error *error)
{
    ipcf_status status = examine(&ends->reading, O_WRONLY, error);
    if (status == IPCF_OK)
        status = examine(&ends->writing, O_RDONLY, error);
    if (status == IPCF_OK)
        status = make_dead_end(ends, error);
    if (status == IPCF_OK)
        status = mark_cloexec(&ends->reading, error);
    if (status == IPCF_OK)
        status = mark_cloexec(&ends->writing, error);
    if (status != IPCF_OK)
        return status;
    unblock(&ends->reading, read_anew);
    unblock(&ends->writing, write_anew);
    return silence(&ends->writing,
                   *write_anew != IPCF_NO_HANDLE ? *write_anew : ends->writing.handle,
                   error);
}

static void use(stream_end *end, ipcf_handle anew)
{
    if (anew == IPCF_NO_HANDLE)
        return;
    ipcf_handle_close(&end->handle);
    end->handle = anew;
}

ipcf_status ipcf_stream_adopt_pair(ipcf_handle read_handle, ipcf_handle write_handle,
                                   ipcf_stream *stream, ipcf_error *error)
{
    ipcf_handle read_anew = IPCF_NO_HANDLE, write_anew = IPCF_NO_HANDLE;
    *stream = IPCF_STREAM_NONE;
    if (read_handle == write_handle)
        return ipcf_fail(error, IPCF_INVALID, "one descriptor for both directions", 0,
                         (uint64_t)read_handle);
    stream_ends *ends = calloc(1, sizeof *ends);
    if (ends == NULL)
        return ipcf_fail(error, IPCF_NO_MEMORY, "stream", 0, sizeof *ends);
    ends->reading.handle = read_handle;
    ends->writing.handle = write_handle;
    ends->dead_end = IPCF_NO_HANDLE;
    ends->owner = getpid();
    ipcf_status status = take_over(ends, &read_anew, &write_anew, error);
    if (status != IPCF_OK) {
        ipcf_handle_close(&read_anew);
        ipcf_handle_close(&write_anew);
        ipcf_handle_close(&ends->dead_end);
        free(ends);
        return status;
    }
    use(&ends->reading, read_anew);
    use(&ends->writing, write_anew);
    (void)pthread_mutex_init(&ends->reading.lock, NULL);
    (void)pthread_mutex_init(&ends->writing.lock, NULL);
    stream->handle =
        ends->reading.is_always_ready ? ends->dead_end : ends->reading.handle;
    stream->ends = ends;
    return IPCF_OK;
}

/* ---- moving bytes ---------------------------------------------------------------- */

static ipcf_status failed(const stream_end *end, const char *what, ipcf_error *error)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ipcf_fail(error, IPCF_AGAIN, what, 0, 0);
    bool is_hang_up = end->is_device && errno == EIO;
    ipcf_status status = ipcf_fail_os(error, what);
    return is_hang_up ? IPCF_DISCONNECTED : status;
}

static ipcf_status has_ended(ipcf_error *error)
{
    return ipcf_fail(error, IPCF_DISCONNECTED, "this end was shut down", 0, 0);
}

/* Somebody else who reads or writes there may still come between the answer and the
 * call, which then waits for him. */
static bool would_block(const stream_end *end, short event)
{
    if (!end->may_block || events_of(end->handle, event) != 0)
        return false;
    errno = EAGAIN;
    return true;
}

static ssize_t read_some(const stream_end *end, void *data, size_t size)
{
    ssize_t result;
    size = IPCF_TEST_SHORT(size);
    do
        if (IPCF_TEST_FAILS("read") || would_block(end, POLLIN))
            result = -1;
        else if (end->is_socket)
            result = recv((int)end->handle, data, size, IPCF_OS_RECEIVE_FLAGS);
        else
            result = read((int)end->handle, data, size);
    while (result < 0 && errno == EINTR);
    return result;
}

ipcf_status ipcf_stream_ends_try_read(ipcf_stream *stream, void *data, size_t size,
                                      size_t *got, ipcf_error *error)
{
    stream_end *end = &((stream_ends *)stream->ends)->reading;
    ipcf_status status = IPCF_OK;
    *got = 0;
    if (size == 0)
        return ipcf_fail(error, IPCF_INVALID, "room to read into", 1, 0);
    (void)pthread_mutex_lock(&end->lock);
    if (end->has_ended) {
        status = has_ended(error);
    } else {
        ssize_t result = read_some(end, data, size);
        if (result > 0)
            *got = (size_t)result;
        else if (result == 0)
            status = ipcf_fail(error, IPCF_DISCONNECTED, "end of the stream", 0, 0);
        else
            status = failed(end, "read", error);
    }
    (void)pthread_mutex_unlock(&end->lock);
    return status;
}

static ssize_t write_some(const stream_end *end, struct iovec *parts, size_t count)
{
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    /* int here, size_t there: this fits either */
    message.msg_iovlen = (uint8_t)count;
    ssize_t result;
    do
        if (IPCF_TEST_FAILS("write") || would_block(end, POLLOUT))
            result = -1;
        else if (end->is_socket)
            result = sendmsg((int)end->handle, &message, IPCF_OS_SEND_FLAGS);
        else
            result = ipcf_os_writev_quietly((int)end->handle, parts, (int)count);
    while (result < 0 && errno == EINTR);
    return result;
}

/* As much of the pieces as one call may take; returns how many parts that makes. */
static size_t gather(const stream_end *end, const ipcf_piece *pieces, size_t count,
                     struct iovec *parts)
{
    size_t most = end->is_pipe ? PIPE_BUF : DEVICE_STEP, total = 0, taken = 0;
    for (size_t i = 0; i < count; ++i)
        total += pieces[i].size;
    size_t left = IPCF_TEST_SHORT(end->may_block && most < total ? most : total);
    for (; taken < count && left > 0; left -= parts[taken++].iov_len) {
        /* iovec has no const, and nothing is written there */
        memcpy(&parts[taken].iov_base, &pieces[taken].data, sizeof parts->iov_base);
        parts[taken].iov_len = pieces[taken].size < left ? pieces[taken].size : left;
    }
    return taken;
}

ipcf_status ipcf_stream_ends_try_write(ipcf_stream *stream, const ipcf_piece *pieces,
                                       size_t count, size_t *put, ipcf_error *error)
{
    stream_end *end = &((stream_ends *)stream->ends)->writing;
    struct iovec parts[IPCF_STREAM_MAX_PIECES];
    ipcf_status status = IPCF_OK;
    *put = 0;
    if (count > IPCF_STREAM_MAX_PIECES)
        return ipcf_fail(error, IPCF_INVALID, "pieces of one write",
                         IPCF_STREAM_MAX_PIECES, count);
    count = gather(end, pieces, count, parts);
    (void)pthread_mutex_lock(&end->lock);
    if (end->has_ended) {
        status = has_ended(error);
    } else if (count > 0) {
        ssize_t result = write_some(end, parts, count);
        if (result >= 0)
            *put = (size_t)result;
        else
            status = failed(end, "write", error);
    }
    (void)pthread_mutex_unlock(&end->lock);
    return status;
}

ipcf_handle ipcf_stream_ends_arm_write(const ipcf_stream *stream)
{
    const stream_ends *ends = stream->ends;
    return ends->writing.is_always_ready ? ends->dead_end : ends->writing.handle;
}

/* ---- ending ---------------------------------------------------------------------- */

static void end_direction(stream_end *end, ipcf_handle dead_end)
{
    (void)pthread_mutex_lock(&end->lock);
    if (!end->has_ended) {
        end->has_ended = true;
        ipcf_os_replace((int)dead_end, (int)end->handle);
    }
    (void)pthread_mutex_unlock(&end->lock);
}

void ipcf_stream_ends_shut_down(ipcf_stream *stream)
{
    stream_ends *ends = stream->ends;
    end_direction(&ends->writing, ends->dead_end);
    end_direction(&ends->reading, ends->dead_end);
}

void ipcf_stream_ends_close(ipcf_stream *stream)
{
    stream_ends *ends = stream->ends;
    if (ends->owner == getpid()) {
        (void)pthread_mutex_destroy(&ends->reading.lock);
        (void)pthread_mutex_destroy(&ends->writing.lock);
    }
    ipcf_handle_close(&ends->reading.handle);
    ipcf_handle_close(&ends->writing.handle);
    ipcf_handle_close(&ends->dead_end);
    free(ends);
    *stream = IPCF_STREAM_NONE;
}
