/* SPDX-License-Identifier: MIT
 * Sleeping and waking: an SRWLOCK and a CONDITION_VARIABLE that are touched only when
 * somebody sleeps.
 */
#include "ipcf/park.h"
#include "ipcf/win32/timeout.h"

ipcf_status ipcf_park_init(ipcf_park *park)
{
    /* relaxed: nobody else knows the place yet */
    ipcf_store_relaxed(&park->sleepers, 0u);
    ipcf_store_relaxed(&park->key, 0u);
    InitializeSRWLock(&park->mutex);
    InitializeConditionVariable(&park->condition);
    return IPCF_OK;
}

void ipcf_park_destroy(ipcf_park *park)
{
    (void)park; /* neither holds anything beyond its own word */
}

ipcf_status ipcf_park_sleep(ipcf_park *park, uint32_t key, uint64_t until_ns)
{
    ipcf_status status = IPCF_OK;
    AcquireSRWLockExclusive(&park->mutex);
    /* relaxed: it changes under the mutex only */
    while (status == IPCF_OK && ipcf_load_relaxed(&park->key) == key) {
        (void)SleepConditionVariableSRW(&park->condition, &park->mutex,
                                        ipcf_timeout_ms(until_ns), 0);
        if (ipcf_load_relaxed(&park->key) == key && ipcf_deadline_has_passed(until_ns))
            status = IPCF_TIMEOUT;
    }
    ReleaseSRWLockExclusive(&park->mutex);
    ipcf_park_cancel(park);
    return status;
}

void ipcf_park_wake_sleepers(ipcf_park *park, bool all)
{
    AcquireSRWLockExclusive(&park->mutex);
    /* release: pairs with the acquire in ipcf_park_prepare */
    ipcf_store_release(&park->key, ipcf_load_relaxed(&park->key) + 1u);
    if (all)
        WakeAllConditionVariable(&park->condition);
    else
        WakeConditionVariable(&park->condition);
    ReleaseSRWLockExclusive(&park->mutex);
}
