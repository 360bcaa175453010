/* SPDX-License-Identifier: MIT
 * A stream over two descriptors of any kind, one for each direction. See stream_ends.h
 * and ipcf_stream_adopt_pair in stream.h.
 */
#include "ipcf/posix/stream_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/ready_set.h"
#include IPCF_SYSTEM_HEADER

typedef struct stream_end {
    ipcf_os_mutex lock;
    ipcf_handle handle;
    bool is_socket;       /* recv and send in place of read and write */
    bool is_always_ready; /* a file: cannot be waited for, and never says EAGAIN */
    bool is_device;       /* EIO is how a terminal tells that its other side is gone */
    bool has_ended;       /* under the lock */
    /* what to give back to the open file, that others may share; -1: it was not touched */
    int flags;
} stream_end;

typedef struct stream_ends {
    stream_end reading, writing;
    ipcf_handle
        dead_end; /* of a pipe without a writer: always ready, nothing to read */
    pid_t owner;  /* a forked child must not undo what its parent relies on */
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
    if (end->is_socket &&
        (getsockopt((int)end->handle, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
         type != SOCK_STREAM))
        return ipcf_fail(error, IPCF_INVALID, "type of the socket", SOCK_STREAM,
                         (uint64_t)type);
    end->is_always_ready =
        !end->is_socket && !S_ISFIFO(found.st_mode) && !can_be_waited_for(end->handle);
    return IPCF_OK;
}

static short events_of(ipcf_handle handle)
{
    struct pollfd polled = {.fd = (int)handle, .events = POLLIN, .revents = 0};
    while (poll(&polled, 1, 0) < 0 && errno == EINTR)
        continue;
    return polled.revents;
}

/* An open file of our own, or IPCF_NO_HANDLE. Who comes to read a pipe when its last
 * writer has gone is not told of that end by the system, but the old descriptor is. */
static ipcf_handle open_anew(const stream_end *end)
{
    int access = fcntl((int)end->handle, F_GETFL) & O_ACCMODE;
    ipcf_handle opened = IPCF_TEST_FAILS("reopen")
                             ? IPCF_NO_HANDLE
                             : ipcf_os_reopen((int)end->handle, access);
    if (opened != IPCF_NO_HANDLE && (events_of(end->handle) & POLLHUP) != 0)
        ipcf_handle_close(&opened);
    return opened;
}

/* Make sure that operations do not block; *anew is what to use in place of the handle,
 * IPCF_NO_HANDLE where it stays. */
static ipcf_status unblock(stream_end *end, ipcf_handle *anew, ipcf_error *error)
{
    *anew = IPCF_NO_HANDLE;
    if (end->is_socket)
        return ipcf_os_adopt_socket((int)end->handle) == 0
                   ? IPCF_OK
                   : ipcf_fail_os(error, "option of a socket");
    if (end->is_always_ready)
        return IPCF_OK;
    *anew = open_anew(end);
    if (*anew != IPCF_NO_HANDLE)
        return IPCF_OK;
    int flags = fcntl((int)end->handle, F_GETFL);
    if (flags < 0)
        return ipcf_fail_os(error, "flags of a descriptor");
    if ((flags & O_NONBLOCK) != 0)
        return IPCF_OK;
    if (fcntl((int)end->handle, F_SETFL, flags | O_NONBLOCK) != 0)
        return ipcf_fail_os(error, "flags of a descriptor");
    end->flags = flags;
    return IPCF_OK;
}

/* Others that have the open file find it as it was. */
static void give_flags_back(stream_end *end)
{
    if (end->flags >= 0)
        (void)fcntl((int)end->handle, F_SETFL, end->flags);
    end->flags = -1;
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
    if (status == IPCF_OK)
        status = unblock(&ends->reading, read_anew, error);
    if (status == IPCF_OK)
        status = unblock(&ends->writing, write_anew, error);
    if (status == IPCF_OK && !ends->writing.is_socket &&
        ipcf_os_adopt_pipe((int)ends->writing.handle) != 0)
        status = ipcf_fail_os(error, "option of a pipe");
    return status;
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
    ends->reading.flags = ends->writing.flags = -1;
    ends->dead_end = IPCF_NO_HANDLE;
    ends->owner = getpid();
    ipcf_status status = take_over(ends, &read_anew, &write_anew, error);
    if (status != IPCF_OK) {
        give_flags_back(&ends->reading);
        give_flags_back(&ends->writing);
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

static ssize_t read_some(const stream_end *end, void *data, size_t size)
{
    ssize_t result;
    size = IPCF_TEST_SHORT(size);
    do
        if (IPCF_TEST_FAILS("read"))
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
        if (IPCF_TEST_FAILS("write"))
            result = -1;
        else if (end->is_socket)
            result = sendmsg((int)end->handle, &message, IPCF_OS_SEND_FLAGS);
        else
            result = ipcf_os_writev_quietly((int)end->handle, parts, (int)count);
    while (result < 0 && errno == EINTR);
    return result;
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
    for (size_t i = 0; i < count; ++i) {
        /* iovec has no const, and nothing is written there */
        memcpy(&parts[i].iov_base, &pieces[i].data, sizeof parts[i].iov_base);
        parts[i].iov_len = pieces[i].size;
    }
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
        give_flags_back(end);
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
        give_flags_back(&ends->reading);
        give_flags_back(&ends->writing);
        (void)pthread_mutex_destroy(&ends->reading.lock);
        (void)pthread_mutex_destroy(&ends->writing.lock);
    }
    ipcf_handle_close(&ends->reading.handle);
    ipcf_handle_close(&ends->writing.handle);
    ipcf_handle_close(&ends->dead_end);
    free(ends);
    *stream = IPCF_STREAM_NONE;
}
