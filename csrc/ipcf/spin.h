/* SPDX-License-Identifier: MIT
 * How long to look before going to sleep: the part of the wait ladder that both kinds of channel share.
 *
 * Spin by the clock, for longer than a wake-up costs (28-40 us between two CPUs where measured): a shorter spin is
 * bistable, because one sleep makes the peer sleep too. Each turn yields when the peer runs on this CPU or on an unknown
 * one, and pauses otherwise. The spin shrinks only after waits that were more than ten times a wake-up's cost, and is
 * whole again after the first shorter one. One ipcf_spin for each direction of a channel, used under its lock.
 */
#ifndef IPCF_SPIN_H
#define IPCF_SPIN_H

#include "ipcf/clock.h"
#include "ipcf/platform.h"

#define IPCF_SPIN_DEFAULT_NS UINT64_C(80000)
#define IPCF_SPIN_LONG_WAIT_NS UINT64_C(500000)    /* ten wake-ups: spinning would not have helped */
/* Of every wait, the first sleep is short, so that a signal that arrived while spinning is not left for long. */
#define IPCF_SLEEP_FIRST_NS UINT64_C(50000000)
/* No sleep is longer: a guard against a peer that forgot to ring. */
#define IPCF_SLEEP_MAX_NS UINT64_C(1000000000)

typedef struct ipcf_spin {
    uint64_t whole_ns;      /* configured; 0 turns spinning off */
    uint64_t allowed_ns;    /* at present */
    uint64_t started_ns;    /* of the wait under way; 0: none */
    uint64_t until_ns;
    uint32_t turns;
} ipcf_spin;

static inline void ipcf_spin_init(ipcf_spin *spin, uint64_t whole_ns)
{
    *spin = (ipcf_spin){.whole_ns = whole_ns, .allowed_ns = whole_ns};
}

static inline void ipcf_spin_begin(ipcf_spin *spin, uint64_t deadline_ns)
{
    uint64_t now = ipcf_clock_ns();
    spin->started_ns = now;
    spin->until_ns = now + spin->allowed_ns < deadline_ns ? now + spin->allowed_ns : deadline_ns;
    spin->turns = 0;
}

/* One turn. False: it is time to sleep (or the deadline has passed). */
static inline bool ipcf_spin_turn(ipcf_spin *spin, bool peer_surely_elsewhere)
{
    if (spin->whole_ns == 0)
        return false;
    if (peer_surely_elsewhere) {
        ipcf_cpu_relax();
        /* reading the clock costs as much as a few pauses */
        if ((++spin->turns & 7u) != 0)
            return true;
    } else {
        ipcf_thread_yield();
    }
    return ipcf_clock_ns() < spin->until_ns;
}

/* The wait is over, successfully. slept: it went as far as sleeping. */
static inline void ipcf_spin_end(ipcf_spin *spin, bool slept)
{
    if (slept && ipcf_clock_ns() - spin->started_ns > IPCF_SPIN_LONG_WAIT_NS)
        spin->allowed_ns = spin->allowed_ns / 2 > spin->whole_ns / 16 ? spin->allowed_ns / 2
                                                                     : spin->whole_ns / 16;
    else
        spin->allowed_ns = spin->whole_ns;
    spin->started_ns = 0;
}

#endif
