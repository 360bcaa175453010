/* SPDX-License-Identifier: MIT
 * How long messages take from a send to its receive: which of them are timed, and a
 * histogram of what was found.
 *
 * One message of 64 carries the time at which its send began: that is enough for
 * percentiles, and reading the clock (25 ns) for each would cost more than moving a
 * small one. Which ones is decided by their number, spread evenly and without a pattern
 * that a batch could fall in with.
 *
 * The histogram has 16 buckets to each power of two, up to 2^40 ns (18 minutes; what is
 * longer counts as that), so what is read from it is wrong by 1/32 at most. Its memory
 * is fixed. It may be noted in and read by any thread at any time; the accesses are
 * relaxed and pair with nothing (metrics.h).
 */
#ifndef IPCF_LATENCY_H
#define IPCF_LATENCY_H

#include "ipcf/atomic.h"
#include "ipcf/clock.h"

#define IPCF_LATENCY_LIMIT_NS (UINT64_C(1) << 40)
#define IPCF_LATENCY_BUCKETS 592u

typedef struct ipcf_latency {
    ipcf_atomic_u64 sum_ns;
    ipcf_atomic_u64 buckets[IPCF_LATENCY_BUCKETS];
} ipcf_latency;

/* A reading; count 0: nothing was timed, and all others are 0. */
typedef struct ipcf_latency_summary {
    uint64_t count;
    uint64_t sum_ns; /* exact, but for the limit */
    uint64_t p50_ns, p90_ns, p99_ns;
} ipcf_latency_summary;

/* Whether the message with this number, counted from 0, is timed. Multiples of the
 * golden ratio spread evenly: the gaps are 34, 55 and 89, 64 in the mean. */
static inline bool ipcf_latency_is_sampled(uint64_t number)
{
    return number * UINT64_C(0x9E3779B97F4A7C15) >> 58 == 0;
}

void ipcf_latency_note(ipcf_latency *latency, uint64_t ns);

/* A message that was sent at sent_ns has just been received. A time that is still to
 * come, as only a peer with another clock can tell, is ignored. */
IPCF_RARELY_CALLED void ipcf_latency_note_since(ipcf_latency *latency,
                                                uint64_t sent_ns);

void ipcf_latency_read(const ipcf_latency *latency, ipcf_latency_summary *summary);

#endif
