/* SPDX-License-Identifier: MIT
 * What the kinds of channel are built from: setting up, entering and leaving a direction,
 * breaking off, the peer's end. See channel.h.
 */
#ifndef IPCF_CHANNEL_KINDS_H
#define IPCF_CHANNEL_KINDS_H

#include "ipcf/channel.h"

/* Set up the common part in zeroed memory; takes over the stream on OK. watch: notice
 * the death of the peer's process even when a forked child of it keeps the stream. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_init(ipcf_channel *channel,
                                              const ipcf_channel_ops *ops,
                                              ipcf_stream *stream, bool watch,
                                              const ipcf_channel_options *options,
                                              ipcf_error *error);

/* The status that the channel's state gives to every operation; OK while it is open. */
ipcf_status ipcf_channel_state_status(const ipcf_channel *channel, ipcf_error *error);

/* Take a direction's lock, until the deadline, and check the state. Not OK: not held. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_enter(ipcf_channel *channel, ipcf_lock *lock,
                                               uint64_t deadline_ns, ipcf_error *error);
/* Take a lock whatever the state: for ending. */
void ipcf_channel_take(ipcf_lock *lock);

/* Asked between two parts of a long message, and between messages sent together, when
 * no wait asks instead: whether to go on. The state's status; TIMEOUT: the deadline has
 * passed (NO_WAIT: never, what needs no waiting may be finished); INTERRUPTED: it is
 * time to look for signals. *started_ns: 0 at first, filled in here. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_go_on(const ipcf_channel *channel,
                                               uint64_t *started_ns,
                                               uint64_t deadline_ns, ipcf_error *error);

/* Settle the ready set, if no other thread receives: that one does it then. */
void ipcf_channel_settle(ipcf_channel *channel);
/* Unlock receiving. The ready set may be made at any moment: its maker stores
 * has_ready_set, and then tries the lock. So either it gets the lock and settles, or it
 * saw us hold it, and then we see has_ready_set after the release (lock.h). */
static inline void ipcf_channel_leave_receiving(ipcf_channel *channel)
{
    /* seq_cst, twice: pairs with the store in ipcf_channel_ready_handle */
    bool is_settled = ipcf_load_seq_cst(&channel->has_ready_set) != 0;
    if (IPCF_UNLIKELY(is_settled))
        channel->ops->settle(channel);
    IPCF_TEST_STEP("channel settled");
    ipcf_lock_release(&channel->receive_lock);
    if (IPCF_UNLIKELY(!is_settled && ipcf_load_seq_cst(&channel->has_ready_set) != 0))
        ipcf_channel_settle(channel);
}

/* The peer broke the protocol (or bytes of a message were lost here, for want of memory
 * or descriptors): remember why (never NULL), hang up, wake everyone. A direction's lock
 * is held. Returns status. */
ipcf_status ipcf_channel_break(ipcf_channel *channel, ipcf_status status,
                               const ipcf_error *why, ipcf_error *error);

/* The first to notice how the peer left decides. */
void ipcf_channel_note_ending(ipcf_channel *channel, ipcf_ending ending);
static inline bool ipcf_channel_has_ended(const ipcf_channel *channel)
{
    /* acquire: pairs with the compare-and-swap in ipcf_channel_note_ending */
    return ipcf_load_acquire(&channel->ending) != IPCF_ENDING_NONE;
}

/* Keep the rest of a message that could not be finished now. Returns status, with
 * error->what = ipcf_channel_begun. */
ipcf_status ipcf_channel_keep_rest(ipcf_channel *channel, const void *rest, size_t size,
                                   ipcf_status status, ipcf_error *error);

/* Whether the next message sent, or the one so many behind it, tells its time where that
 * is agreed on (is_timed). The send lock is held. */
static inline bool ipcf_channel_is_sampled(const ipcf_channel *channel, size_t behind)
{
    /* relaxed: as in ipcf_count */
    return ipcf_latency_is_sampled(ipcf_load_relaxed(&channel->sent.messages) + behind);
}

/* The message at the head is done with: count it. The receive lock is held. */
static inline void ipcf_channel_count_received(ipcf_channel *channel, uint64_t size)
{
    ipcf_count_message(&channel->received, size);
    if (IPCF_UNLIKELY(channel->head_sent_ns != 0)) {
        ipcf_latency_note_since(&channel->latency, channel->head_sent_ns);
        channel->head_sent_ns = 0;
    }
}

/* The begun send has been finished: count it. The send lock is held. */
static inline void ipcf_channel_count_unsent(ipcf_channel *channel)
{
    if (channel->unsent_size != IPCF_NO_MESSAGE)
        ipcf_count_message(&channel->sent, channel->unsent_size);
}

/* Where the peer runs, going by the CPU that it told last. A peer in this process may
 * need the GIL: nothing is known of it. */
static inline ipcf_whereabouts ipcf_channel_whereabouts(const ipcf_channel *channel,
                                                        uint32_t ours, uint32_t theirs)
{
    if (channel->peer_is_here || ours == IPCF_CPU_UNKNOWN || theirs == IPCF_CPU_UNKNOWN)
        return IPCF_PEER_UNKNOWN;
    return ours == theirs ? IPCF_PEER_SAME_CPU : IPCF_PEER_ELSEWHERE;
}

#endif
