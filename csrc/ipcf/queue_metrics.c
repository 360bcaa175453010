/* SPDX-License-Identifier: MIT
 * What the in-process queue has counted. See queue.h, and metrics.h for what counts.
 */
#include "ipcf/queue.h"

void ipcf_queue_count_discarded(ipcf_queue *queue, const ipcf_queue_item *item)
{
    /* seq_cst: pairs with the loads below; the pop comes first */
    (void)ipcf_add_seq_cst(&queue->discarded, UINT64_C(1));
    (void)ipcf_add_seq_cst(&queue->discarded_size, item->size);
}

void ipcf_queue_read_metrics(const ipcf_queue *outbound, const ipcf_queue *inbound,
                             ipcf_metrics *metrics)
{
    const ipcf_queue_side *senders = &outbound->senders,
                          *receivers = &inbound->receivers;
    /* acquire: pairs with the additions above. Read first, so that never more has been
     * thrown away than popped. */
    uint64_t discarded = ipcf_load_acquire(&inbound->discarded);
    uint64_t discarded_size = ipcf_load_acquire(&inbound->discarded_size);
    /* relaxed: counts, from which nobody concludes anything about items */
    *metrics = (ipcf_metrics){
        .messages_sent = ipcf_load_relaxed(&outbound->tail) >> 1,
        .bytes_sent = ipcf_load_relaxed(&outbound->pushed_size),
        .messages_received = ipcf_load_relaxed(&inbound->head) - discarded,
        .bytes_received = ipcf_load_relaxed(&inbound->popped_size) - discarded_size,
        .waits = ipcf_load_relaxed(&senders->all_waits) +
                 ipcf_load_relaxed(&receivers->all_waits),
        .wake_ups = ipcf_load_relaxed(&senders->wake_ups) +
                    ipcf_load_relaxed(&receivers->wake_ups),
        .peak_queue = ipcf_queue_peak(inbound),
    };
    ipcf_metrics_read_latency(&inbound->latency, metrics);
}
