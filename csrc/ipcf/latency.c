/* SPDX-License-Identifier: MIT
 * The histogram of latencies. See latency.h.
 */
#include "ipcf/latency.h"

/* Buckets to each power of two. Below twice as many, each number has its own. */
#define BUCKETS_OF_OCTAVE UINT64_C(16)
#define OCTAVE_BITS 4u

static size_t bucket_of(uint64_t ns)
{
    uint32_t shift = 0;
    while (ns >> shift >= 2 * BUCKETS_OF_OCTAVE)
        shift++;
    return (size_t)(((uint64_t)shift << OCTAVE_BITS) + (ns >> shift));
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < 2 * BUCKETS_OF_OCTAVE)
        return bucket;
    uint32_t shift = (uint32_t)(bucket >> OCTAVE_BITS) - 1;
    uint64_t first = (bucket - ((uint64_t)shift << OCTAVE_BITS)) << shift;
    return first + (UINT64_C(1) << shift) / 2;
}

void ipcf_latency_note(ipcf_latency *latency, uint64_t ns)
{
    if (ns >= IPCF_LATENCY_LIMIT_NS)
        ns = IPCF_LATENCY_LIMIT_NS - 1;
    /* relaxed: counts, added to by several threads */
    ipcf_add_relaxed(&latency->sum_ns, ns);
    ipcf_add_relaxed(&latency->buckets[bucket_of(ns)], UINT64_C(1));
}

void ipcf_latency_note_since(ipcf_latency *latency, uint64_t sent_ns)
{
    uint64_t now = ipcf_clock_ns();
    if (sent_ns <= now)
        ipcf_latency_note(latency, now - sent_ns);
}

/* The smallest value that at least `percent` of `count` are not above. */
static uint64_t percentile(const uint64_t *buckets, uint64_t count, uint64_t percent)
{
    uint64_t due = count / 100 * percent + (count % 100 * percent + 99) / 100;
    uint64_t seen = 0;
    size_t bucket = 0;
    while (bucket < IPCF_LATENCY_BUCKETS - 1 && (seen += buckets[bucket]) < due)
        bucket++;
    return value_of(bucket);
}

void ipcf_latency_read(const ipcf_latency *latency, ipcf_latency_summary *summary)
{
    uint64_t buckets[IPCF_LATENCY_BUCKETS];
    *summary = (ipcf_latency_summary){0};
    /* relaxed: pairs with nothing; copied, so that all is said of the same numbers */
    uint64_t sum_ns = ipcf_load_relaxed(&latency->sum_ns);
    for (size_t i = 0; i < IPCF_LATENCY_BUCKETS; i++) {
        buckets[i] = ipcf_load_relaxed(&latency->buckets[i]);
        summary->count += buckets[i];
    }
    if (summary->count == 0)
        return;
    summary->sum_ns = sum_ns;
    summary->p50_ns = percentile(buckets, summary->count, 50);
    summary->p90_ns = percentile(buckets, summary->count, 90);
    summary->p99_ns = percentile(buckets, summary->count, 99);
}
