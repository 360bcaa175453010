/* SPDX-License-Identifier: MIT
 * A doorbell on Linux: an eventfd, which is both ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipcf/doorbell.h"
#include "ipcf/posix/descriptor.h"

const size_t ipcf_doorbell_handle_count = 1;

ipcf_status ipcf_doorbell_create(ipcf_doorbell *bell, ipcf_error *error)
{
    *bell = IPCF_DOORBELL_NONE;
    int handle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (handle < 0)
        return ipcf_fail_os(error, "eventfd");
    bell->wait_end = handle;
    bell->ring_end = handle;
    return IPCF_OK;
}

void ipcf_doorbell_handles(const ipcf_doorbell *bell, ipcf_handle *handles)
{
    handles[0] = bell->ring_end;
}

/* /proc says what an anonymous inode is. Without /proc there remains that it has no
 * type, as no file has. */
static bool is_eventfd(int handle)
{
    struct stat status;
    if (fstat(handle, &status) != 0 || (status.st_mode & S_IFMT) != 0)
        return false;
    char path[32];
    char target[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(path, target, sizeof target);
    if (length < 0)
        return true;
    static const char due[] = "anon_inode:[eventfd]";
    return (size_t)length == sizeof due - 1 && memcmp(target, due, sizeof due - 1) == 0;
}

ipcf_status ipcf_doorbell_adopt(ipcf_doorbell *bell, const ipcf_handle *handles,
                                ipcf_error *error)
{
    int handle = (int)handles[0];
    *bell = IPCF_DOORBELL_NONE;
    if (!is_eventfd(handle))
        return ipcf_fail(error, IPCF_BAD_FRAME, "doorbell: not an eventfd", 0, 0);
    if (ipcf_descriptor_prepare(handle) != 0)
        return ipcf_fail_os(error, "fcntl of a doorbell");
    bell->wait_end = handle;
    bell->ring_end = handle;
    return IPCF_OK;
}

void ipcf_doorbell_ring(const ipcf_doorbell *bell)
{
    const uint64_t one = 1;
    int os_error = errno; /* may run in a signal handler */
    while (write((int)bell->ring_end, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    errno = os_error;
}

/* Read without waiting, whatever became of O_NONBLOCK: that flag belongs to the open
 * file, and a peer that has it too may have cleared it. The system call itself, because
 * the library's function is younger than some systems that this runs on. Linux before
 * 5.8 does not know the flag for an eventfd; there, and where the headers do not know
 * the call, O_NONBLOCK has to do. */
static ssize_t read_at_once(int handle, uint64_t *rings)
{
#if defined(SYS_preadv2)
    const struct iovec whole = {.iov_base = rings, .iov_len = sizeof *rings};
    const long here = -1; /* no position in a file: as read does */
    const int nowait = 8; /* RWF_NOWAIT */
    long got = syscall(SYS_preadv2, handle, &whole, 1L, here, here, nowait);
    if (got >= 0 || errno == EAGAIN || errno == EINTR)
        return (ssize_t)got;
#endif
    return read(handle, rings, sizeof *rings);
}

bool ipcf_doorbell_clear(const ipcf_doorbell *bell)
{
    uint64_t rings;
    ssize_t got;
    do
        got = read_at_once((int)bell->wait_end, &rings);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof rings;
}

void ipcf_doorbell_close(ipcf_doorbell *bell)
{
    ipcf_handle handle =
        bell->ring_end != IPCF_NO_HANDLE ? bell->ring_end : bell->wait_end;
    ipcf_handle_close(&handle);
    *bell = IPCF_DOORBELL_NONE;
}
