/* SPDX-License-Identifier: MIT
 * Sleeping and waking: a mutex and a condition variable that are touched only when
 * somebody sleeps.
 */
#include "ipcf/park.h"
#include "ipcf/clock.h"
#include IPCF_SYSTEM_HEADER

ipcf_status ipcf_park_init(ipcf_park *park)
{
    /* relaxed: nobody else knows the place yet */
    ipcf_store_relaxed(&park->sleepers, 0u);
    ipcf_store_relaxed(&park->key, 0u);
    if (pthread_mutex_init(&park->mutex, NULL) != 0)
        return IPCF_NO_MEMORY;
    if (!ipcf_os_condition_init(&park->condition)) {
        pthread_mutex_destroy(&park->mutex);
        return IPCF_NO_MEMORY;
    }
    return IPCF_OK;
}

void ipcf_park_destroy(ipcf_park *park)
{
    pthread_cond_destroy(&park->condition);
    pthread_mutex_destroy(&park->mutex);
}

ipcf_status ipcf_park_sleep(ipcf_park *park, uint32_t key, uint64_t until_ns)
{
    ipcf_status status = IPCF_OK;
    pthread_mutex_lock(&park->mutex);
    /* relaxed: it changes under the mutex only */
    while (status == IPCF_OK && ipcf_load_relaxed(&park->key) == key) {
        ipcf_os_condition_wait(&park->condition, &park->mutex, until_ns);
        if (ipcf_load_relaxed(&park->key) == key && ipcf_clock_ns() >= until_ns)
            status = IPCF_TIMEOUT;
    }
    pthread_mutex_unlock(&park->mutex);
    ipcf_park_cancel(park);
    return status;
}

void ipcf_park_wake_sleepers(ipcf_park *park, bool all)
{
    pthread_mutex_lock(&park->mutex);
    /* release: pairs with the acquire in ipcf_park_prepare */
    ipcf_store_release(&park->key, ipcf_load_relaxed(&park->key) + 1u);
    if (all)
        pthread_cond_broadcast(&park->condition);
    else
        pthread_cond_signal(&park->condition);
    pthread_mutex_unlock(&park->mutex);
}
