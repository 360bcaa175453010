/* SPDX-License-Identifier: MIT
 * What a channel counts while it works, and how that is read.
 *
 * Each direction has counters of its own, beside what else its lock guards. They are
 * written by whoever holds that lock, as a load and a store that need no locked
 * instruction; only errors, which are rare and may come without the lock, are added
 * atomically. They may be read at any time, by any thread, also after the channel was
 * closed. All accesses are relaxed and pair with nothing: a reading is not one moment
 * of the channel, but each number of it was true in the course of the reading.
 *
 * What counts, and when, is said at ipcf_metrics; the kinds of channel keep to it.
 */
#ifndef IPCF_METRICS_H
#define IPCF_METRICS_H

#include "ipcf/latency.h"
#include "ipcf/status.h"

/* One direction. */
typedef struct ipcf_counters {
    ipcf_atomic_u64 messages;
    ipcf_atomic_u64 bytes;
    ipcf_atomic_u64 waits;
    ipcf_atomic_u64 wake_ups;
    ipcf_atomic_u64 peak_queue;
    ipcf_atomic_u64 errors;
} ipcf_counters;

/* A reading of both directions. */
typedef struct ipcf_metrics {
    /* handed over whole; received and done with. A begun send counts when its last byte
     * goes out, a message that was passed over (TOO_LARGE) never, nor do handshakes. */
    uint64_t messages_sent, messages_received;
    /* of their bodies */
    uint64_t bytes_sent, bytes_received;
    /* operations that failed, and messages that were passed over. No failures are: no
     * room or nothing there in time, this side's own end, noise (it is told, and the
     * channel goes on), and receiving after a peer that did not die. */
    uint64_t errors;
    /* operations that found no room, or nothing, and had time to wait */
    uint64_t waits;
    /* of those: sleeps that ended, for whatever reason */
    uint64_t wake_ups;
    /* messages that had come and were not received yet: the most that were known of at
     * once. Known is what one look at the ring, or one read from the stream, found; it
     * counts as it is received. */
    uint64_t peak_queue;
    /* received messages that told when their send began, and how long they took until
     * they were done with (latency.h); 0 where none did */
    uint64_t timed;
    uint64_t latency_sum_ns, latency_p50_ns, latency_p90_ns, latency_p99_ns;
} ipcf_metrics;

void ipcf_metrics_read(const ipcf_counters *sent, const ipcf_counters *received,
                       const ipcf_latency *latency, ipcf_metrics *metrics);
/* The last five alone. */
void ipcf_metrics_read_latency(const ipcf_latency *latency, ipcf_metrics *metrics);

/* ---- counting; the direction's lock is held -------------------------------------- */

static inline void ipcf_count(ipcf_atomic_u64 *counter, uint64_t amount)
{
    /* relaxed, twice: only the holder of the lock writes; read by ipcf_metrics_read */
    ipcf_store_relaxed(counter, ipcf_load_relaxed(counter) + amount);
}

static inline void ipcf_count_message(ipcf_counters *counters, uint64_t size)
{
    ipcf_count(&counters->messages, 1);
    ipcf_count(&counters->bytes, size);
}

/* So many messages were known of at once. */
static inline void ipcf_count_queue(ipcf_counters *received, uint64_t length)
{
    /* relaxed: as in ipcf_count */
    if (IPCF_UNLIKELY(length > ipcf_load_relaxed(&received->peak_queue)))
        ipcf_store_relaxed(&received->peak_queue, length);
}

/* ---- counting without a lock ----------------------------------------------------- */

void ipcf_count_error(ipcf_counters *counters);
/* Count what an operation returned, if it is an error. end_is_error: so is
 * DISCONNECTED. */
void ipcf_count_failure(ipcf_counters *counters, ipcf_status status, bool end_is_error);

#endif
