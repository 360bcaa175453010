/* SPDX-License-Identifier: MIT
 * The ready set on macOS: a kqueue. See ready_set.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/ready_set.h"

static int add(int queue, ipcf_handle handle)
{
    struct kevent change;
    EV_SET(&change, (uintptr_t)handle, EVFILT_READ, EV_ADD, 0, 0, NULL);
    return kevent(queue, &change, 1, NULL, 0, NULL);
}

ipcf_status ipcf_ready_set_create(const ipcf_handle *handles, size_t count,
                                  ipcf_handle *set, ipcf_error *error)
{
    ipcf_handle queue = kqueue();
    if (queue < 0)
        return ipcf_fail_os(error, "kqueue");
    ipcf_status status = IPCF_OK;
    if (fcntl((int)queue, F_SETFD, FD_CLOEXEC) != 0)
        status = ipcf_fail_os(error, "fcntl of a kqueue");
    for (size_t i = 0; i < count && status == IPCF_OK; ++i)
        if (handles[i] != IPCF_NO_HANDLE && add((int)queue, handles[i]) != 0)
            status = ipcf_fail_os(error, "kevent");
    if (status != IPCF_OK)
        ipcf_handle_close(&queue);
    else
        *set = queue;
    return status;
}
