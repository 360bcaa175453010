/* SPDX-License-Identifier: MIT
 * Taking bytes in on a stream channel: reading into `incoming`, finding what lies at
 * its head, and finding out how the stream ended. See stream_channel_internal.h.
 */
#include "ipcf/stream_channel_internal.h"

/* Least room for a read, and reads in one go while a send waits (it wants to try again
 * soon). */
#define READ_ROOM ((size_t)4096)
#define READ_AHEAD_TURNS 8

static size_t held(const ipcf_stream_channel *channel)
{
    return ipcf_buffer_size(&channel->incoming);
}

static const uint8_t *bytes(const ipcf_stream_channel *channel)
{
    return channel->incoming.data + channel->incoming.start;
}

static uint64_t size_of_head(const ipcf_stream_channel *channel)
{
    return channel->head.header_size + channel->head.body_size +
           channel->head.trailer_size;
}

/* ---- reading --------------------------------------------------------------------- */

/* While a handshake may be under way no read may lose the handles that come along. */
static ipcf_status read_handles(ipcf_stream_channel *channel, uint8_t *data,
                                size_t room, size_t *got, ipcf_error *error)
{
    ipcf_error why;
    size_t count = IPCF_STREAM_MAX_HANDLES - channel->handle_count;
    ipcf_status status = ipcf_stream_try_read_handles(
        &channel->base.stream, data, room, got,
        channel->handles + channel->handle_count, &count, &why);
    if (status == IPCF_OK) {
        channel->handle_count += count;
        return status;
    }
    if (*got != 0) /* bytes that are lost with their handles */
        return ipcf_channel_break(&channel->base, status, &why, error);
    if (error != NULL)
        *error = why;
    return status;
}

ipcf_status ipcf_intake_fill(ipcf_stream_channel *channel, ipcf_error *error)
{
    IPCF_TEST_STEP("about to read");
    ipcf_buffer *buffer = &channel->incoming;
    size_t wanted = buffer->capacity == 0 ? IPCF_INCOMING_SIZE : READ_ROOM, got = 0;
    if (channel->has_head && size_of_head(channel) > held(channel) + wanted &&
        size_of_head(channel) <= IPCF_INCOMING_SIZE)
        wanted = (size_t)size_of_head(channel) - held(channel);
    ipcf_status status = ipcf_buffer_reserve(buffer, wanted, error);
    if (status != IPCF_OK)
        return status;
    uint8_t *data = buffer->data + buffer->end;
    size_t room = buffer->capacity - buffer->end;
    status = IPCF_UNLIKELY(channel->takes_handles)
                 ? read_handles(channel, data, room, &got, error)
                 : ipcf_stream_try_read(&channel->base.stream, data, room, &got, error);
    if (status == IPCF_OK) {
        buffer->end += got;
        channel->run = 0;
    } else if (status == IPCF_DISCONNECTED) {
        channel->at_end = true;
    }
    return status;
}

void ipcf_intake_drop_handles(ipcf_stream_channel *channel)
{
    while (channel->handle_count != 0)
        ipcf_handle_close(&channel->handles[--channel->handle_count]);
}

/* ---- the head -------------------------------------------------------------------- */

static void drop(ipcf_stream_channel *channel, uint64_t size)
{
    ipcf_buffer_consume(&channel->incoming, (size_t)size);
    ipcf_buffer_shrink(&channel->incoming, IPCF_INCOMING_KEEP);
}

/* Drop what has come of an oversized or given up body. False: more of it is to come. */
static bool skip(ipcf_stream_channel *channel)
{
    uint64_t here =
        channel->skip_left < held(channel) ? channel->skip_left : held(channel);
    drop(channel, here);
    channel->skip_left -= here;
    return channel->skip_left == 0;
}

static ipcf_status tell_too_large(ipcf_stream_channel *channel, ipcf_error *error)
{
    if (channel->decoder.framing == IPCF_FRAMING_LINES) {
        ipcf_frame_consumed(&channel->decoder, channel->head.skip);
        drop(channel, channel->head.skip);
    } else {
        ipcf_frame_consumed(&channel->decoder, channel->head.header_size);
        channel->skip_left = size_of_head(channel);
        (void)skip(channel);
    }
    return ipcf_fail(error, IPCF_TOO_LARGE, "message", channel->base.message_limit,
                     channel->head.body_size);
}

/* Noise is handed out as a message. The decoder has passed it already, and is not asked
 * again before it is dropped. */
static ipcf_status take_noise(ipcf_stream_channel *channel, size_t size)
{
    channel->has_head = true;
    channel->head.kind = IPCF_KIND_NOISE;
    channel->head.body_size = size - channel->head.header_size;
    channel->head.trailer_size = 0;
    return IPCF_OK;
}

