/* SPDX-License-Identifier: MIT
 * Receiving through a ring channel: messages in place, long ones piece by piece. See
 * ring_channel.h.
 */
#include <string.h>

#include "ipcf/ring_channel.h"
#include "ipcf/ring_channel_internal.h"

/* How long a first attempt may look when the peer surely runs on another CPU. */
#define LOOK_NS UINT64_C(1000)
#define TOTAL_SIZE ((uint32_t)sizeof(uint64_t))
/* Records of a message over the limit that are passed over before somebody looks at the
 * clock and for signals. */
#define SKIPS_AT_ONCE 64u
/* The buffer of records read ahead is given back when it is empty and larger than this. */
#define AHEAD_KEPT ((size_t)64 << 10)

static ipcf_status break_off(ipcf_ring_channel *channel, const char *what,
                             uint64_t expected, uint64_t found, ipcf_error *error)
{
    ipcf_error why;
    ipcf_status status = ipcf_fail(&why, IPCF_CORRUPT, what, expected, found);
    return ipcf_channel_break(&channel->base, status, &why, error);
}

/* ---- records at the head, wherever they lie -------------------------------------- */

/* Cut off what the record tells of its time; nobody else need know. */
IPCF_RARELY_CALLED static ipcf_status take_time(ipcf_ring_channel *channel,
                                                ipcf_record *record, ipcf_error *error)
{
    if ((record->flags & IPCF_RING_CONTINUED) != 0)
        return break_off(channel, "record flags", IPCF_RING_CONTINUED, record->flags,
                         error);
    if (record->size < IPCF_RING_TIME_SIZE)
        return break_off(channel, "record with a time", IPCF_RING_TIME_SIZE,
                         record->size, error);
    memcpy(&channel->base.head_sent_ns, record->data, IPCF_RING_TIME_SIZE);
    record->data += IPCF_RING_TIME_SIZE;
    record->size -= IPCF_RING_TIME_SIZE;
    record->flags &= (uint8_t)~IPCF_RING_TIMED;
    return IPCF_OK;
}

static ipcf_status peek_as_it_is(ipcf_ring_channel *channel, ipcf_record *record,
                                 ipcf_error *error)
{
    channel->from_ahead = ipcf_buffer_size(&channel->ahead) != 0;
    if (IPCF_UNLIKELY(channel->from_ahead)) {
        const uint8_t *at = channel->ahead.data + channel->ahead.start;
        memcpy(&record->size, at, sizeof record->size);
        record->kind = at[4];
        record->flags = at[5];
        record->data = at + IPCF_RING_RECORD_HEADER;
        return IPCF_OK;
    }
    ipcf_error why;
    ipcf_status status = ipcf_ring_peek(&channel->in, record, &why);
    IPCF_TEST_STEP("ring peeked");
    if (IPCF_LIKELY(status == IPCF_OK || status == IPCF_AGAIN))
        return status;
    return ipcf_channel_break(&channel->base, status, &why, error);
}

static ipcf_status peek(ipcf_ring_channel *channel, ipcf_record *record,
                        ipcf_error *error)
{
    ipcf_status status = peek_as_it_is(channel, record, error);
    if (IPCF_UNLIKELY(status == IPCF_OK && (record->flags & IPCF_RING_TIMED) != 0))
        return take_time(channel, record, error);
    return status;
}

static void release(ipcf_ring_channel *channel)
{
    channel->record_used = 0;
    if (IPCF_UNLIKELY(channel->from_ahead)) {
        uint32_t size;
        memcpy(&size, channel->ahead.data + channel->ahead.start, sizeof size);
        ipcf_buffer_consume(&channel->ahead, (size_t)ipcf_ring_channel_stride(size));
        ipcf_buffer_shrink(&channel->ahead, AHEAD_KEPT);
    } else {
        bool is_awaited = ipcf_ring_release(&channel->in);
        IPCF_TEST_STEP("ring released");
        if (is_awaited)
            ipcf_doorbell_ring(channel->in_space);
        IPCF_TEST_STEP("ring space bell rung");
    }
}

