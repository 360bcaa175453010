/* SPDX-License-Identifier: MIT
 * Monotonic time on Windows: the performance counter.
 */
#include "ipcf/clock.h"

#define NS_PER_SECOND UINT64_C(1000000000)

uint64_t ipcf_clock_ns(void)
{
    LARGE_INTEGER frequency;
    LARGE_INTEGER ticks;
    /* neither fails since Windows XP; the frequency is read from a shared page, without
     * a system call */
    (void)QueryPerformanceFrequency(&frequency);
    (void)QueryPerformanceCounter(&ticks);
    uint64_t per_second = (uint64_t)frequency.QuadPart;
    uint64_t now = (uint64_t)ticks.QuadPart;
    /* in two parts: ticks times 10^9 leaves 64 bits after half an hour at 10 MHz */
    return now / per_second * NS_PER_SECOND +
           now % per_second * NS_PER_SECOND / per_second;
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
