/* SPDX-License-Identifier: MIT
 * Sending on a stream channel: gathering messages into system calls, and finishing what
 * was begun. See stream_channel.h.
 */
#include <string.h>

#include "ipcf/stream_channel_internal.h"

/* A message is two pieces on every framing: header and body, or body and trailer. */
#define MESSAGE_PIECES 2u
#define BATCH_MESSAGES (IPCF_STREAM_MAX_PIECES / MESSAGE_PIECES)
/* Larger messages are no single step: what does not fit at once would have to be
 * copied. */
#define STEP_MAX ((size_t)32 << 10)
/* Ten digits. */
#define CONTENT_LENGTH_MAX UINT64_C(9999999999)

/* Pieces on their way out; what has gone is cut off at the front. */
typedef struct outgoing {
    ipcf_waiting waiting; /* first, so that the step can find the rest */
    ipcf_piece *pieces;
    size_t count, index;
    uint64_t put;  /* bytes in all */
    bool in_piece; /* pieces[index] has been cut */
} outgoing;

static void cut(outgoing *out, size_t put)
{
    out->put += put;
    while (out->index < out->count) {
        ipcf_piece *piece = &out->pieces[out->index];
        if (put < piece->size) {
            piece->data = (const uint8_t *)piece->data + put;
            piece->size -= put;
            out->in_piece = out->in_piece || put != 0;
            return;
        }
        put -= piece->size;
        out->index++;
        out->in_piece = false;
    }
}

/* On the own framing both directions end together. Not every stream says so by refusing
 * to take more: TCP does when it is too late. */
static bool peer_has_left(ipcf_stream_channel *channel)
{
    return IPCF_UNLIKELY(ipcf_channel_has_ended(&channel->base)) &&
           ipcf_stream_channel_send_framing(channel) == IPCF_FRAMING_LENGTH;
}

static ipcf_status write_step(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                              ipcf_error *error)
{
    outgoing *out = (outgoing *)waiting;
    if (peer_has_left(channel))
        return ipcf_fail(error, IPCF_DISCONNECTED, "the peer has left", 0, 0);
    while (out->index < out->count) {
        size_t put = 0;
        ipcf_status status =
            ipcf_stream_try_write(&channel->base.stream, out->pieces + out->index,
                                  out->count - out->index, &put, error);
        if (status != IPCF_OK)
            return status;
        waiting->progressed = true;
        cut(out, put);
        if (out->index < out->count)
            status = ipcf_channel_go_on(&channel->base, &waiting->started_ns,
                                        waiting->deadline_ns, error);
        if (status != IPCF_OK)
            return status;
    }
    return IPCF_OK;
}

/* Write all pieces, waiting for room (NO_WAIT: TIMEOUT). Not OK: pieces[index..count)
 * is what is left. */
static ipcf_status put_all(ipcf_stream_channel *channel, outgoing *out,
                           uint64_t deadline_ns, ipcf_error *error)
{
    out->waiting.step = write_step;
    out->waiting.spin = &channel->base.send_spin;
    out->waiting.deadline_ns = deadline_ns;
    out->waiting.for_writing = true;
    ipcf_status status = write_step(channel, &out->waiting, error);
    if (IPCF_UNLIKELY(status == IPCF_AGAIN))
        status = ipcf_stream_channel_await(channel, &out->waiting, error);
    else if (status == IPCF_OK)
        channel->base.send_spin.started_ns = 0; /* of a wait that was given up */
    if (IPCF_UNLIKELY(status == IPCF_DISCONNECTED)) {
        ipcf_status ended = ipcf_channel_state_status(&channel->base, error);
        if (ended != IPCF_OK)
            return ended;
        ipcf_intake_learn_ending(channel);
    }
    return status;
}

/* Keep what is left of a begun message, up to its last piece. Where that cannot be done
 * the channel ends, because the next message would be taken for the rest of this one. */
