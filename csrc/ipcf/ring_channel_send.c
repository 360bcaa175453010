/* SPDX-License-Identifier: MIT
 * Sending through a ring channel: one record, many records, one message in many
 * records. See ring_channel.h.
 */
#include <string.h>

#include "ipcf/ring_channel.h"
#include "ipcf/ring_channel_internal.h"

/* A dead peer that nobody waits for is noticed by every so many-th send. */
#define SENDS_BETWEEN_ASKING 64u
/* send_many publishes so often: the receiver starts while the rest is copied. */
#define PUBLISH_BYTES (UINT64_C(16) << 10)
#define TOTAL_SIZE ((uint32_t)sizeof(uint64_t))

/* A message on its way into the ring: the rest of its body. */
typedef struct outgoing {
    const uint8_t *body;
    size_t left;
    size_t size;      /* of the whole body */
    uint64_t sent_ns; /* to be told in the first record; 0: not */
    uint8_t kind;
    bool begun;
} outgoing;

ipcf_status ipcf_ring_channel_peer_status(ipcf_ring_channel *channel, ipcf_error *error)
{
    bool has_left = ipcf_ring_consumer_has_left(&channel->out);
    if (IPCF_LIKELY(!has_left && !ipcf_channel_has_ended(&channel->base)))
        return IPCF_OK;
    /* Who leaves in order says so on the ring that it writes first; who does not has left
     * a message unfinished. */
    if (has_left)
        ipcf_channel_note_ending(&channel->base,
                                 ipcf_ring_producer_has_left(&channel->in)
                                     ? IPCF_ENDING_GOODBYE
                                     : IPCF_ENDING_DIED);
    return ipcf_fail(error, IPCF_DISCONNECTED, "send", 0, 0);
}

/* Publish, ring if the consumer sleeps, and ask for the peer from time to time. What is
 * published was sent, whatever becomes of the peer; the next send tells of the end. */
static void publish(ipcf_ring_channel *channel)
{
    bool is_asleep = ipcf_ring_publish(&channel->out);
    IPCF_TEST_STEP("ring published");
    if (is_asleep)
        ipcf_doorbell_ring(channel->out_data);
    IPCF_TEST_STEP("ring data bell rung");
    if (IPCF_LIKELY(!is_asleep && ++channel->sends_unasked < SENDS_BETWEEN_ASKING))
        return;
    channel->sends_unasked = 0;
    (void)ipcf_ring_channel_ask_peer(channel, NULL);
}

static inline ipcf_status claim(ipcf_ring_channel *channel, uint32_t size,
                                uint8_t **payload, ipcf_error *error)
{
    ipcf_error why;
    ipcf_status status = ipcf_ring_claim(&channel->out, size, payload, &why);
    if (IPCF_LIKELY(status == IPCF_OK || status == IPCF_AGAIN))
        return status;
    return ipcf_channel_break(&channel->base, status, &why, error);
}

ipcf_status ipcf_ring_channel_claim(ipcf_ring_channel *channel, uint32_t size,
                                    uint8_t **payload, ipcf_error *error)
{
    return claim(channel, size, payload, error);
}

static ipcf_status claim_until(ipcf_ring_channel *channel, uint32_t size,
                               uint8_t **payload, uint64_t deadline_ns,
                               ipcf_error *error)
{
    for (;;) {
        ipcf_status status = ipcf_ring_channel_claim(channel, size, payload, error);
        if (status != IPCF_AGAIN)
            return status;
        status = ipcf_ring_channel_wait_for_space(channel, size, deadline_ns, error);
        if (status != IPCF_OK)
            return status;
    }
}

/* ---- one message ----------------------------------------------------------------- */

/* Put one record of a long message into the ring. */
static ipcf_status push_part(ipcf_ring_channel *channel, outgoing *message,
                             uint64_t deadline_ns, ipcf_error *error)
{
    uint32_t most = ipcf_ring_record_max(channel->out.capacity);
    uint32_t time = message->begun || message->sent_ns == 0 ? 0 : IPCF_RING_TIME_SIZE;
    uint32_t prefix = message->begun ? 0 : time + TOTAL_SIZE;
    uint32_t part =
        message->left < most - prefix ? (uint32_t)message->left : most - prefix;
    uint8_t *payload;
    ipcf_status status =
        claim_until(channel, prefix + part, &payload, deadline_ns, error);
    if (status != IPCF_OK)
        return status;
    uint64_t total = message->left;
    IPCF_TEST_STEP("ring claimed");
    memcpy(payload, &message->sent_ns, time);
    memcpy(payload + time, &total, prefix - time);
    memcpy(payload + prefix, message->body, part);
    IPCF_TEST_STEP("ring written");
    uint8_t more = part < message->left ? IPCF_RING_MORE : 0;
    ipcf_ring_commit(&channel->out, message->kind,
                     (uint8_t)(more | (message->begun ? IPCF_RING_CONTINUED : 0) |
                               (time != 0 ? IPCF_RING_TIMED : 0)));
    IPCF_TEST_STEP("ring committed");
    message->body += part;
    message->left -= part;
    message->begun = true;
    channel->mid_message = more != 0;
    if (more == 0)
        ipcf_count_message(&channel->base.sent, message->size);
    publish(channel);
    return more != 0 ? ipcf_ring_channel_peer_status(channel, error) : IPCF_OK;
}

