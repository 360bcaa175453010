/* SPDX-License-Identifier: MIT
 * Reading the counters of a channel. See metrics.h.
 */
#include "ipcf/metrics.h"

static uint64_t sum(const ipcf_atomic_u64 *one, const ipcf_atomic_u64 *other)
{
    /* relaxed: pairs with nothing, see metrics.h */
    return ipcf_load_relaxed(one) + ipcf_load_relaxed(other);
}

void ipcf_metrics_read_latency(const ipcf_latency *latency, ipcf_metrics *metrics)
{
    ipcf_latency_summary summary;
    ipcf_latency_read(latency, &summary);
    metrics->timed = summary.count;
    metrics->latency_sum_ns = summary.sum_ns;
    metrics->latency_p50_ns = summary.p50_ns;
    metrics->latency_p90_ns = summary.p90_ns;
    metrics->latency_p99_ns = summary.p99_ns;
}

void ipcf_metrics_read(const ipcf_counters *sent, const ipcf_counters *received,
                       const ipcf_latency *latency, ipcf_metrics *metrics)
{
    /* relaxed: pairs with nothing, see metrics.h */
    *metrics = (ipcf_metrics){
        .messages_sent = ipcf_load_relaxed(&sent->messages),
        .messages_received = ipcf_load_relaxed(&received->messages),
        .bytes_sent = ipcf_load_relaxed(&sent->bytes),
        .bytes_received = ipcf_load_relaxed(&received->bytes),
        .errors = sum(&sent->errors, &received->errors),
        .waits = sum(&sent->waits, &received->waits),
        .wake_ups = sum(&sent->wake_ups, &received->wake_ups),
        .peak_queue = ipcf_load_relaxed(&received->peak_queue),
    };
    ipcf_metrics_read_latency(latency, metrics);
}

void ipcf_count_error(ipcf_counters *counters)
{
    /* relaxed: two threads may come here at once, and nothing is published with it */
    ipcf_add_relaxed(&counters->errors, UINT64_C(1));
}

void ipcf_count_failure(ipcf_counters *counters, ipcf_status status, bool end_is_error)
{
    switch (status) {
    case IPCF_OK:
    case IPCF_AGAIN:
    case IPCF_TIMEOUT:
    case IPCF_INTERRUPTED:
    case IPCF_NOISE:
    case IPCF_SHUT_DOWN:
    case IPCF_CLOSED:
    case IPCF_FORKED:
        return;
    case IPCF_DISCONNECTED:
        if (!end_is_error)
            return;
        break;
    default:
        break;
    }
    ipcf_count_error(counters);
}