static ipcf_status keep_rest(ipcf_stream_channel *channel, const outgoing *out,
                             size_t last, uint64_t body_size, ipcf_status status,
                             ipcf_error *error)
{
    channel->base.cut_short = true;
    if (status == IPCF_DISCONNECTED || status == IPCF_BAD_FRAME)
        return status; /* nothing will be sent any more */
    ipcf_status kept = status;
    channel->base.unsent_size = body_size;
    for (size_t i = out->index; i <= last && kept == status; i++)
        kept = ipcf_channel_keep_rest(&channel->base, out->pieces[i].data,
                                      out->pieces[i].size, status, error);
    return kept;
}

static ipcf_status put_unsent(ipcf_stream_channel *channel, uint64_t deadline_ns,
                              ipcf_error *error)
{
    ipcf_buffer *unsent = &channel->base.unsent;
    ipcf_piece rest = {unsent->data + unsent->start, ipcf_buffer_size(unsent)};
    outgoing out = {.pieces = &rest, .count = 1};
    ipcf_status status = put_all(channel, &out, deadline_ns, error);
    ipcf_buffer_consume(unsent, (size_t)out.put);
    ipcf_buffer_shrink(unsent, IPCF_INCOMING_SIZE);
    if (status == IPCF_OK)
        ipcf_channel_count_unsent(&channel->base);
    return status;
}

/* Take the lock, and finish what was begun. Not OK: not held. */
static ipcf_status enter_sending(ipcf_stream_channel *channel, uint64_t deadline_ns,
                                 ipcf_error *error)
{
    ipcf_status status = ipcf_channel_enter(&channel->base, &channel->base.send_lock,
                                            deadline_ns, error);
    if (IPCF_UNLIKELY(status == IPCF_OK &&
                      ipcf_buffer_size(&channel->base.unsent) != 0)) {
        status = put_unsent(channel, deadline_ns, error);
        if (status != IPCF_OK)
            ipcf_lock_release(&channel->base.send_lock);
    }
    return status;
}

static uint16_t own_cpu(void)
{
    uint32_t cpu = ipcf_current_cpu();
    return cpu < IPCF_FRAME_CPU_UNKNOWN ? (uint16_t)cpu : IPCF_FRAME_CPU_UNKNOWN;
}

/* Largest body that the framing can tell. */
static uint64_t size_limit(ipcf_framing framing)
{
    if (framing == IPCF_FRAMING_U32BE)
        return UINT32_MAX;
    return framing == IPCF_FRAMING_CONTENT_LENGTH ? CONTENT_LENGTH_MAX : INT64_MAX;
}

/* Describe one message by two pieces, or one that so many others go before. header:
 * IPCF_FRAME_HEADER_MAX bytes that live as long as the pieces. */
static inline ipcf_status frame_message(ipcf_stream_channel *channel, uint8_t kind,
                                        const ipcf_piece *body, size_t behind,
                                        uint8_t *header, ipcf_piece *pieces,
                                        ipcf_error *error)
{
    ipcf_framing framing = ipcf_stream_channel_send_framing(channel);
    ipcf_status status;
    if (!ipcf_frame_body_fits(framing, body->data, body->size))
        return ipcf_fail(error, IPCF_INVALID, "body that is not one line", 0,
                         body->size);
    size_t size =
        ipcf_frame_header(framing, kind, own_cpu(), body->size, header, &status);
    if (status != IPCF_OK)
        return ipcf_fail(error, status, "body for this framing", size_limit(framing),
                         body->size);
    if (IPCF_UNLIKELY(ipcf_channel_is_sampled(&channel->base, behind)) &&
        channel->base.is_timed && framing == IPCF_FRAMING_LENGTH)
        size = ipcf_frame_add_time(header, ipcf_clock_ns());
    if (size != 0) {
        pieces[0] = (ipcf_piece){header, size};
        pieces[1] = *body;
    } else {
        pieces[0] = *body;
        pieces[1] = (ipcf_piece){header, ipcf_frame_trailer(framing, header)};
    }
    return IPCF_OK;
}

