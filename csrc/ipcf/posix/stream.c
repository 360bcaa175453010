/* SPDX-License-Identifier: MIT
 * A stream over a Unix socket: making it, moving bytes, ending it. Handles travel in
 * stream_handles.c; stream_ends.c has streams over two descriptors.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/stream_ends.h"
#include "ipcf/posix/unix_socket.h"
#include IPCF_SYSTEM_HEADER

ipcf_status ipcf_stream_pair(ipcf_stream *one, ipcf_stream *other, ipcf_error *error)
{
    int ends[2];
    *one = IPCF_STREAM_NONE;
    *other = IPCF_STREAM_NONE;
    if (ipcf_os_socket_pair(ends) != 0)
        return ipcf_fail_os(error, "socketpair");
    one->handle = ends[0];
    other->handle = ends[1];
    return IPCF_OK;
}

static ipcf_status connect_failed(int os_error, ipcf_error *error)
{
    errno = os_error;
    ipcf_status status = ipcf_fail_os(error, "connect");
    switch (os_error) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return IPCF_ADDRESS_NOT_FOUND;
    case EAGAIN:
        return IPCF_AGAIN; /* the server's backlog is full */
    default:
        return status;
    }
}

ipcf_status ipcf_stream_connect(const char *path, bool require_same_user,
                                ipcf_stream *stream, ipcf_error *error)
{
    struct sockaddr_un address;
    *stream = IPCF_STREAM_NONE;
    ipcf_status status = ipcf_unix_address(path, &address, error);
    if (status != IPCF_OK)
        return status;
    ipcf_handle handle;
    int os_error = ipcf_unix_connect(&address, &handle);
    if (os_error != 0)
        return connect_failed(os_error, error);
    if (require_same_user) {
        status = ipcf_unix_same_user(handle, error);
        if (status != IPCF_OK) {
            ipcf_handle_close(&handle);
            return status;
        }
    }
    stream->handle = handle;
    return IPCF_OK;
}

ipcf_status ipcf_stream_adopt(ipcf_handle handle, ipcf_stream *stream,
                              ipcf_error *error)
{
    int type = 0;
    socklen_t size = sizeof type;
    *stream = IPCF_STREAM_NONE;
    if (getsockopt((int)handle, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        if (errno == ENOTSOCK)
            return ipcf_fail(error, IPCF_INVALID, "the descriptor is not a socket", 0,
                             0);
        return ipcf_fail_os(error, "SO_TYPE");
    }
    if (type != SOCK_STREAM)
        return ipcf_fail(error, IPCF_INVALID, "type of the socket", SOCK_STREAM,
                         (uint64_t)type);
    if (ipcf_descriptor_prepare((int)handle) != 0 ||
        ipcf_os_adopt_socket((int)handle) != 0)
        return ipcf_fail_os(error, "fcntl of a socket");
    stream->handle = handle;
    return IPCF_OK;
}

ipcf_status ipcf_stream_try_read(ipcf_stream *stream, void *data, size_t size,
                                 size_t *got, ipcf_error *error)
{
    ssize_t result;
    if (IPCF_UNLIKELY(stream->ends != NULL))
        return ipcf_stream_ends_try_read(stream, data, size, got, error);
    *got = 0;
    /* descriptors that come along are closed by the kernel, because no room for them is
     * given */
    do
        result = IPCF_TEST_FAILS("recv")
                     ? -1
                     : recv((int)stream->handle, data, IPCF_TEST_SHORT(size),
                            IPCF_OS_RECEIVE_FLAGS);
    while (result < 0 && errno == EINTR);
    if (IPCF_LIKELY(result > 0)) {
        *got = (size_t)result;
        return IPCF_OK;
    }
    if (result == 0) {
        if (size == 0)
            return ipcf_fail(error, IPCF_INVALID, "room to read into", 1, 0);
        return ipcf_fail(error, IPCF_DISCONNECTED, "end of the stream", 0, 0);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ipcf_fail(error, IPCF_AGAIN, "recv", 0, 0);
    return ipcf_fail_os(error, "recv");
}

static ipcf_status written(ssize_t result, size_t *put, ipcf_error *error)
{
    if (IPCF_LIKELY(result >= 0)) {
        *put = (size_t)result;
        return IPCF_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ipcf_fail(error, IPCF_AGAIN, "send", 0, 0);
    return ipcf_fail_os(error, "send");
}

static ssize_t send_one(int handle, const ipcf_piece *piece)
{
    ssize_t result;
    do
        result = IPCF_TEST_FAILS("send")
                     ? -1
                     : send(handle, piece->data, IPCF_TEST_SHORT(piece->size),
                            IPCF_OS_SEND_FLAGS);
    while (result < 0 && errno == EINTR);
    return result;
}

static ssize_t send_gathered(int handle, const ipcf_piece *pieces, size_t count)
{
    struct iovec parts[IPCF_STREAM_MAX_PIECES];
    for (size_t i = 0; i < count; ++i) {
        /* iovec has no const, and sendmsg does not write */
        memcpy(&parts[i].iov_base, &pieces[i].data, sizeof parts[i].iov_base);
        parts[i].iov_len = pieces[i].size;
    }
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    /* int here, size_t there: this fits either */
    message.msg_iovlen = (uint8_t)count;
    ssize_t result;
    do
        result = IPCF_TEST_FAILS("send")
                     ? -1
                     : sendmsg(handle, &message, IPCF_OS_SEND_FLAGS);
    while (result < 0 && errno == EINTR);
    return result;
}

ipcf_status ipcf_stream_try_write(ipcf_stream *stream, const ipcf_piece *pieces,
                                  size_t count, size_t *put, ipcf_error *error)
{
    if (IPCF_UNLIKELY(stream->ends != NULL))
        return ipcf_stream_ends_try_write(stream, pieces, count, put, error);
    *put = 0;
    while (IPCF_TEST_SHORTENS() && count > 1) {
        if (pieces->size != 0)
            count = 1;
        else
            pieces++, count--;
    }
    if (count == 1)
        return written(send_one((int)stream->handle, pieces), put, error);
    if (count > IPCF_STREAM_MAX_PIECES)
        return ipcf_fail(error, IPCF_INVALID, "pieces of one write",
                         IPCF_STREAM_MAX_PIECES, count);
    return written(send_gathered((int)stream->handle, pieces, count), put, error);
}

ipcf_handle ipcf_stream_arm_read(ipcf_stream *stream) { return stream->handle; }

ipcf_handle ipcf_stream_arm_write(ipcf_stream *stream)
{
    return stream->ends != NULL ? ipcf_stream_ends_arm_write(stream) : stream->handle;
}

void ipcf_stream_shut_down(ipcf_stream *stream)
{
    if (stream->ends != NULL)
        ipcf_stream_ends_shut_down(stream);
    else if (stream->handle != IPCF_NO_HANDLE)
        (void)shutdown((int)stream->handle, SHUT_RDWR);
}

void ipcf_stream_close(ipcf_stream *stream)
{
    if (stream->ends != NULL)
        ipcf_stream_ends_close(stream);
    else
        ipcf_handle_close(&stream->handle);
}
