/* SPDX-License-Identifier: MIT
 * The sleeping half of the lock: a mutex and a condition variable that are touched only
 * when somebody waits.
 */
#include "ipcf/lock.h"
#include "ipcf/clock.h"
#include IPCF_SYSTEM_HEADER

ipcf_status ipcf_lock_init(ipcf_lock *lock)
{
    ipcf_store_relaxed(&lock->state, 0u); /* relaxed: nobody else knows the lock yet */
    if (pthread_mutex_init(&lock->mutex, NULL) != 0)
        return IPCF_NO_MEMORY;
    if (!ipcf_os_condition_init(&lock->condition)) {
        pthread_mutex_destroy(&lock->mutex);
        return IPCF_NO_MEMORY;
    }
    return IPCF_OK;
}

void ipcf_lock_destroy(ipcf_lock *lock)
{
    pthread_cond_destroy(&lock->condition);
    pthread_mutex_destroy(&lock->mutex);
}

/* Take the lock, or leave the mark that makes its holder wake somebody. Whoever gets it
 * this way cannot know whether others wait, so it says so: the price is one wake-up too
 * many. */
static bool take_or_mark(ipcf_lock *lock)
{
    /* acq_rel: pairs with the exchange in ipcf_lock_release */
    return ipcf_exchange_acq_rel(&lock->state, 2u) == 0u;
}

/* One sleep, with the mutex held from mark to sleep: ipcf_lock_wake_one takes the
 * mutex, so it cannot signal in between. */
static bool mark_and_sleep(ipcf_lock *lock, uint64_t until_ns)
{
    pthread_mutex_lock(&lock->mutex);
    bool is_held = take_or_mark(lock);
    if (!is_held) {
        ipcf_os_condition_wait(&lock->condition, &lock->mutex, until_ns);
        /* Again: a waiter that leaves empty-handed must pass the mark on, since the
         * signal may have been meant for it. */
        is_held = take_or_mark(lock);
    }
    pthread_mutex_unlock(&lock->mutex);
    return is_held;
}

ipcf_status ipcf_lock_acquire(ipcf_lock *lock, uint64_t deadline_ns)
{
    if (ipcf_lock_try(lock))
        return IPCF_OK;
    if (deadline_ns == IPCF_NO_WAIT)
        return IPCF_TIMEOUT;
    uint64_t now = ipcf_clock_ns();
    if (now >= deadline_ns)
        return IPCF_TIMEOUT;
    uint64_t slice_end = now + IPCF_LOCK_SLICE_NS;
    if (mark_and_sleep(lock, slice_end < deadline_ns ? slice_end : deadline_ns))
        return IPCF_OK;
    return ipcf_clock_ns() >= deadline_ns ? IPCF_TIMEOUT : IPCF_INTERRUPTED;
}

void ipcf_lock_wake_one(ipcf_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    pthread_cond_signal(&lock->condition);
    pthread_mutex_unlock(&lock->mutex);
}

void ipcf_lock_wake_all(ipcf_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    pthread_cond_broadcast(&lock->condition);
    pthread_mutex_unlock(&lock->mutex);
}
