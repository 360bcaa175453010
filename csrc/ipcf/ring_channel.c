/* SPDX-License-Identifier: MIT
 * A ring channel's life: making, entering, sleeping, noticing the peer's end, and
 * ending. See ring_channel.h.
 */
#include "ipcf/ring_channel.h"

#include <string.h>

#include "ipcf/ready_set.h"
#include "ipcf/ring_channel_internal.h"
#include "ipcf/wait.h"

static const ipcf_channel_ops ipcf_ring_channel_ops;

/* ---- making ---------------------------------------------------------------------- */

static ipcf_status attach_rings(ipcf_ring_channel *channel, ipcf_error *error)
{
    ipcf_ring_segment *segment = &channel->segment;
    size_t inbound = segment->is_creator ? 0 : 1, outbound = 1 - inbound;
    uint8_t *memory[2] = {segment->shm.address, segment->shm.address};
    memory[1] += ipcf_ring_size(segment->capacity[0]);
    channel->in_data = &segment->bells[2 * inbound];
    channel->in_space = &segment->bells[2 * inbound + 1];
    channel->out_data = &segment->bells[2 * outbound];
    channel->out_space = &segment->bells[2 * outbound + 1];
    ipcf_status status = ipcf_ring_attach_consumer(&channel->in, memory[inbound],
                                                   segment->capacity[inbound], error);
    if (status != IPCF_OK)
        return status;
    return ipcf_ring_attach_producer(&channel->out, memory[outbound],
                                     segment->capacity[outbound], error);
}

ipcf_status ipcf_ring_channel_init(ipcf_ring_channel *channel, ipcf_stream *control,
                                   ipcf_ring_segment *segment,
                                   const ipcf_channel_options *options,
                                   ipcf_error *error)
{
    memset(channel, 0, sizeof *channel);
    channel->segment = *segment;
    ipcf_status status = attach_rings(channel, error);
    if (status == IPCF_OK)
        status = ipcf_channel_init(&channel->base, &ipcf_ring_channel_ops, control,
                                   true, options, error);
    if (status != IPCF_OK) {
        ipcf_store_relaxed(&channel->base.state, (uint32_t)IPCF_STATE_CLOSED);
        return status;
    }
    channel->buffered = IPCF_DOORBELL_NONE;
    IPCF_TEST_STEP("ring attached");
    ipcf_shm_forget_handle(&channel->segment.shm);
    *segment = (ipcf_ring_segment){.shm = {.handle = IPCF_NO_HANDLE}};
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++)
        segment->bells[i] = IPCF_DOORBELL_NONE;
    return IPCF_OK;
}

void ipcf_ring_channel_use_times(ipcf_ring_channel *channel)
{
    channel->base.is_timed = true;
    channel->in.known_flags |= IPCF_RING_TIMED;
}

/* A sender and a receiver may both be about to wait for news of the peer. */
static ipcf_handle arm_control(ipcf_ring_channel *channel)
{
    ipcf_channel_take(&channel->base.life_lock);
    ipcf_handle handle = ipcf_stream_arm_read(&channel->base.stream);
    ipcf_lock_release(&channel->base.life_lock);
    return handle;
}

/* ---- what can be received -------------------------------------------------------- */

bool ipcf_ring_channel_has_record(ipcf_ring_channel *channel)
{
    return ipcf_buffer_size(&channel->ahead) != 0 || ipcf_ring_has_record(&channel->in);
}

/* Make the data bell say whether something is in the ring (docs/spec/ring.md, event
 * loops), and `buffered` the rest. */
static void settle(ipcf_channel *base)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    bool has_buffered = ipcf_buffer_size(&channel->ahead) != 0 ||
                        (channel->in_body && channel->body_left == 0);
    if (has_buffered && !channel->buffered_rung)
        ipcf_doorbell_ring(&channel->buffered);
    else if (!has_buffered && channel->buffered_rung)
        (void)ipcf_doorbell_clear(&channel->buffered);
    channel->buffered_rung = has_buffered;
    if (!ipcf_ring_has_record(&channel->in)) {
        ipcf_doorbell_clear(channel->in_data);
        if (ipcf_ring_consumer_park(&channel->in) == IPCF_AGAIN)
            return;
    }
    ipcf_doorbell_ring(channel->in_data);
}

static ipcf_status make_ready_set(ipcf_channel *base, ipcf_handle *set,
                                  ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_status status = ipcf_doorbell_create(&channel->buffered, error);
    if (status != IPCF_OK)
        return status;
    /* The stream's own handle: where there are ready sets, arming is free. */
    ipcf_handle members[] = {ipcf_doorbell_arm(channel->in_data),
                             ipcf_doorbell_arm(&channel->buffered), base->stream.handle,
                             base->peer_process, ipcf_doorbell_arm(&base->wake)};
    status = ipcf_ready_set_create(members, 5, set, error);
    if (status != IPCF_OK)
        ipcf_doorbell_close(&channel->buffered);
    return status;
}

/* ---- the peer's end -------------------------------------------------------------- */

static void note_end(ipcf_ring_channel *channel)
{
    bool said_goodbye = ipcf_ring_producer_has_left(&channel->in);
    ipcf_channel_note_ending(&channel->base,
                             said_goodbye ? IPCF_ENDING_GOODBYE : IPCF_ENDING_DIED);
}

/* The control stream is ready: a hang-up is news, silence is not, bytes are a broken
 * peer. */