static ipcf_status push_long(ipcf_ring_channel *channel, uint8_t kind, const void *body,
                             size_t size, uint64_t deadline_ns, ipcf_error *error)
{
    outgoing message = {.body = body, .left = size, .size = size, .kind = kind};
    uint64_t started_ns = 0;
    if (channel->base.is_timed && ipcf_channel_is_sampled(&channel->base, 0))
        message.sent_ns = ipcf_clock_ns();
    while (message.left != 0) {
        ipcf_status status = push_part(channel, &message, deadline_ns, error);
        if (status == IPCF_OK && message.left != 0)
            status =
                ipcf_channel_go_on(&channel->base, &started_ns, deadline_ns, error);
        if (status == IPCF_OK)
            continue;
        bool is_over = status == IPCF_DISCONNECTED ||
                       ipcf_channel_state_status(&channel->base, NULL) != IPCF_OK;
        if (is_over || !message.begun || message.left == 0)
            return status;
        channel->unsent_kind = kind;
        channel->base.unsent_size = size;
        return ipcf_channel_keep_rest(&channel->base, message.body, message.left,
                                      status, error);
    }
    return IPCF_OK;
}

/* Finish what an earlier call had begun. The send lock is held. */
static ipcf_status push_unsent(ipcf_ring_channel *channel, uint64_t deadline_ns,
                               ipcf_error *error)
{
    ipcf_buffer *unsent = &channel->base.unsent;
    outgoing rest = {
        .size = channel->base.unsent_size, .kind = channel->unsent_kind, .begun = true};
    uint64_t started_ns = 0;
    while (ipcf_buffer_size(unsent) != 0) {
        rest.body = unsent->data + unsent->start;
        rest.left = ipcf_buffer_size(unsent);
        size_t before = rest.left;
        ipcf_status status = push_part(channel, &rest, deadline_ns, error);
        ipcf_buffer_consume(unsent, before - rest.left);
        if (status == IPCF_OK && rest.left != 0)
            status =
                ipcf_channel_go_on(&channel->base, &started_ns, deadline_ns, error);
        if (status != IPCF_OK)
            return status;
    }
    ipcf_buffer_shrink(unsent, 0);
    return IPCF_OK;
}

static bool is_short(const ipcf_ring_channel *channel, size_t size)
{
    return size <= ipcf_ring_record_max(channel->out.capacity);
}

/* Bytes that the next message, a short one, takes to tell its time. One that would not
 * be short any more does not tell it. */
static inline uint32_t time_size(const ipcf_ring_channel *channel, size_t size)
{
    bool is_timed = channel->base.is_timed &&
                    ipcf_channel_is_sampled(&channel->base, 0) &&
                    is_short(channel, size + IPCF_RING_TIME_SIZE);
    return is_timed ? IPCF_RING_TIME_SIZE : 0;
}

/* As push_short, for one of the messages that are timed where that is agreed on. */
IPCF_RARELY_CALLED static ipcf_status push_sampled(ipcf_ring_channel *channel,
                                                   uint8_t kind, const void *body,
                                                   uint32_t size, uint64_t sent_ns,
                                                   ipcf_error *error)
{
    uint8_t *payload;
    uint32_t time = time_size(channel, size);
    ipcf_status status = ipcf_ring_channel_claim(channel, time + size, &payload, error);
    if (status != IPCF_OK)
        return status;
    IPCF_TEST_STEP("ring claimed");
    if (sent_ns == 0)
        sent_ns = ipcf_clock_ns();
    memcpy(payload, &sent_ns, time);
    if (size != 0)
        memcpy(payload + time, body, size);
    IPCF_TEST_STEP("ring written");
    ipcf_ring_commit(&channel->out, kind, time != 0 ? IPCF_RING_TIMED : 0);
    ipcf_count_message(&channel->base.sent, size);
    IPCF_TEST_STEP("ring committed");
    return IPCF_OK;
}

/* sent_ns: when the send began; 0: now. */
static inline ipcf_status push_short(ipcf_ring_channel *channel, uint8_t kind,
                                     const void *body, uint32_t size, uint64_t sent_ns,
                                     ipcf_error *error)
{
    uint8_t *payload;
    if (IPCF_UNLIKELY(ipcf_channel_is_sampled(&channel->base, 0)))
        return push_sampled(channel, kind, body, size, sent_ns, error);
    ipcf_status status = claim(channel, size, &payload, error);
    if (status != IPCF_OK)
        return status;
    IPCF_TEST_STEP("ring claimed");
    if (size != 0)
        memcpy(payload, body, size);
    IPCF_TEST_STEP("ring written");
    ipcf_ring_commit(&channel->out, kind, 0);
    ipcf_count_message(&channel->base.sent, size);
    IPCF_TEST_STEP("ring committed");
    return IPCF_OK;
}

