/* SPDX-License-Identifier: MIT
 * A place where threads of one process sleep until somebody says that things have
 * changed.
 *
 * The change itself is an atomic word of the caller's. Who changes it does so with a
 * seq_cst operation and then calls wake: one load when nobody sleeps. Who waits for it
 * calls
 *
 *     key = ipcf_park_prepare(park);
 *     if (the word has changed)        a seq_cst load
 *         ipcf_park_cancel(park);
 *     else
 *         status = ipcf_park_sleep(park, key, until_ns);
 *
 * prepare counts the sleeper with a seq_cst operation. So in the one total order of
 * these four, either the waker sees the sleeper or the sleeper sees the change; and a
 * wake between prepare and sleep makes the key out of date, so that sleep returns.
 *
 * Nobody may sleep here with the Python GIL held. wake takes a mutex that is held for
 * single steps only, never over a sleep.
 */
#ifndef IPCF_PARK_H
#define IPCF_PARK_H

#include "ipcf/atomic.h"
#include "ipcf/platform.h"
#include "ipcf/status.h"

typedef struct ipcf_park {
    ipcf_atomic_u32 sleepers; /* prepared and neither cancelled nor back from sleep */
    ipcf_atomic_u32 key;      /* of the next wake; changed under the mutex */
    ipcf_os_mutex mutex;
    ipcf_os_condition condition;
} ipcf_park;

IPCF_MUST_CHECK ipcf_status ipcf_park_init(ipcf_park *park);
void ipcf_park_destroy(ipcf_park *park);

/* Count the caller as a sleeper. Returns the key for sleep. */
static inline uint32_t ipcf_park_prepare(ipcf_park *park)
{
    /* seq_cst: pairs with the load in ipcf_park_wake */
    (void)ipcf_add_seq_cst(&park->sleepers, 1u);
    /* acquire: pairs with the store in ipcf_park_wake_sleepers */
    return ipcf_load_acquire(&park->key);
}

static inline void ipcf_park_cancel(ipcf_park *park)
{
    /* acq_rel: pairs with the load in ipcf_park_wake */
    (void)ipcf_subtract_acq_rel(&park->sleepers, 1u);
}

/* OK: somebody has called wake since prepare. TIMEOUT: until_ns has passed. The caller
 * looks at its word in both cases (so the status may be ignored), and prepares again to
 * sleep again. */
ipcf_status ipcf_park_sleep(ipcf_park *park, uint32_t key, uint64_t until_ns);

void ipcf_park_wake_sleepers(ipcf_park *park, bool all); /* slow half of wake */

/* After the change: wake one sleeper or all of them. Whoever was woken alone and leaves
 * the change to others wakes the next one. */
static inline void ipcf_park_wake(ipcf_park *park, bool all)
{
    /* seq_cst: pairs with the addition in ipcf_park_prepare */
    if (IPCF_UNLIKELY(ipcf_load_seq_cst(&park->sleepers) != 0u))
        ipcf_park_wake_sleepers(park, all);
}

#endif