/* OK: head describes the frame at the start. */
static ipcf_status decode(ipcf_stream_channel *channel, ipcf_error *error)
{
    ipcf_error why;
    ipcf_status status = ipcf_frame_decode(&channel->decoder, bytes(channel),
                                           held(channel), &channel->head, &why);
    switch (status) {
    case IPCF_OK:
        channel->has_head = true;
        channel->base.head_sent_ns = channel->head.sent_ns;
        if (channel->decoder.framing == IPCF_FRAMING_LENGTH)
            /* relaxed: a hint */
            ipcf_store_relaxed(&channel->peer_cpu,
                               channel->head.cpu == IPCF_FRAME_CPU_UNKNOWN
                                   ? IPCF_CPU_UNKNOWN
                                   : channel->head.cpu);
        return IPCF_OK;
    case IPCF_AGAIN:
        if (channel->head.skip != 0) {
            ipcf_frame_consumed(&channel->decoder, channel->head.skip);
            drop(channel, channel->head.skip);
        }
        return IPCF_AGAIN;
    case IPCF_TOO_LARGE:
        return tell_too_large(channel, error);
    case IPCF_NOISE:
        return take_noise(channel, channel->head.skip);
    default:
        return ipcf_channel_break(&channel->base, status, &why, error);
    }
}

ipcf_status ipcf_intake_refuse_kind(ipcf_stream_channel *channel, uint8_t kind,
                                    ipcf_error *error)
{
    ipcf_error why;
    ipcf_status status = ipcf_fail(&why, IPCF_BAD_FRAME, "kind", IPCF_KIND_BYTES, kind);
    return ipcf_channel_break(&channel->base, status, &why, error);
}

/* The message that read_body is in the middle of. */
static ipcf_status tell_body(ipcf_stream_channel *channel, ipcf_message *message)
{
    if (channel->at_end && held(channel) < channel->body_left)
        return IPCF_AGAIN; /* the rest will never come */
    *message = (ipcf_message){.size = channel->body_size,
                              .received = channel->body_size - channel->body_left,
                              .kind = channel->body_kind};
    return IPCF_OK;
}

static ipcf_status tell_goodbye(ipcf_stream_channel *channel, ipcf_error *error)
{
    ipcf_channel_note_ending(&channel->base, IPCF_ENDING_GOODBYE);
    channel->at_end = true;
    channel->has_head = false;
    ipcf_buffer_consume(&channel->incoming, held(channel));
    return ipcf_fail(error, IPCF_DISCONNECTED, "goodbye", 0, 0);
}

ipcf_status ipcf_intake_head(ipcf_stream_channel *channel, ipcf_message *message,
                             ipcf_error *error)
{
    if (IPCF_UNLIKELY(channel->in_body))
        return tell_body(channel, message);
    if (IPCF_UNLIKELY(channel->skip_left != 0 && !skip(channel)))
        return IPCF_AGAIN;
    if (held(channel) == 0)
        return IPCF_AGAIN;
    if (!channel->has_head) {
        ipcf_status status = decode(channel, error);
        if (status != IPCF_OK)
            return status;
    }
    const ipcf_frame *head = &channel->head;
    uint64_t total = size_of_head(channel);
    if (IPCF_UNLIKELY(head->kind >= IPCF_KIND_GOODBYE)) {
        if (head->kind == IPCF_KIND_GOODBYE)
            return tell_goodbye(channel, error);
        if (!channel->in_handshake)
            return ipcf_intake_refuse_kind(channel, head->kind, error);
    }
    if (IPCF_LIKELY(total <= held(channel))) {
        *message = (ipcf_message){.size = head->body_size,
                                  .data = bytes(channel) + head->header_size,
                                  .kind = head->kind};
        return IPCF_OK;
    }
    if (total <= IPCF_INCOMING_SIZE)
        return IPCF_AGAIN;
    channel->in_body = true;
    channel->has_head = false;
    channel->body_size = channel->body_left = head->body_size;
    channel->body_kind = head->kind;
    ipcf_frame_consumed(&channel->decoder, head->header_size);
    drop(channel, head->header_size);
    return tell_body(channel, message);
}

ipcf_status ipcf_intake_look(ipcf_stream_channel *channel, unsigned fills,
                             ipcf_message *message, ipcf_error *error)
{
    for (;; fills--) {
        ipcf_status status = ipcf_intake_head(channel, message, error);
        if (status != IPCF_AGAIN)
            return status;
        if (channel->at_end && channel->decoder.in_noise && held(channel) != 0) {
            /* a last line without its end */
            (void)take_noise(channel, held(channel));
            return ipcf_intake_head(channel, message, error);
        }
        if (channel->at_end)
            return ipcf_intake_ended(channel, error);
        if (fills == 0)
            return ipcf_fail(error, IPCF_INTERRUPTED, "passing over bytes", 0, 0);
        status = ipcf_intake_fill(channel, error);
        if (status != IPCF_OK && status != IPCF_DISCONNECTED)
            return status;
    }
}

bool ipcf_intake_is_ready(ipcf_stream_channel *channel)
{
    ipcf_message message;
    ipcf_error error;
    if (channel->pending != IPCF_OK)
        return true;
    ipcf_status status = ipcf_intake_head(channel, &message, &error);
    if (status == IPCF_TOO_LARGE) {
        channel->pending = status;
        channel->pending_error = error;
    }
    if (status == IPCF_OK && message.data == NULL)
        return held(channel) >= channel->body_left ||
               held(channel) >= channel->base.read_ahead_limit;
    return status != IPCF_AGAIN || channel->at_end;
}