/* Pass over a message, or its first record, that is too large. */
static ipcf_status tell_too_large(ipcf_ring_channel *channel, uint64_t size,
                                  ipcf_error *error)
{
    channel->base.head_sent_ns = 0;
    release(channel);
    return ipcf_fail(error, IPCF_TOO_LARGE, "message", channel->base.message_limit,
                     size);
}

/* ---- messages -------------------------------------------------------------------- */

/* The head of a message in several records. */
static ipcf_status begin_long(ipcf_ring_channel *channel, const ipcf_record *record,
                              ipcf_error *error)
{
    if (record->size <= TOTAL_SIZE)
        return break_off(channel, "first record of a long message", TOTAL_SIZE + 1,
                         record->size, error);
    uint64_t total;
    memcpy(&total, record->data, sizeof total);
    if (total <= record->size - TOTAL_SIZE)
        return break_off(channel, "size of a long message", record->size, total, error);
    if (total > channel->base.message_limit) {
        channel->skipping = true;
        return tell_too_large(channel, total, error);
    }
    channel->in_body = true;
    channel->body_size = channel->body_left = total;
    channel->body_kind = record->kind;
    channel->record_used = TOTAL_SIZE;
    return IPCF_OK;
}

static bool is_message_kind(uint8_t kind)
{
    return kind == IPCF_KIND_MESSAGE || kind == IPCF_KIND_BYTES;
}

/* Make the record at the head into a message, or pass over it (AGAIN). */
static ipcf_status begin_record(ipcf_ring_channel *channel, ipcf_record *record,
                                ipcf_error *error)
{
    bool is_continued = (record->flags & IPCF_RING_CONTINUED) != 0;
    bool has_more = (record->flags & IPCF_RING_MORE) != 0;
    if (is_continued != channel->skipping)
        return break_off(channel, "record flags", channel->skipping, record->flags,
                         error);
    if (channel->skipping) {
        channel->skipping = has_more;
        release(channel);
        return IPCF_AGAIN;
    }
    if (!is_message_kind(record->kind))
        return break_off(channel, "record kind", IPCF_KIND_MESSAGE, record->kind,
                         error);
    if (has_more)
        return begin_long(channel, record, error);
    if (record->size > channel->base.message_limit)
        return tell_too_large(channel, record->size, error);
    return IPCF_OK;
}

/* What is at the head, without waiting. AGAIN: nothing. INTERRUPTED: much has been
 * passed over, and there is more. The receive lock is held. */
static ipcf_status look_at_head(ipcf_ring_channel *channel, ipcf_message *message,
                                ipcf_error *error)
{
    ipcf_record record = {0};
    ipcf_status status = channel->in_body ? IPCF_OK : IPCF_AGAIN;
    for (unsigned skipped = 0; status == IPCF_AGAIN; skipped++) {
        if (skipped == SKIPS_AT_ONCE)
            return ipcf_fail(error, IPCF_INTERRUPTED, "passing over a message", 0, 0);
        status = peek(channel, &record, error);
        if (status != IPCF_OK)
            return status;
        status = begin_record(channel, &record, error);
    }
    if (status != IPCF_OK)
        return status;
    if (IPCF_UNLIKELY(channel->in_body))
        *message = (ipcf_message){.size = channel->body_size,
                                  .received = channel->body_size - channel->body_left,
                                  .kind = channel->body_kind};
    else
        *message = (ipcf_message){
            .size = record.size, .data = record.data, .kind = record.kind};
    channel->head_size = message->size;
    return IPCF_OK;
}

/* Whether begin would have something to say, without taking it: OK, or AGAIN. Passes
 * over the rest of a message over the limit; otherwise as look_at_head. */
static ipcf_status look_for_news(ipcf_ring_channel *channel, ipcf_error *error)
{
    for (unsigned skipped = 0; channel->skipping; skipped++) {
        ipcf_record record;
        if (skipped == SKIPS_AT_ONCE)
            return ipcf_fail(error, IPCF_INTERRUPTED, "passing over a message", 0, 0);
        ipcf_status status = peek(channel, &record, error);
        if (status != IPCF_OK)
            return status;
        status = begin_record(channel, &record, error);
        if (status != IPCF_AGAIN)
            return status;
    }
    bool is_complete = channel->in_body && channel->body_left == 0;
    return is_complete || ipcf_ring_channel_has_record(channel) ? IPCF_OK : IPCF_AGAIN;
}

