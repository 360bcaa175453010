/* SPDX-License-Identifier: MIT
 * Whole messages through shared memory until a deadline: control stream + segment + two
 * rings + the wait ladder.
 *
 * See channel.h for the rules that hold for every function here, and docs/spec/ring.md
 * for what both processes do. A message that fits into one record is copied once on
 * each side and never begun; a larger one travels as continuation records, while the
 * receiver takes them out (ipcf_channel_read_body). The control stream carries nothing
 * after the handshake: its hang-up, with the peer's process handle beside it, is how a
 * death is noticed.
 */
#ifndef IPCF_RING_CHANNEL_H
#define IPCF_RING_CHANNEL_H

#include "ipcf/channel.h"
#include "ipcf/ring_segment.h"

typedef struct ipcf_ring_channel {
    ipcf_channel base; /* first; base.stream is the control stream */
    ipcf_ring_segment segment;

    ipcf_ring_producer out; /* under base.send_lock; out.shared is NULL once freed */
    ipcf_doorbell *out_data, *out_space;
    uint8_t unsent_kind;
    bool mid_message;       /* the last record is not the last of its message */
    uint32_t sends_unasked; /* since the control stream was last asked */

    ipcf_ring_consumer in; /* under base.receive_lock; in.shared is NULL once freed */
    ipcf_doorbell *in_data, *in_space;
    /* in ready_set: something can be received without the ring; made with the set */
    ipcf_doorbell buffered;
    bool buffered_rung;
    /* records taken out of the ring by a waiting send, header and all */
    ipcf_buffer ahead;
    uint64_t head_size; /* of the message that begin or next gave last */
    uint64_t body_size, body_left;
    /* payload bytes of the record at the head that read_body has passed */
    uint32_t record_used;
    uint8_t body_kind;
    bool from_ahead; /* where the record at the head lies */
    bool in_body, skipping;
} ipcf_ring_channel;

/* Takes over the control stream and the segment on OK (on failure they stay the
 * caller's). The struct must not move afterwards; use it through &channel->base and the
 * functions of channel.h. options: framing, sniff and skip_noise mean nothing here. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_channel_init(ipcf_ring_channel *channel,
                                                   ipcf_stream *control,
                                                   ipcf_ring_segment *segment,
                                                   const ipcf_channel_options *options,
                                                   ipcf_error *error);

/* Both ends have said in their handshake that messages may tell their times (1 of 64
 * does then, see latency.h). Before the channel is used. */
void ipcf_ring_channel_use_times(ipcf_ring_channel *channel);

#endif