static ipcf_status read_control(ipcf_ring_channel *channel, ipcf_error *error)
{
    if (!ipcf_lock_try(&channel->base.life_lock))
        return IPCF_OK; /* another thread reads the same news */
    uint8_t byte;
    size_t got = 0;
    /* First, because the hang-up may be our own. */
    ipcf_status ended = ipcf_channel_state_status(&channel->base, error),
                status = ended;
    if (ended == IPCF_OK)
        status = ipcf_stream_try_read(&channel->base.stream, &byte, 1, &got, error);
    ipcf_lock_release(&channel->base.life_lock);
    if (ended != IPCF_OK)
        return ended;
    if (status == IPCF_AGAIN)
        return IPCF_OK;
    if (status == IPCF_OK) {
        ipcf_error why;
        status =
            ipcf_fail(&why, IPCF_CORRUPT, "bytes on the control connection", 0, byte);
        return ipcf_channel_break(&channel->base, status, &why, error);
    }
    note_end(channel);
    return IPCF_OK;
}

ipcf_status ipcf_ring_channel_ask_peer(ipcf_ring_channel *channel, ipcf_error *error)
{
    if (ipcf_channel_has_ended(&channel->base))
        return IPCF_OK;
    ipcf_wait_item items[] = {
        {.handle = arm_control(channel)},
        {.handle = channel->base.peer_process},
    };
    ipcf_status status = ipcf_wait(items, 2, IPCF_NO_WAIT, error);
    if (status != IPCF_OK)
        return IPCF_OK; /* no answer is no news, whatever the reason */
    if (items[1].is_ready)
        note_end(channel);
    return items[0].is_ready ? read_control(channel, error) : IPCF_OK;
}

/* ---- sleeping -------------------------------------------------------------------- */

ipcf_status ipcf_ring_channel_sleep(ipcf_ring_channel *channel,
                                    const ipcf_doorbell *bell,
                                    const ipcf_doorbell *extra, uint64_t deadline_ns,
                                    uint64_t lapse_ns, ipcf_error *error)
{
    ipcf_wait_item items[] = {
        {.handle = ipcf_doorbell_arm(bell)},
        {.handle = extra != NULL ? ipcf_doorbell_arm(extra) : IPCF_NO_HANDLE},
        {.handle = arm_control(channel)},
        {.handle = channel->base.peer_process},
        {.handle = ipcf_doorbell_arm(&channel->base.wake)},
    };
    bool is_capped = lapse_ns < deadline_ns;
    uint64_t until_ns = is_capped ? lapse_ns : deadline_ns;
    bool is_late = ipcf_clock_ns() >= until_ns;
    IPCF_TEST_STEP("ring about to sleep");
    ipcf_status status = ipcf_wait(items, 5, until_ns, error);
    ipcf_status state = ipcf_channel_state_status(&channel->base, error);
    if (state != IPCF_OK)
        return state;
    if (items[0].is_ready)
        ipcf_doorbell_clear(bell);
    if (items[3].is_ready)
        note_end(channel);
    if (items[2].is_ready)
        status = read_control(channel, error);
    /* The caller has looked just before, so that a bell which rings without end does
     * not count. */
    if (status == IPCF_OK && is_late && !ipcf_channel_has_ended(&channel->base))
        status = ipcf_fail(error, IPCF_TIMEOUT, "waiting", 0, 0);
    return status == IPCF_TIMEOUT && is_capped ? IPCF_AGAIN : status;
}

/* ---- ending ---------------------------------------------------------------------- */

/* Tell the peer, through both rings and the control stream. Nothing is left to tell
 * when close was faster. In mid-message there is no goodbye: the peer takes us for dead,
 * so that it does not take what has come for all that was sent. */
static void say_goodbye(ipcf_channel *base)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_channel_take(&base->send_lock);
    if (channel->out.shared != NULL && !channel->mid_message &&
        ipcf_ring_producer_leave(&channel->out))
        ipcf_doorbell_ring(channel->out_data);
    ipcf_lock_release(&base->send_lock);
    ipcf_channel_take(&base->receive_lock);
    if (channel->in.shared != NULL) {
        if (ipcf_ring_consumer_leave(&channel->in))
            ipcf_doorbell_ring(channel->in_space);
        ipcf_stream_shut_down(&base->stream);
        IPCF_TEST_STEP("ring hung up");
    }
    ipcf_lock_release(&base->receive_lock);
}

static void free_parts(ipcf_channel *base, bool is_intact)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_ring_segment_close(&channel->segment);
    ipcf_doorbell_close(&channel->buffered);
    channel->in.shared = NULL;
    channel->out.shared = NULL;
    if (is_intact)
        ipcf_buffer_free(&channel->ahead);
}

static const ipcf_channel_ops ipcf_ring_channel_ops = {
    .try_send = ipcf_ring_channel_try_send,
    .send_many = ipcf_ring_channel_send_many,
    .flush = ipcf_ring_channel_flush,
    .try_begin = ipcf_ring_channel_try_begin,
    .begin = ipcf_ring_channel_begin,
    .read_body = ipcf_ring_channel_read_body,
    .finish = ipcf_ring_channel_finish,
    .leave = ipcf_ring_channel_leave,
    .next = ipcf_ring_channel_next,
    .poll = ipcf_ring_channel_poll,
    .make_ready_set = make_ready_set,
    .settle = settle,
    .say_goodbye = say_goodbye,
    .free_parts = free_parts,
};
