/* SPDX-License-Identifier: MIT
 * Sleep until one of several handles is ready, a deadline passes, or a signal arrives.
 *
 * The contract fits readiness (poll on POSIX) and completion (WaitForMultipleObjects on
 * Windows) alike: what is waited for is a waitable handle that the owner of the object
 * has *armed* just before (ipcf_stream_arm_read, ipcf_stream_arm_write,
 * ipcf_doorbell_arm, ipcf_process_arm).
 */
#ifndef IPCF_WAIT_H
#define IPCF_WAIT_H

#include "ipcf/clock.h"
#include "ipcf/status.h"

/* What fits into one call on every system (MAXIMUM_WAIT_OBJECTS on Windows is 64). */
#define IPCF_WAIT_MAX 64

typedef struct ipcf_wait_item {
    ipcf_handle handle; /* IPCF_NO_HANDLE items are ignored */
    /* POSIX: wait for room instead of data; elsewhere the handle says it all */
    bool for_writing;
    bool is_ready; /* out */
} ipcf_wait_item;

/* OK: at least one is_ready (hang-ups and errors count as ready: the next operation on
 * the object reports them). TIMEOUT: never early; the overshoot is the scheduler's.
 * INTERRUPTED: a signal handler ran (POSIX), no item is ready. IPCF_NO_WAIT polls. */
IPCF_MUST_CHECK ipcf_status ipcf_wait(ipcf_wait_item *items, size_t count,
                                      uint64_t deadline_ns, ipcf_error *error);

#endif