/* One message, without the tables of a batch, and without waiting. */
static ipcf_status put_one(ipcf_stream_channel *channel, uint8_t kind,
                           const ipcf_piece *body, ipcf_error *error)
{
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    ipcf_piece pieces[MESSAGE_PIECES];
    ipcf_status status = frame_message(channel, kind, body, 0, header, pieces, error);
    if (IPCF_LIKELY(status == IPCF_OK)) {
        outgoing out = {.pieces = pieces, .count = MESSAGE_PIECES};
        status = put_all(channel, &out, IPCF_NO_WAIT, error);
        if (IPCF_LIKELY(status == IPCF_OK))
            ipcf_count_message(&channel->base.sent, body->size);
        else if (out.put != 0)
            status =
                keep_rest(channel, &out, MESSAGE_PIECES - 1, body->size, status, error);
    }
    return status;
}

ipcf_status ipcf_stream_channel_try_send(ipcf_channel *base, uint8_t kind,
                                         const void *body, size_t size,
                                         ipcf_error *error)
{
    ipcf_piece piece = {body, size};
    if (size > STEP_MAX)
        return IPCF_AGAIN;
    ipcf_status status =
        ipcf_channel_enter(base, &base->send_lock, IPCF_NO_WAIT, error);
    if (IPCF_LIKELY(status == IPCF_OK)) {
        /* a begun send may be long */
        status = IPCF_UNLIKELY(ipcf_buffer_size(&base->unsent) != 0)
                     ? IPCF_AGAIN
                     : put_one(ipcf_stream_channel_of(base), kind, &piece, error);
        ipcf_lock_release(&base->send_lock);
    }
    return status == IPCF_TIMEOUT || status == IPCF_INTERRUPTED ? IPCF_AGAIN : status;
}

/* Send up to BATCH_MESSAGES; *sent grows by those that are handed over or begun. */
static ipcf_status send_batch(ipcf_stream_channel *channel, uint8_t kind,
                              const ipcf_piece *bodies, size_t count, size_t *sent,
                              uint64_t deadline_ns, ipcf_error *error)
{
    uint8_t headers[BATCH_MESSAGES][IPCF_FRAME_HEADER_MAX];
    ipcf_piece pieces[BATCH_MESSAGES * MESSAGE_PIECES];
    ipcf_status framed = IPCF_OK;
    size_t taken = 0;
    while (taken < count && taken < BATCH_MESSAGES && framed == IPCF_OK) {
        framed = frame_message(channel, kind, &bodies[taken], taken, headers[taken],
                               &pieces[taken * MESSAGE_PIECES], error);
        taken += framed == IPCF_OK;
    }
    outgoing out = {.pieces = pieces, .count = taken * MESSAGE_PIECES};
    ipcf_status status = put_all(channel, &out, deadline_ns, error);
    size_t whole = out.index / MESSAGE_PIECES, of_message = out.index % MESSAGE_PIECES;
    for (size_t i = 0; i < whole; i++)
        ipcf_count_message(&channel->base.sent, bodies[i].size);
    *sent += whole;
    if (status == IPCF_OK)
        return framed;
    if (of_message == 0 && !out.in_piece)
        return status;
    *sent += 1;
    return keep_rest(channel, &out, out.index - of_message + MESSAGE_PIECES - 1,
                     bodies[whole].size, status, error);
}

ipcf_status ipcf_stream_channel_send_many(ipcf_channel *base, uint8_t kind,
                                          const ipcf_piece *bodies, size_t count,
                                          size_t *sent, uint64_t deadline_ns,
                                          ipcf_error *error)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    *sent = 0;
    ipcf_status status = enter_sending(channel, deadline_ns, error);
    if (status != IPCF_OK)
        return status;
    uint64_t started_ns = 0;
    while (*sent < count && status == IPCF_OK) {
        status = send_batch(channel, kind, bodies + *sent, count - *sent, sent,
                            deadline_ns, error);
        if (status == IPCF_OK && *sent < count)
            status = ipcf_channel_go_on(base, &started_ns, deadline_ns, error);
    }
    ipcf_lock_release(&channel->base.send_lock);
    return status;
}