/* The ring is empty: look at it a little longer, where that may help. */
static bool look_longer(ipcf_ring_channel *channel, ipcf_look look)
{
    if (look == IPCF_LOOK_ONCE || channel->base.receive_spin.whole_ns == 0 ||
        ipcf_spin_is_resumed(&channel->base.receive_spin))
        return false;
    ipcf_whereabouts peer = ipcf_ring_channel_whereabouts(channel);
    if (peer == IPCF_PEER_SAME_CPU && look == IPCF_LOOK_AND_YIELD)
        ipcf_thread_yield();
    if (peer != IPCF_PEER_ELSEWHERE)
        return ipcf_ring_has_record(&channel->in);
    uint64_t until = ipcf_clock_ns() + LOOK_NS;
    do {
        for (int i = 0; i < 4; i++) {
            if (ipcf_ring_has_record(&channel->in))
                return true;
            ipcf_cpu_relax();
        }
    } while (ipcf_clock_ns() < until);
    return ipcf_ring_has_record(&channel->in);
}

ipcf_status ipcf_ring_channel_try_begin(ipcf_channel *base, ipcf_look look,
                                        ipcf_message *message, ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_status status = ipcf_channel_enter(&channel->base, &channel->base.receive_lock,
                                            IPCF_NO_WAIT, error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        return status == IPCF_TIMEOUT || status == IPCF_INTERRUPTED ? IPCF_AGAIN
                                                                    : status;
    status = look_at_head(channel, message, error);
    if (status == IPCF_AGAIN && look_longer(channel, look))
        status = look_at_head(channel, message, error);
    if (status != IPCF_OK)
        ipcf_channel_leave_receiving(&channel->base);
    return status;
}

/* Look, and wait until there is something to see. message: NULL to leave it where it is. */
static ipcf_status look_until(ipcf_ring_channel *channel, ipcf_message *message,
                              uint64_t deadline_ns, const ipcf_stop *stop,
                              ipcf_error *error)
{
    ipcf_status status;
    do {
        status = message != NULL ? look_at_head(channel, message, error)
                                 : look_for_news(channel, error);
        if (status == IPCF_AGAIN) {
            status =
                ipcf_ring_channel_wait_for_record(channel, deadline_ns, stop, error);
            if (status == IPCF_OK)
                status = IPCF_AGAIN;
        }
    } while (status == IPCF_AGAIN);
    if (status == IPCF_INTERRUPTED && ipcf_clock_ns() >= deadline_ns)
        status = ipcf_fail(error, IPCF_TIMEOUT, "passing over a message", 0, 0);
    return status;
}

ipcf_status ipcf_ring_channel_begin(ipcf_channel *base, uint64_t deadline_ns,
                                    const ipcf_stop *stop, ipcf_message *message,
                                    ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_status status =
        ipcf_channel_enter(base, &base->receive_lock, deadline_ns, error);
    if (status != IPCF_OK)
        return status;
    status = look_at_head(channel, message, error);
    if (IPCF_LIKELY(status == IPCF_OK))
        return IPCF_OK;
    if (status == IPCF_AGAIN || status == IPCF_INTERRUPTED)
        status = look_until(channel, message, deadline_ns, stop, error);
    if (status != IPCF_OK)
        ipcf_channel_leave_receiving(&channel->base);
    return status;
}

void ipcf_ring_channel_leave(ipcf_channel *base) { ipcf_channel_leave_receiving(base); }

static void drop_head(ipcf_ring_channel *channel)
{
    ipcf_channel_count_received(&channel->base, channel->head_size);
    /* What one look at the ring found is used up before the next look. */
    ipcf_count_queue(&channel->base.received, ++channel->in.run);
    if (IPCF_UNLIKELY(channel->in_body))
        channel->in_body = false;
    else
        release(channel);
}

void ipcf_ring_channel_finish(ipcf_channel *base)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    drop_head(channel);
    ipcf_channel_leave_receiving(&channel->base);
}

