/* SPDX-License-Identifier: MIT
 * Handles that travel with the bytes of a stream: SCM_RIGHTS.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/unix_socket.h"
#include IPCF_SYSTEM_HEADER

/* Room for twice as many descriptors as we allow: so a message that was cut short
 * although few came says that it was this process that had none left. */
#define CONTROL_HANDLES (2 * IPCF_STREAM_MAX_HANDLES)

typedef union control_buffer {
    struct cmsghdr alignment;
    char bytes[CMSG_SPACE(CONTROL_HANDLES * sizeof(int))];
} control_buffer;

/* All descriptors of a message, in order. */
static size_t collect(struct msghdr *message, int *handles)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (here > CONTROL_HANDLES - count)
            here = CONTROL_HANDLES -
                   count; /* cannot be: the buffer has no room for more */
        memcpy(handles + count, CMSG_DATA(part), here * sizeof(int));
        count += here;
    }
    ipcf_os_received(handles, count);
    return count;
}

/* Give all received descriptors to the caller, or close them all. */
static ipcf_status hand_over(struct msghdr *message, ipcf_handle *handles, size_t room,
                             size_t *count, ipcf_error *error)
{
    int received[CONTROL_HANDLES];
    size_t number = collect(message, received);
    bool is_cut = (message->msg_flags & MSG_CTRUNC) != 0;
    if (number <= room && !is_cut) {
        for (size_t i = 0; i < number; ++i)
            handles[i] = received[i];
        *count = number;
        return IPCF_OK;
    }
    for (size_t i = 0; i < number; ++i) {
        ipcf_handle surplus = received[i];
        ipcf_handle_close(&surplus);
    }
    if (number > room)
        return ipcf_fail(error, IPCF_BAD_FRAME, "handles in one message", room, number);
    errno = EMFILE;
    return ipcf_fail_os(error, "no descriptor left for a received handle");
}

ipcf_status ipcf_stream_try_read_handles(ipcf_stream *stream, void *data, size_t size,
                                         size_t *got, ipcf_handle *handles,
                                         size_t *count, ipcf_error *error)
{
    size_t room = *count;
    *got = 0;
    *count = 0;
    if (size == 0 || room > IPCF_STREAM_MAX_HANDLES)
        return ipcf_fail(error, IPCF_INVALID, "room for bytes or handles",
                         IPCF_STREAM_MAX_HANDLES, room);
    if (stream->ends != NULL) /* which carry bytes only */
        return ipcf_stream_try_read(stream, data, size, got, error);
    control_buffer control;
    struct iovec part = {.iov_base = data, .iov_len = IPCF_TEST_SHORT(size)};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t result;
    do
        result = IPCF_TEST_FAILS("recvmsg")
                     ? -1
                     : recvmsg((int)stream->handle, &message, IPCF_OS_RECEIVE_FLAGS);
    while (result < 0 && errno == EINTR);
    if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return ipcf_fail(error, IPCF_AGAIN, "recvmsg", 0, 0);
    if (result < 0)
        return ipcf_fail_os(error, "recvmsg");
    if (result == 0)
        return ipcf_fail(error, IPCF_DISCONNECTED, "end of the stream", 0, 0);
    *got = (size_t)result;
    IPCF_TEST_STEP("handles received");
    return hand_over(&message, handles, room, count, error);
}

static void attach(struct msghdr *message, control_buffer *control,
                   const ipcf_handle *handles, size_t count)
{
    int numbers[IPCF_STREAM_MAX_HANDLES];
    for (size_t i = 0; i < count; ++i)
        numbers[i] = (int)handles[i];
    memset(control, 0, sizeof *control);
    message->msg_control = control->bytes;
    /* socklen_t here, size_t there: uint16_t fits either */
    message->msg_controllen = (uint16_t)CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = (uint16_t)CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), numbers, count * sizeof(int));
}

ipcf_status ipcf_stream_try_write_handles(ipcf_stream *stream, const void *data,
                                          size_t size, const ipcf_handle *handles,
                                          size_t handle_count, size_t *put,
                                          ipcf_error *error)
{
    *put = 0;
    if (size == 0 || handle_count > IPCF_STREAM_MAX_HANDLES)
        return ipcf_fail(error, IPCF_INVALID, "bytes or handles to send",
                         IPCF_STREAM_MAX_HANDLES, handle_count);
    if (stream->ends != NULL && handle_count > 0)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "handles in two descriptors", 0,
                         handle_count);
    if (stream->ends != NULL)
        return ipcf_stream_try_write(stream, &(ipcf_piece){data, size}, 1, put, error);
    control_buffer control;
    struct iovec part = {.iov_base = NULL, .iov_len = IPCF_TEST_SHORT(size)};
    memcpy(&part.iov_base, &data,
           sizeof part.iov_base); /* no const there, and nothing is written */
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (handle_count > 0)
        attach(&message, &control, handles, handle_count);
    ssize_t result;
    do
        result = IPCF_TEST_FAILS("sendmsg")
                     ? -1
                     : sendmsg((int)stream->handle, &message, IPCF_OS_SEND_FLAGS);
    while (result < 0 && errno == EINTR);
    if (result >= 0) {
        *put = (size_t)result;
        IPCF_TEST_STEP("handles sent");
        return IPCF_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ipcf_fail(error, IPCF_AGAIN, "sendmsg", 0, 0);
    return ipcf_fail_os(error, "sendmsg");
}