void ipcf_intake_drop_head(ipcf_stream_channel *channel)
{
    if (channel->in_body) {
        channel->in_body = false;
        channel->skip_left = channel->body_left;
        return;
    }
    uint64_t total = size_of_head(channel);
    channel->has_head = false;
    ipcf_frame_consumed(&channel->decoder, (size_t)total);
    drop(channel, total);
}

void ipcf_stream_channel_settle(ipcf_channel *base)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    bool is_ready = ipcf_intake_is_ready(channel);
    if (is_ready && !channel->buffered_rung)
        ipcf_doorbell_ring(&channel->buffered);
    else if (!is_ready && channel->buffered_rung)
        (void)ipcf_doorbell_clear(&channel->buffered);
    channel->buffered_rung = is_ready;
}

/* ---- the end --------------------------------------------------------------------- */

ipcf_status ipcf_intake_ended(ipcf_stream_channel *channel, ipcf_error *error)
{
    ipcf_status status = ipcf_channel_state_status(&channel->base, error);
    if (status != IPCF_OK)
        return status; /* it is our own end that we see */
    bool in_frame = held(channel) != 0 || channel->in_body || channel->skip_left != 0 ||
                    channel->decoder.skipping;
    bool has_goodbye = channel->decoder.framing == IPCF_FRAMING_LENGTH;
    bool died = in_frame || has_goodbye || ipcf_stream_channel_peer_has_ended(channel);
    ipcf_channel_note_ending(&channel->base,
                             died ? IPCF_ENDING_DIED : IPCF_ENDING_UNKNOWN);
    return ipcf_fail(error, IPCF_DISCONNECTED,
                     in_frame ? "end of the stream inside a message"
                              : "end of the stream",
                     0, held(channel));
}

/* Whether a goodbye lies behind the messages that are still in `incoming`. */
static bool has_goodbye_ahead(const ipcf_stream_channel *channel)
{
    uint64_t at = channel->in_body ? channel->body_left : channel->skip_left;
    ipcf_frame_decoder decoder;
    ipcf_frame_decoder_init(&decoder, IPCF_FRAMING_LENGTH, channel->base.message_limit,
                            false);
    decoder.takes_times = channel->decoder.takes_times;
    while (channel->decoder.framing == IPCF_FRAMING_LENGTH && at < held(channel)) {
        ipcf_frame frame;
        ipcf_status status = ipcf_frame_decode(&decoder, bytes(channel) + at,
                                               held(channel) - at, &frame, NULL);
        if (status == IPCF_OK && frame.kind == IPCF_KIND_GOODBYE)
            return true;
        if (status != IPCF_OK && status != IPCF_TOO_LARGE)
            return false;
        at += frame.header_size + frame.body_size;
    }
    return false;
}

/* No more bytes will come, or a goodbye has: note which, whatever still lies before. A
 * framing without goodbyes ends in good order behind a whole message: the receive that
 * takes the last of what has come finds out. */
static void note_end(ipcf_stream_channel *channel)
{
    if (has_goodbye_ahead(channel))
        ipcf_channel_note_ending(&channel->base, IPCF_ENDING_GOODBYE);
    else if (channel->decoder.framing == IPCF_FRAMING_LENGTH || held(channel) == 0)
        (void)ipcf_intake_ended(channel, NULL);
}

void ipcf_intake_learn_ending(ipcf_stream_channel *channel)
{
    if (ipcf_channel_has_ended(&channel->base) ||
        !ipcf_lock_try(&channel->base.receive_lock))
        return;
    while (!channel->at_end && held(channel) < channel->base.read_ahead_limit)
        if (ipcf_intake_fill(channel, NULL) != IPCF_OK)
            break;
    if (channel->at_end || has_goodbye_ahead(channel))
        note_end(channel);
    else if (ipcf_stream_channel_peer_has_ended(channel))
        ipcf_channel_note_ending(&channel->base, IPCF_ENDING_DIED);
    ipcf_stream_channel_leave_receiving(channel);
}

ipcf_handle ipcf_intake_read_ahead(ipcf_stream_channel *channel, bool *progressed,
                                   bool *is_busy)
{
    *is_busy = !ipcf_lock_try(&channel->base.receive_lock);
    if (*is_busy)
        return IPCF_NO_HANDLE;
    for (int turn = 0; turn < READ_AHEAD_TURNS; turn++) {
        if (channel->at_end || held(channel) >= channel->base.read_ahead_limit ||
            ipcf_intake_fill(channel, NULL) != IPCF_OK)
            break;
        *progressed = true;
    }
    if (channel->at_end)
        note_end(channel);
    bool wants_more =
        !channel->at_end && held(channel) < channel->base.read_ahead_limit;
    ipcf_handle handle =
        wants_more ? ipcf_stream_arm_read(&channel->base.stream) : IPCF_NO_HANDLE;
    ipcf_stream_channel_leave_receiving(channel);
    return handle;
}
