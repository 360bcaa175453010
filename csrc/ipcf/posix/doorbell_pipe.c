/* SPDX-License-Identifier: MIT
 * A doorbell on POSIX systems without eventfd: a pipe. Rung means that there are bytes
 * in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipcf/doorbell.h"
#include "ipcf/posix/descriptor.h"
#include IPCF_SYSTEM_HEADER

const size_t ipcf_doorbell_handle_count = 2;

/* A pipe that honest processes ring holds 64 KiB at most; more is somebody who keeps on
 * writing. */
#define CLEAR_SIZE 4096
#define CLEAR_ROUNDS 16

ipcf_status ipcf_doorbell_create(ipcf_doorbell *bell, ipcf_error *error)
{
    int ends[2];
    *bell = IPCF_DOORBELL_NONE;
    if (ipcf_os_pipe(ends) != 0)
        return ipcf_fail_os(error, "pipe");
    bell->wait_end = ends[0];
    bell->ring_end = ends[1];
    return IPCF_OK;
}

void ipcf_doorbell_handles(const ipcf_doorbell *bell, ipcf_handle *handles)
{
    handles[0] = bell->wait_end;
    handles[1] = bell->ring_end;
}

static bool is_pipe_end(int handle, int access)
{
    struct stat status;
    int flags = fcntl(handle, F_GETFL);
    return fstat(handle, &status) == 0 && S_ISFIFO(status.st_mode) && flags >= 0 &&
           (flags & O_ACCMODE) == access;
}

ipcf_status ipcf_doorbell_adopt(ipcf_doorbell *bell, const ipcf_handle *handles,
                                ipcf_error *error)
{
    int wait_end = (int)handles[0];
    int ring_end = (int)handles[1];
    *bell = IPCF_DOORBELL_NONE;
    if (!is_pipe_end(wait_end, O_RDONLY) || !is_pipe_end(ring_end, O_WRONLY))
        return ipcf_fail(error, IPCF_BAD_FRAME, "doorbell: not the two ends of a pipe",
                         0, 0);
    if (ipcf_descriptor_prepare(wait_end) != 0 ||
        ipcf_descriptor_prepare(ring_end) != 0 || ipcf_os_adopt_pipe(ring_end) != 0)
        return ipcf_fail_os(error, "fcntl of a doorbell");
    bell->wait_end = wait_end;
    bell->ring_end = ring_end;
    return IPCF_OK;
}

void ipcf_doorbell_ring(const ipcf_doorbell *bell)
{
    const char byte = 1;
    int os_error = errno; /* may run in a signal handler */
    int ring_end = (int)bell->ring_end;
    ssize_t put;
    do
        /* a pipe whose reading end we hold ourselves cannot raise SIGPIPE */
        put = bell->wait_end != IPCF_NO_HANDLE
                  ? write(ring_end, &byte, 1)
                  : ipcf_os_write_quietly(ring_end, &byte, 1);
    while (put < 0 && errno == EINTR);
    errno = os_error;
}

bool ipcf_doorbell_clear(const ipcf_doorbell *bell)
{
    char bytes[CLEAR_SIZE];
    bool was_rung = false;
    for (int round = 0; round < CLEAR_ROUNDS; ++round) {
        ssize_t got = read((int)bell->wait_end, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        was_rung = was_rung || got > 0;
        if (got < (ssize_t)sizeof bytes)
            break;
    }
    return was_rung;
}

void ipcf_doorbell_close(ipcf_doorbell *bell)
{
    ipcf_handle_close(&bell->wait_end);
    ipcf_handle_close(&bell->ring_end);
}
