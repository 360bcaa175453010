/* SPDX-License-Identifier: MIT
 * Waiting on POSIX: one poll over the descriptors, with the time that is left.
 */
#include <errno.h>
#include <poll.h>

#include "ipcf/wait.h"
#include IPCF_SYSTEM_HEADER

static void describe(const ipcf_wait_item *items, struct pollfd *polled, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        /* poll ignores negative descriptors, and IPCF_NO_HANDLE is one */
        polled[i].fd = (int)items[i].handle;
        polled[i].events = items[i].for_writing ? POLLOUT : POLLIN;
        polled[i].revents = 0;
    }
}

static void report(ipcf_wait_item *items, const struct pollfd *polled, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        items[i].is_ready = polled[i].revents != 0;
}

ipcf_status ipcf_wait(ipcf_wait_item *items, size_t count, uint64_t deadline_ns,
                      ipcf_error *error)
{
    struct pollfd polled[IPCF_WAIT_MAX];
    if (count > IPCF_WAIT_MAX)
        return ipcf_fail(error, IPCF_INVALID, "items to wait for", IPCF_WAIT_MAX,
                         count);
    describe(items, polled, count);
    for (;;) {
        int ready =
            IPCF_TEST_FAILS("poll") ? -1 : ipcf_os_poll(polled, count, deadline_ns);
        if (ready < 0 && errno != EINTR)
            return ipcf_fail_os(error, "poll");
        if (ready > 0) {
            report(items, polled, count);
            return IPCF_OK;
        }
        for (size_t i = 0; i < count; ++i)
            items[i].is_ready = false;
        if (ready < 0)
            return ipcf_fail(error, IPCF_INTERRUPTED, "poll", 0, 0);
        /* the kernel's clock and ours may differ by a rounding: a timeout is never
         * early */
        if (deadline_ns == IPCF_NO_WAIT ||
            (deadline_ns != IPCF_NEVER && ipcf_clock_ns() >= deadline_ns))
            return ipcf_fail(error, IPCF_TIMEOUT, "poll", 0, 0);
    }
}