ipcf_status ipcf_stream_channel_flush(ipcf_channel *base, uint64_t deadline_ns,
                                      ipcf_error *error)
{
    ipcf_status status =
        enter_sending(ipcf_stream_channel_of(base), deadline_ns, error);
    if (status == IPCF_OK)
        ipcf_lock_release(&base->send_lock);
    return status;
}

/* ---- handshake ------------------------------------------------------------------- */

typedef struct outgoing_handles {
    ipcf_waiting waiting;
    const uint8_t *frame;
    size_t size, put;
    const ipcf_handle *handles;
    size_t handle_count;
} outgoing_handles;

/* Write the frame's first bytes: the handles go with them. */
static ipcf_status write_handles_step(ipcf_stream_channel *channel,
                                      ipcf_waiting *waiting, ipcf_error *error)
{
    outgoing_handles *out = (outgoing_handles *)waiting;
    return ipcf_stream_try_write_handles(&channel->base.stream, out->frame, out->size,
                                         out->handles, out->handle_count, &out->put,
                                         error);
}

static ipcf_status put_with_handles(ipcf_stream_channel *channel, outgoing_handles *out,
                                    uint64_t deadline_ns, ipcf_error *error)
{
    out->waiting = (ipcf_waiting){.step = write_handles_step,
                                  .spin = &channel->base.send_spin,
                                  .deadline_ns = deadline_ns,
                                  .for_writing = true};
    ipcf_status status = write_handles_step(channel, &out->waiting, error);
    if (status == IPCF_AGAIN)
        status = ipcf_stream_channel_await(channel, &out->waiting, error);
    if (status != IPCF_OK || out->put == out->size)
        return status;
    ipcf_piece rest = {out->frame + out->put, out->size - out->put};
    outgoing tail = {.pieces = &rest, .count = 1};
    status = put_all(channel, &tail, deadline_ns, error);
    return status == IPCF_OK
               ? status
               : keep_rest(channel, &tail, 0, IPCF_NO_MESSAGE, status, error);
}

ipcf_status ipcf_stream_channel_send_handles(ipcf_stream_channel *channel, uint8_t kind,
                                             const void *body, size_t size,
                                             const ipcf_handle *handles,
                                             size_t handle_count, uint64_t deadline_ns,
                                             ipcf_error *error)
{
    uint8_t frame[IPCF_FRAME_HEADER_MAX + IPCF_STREAM_HANDSHAKE_MAX];
    if (size > IPCF_STREAM_HANDSHAKE_MAX || handle_count > IPCF_STREAM_MAX_HANDLES)
        return ipcf_fail(error, IPCF_TOO_LARGE, "handshake", IPCF_STREAM_HANDSHAKE_MAX,
                         size);
    ipcf_status status = enter_sending(channel, deadline_ns, error);
    if (status != IPCF_OK)
        return status;
    ipcf_framing framing = ipcf_stream_channel_send_framing(channel);
    size_t header_size =
        ipcf_frame_header(framing, kind, own_cpu(), size, frame, &status);
    if (framing != IPCF_FRAMING_LENGTH || status != IPCF_OK) {
        status = ipcf_fail(error, IPCF_INVALID, "handshake on this framing",
                           IPCF_FRAMING_LENGTH, framing);
    } else {
        if (size != 0)
            memcpy(frame + header_size, body, size);
        outgoing_handles out = {.frame = frame,
                                .size = header_size + size,
                                .handles = handles,
                                .handle_count = handle_count};
        status = put_with_handles(channel, &out, deadline_ns, error);
    }
    ipcf_lock_release(&channel->base.send_lock);
    return status;
}
