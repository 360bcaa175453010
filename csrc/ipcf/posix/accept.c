/* SPDX-License-Identifier: MIT
 * Taking in the clients of a listener, also when descriptors have run out.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/unix_socket.h"
#include IPCF_SYSTEM_HEADER

/* Clients that are gone again, passed over in one call: an end to it for those who do
 * nothing but come and go. */
#define SKIPPED_AT_MOST 128

/* With no descriptor left a client would wait for ever in the backlog, and the listener
 * stay ready: so the spare one is given up for the moment that it takes to let the
 * client in and out. */
static void turn_away(ipcf_listener *listener)
{
    if (listener->spare == IPCF_NO_HANDLE)
        return;
    ipcf_handle_close(&listener->spare);
    ipcf_handle client = ipcf_os_accept((int)listener->handle);
    ipcf_handle_close(&client);
    listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* It hung up, and has sent nothing that could be read. One that only stopped sending
 * still wants to hear from us. */
static bool is_gone(int handle)
{
    char byte;
    ssize_t got = recv(handle, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno != ECONNRESET))
        return false;
    struct pollfd polled = {.fd = handle, .events = 0, .revents = 0};
    return got < 0 || (poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0);
}

static ipcf_status accept_failed(ipcf_listener *listener, ipcf_error *error)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return ipcf_fail(error, IPCF_AGAIN, "accept", 0, 0);
    bool has_none_left = errno == EMFILE || errno == ENFILE;
    ipcf_status status = ipcf_fail_os(error, "accept");
    if (has_none_left)
        turn_away(listener);
    /* a policy of the system's (EPERM, EACCES) speaks of us, and not of one client */
    return status == IPCF_PERMISSION_DENIED ? IPCF_OS_ERROR : status;
}

ipcf_status ipcf_listener_try_accept(ipcf_listener *listener, bool require_same_user,
                                     ipcf_stream *stream, ipcf_error *error)
{
    *stream = IPCF_STREAM_NONE;
    if (IPCF_UNLIKELY(listener->spare == IPCF_NO_HANDLE))
        listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int skipped = 0; skipped < SKIPPED_AT_MOST; ++skipped) {
        ipcf_handle client =
            IPCF_TEST_FAILS("accept") ? -1 : ipcf_os_accept((int)listener->handle);
        if (client < 0) {
            if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
                continue;
            return accept_failed(listener, error);
        }
        if (is_gone((int)client)) {
            ipcf_handle_close(&client);
            continue;
        }
        ipcf_status status =
            require_same_user ? ipcf_unix_same_user(client, error) : IPCF_OK;
        if (status != IPCF_OK)
            ipcf_handle_close(&client);
        stream->handle = client;
        return status;
    }
    return ipcf_fail(error, IPCF_AGAIN, "clients that came and went", 0,
                     SKIPPED_AT_MOST);
}
