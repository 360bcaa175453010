/* SPDX-License-Identifier: MIT
 * Monotonic time on POSIX.
 */
#include <time.h>

#include "ipcf/clock.h"

#define NS_PER_SECOND UINT64_C(1000000000)

uint64_t ipcf_clock_ns(void)
{
    struct timespec now;
    /* fails only for a clock that does not exist; every supported system has this one */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t ipcf_deadline_in(double seconds)
{
    /* written so that NaN takes this way too */
    if (!(seconds > 0.0))
        return IPCF_NO_WAIT;
    uint64_t now = ipcf_clock_ns();
    double ns = seconds * 1e9;
    if (ns >= (double)(IPCF_NEVER - now))
        return IPCF_NEVER;
    uint64_t whole = (uint64_t)ns;
    /* rounded up, because a deadline is never early */
    if ((double)whole < ns)
        ++whole;
    return whole >= IPCF_NEVER - now ? IPCF_NEVER : now + whole;
}
