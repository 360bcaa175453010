/* SPDX-License-Identifier: MIT
 * The process at the other end of a Unix socket on Linux: credentials, and a pidfd that
 * tells when it ends.
 */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/unix_socket.h"

/* The kernel's numbers on all processors that we build for; headers older than Linux
 * 6.5 and 5.3 lack them. */
enum { LINUX_SO_PEERPIDFD = 77, LINUX_SYS_PIDFD_OPEN = 434 };

int ipcf_unix_peer(int handle, ipcf_peer *peer)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    *peer = (ipcf_peer){.pid = -1, .uid = -1};
    if (getsockopt(handle, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return -1;
    /* 0: a process that our PID namespace cannot see, or no Unix socket */
    if (credentials.pid > 0)
        peer->pid = credentials.pid;
    if (credentials.uid != (uid_t)-1)
        peer->uid = (int64_t)credentials.uid;
    return 0;
}

static short events_of(int handle)
{
    struct pollfd polled = {.fd = handle, .events = POLLIN, .revents = 0};
    while (poll(&polled, 1, 0) < 0 && errno == EINTR)
        continue;
    return polled.revents;
}

/* Kernels before 6.5. The number may have been given to another process since the peer
 * connected. If so the peer's end is closed, unless a forked child of the peer holds it
 * as well: so a connection that is still up after the pidfd was opened says that the
 * pidfd is the peer's. */
static ipcf_status open_by_number(int handle, const ipcf_peer *peer,
                                  ipcf_handle *process, ipcf_error *error)
{
    if (peer->pid < 0)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "the peer's process is not visible",
                         0, 0);
    *process = (ipcf_handle)syscall(LINUX_SYS_PIDFD_OPEN, (pid_t)peer->pid, 0u);
    if (*process < 0) {
        *process = IPCF_NO_HANDLE;
        if (errno == ESRCH)
            return ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0);
        if (errno == ENOSYS || errno == EPERM || errno == EINVAL)
            return ipcf_fail(error, IPCF_UNSUPPORTED, "pidfd_open", 0, 0);
        return ipcf_fail_os(error, "pidfd_open");
    }
    if ((events_of(handle) & POLLHUP) != 0) {
        ipcf_handle_close(process);
        return ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0);
    }
    return IPCF_OK;
}

ipcf_status ipcf_unix_watch(int handle, const ipcf_peer *peer, ipcf_handle *process,
                            ipcf_error *error)
{
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    *process = IPCF_NO_HANDLE;
    if (!IPCF_TEST_FAILS("SO_PEERPIDFD") &&
        getsockopt(handle, SOL_SOCKET, LINUX_SO_PEERPIDFD, &pidfd, &size) == 0) {
        *process = pidfd;
        return IPCF_OK;
    }
    if (errno == ENOPROTOOPT)
        return open_by_number(handle, peer, process, error);
    if (errno == ESRCH || errno == EINVAL)
        return ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0);
    if (errno == ENODATA)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "the peer's process is not known", 0,
                         0);
    return ipcf_fail_os(error, "SO_PEERPIDFD");
}
