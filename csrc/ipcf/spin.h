/* SPDX-License-Identifier: MIT
 * How long to look before going to sleep: the part of the wait ladder that both kinds
 * of channel share.
 *
 * Spin by the clock, for longer than a wake-up costs (28-40 us between two CPUs where
 * measured): a shorter spin is bistable, because one sleep makes the peer sleep too.
 * Each turn yields when the peer runs on this CPU or on an unknown one, and pauses
 * otherwise. On this CPU a wake-up costs 1-2.5 us, so the spin is short there: a peer
 * that the yields do not reach (it is in another scheduling group, or somebody else is
 * busy) is reached by sleeping. The spin shrinks only after waits that were more than
 * ten times a wake-up's cost, and is whole again after the first shorter one. One
 * ipcf_spin for each direction of a channel, used under its lock.
 */
#ifndef IPCF_SPIN_H
#define IPCF_SPIN_H

#include "ipcf/clock.h"
#include "ipcf/platform.h"

#define IPCF_SPIN_DEFAULT_NS UINT64_C(80000)
#define IPCF_SPIN_SAME_CPU_NS UINT64_C(10000)
#define IPCF_SPIN_LONG_WAIT_NS                                                         \
    UINT64_C(500000) /* ten wake-ups: spinning would not have helped */
/* Of every wait, the first sleep is short, so that a signal that arrived while spinning
 * is not left for long. */
#define IPCF_SLEEP_FIRST_NS UINT64_C(50000000)
/* No sleep is longer: a guard against a peer that forgot to ring. */
#define IPCF_SLEEP_MAX_NS UINT64_C(1000000000)
/* Whoever was interrupted calls again at once, or has given the wait up. */
#define IPCF_SPIN_RESUME_NS UINT64_C(100000000)

/* Where the peer runs, as far as it has told. */
typedef enum ipcf_whereabouts {
    IPCF_PEER_UNKNOWN = 0,
    IPCF_PEER_SAME_CPU = 1,
    IPCF_PEER_ELSEWHERE = 2
} ipcf_whereabouts;

typedef struct ipcf_spin {
    uint64_t whole_ns;   /* configured; 0 turns spinning off */
    uint64_t allowed_ns; /* at present */
    uint64_t deadline_ns;
    uint64_t started_ns; /* of the wait under way; 0: none, or its first turn */
    uint64_t paused_ns;  /* when the wait under way was last interrupted */
    uint64_t until_ns;
    uint32_t turns;
} ipcf_spin;

static inline void ipcf_spin_init(ipcf_spin *spin, uint64_t whole_ns)
{
    /* Nobody looks for signals while it spins. */
    uint64_t bounded_ns =
        whole_ns < IPCF_SLEEP_FIRST_NS ? whole_ns : IPCF_SLEEP_FIRST_NS;
    *spin = (ipcf_spin){.whole_ns = bounded_ns, .allowed_ns = bounded_ns};
}

static inline void ipcf_spin_begin(ipcf_spin *spin, uint64_t deadline_ns)
{
    spin->deadline_ns = deadline_ns;
    spin->started_ns = 0;
    spin->turns = 0;
}

static inline void ipcf_spin_start_clock(ipcf_spin *spin, uint64_t now)
{
    uint64_t until = now + spin->allowed_ns;
    spin->started_ns = now;
    spin->until_ns = until < spin->deadline_ns ? until : spin->deadline_ns;
}

/* One turn. False: it is time to sleep (or the deadline has passed). The clock costs as
 * much as a few pauses, and is not asked in the first turn: on one CPU the peer has
 * mostly answered when the CPU comes back. */
static inline bool ipcf_spin_turn(ipcf_spin *spin, ipcf_whereabouts peer)
{
    if (spin->whole_ns != 0) {
        uint32_t turn = spin->turns++;
        if (peer == IPCF_PEER_ELSEWHERE)
            ipcf_cpu_relax();
        else
            ipcf_thread_yield();
        if (turn == 0 || (peer == IPCF_PEER_ELSEWHERE && (turn & 7u) != 0))
            return true;
    }
    uint64_t now = ipcf_clock_ns();
    if (spin->started_ns == 0)
        ipcf_spin_start_clock(spin, now);
    return now < spin->until_ns && (peer != IPCF_PEER_SAME_CPU ||
                                    now - spin->started_ns < IPCF_SPIN_SAME_CPU_NS);
}

/* The caller is about to look for signals, and then to call again. */
static inline void ipcf_spin_pause(ipcf_spin *spin)
{
    spin->paused_ns = ipcf_clock_ns();
}

/* Whether this call goes on with a wait that has been interrupted: then it has spun
 * already. */
static inline bool ipcf_spin_is_resumed(const ipcf_spin *spin)
{
    return spin->started_ns != 0 &&
           ipcf_clock_ns() - spin->paused_ns < IPCF_SPIN_RESUME_NS;
}

/* The wait is over. slept: it went as far as sleeping. */
static inline void ipcf_spin_end(ipcf_spin *spin, bool slept)
{
    if (slept && spin->started_ns != 0 &&
        ipcf_clock_ns() - spin->started_ns > IPCF_SPIN_LONG_WAIT_NS)
        spin->allowed_ns = spin->allowed_ns / 2 > spin->whole_ns / 16
                               ? spin->allowed_ns / 2
                               : spin->whole_ns / 16;
    else
        spin->allowed_ns = spin->whole_ns;
    spin->started_ns = 0;
}

#endif
