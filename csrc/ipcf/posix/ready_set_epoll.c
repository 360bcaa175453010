/* SPDX-License-Identifier: MIT
 * The ready set on Linux: an epoll descriptor. See ready_set.h.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "ipcf/ready_set.h"

ipcf_status ipcf_ready_set_create(const ipcf_handle *handles, size_t count,
                                  ipcf_handle *set, ipcf_error *error)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return ipcf_fail_os(error, "epoll_create1");
    for (size_t i = 0; i < count; i++) {
        if (handles[i] == IPCF_NO_HANDLE)
            continue;
        struct epoll_event event = {.events = EPOLLIN, .data = {.fd = (int)handles[i]}};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, (int)handles[i], &event) != 0) {
            ipcf_status status = ipcf_fail_os(error, "epoll_ctl");
            close(epoll);
            return status;
        }
    }
    *set = epoll;
    return IPCF_OK;
}
