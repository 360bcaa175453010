/* SPDX-License-Identifier: MIT
 * The process at the other end of a Unix socket on macOS: credentials, and a kqueue
 * that tells when it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/unix_socket.h"

int ipcf_unix_peer(int handle, ipcf_peer *peer)
{
    uid_t user;
    gid_t group;
    pid_t process = 0;
    socklen_t size = sizeof process;
    *peer = (ipcf_peer){.pid = -1, .uid = -1};
    if (getpeereid(handle, &user, &group) != 0)
        return -1;
    peer->uid = (int64_t)user;
    if (getsockopt(handle, SOL_LOCAL, LOCAL_PEERPID, &process, &size) == 0 &&
        process > 0)
        peer->pid = process;
    return 0;
}

static bool is_hung_up(int handle)
{
    char byte;
    return recv(handle, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* As on Linux without SO_PEERPIDFD: a connection that is still up after the process is
 * watched says that the number was the peer's. */
ipcf_status ipcf_unix_watch(int handle, const ipcf_peer *peer, ipcf_handle *process,
                            ipcf_error *error)
{
    *process = IPCF_NO_HANDLE;
    if (peer->pid < 0)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "the peer's process is not known", 0,
                         0);
    ipcf_handle queue = kqueue();
    if (queue < 0)
        return ipcf_fail_os(error, "kqueue");
    struct kevent change;
    EV_SET(&change, (uintptr_t)peer->pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
    bool is_watched = fcntl((int)queue, F_SETFD, FD_CLOEXEC) == 0 &&
                      kevent((int)queue, &change, 1, NULL, 0, NULL) == 0;
    ipcf_status status = IPCF_OK;
    if (!is_watched)
        status = errno == ESRCH
                     ? ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0)
                     : ipcf_fail_os(error, "kevent");
    else if (is_hung_up(handle))
        status = ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0);
    if (status != IPCF_OK)
        ipcf_handle_close(&queue);
    else
        *process = queue;
    return status;
}