ipcf_status ipcf_ring_channel_next(ipcf_channel *base, ipcf_message *message)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_record record;
    drop_head(channel);
    /* What is no ordinary message in one record stays for begin, which can tell of it. */
    if (ipcf_channel_state_status(base, NULL) == IPCF_OK &&
        peek(channel, &record, NULL) == IPCF_OK && record.flags == 0 &&
        !channel->skipping && is_message_kind(record.kind) &&
        record.size <= base->message_limit) {
        *message = (ipcf_message){
            .size = record.size, .data = record.data, .kind = record.kind};
        channel->head_size = record.size;
        return IPCF_OK;
    }
    ipcf_channel_leave_receiving(&channel->base);
    return IPCF_AGAIN;
}

/* ---- bodies of long messages ----------------------------------------------------- */

/* Copy from the record at the head; pass over it when it is used up. */
static ipcf_status read_part(ipcf_ring_channel *channel, const ipcf_record *record,
                             uint8_t *dest, size_t size, size_t *got, ipcf_error *error)
{
    bool is_fresh = channel->record_used == 0;
    bool is_continued = (record->flags & IPCF_RING_CONTINUED) != 0;
    bool has_more = (record->flags & IPCF_RING_MORE) != 0;
    if (record->kind != channel->body_kind || (is_fresh && !is_continued))
        return break_off(channel, "record of a long message", channel->body_kind,
                         record->kind, error);
    /* The header was loaded again: it may have changed since a part was used. */
    if (record->size <= channel->record_used)
        return break_off(channel, "record size", channel->record_used, record->size,
                         error);
    uint32_t there = record->size - channel->record_used;
    if (there > channel->body_left || has_more != (there < channel->body_left))
        return break_off(channel, "rest of a long message", channel->body_left, there,
                         error);
    size_t part = there < size ? there : size;
    memcpy(dest, record->data + channel->record_used, part);
    channel->record_used += (uint32_t)part;
    channel->body_left -= part;
    *got = part;
    if (part == there)
        release(channel);
    return IPCF_OK;
}

ipcf_status ipcf_ring_channel_read_body(ipcf_channel *base, void *dest, size_t size,
                                        size_t *got, uint64_t deadline_ns,
                                        const ipcf_stop *stop, ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    *got = 0;
    ipcf_record record;
    uint64_t started_ns = 0;
    ipcf_status status = ipcf_channel_state_status(base, error);
    while (status == IPCF_OK && *got < size && channel->body_left != 0) {
        status = peek(channel, &record, error);
        if (status == IPCF_AGAIN) {
            status =
                ipcf_ring_channel_wait_for_record(channel, deadline_ns, stop, error);
            if (status == IPCF_DISCONNECTED)
                channel->in_body = false; /* the rest will never come */
            if (status != IPCF_OK)
                return status;
            continue;
        }
        size_t part = 0;
        if (status == IPCF_OK)
            status = read_part(channel, &record, (uint8_t *)dest + *got, size - *got,
                               &part, error);
        *got += part;
        if (status == IPCF_OK && *got < size && channel->body_left != 0)
            status = ipcf_channel_go_on(base, &started_ns, deadline_ns, error);
    }
    return status;
}

/* ---- polling --------------------------------------------------------------------- */

ipcf_status ipcf_ring_channel_poll(ipcf_channel *base, uint64_t deadline_ns,
                                   ipcf_error *error)
{
    ipcf_ring_channel *channel = ipcf_ring_channel_of(base);
    ipcf_status status =
        ipcf_channel_enter(base, &base->receive_lock, deadline_ns, error);
    if (status == IPCF_OK) {
        status = look_until(channel, NULL, deadline_ns, NULL, error);
        ipcf_channel_leave_receiving(base);
    }
    /* The peer's end and its faults can be received; our own end is told at once.
     * acquire: pairs with the compare-and-swap in ipcf_channel_break */
    bool is_broken = ipcf_load_acquire(&base->state) == IPCF_STATE_BROKEN;
    bool is_news = status == IPCF_DISCONNECTED || is_broken;
    return is_news ? IPCF_OK : status;
}
