/* SPDX-License-Identifier: MIT
 * Monotonic time. A deadline is an absolute monotonic time in nanoseconds.
 */
#ifndef IPCF_CLOCK_H
#define IPCF_CLOCK_H

#include "ipcf/platform.h"

/* Never. A wait until IPCF_NEVER has no time limit. */
#define IPCF_NEVER UINT64_MAX
/* A deadline in the past: one attempt, no wait. */
#define IPCF_NO_WAIT UINT64_C(0)

/* Nanoseconds since an arbitrary fixed point; does not jump when the wall clock is set.
 * About 25 ns. */
uint64_t ipcf_clock_ns(void);

/* The deadline that lies `seconds` ahead. Negative and NaN give IPCF_NO_WAIT; what does
 * not fit gives IPCF_NEVER. */
uint64_t ipcf_deadline_in(double seconds);

#endif
