/* SPDX-License-Identifier: MIT
 * A lock between threads of one process that can be waited for until a deadline and
 * given up by closing.
 *
 * The uncontended path is one compare-and-swap to take and one exchange to give back.
 * Waiters sleep on a condition variable in slices, so that the caller gets
 * IPCF_INTERRUPTED every IPCF_LOCK_SLICE_NS and can run signal handlers. Not recursive.
 * Nobody may wait for it while holding the Python GIL.
 *
 * Work can be left to the holder. Who stores a wish (seq_cst) and then fails to try the
 * lock need not wait for it, if everybody who releases it loads the wish (seq_cst)
 * afterwards: a failed try read the mark of a holder whose release is still to come, so
 * in the one order of all seq_cst operations stand the store, the try, the release, the
 * load. That takes nothing but the state, which the functions of this page change
 * alike on every system: the sleeping halves (posix/, win32/) only write 2, either over
 * a holder's mark or to become the holder, and release is one for all.
 */
#ifndef IPCF_LOCK_H
#define IPCF_LOCK_H

#include "ipcf/atomic.h"
#include "ipcf/platform.h"
#include "ipcf/status.h"

#define IPCF_LOCK_SLICE_NS UINT64_C(50000000)

typedef struct ipcf_lock {
    ipcf_atomic_u32 state; /* 0 free, 1 held, 2 held and somebody waits */
    ipcf_os_mutex mutex;   /* guards the sleep only */
    ipcf_os_condition condition;
} ipcf_lock;

IPCF_MUST_CHECK ipcf_status ipcf_lock_init(ipcf_lock *lock);
void ipcf_lock_destroy(ipcf_lock *lock);

/* Take the lock if it is free. */
static inline bool ipcf_lock_try(ipcf_lock *lock)
{
    uint32_t expected = 0;
    /* seq_cst, also where it fails: pairs with the exchange in ipcf_lock_release */
    return ipcf_compare_exchange_seq_cst(&lock->state, &expected, 1u);
}

/* Wait for the lock. OK: held. TIMEOUT, INTERRUPTED (after a slice, or a spurious
 * wake-up): not held. The caller checks its own closed mark after each return;
 * ipcf_lock_wake_all makes waiters return INTERRUPTED at once. */
IPCF_MUST_CHECK ipcf_status ipcf_lock_acquire(ipcf_lock *lock, uint64_t deadline_ns);

void ipcf_lock_wake_one(ipcf_lock *lock); /* slow half of release */
void ipcf_lock_wake_all(ipcf_lock *lock);

static inline void ipcf_lock_release(ipcf_lock *lock)
{
    /* seq_cst: pairs with the compare-and-swap in ipcf_lock_try and the exchange in
     * ipcf_lock_acquire */
    if (IPCF_UNLIKELY(ipcf_exchange_seq_cst(&lock->state, 0u) == 2u))
        ipcf_lock_wake_one(lock);
}

#endif
