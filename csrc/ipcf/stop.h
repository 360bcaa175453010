/* SPDX-License-Identifier: MIT
 * Ends the waits of one thread early, from another one: as if their deadline had passed.
 *
 * The waiter makes a stop and passes it on together with a deadline, to
 * ipcf_channel_begin_stoppable and read_body_stoppable, or in its ipcf_queue_wait.
 * Whoever wants it to come back sets the stop, and then wakes the receivers of what it
 * waits on (ipcf_channel_wake_receivers, ipcf_queue_wake_receivers). The wait gives
 * TIMEOUT, with everything that TIMEOUT promises: nothing is lost, the next receive
 * goes on. The channel goes on, too, and who waits with another stop, or without one,
 * looks again and sleeps on.
 *
 *     who stops                       who waits
 *     is_set := 1 (seq_cst)           is_set? (seq_cst)      yes: TIMEOUT
 *     ring the bell                   a message?             yes: OK
 *     wake the receivers              sleep on {..., the bell}, or as park.h says
 *                                     from the start
 *
 * No wake-up is lost: the bell stays rung and is_set stays set until the reset, so a
 * stop that comes before the sleep, or before the wait, ends it as well. Where a queue
 * is waited on, is_set is one more of the words that park.h's protocol is about, and
 * waking the receivers is its wake. Only who waits for another thread's turn, asleep on
 * a lock, may have looked just before and sleep for the rest of a slice
 * (IPCF_LOCK_SLICE_NS), as after close.
 *
 * No wake-up is stale: nobody but the waiter knows the stop, and it resets it between
 * two waits. A reset takes back every set that came before; setting and resetting must
 * not happen at the same time, so both are done under a lock of their owner's, which
 * also tells the waiter whether to go on.
 *
 * A message that is there may be given out although the stop is set. While a wait with
 * a stop sleeps it is not interrupted to look for signals (a handler may set the stop):
 * it is for threads that run no signal handlers.
 */
#ifndef IPCF_STOP_H
#define IPCF_STOP_H

#include "ipcf/atomic.h"
#include "ipcf/doorbell.h"

typedef struct ipcf_stop {
    ipcf_atomic_u32 is_set;
    ipcf_doorbell bell;
} ipcf_stop;

/* Make one that is not set, in zeroed memory. */
IPCF_MUST_CHECK static inline ipcf_status ipcf_stop_init(ipcf_stop *stop,
                                                         ipcf_error *error)
{
    return ipcf_doorbell_create(&stop->bell, error);
}

/* When nobody waits with it any more, nor will set it. */
static inline void ipcf_stop_destroy(ipcf_stop *stop)
{
    ipcf_doorbell_close(&stop->bell);
}

/* The first half of stopping; wake the receivers afterwards. */
static inline void ipcf_stop_set(ipcf_stop *stop)
{
    /* seq_cst: pairs with the load in ipcf_stop_is_set, and comes before the wake, as
     * park.h demands */
    ipcf_store_seq_cst(&stop->is_set, 1u);
    ipcf_doorbell_ring(&stop->bell);
}

/* Let the next wait begin. */
static inline void ipcf_stop_reset(ipcf_stop *stop)
{
    /* relaxed: only the caller waits with it, and nobody sets it meanwhile */
    ipcf_store_relaxed(&stop->is_set, 0u);
    (void)ipcf_doorbell_clear(&stop->bell);
}

/* stop: NULL where there is none. */
static inline bool ipcf_stop_is_set(const ipcf_stop *stop)
{
    /* seq_cst: pairs with the store in ipcf_stop_set */
    return stop != NULL && ipcf_load_seq_cst(&stop->is_set) != 0u;
}

/* The handle for ipcf_wait, ready while it is set; none where there is no stop. */
static inline ipcf_handle ipcf_stop_arm(const ipcf_stop *stop)
{
    return stop != NULL ? ipcf_doorbell_arm(&stop->bell) : IPCF_NO_HANDLE;
}

#endif
