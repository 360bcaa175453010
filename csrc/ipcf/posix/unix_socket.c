/* SPDX-License-Identifier: MIT
 * Addresses of Unix sockets, connecting, and the user at the other end.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipcf/posix/unix_socket.h"
#include IPCF_SYSTEM_HEADER

ipcf_status ipcf_unix_address(const char *path, struct sockaddr_un *address,
                              ipcf_error *error)
{
    const size_t room = sizeof address->sun_path;
    size_t length = strlen(path);
    /* an empty path would be an abstract name, which has no owner and no permissions */
    if (length == 0 || length >= room)
        return ipcf_fail(error, IPCF_INVALID, "length of the socket's path", room - 1,
                         length);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    return IPCF_OK;
}

int ipcf_unix_connect(const struct sockaddr_un *address, ipcf_handle *handle)
{
    *handle = IPCF_NO_HANDLE;
    int made = ipcf_os_socket();
    if (made < 0)
        return errno;
    int result;
    do
        result = connect(made, (const struct sockaddr *)address, sizeof *address);
    while (result != 0 && errno == EINTR);
    if (result != 0) {
        int os_error = errno;
        (void)close(made);
        return os_error;
    }
    *handle = made;
    return 0;
}

ipcf_status ipcf_unix_same_user(ipcf_handle handle, ipcf_error *error)
{
    ipcf_peer peer;
    if (ipcf_unix_peer((int)handle, &peer) != 0)
        return ipcf_fail_os(error, "credentials of the peer");
    int64_t own = (int64_t)geteuid();
    if (peer.uid != own)
        return ipcf_fail(error, IPCF_PERMISSION_DENIED, "the peer's user",
                         (uint64_t)own, (uint64_t)peer.uid);
    return IPCF_OK;
}

ipcf_status ipcf_stream_peer(const ipcf_stream *stream, ipcf_peer *peer,
                             ipcf_error *error)
{
    *peer = (ipcf_peer){.pid = -1, .uid = -1};
    if (stream->ends != NULL)
        return IPCF_OK; /* two peers, as far as the system knows */
    if (ipcf_unix_peer((int)stream->handle, peer) != 0)
        return ipcf_fail_os(error, "credentials of the peer");
    return IPCF_OK;
}

bool ipcf_stream_peer_is_here(const ipcf_stream *stream)
{
    ipcf_peer peer;
    return ipcf_stream_peer(stream, &peer, NULL) == IPCF_OK &&
           peer.pid == (int64_t)getpid();
}

ipcf_status ipcf_stream_watch_peer(const ipcf_stream *stream, ipcf_handle *process,
                                   ipcf_error *error)
{
    ipcf_peer peer;
    *process = IPCF_NO_HANDLE;
    if (stream->ends != NULL)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "the peer's process is not known", 0,
                         0);
    ipcf_status status = ipcf_stream_peer(stream, &peer, error);
    if (status != IPCF_OK)
        return status;
    if (peer.pid == (int64_t)getpid())
        return ipcf_fail(error, IPCF_INVALID, "the peer is this process", 0,
                         (uint64_t)peer.pid);
    return ipcf_unix_watch((int)stream->handle, &peer, process, error);
}