/* ---- entering -------------------------------------------------------------------- */

/* Take the send lock and tell our CPU. Not OK: not held. */
static ipcf_status enter(ipcf_ring_channel *channel, uint64_t deadline_ns,
                         ipcf_error *error)
{
    ipcf_status status = ipcf_channel_enter(&channel->base, &channel->base.send_lock,
                                            deadline_ns, error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        return status;
    ipcf_ring_producer_publish_cpu(&channel->out, ipcf_current_cpu());
    status = ipcf_ring_channel_peer_status(channel, error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        ipcf_lock_release(&channel->base.send_lock);
    return status;
}

/* The same, and finish what was begun. */
static ipcf_status enter_sending(ipcf_ring_channel *channel, uint64_t deadline_ns,
                                 ipcf_error *error)
{
    ipcf_status status = enter(channel, deadline_ns, error);
    if (IPCF_UNLIKELY(status == IPCF_OK &&
                      ipcf_buffer_size(&channel->base.unsent) != 0)) {
        status = push_unsent(channel, deadline_ns, error);
        if (status != IPCF_OK)
            ipcf_lock_release(&channel->base.send_lock);
    }
    return status;
}

ipcf_status ipcf_ring_channel_try_send(ipcf_channel *base, uint8_t kind,
                                       const void *body, size_t size, ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_status status = enter(channel, IPCF_NO_WAIT, error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        return status == IPCF_TIMEOUT ? IPCF_AGAIN : status;
    /* what was begun may be long */
    status = is_short(channel, size) && ipcf_buffer_size(&base->unsent) == 0
                 ? push_short(channel, kind, body, (uint32_t)size, 0, error)
                 : IPCF_AGAIN;
    if (IPCF_LIKELY(status == IPCF_OK))
        publish(channel);
    ipcf_lock_release(&channel->base.send_lock);
    return status;
}

/* Publish what send_many has put into the ring, if anything. */
static void publish_rest(ipcf_ring_channel *channel, uint64_t *unpublished)
{
    if (*unpublished != 0)
        publish(channel);
    *unpublished = 0;
}

/* Put one message of send_many into the ring; short ones stay unpublished for a while. */
static ipcf_status push_one(ipcf_ring_channel *channel, uint8_t kind,
                            const ipcf_piece *body, uint64_t *unpublished,
                            uint64_t deadline_ns, ipcf_error *error)
{
    if (!is_short(channel, body->size)) {
        publish_rest(channel, unpublished);
        return push_long(channel, kind, body->data, body->size, deadline_ns, error);
    }
    uint32_t size = (uint32_t)body->size;
    uint64_t sent_ns = 0;
    ipcf_status status;
    while ((status = push_short(channel, kind, body->data, size, sent_ns, error)) ==
           IPCF_AGAIN) {
        uint32_t room = size + time_size(channel, size);
        /* The receiver makes room only for what it can see. */
        publish_rest(channel, unpublished);
        sent_ns = sent_ns != 0 ? sent_ns : ipcf_clock_ns();
        status = ipcf_ring_channel_wait_for_space(channel, room, deadline_ns, error);
        if (status != IPCF_OK)
            return status;
    }
    if (status != IPCF_OK)
        return status;
    *unpublished += IPCF_RING_RECORD_HEADER + size;
    if (*unpublished >= PUBLISH_BYTES)
        publish_rest(channel, unpublished);
    return IPCF_OK;
}

ipcf_status ipcf_ring_channel_send_many(ipcf_channel *base, uint8_t kind,
                                        const ipcf_piece *bodies, size_t count,
                                        size_t *sent, uint64_t deadline_ns,
                                        ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    *sent = 0;
    ipcf_status status = enter_sending(channel, deadline_ns, error);
    if (status != IPCF_OK)
        return status;
    uint64_t unpublished = 0, started_ns = 0;
    while (*sent < count) {
        status =
            push_one(channel, kind, &bodies[*sent], &unpublished, deadline_ns, error);
        bool begun = ipcf_buffer_size(&channel->base.unsent) != 0;
        *sent += status == IPCF_OK || begun ? 1u : 0u;
        /* the clock would cost as much as a short message */
        if (status == IPCF_OK && unpublished == 0 && *sent < count) {
            status = ipcf_channel_go_on(base, &started_ns, deadline_ns, error);
            status = status == IPCF_OK ? ipcf_ring_channel_peer_status(channel, error)
                                       : status;
        }
        if (status != IPCF_OK)
            break;
    }
    publish_rest(channel, &unpublished);
    ipcf_lock_release(&channel->base.send_lock);
    return status;
}

ipcf_status ipcf_ring_channel_flush(ipcf_channel *base, uint64_t deadline_ns,
                                    ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_status status = enter_sending(channel, deadline_ns, error);
    if (status == IPCF_OK)
        ipcf_lock_release(&channel->base.send_lock);
    return status;
}
