/* SPDX-License-Identifier: MIT
 * From a deadline in nanoseconds to the milliseconds that the waiting calls of Windows
 * take.
 */
#ifndef IPCF_WIN32_TIMEOUT_H
#define IPCF_WIN32_TIMEOUT_H

#include "ipcf/clock.h"

/* What is left, rounded up. A longer time than fits comes out shorter: whoever waits
 * looks at the clock afterwards in any case, because these calls count in ticks of the
 * timer and may come back before the performance counter says so. */
static inline DWORD ipcf_timeout_ms(uint64_t deadline_ns)
{
    if (deadline_ns == IPCF_NEVER)
        return INFINITE;
    uint64_t now = deadline_ns == IPCF_NO_WAIT ? 0 : ipcf_clock_ns();
    if (now >= deadline_ns)
        return 0;
    uint64_t left = deadline_ns - now;
    uint64_t ms = left / UINT64_C(1000000) + (left % UINT64_C(1000000) != 0);
    return ms < INFINITE ? (DWORD)ms : INFINITE - 1;
}

static inline bool ipcf_deadline_has_passed(uint64_t deadline_ns)
{
    return deadline_ns == IPCF_NO_WAIT ||
           (deadline_ns != IPCF_NEVER && ipcf_clock_ns() >= deadline_ns);
}

#endif
