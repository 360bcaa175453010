/* SPDX-License-Identifier: MIT
 * Receiving on a stream channel: messages in place, large bodies straight into the
 * caller's memory, batches, handshakes. See stream_channel.h.
 */
#include <string.h>

#include "ipcf/stream_channel_internal.h"

/* What begin waits for. */
typedef struct arrival {
    ipcf_waiting waiting; /* first, so that the step can find the rest */
    ipcf_message *message;
} arrival;

static ipcf_status look_step(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                             ipcf_error *error)
{
    size_t before = ipcf_buffer_size(&channel->incoming);
    ipcf_status status = ipcf_intake_look(channel, IPCF_FILLS_AT_ONCE,
                                          ((arrival *)waiting)->message, error);
    waiting->progressed = ipcf_buffer_size(&channel->incoming) != before;
    return status;
}

static ipcf_status take_pending(ipcf_stream_channel *channel, ipcf_error *error)
{
    ipcf_status status = channel->pending;
    if (error != NULL)
        *error = channel->pending_error;
    channel->pending = IPCF_OK;
    return status;
}

/* The step has said AGAIN: wait as long as allowed (NO_WAIT: TIMEOUT). */
static ipcf_status wait_for(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                            ipcf_error *error)
{
    if (waiting->deadline_ns != IPCF_NO_WAIT)
        return ipcf_stream_channel_await(channel, waiting, error);
    if (!ipcf_stream_channel_check_peer(channel))
        return ipcf_fail(error, IPCF_TIMEOUT, "nothing has come", 0, 0);
    /* what it sent last may have come after we looked */
    ipcf_status status = waiting->step(channel, waiting, error);
    if (status != IPCF_AGAIN)
        return status;
    channel->at_end = true;
    return ipcf_intake_ended(channel, error);
}

/* A step that passed over bytes until it was INTERRUPTED has not looked at the clock. */
static ipcf_status unless_late(ipcf_status status, uint64_t deadline_ns,
                               ipcf_error *error)
{
    if (IPCF_UNLIKELY(status == IPCF_INTERRUPTED && ipcf_clock_ns() >= deadline_ns))
        return ipcf_fail(error, IPCF_TIMEOUT, "passing over bytes", 0, 0);
    return status;
}

/* Enter and look, without waiting. AGAIN: still entered. */
static ipcf_status enter_and_look(ipcf_stream_channel *channel, unsigned fills,
                                  uint64_t deadline_ns, ipcf_message *message,
                                  ipcf_error *error)
{
    ipcf_status status = ipcf_channel_enter(&channel->base, &channel->base.receive_lock,
                                            deadline_ns, error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        return status;
    if (IPCF_UNLIKELY(channel->pending != IPCF_OK))
        status = take_pending(channel, error);
    else
        status = ipcf_intake_look(channel, fills, message, error);
    if (status == IPCF_AGAIN)
        return status;
    if (!channel->in_body)
        channel->base.receive_spin.started_ns = 0; /* of a wait that was given up */
    if (status != IPCF_OK)
        ipcf_stream_channel_leave_receiving(channel);
    return status;
}

static void end_handshake(ipcf_stream_channel *channel)
{
    channel->in_handshake = channel->takes_handles = false;
    ipcf_intake_drop_handles(channel);
}

/* An ordinary receive has found a message, which ends the handshake. Not OK: left. */
static ipcf_status leave_handshake(ipcf_stream_channel *channel,
                                   const ipcf_message *message, ipcf_error *error)
{
    end_handshake(channel);
    if (message->kind < IPCF_KIND_GOODBYE)
        return IPCF_OK;
    ipcf_status status = ipcf_intake_refuse_kind(channel, message->kind, error);
    ipcf_stream_channel_leave_receiving(channel);
    return status;
}

ipcf_status ipcf_stream_channel_try_begin(ipcf_channel *base, ipcf_look look,
                                          ipcf_message *message, ipcf_error *error)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    (void)look; /* one system call is as long as the look would be */
    ipcf_status status =
        enter_and_look(channel, IPCF_FILLS_IN_A_LOOK, IPCF_NO_WAIT, message, error);
    if (IPCF_UNLIKELY(status == IPCF_OK && channel->in_handshake))
        return leave_handshake(channel, message, error);
    if (status == IPCF_AGAIN)
        ipcf_stream_channel_leave_receiving(channel);
    return status == IPCF_TIMEOUT || status == IPCF_INTERRUPTED ? IPCF_AGAIN : status;
}

/* begin, be it of a handshake. */
static ipcf_status begin_any(ipcf_stream_channel *channel, uint64_t deadline_ns,
                             const ipcf_stop *stop, ipcf_message *message,
                             ipcf_error *error)
{
    ipcf_status status =
        enter_and_look(channel, IPCF_FILLS_AT_ONCE, deadline_ns, message, error);
    if (status == IPCF_AGAIN) {
        arrival arriving = {{.step = look_step,
                             .spin = &channel->base.receive_spin,
                             .deadline_ns = deadline_ns,
                             .stop = stop},
                            message};
        status = wait_for(channel, &arriving.waiting, error);
        if (status != IPCF_OK)
            ipcf_stream_channel_leave_receiving(channel);
    }
    return unless_late(status, deadline_ns, error);
}

ipcf_status ipcf_stream_channel_begin(ipcf_channel *base, uint64_t deadline_ns,
                                      const ipcf_stop *stop, ipcf_message *message,
                                      ipcf_error *error)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    ipcf_status status = begin_any(channel, deadline_ns, stop, message, error);
    if (IPCF_UNLIKELY(status == IPCF_OK && channel->in_handshake))
        return leave_handshake(channel, message, error);
    return status;
}

/* ---- large bodies ---------------------------------------------------------------- */

typedef struct body_read {
    ipcf_waiting waiting;
    uint8_t *dest;
    size_t size, got;
} body_read;

static ipcf_status read_step(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                             ipcf_error *error)
{
    body_read *body = (body_read *)waiting;
    while (body->got < body->size) {
        size_t got = 0;
        ipcf_status status =
            ipcf_stream_try_read(&channel->base.stream, body->dest + body->got,
                                 body->size - body->got, &got, error);
        if (status == IPCF_DISCONNECTED) {
            channel->at_end = true;
            return ipcf_intake_ended(channel, error);
        }
        if (status != IPCF_OK)
            return status;
        waiting->progressed = true;
        body->got += got;
        channel->body_left -= got;
        if (body->got < body->size)
            status = ipcf_channel_go_on(&channel->base, &waiting->started_ns,
                                        waiting->deadline_ns, error);
        if (status != IPCF_OK)
            return status;
    }
    return IPCF_OK;
}

/* The part of the body that lies in `incoming`. */
static void take_buffered(ipcf_stream_channel *channel, body_read *body)
{
    ipcf_buffer *buffer = &channel->incoming;
    size_t here = ipcf_buffer_size(buffer);
    if (here > body->size)
        here = body->size;
    if (here == 0)
        return;
    memcpy(body->dest, buffer->data + buffer->start, here);
    ipcf_buffer_consume(buffer, here);
    ipcf_buffer_shrink(buffer, IPCF_INCOMING_KEEP);
    body->got = here;
    channel->body_left -= here;
}

ipcf_status ipcf_stream_channel_read_body(ipcf_channel *base, void *dest, size_t size,
                                          size_t *got, uint64_t deadline_ns,
                                          const ipcf_stop *stop, ipcf_error *error)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    body_read body = {.waiting = {.step = read_step,
                                  .spin = &channel->base.receive_spin,
                                  .deadline_ns = deadline_ns,
                                  .stop = stop},
                      .dest = dest,
                      .size = size < channel->body_left ? size
                                                        : (size_t)channel->body_left};
    *got = 0;
    ipcf_status status = ipcf_channel_state_status(&channel->base, error);
    if (status != IPCF_OK)
        return status;
    take_buffered(channel, &body);
    if (body.got == body.size)
        status = IPCF_OK;
    else if (channel->at_end)
        status = ipcf_intake_ended(channel, error);
    else
        status = read_step(channel, &body.waiting, error);
    if (status == IPCF_AGAIN)
        status = wait_for(channel, &body.waiting, error);
    *got = body.got;
    return status;
}

/* ---- leaving --------------------------------------------------------------------- */

/* The message at the head is done with. Handshakes do not count. */
static inline void count_head(ipcf_stream_channel *channel)
{
    bool in_body = channel->in_body;
    if ((in_body ? channel->body_kind : channel->head.kind) > IPCF_KIND_BYTES)
        return;
    ipcf_channel_count_received(&channel->base,
                                in_body ? channel->body_size : channel->head.body_size);
    ipcf_count_queue(&channel->base.received, ++channel->run);
}

void ipcf_stream_channel_finish(ipcf_channel *base)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    count_head(channel);
    ipcf_intake_drop_head(channel);
    ipcf_stream_channel_leave_receiving(channel);
}

void ipcf_stream_channel_leave(ipcf_channel *base)
{
    ipcf_stream_channel_leave_receiving(ipcf_stream_channel_of(base));
}

ipcf_status ipcf_stream_channel_next(ipcf_channel *base, ipcf_message *message)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    ipcf_error error;
    count_head(channel);
    ipcf_intake_drop_head(channel);
    ipcf_status status = ipcf_intake_head(channel, message, &error);
    if (IPCF_LIKELY(status == IPCF_OK && message->data != NULL))
        return IPCF_OK;
    if (status == IPCF_TOO_LARGE) {
        channel->pending = status;
        channel->pending_error = error;
    }
    ipcf_stream_channel_leave_receiving(channel);
    return IPCF_AGAIN;
}

/* ---- looking ahead --------------------------------------------------------------- */

/* Read until begin would not block, or as much as may be read at once. */
static ipcf_status ready_step(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                              ipcf_error *error)
{
    for (unsigned fills = 0; !ipcf_intake_is_ready(channel); fills++) {
        if (fills == IPCF_FILLS_AT_ONCE)
            return ipcf_fail(error, IPCF_INTERRUPTED, "passing over bytes", 0, 0);
        ipcf_status status = ipcf_intake_fill(channel, error);
        if (status != IPCF_OK && status != IPCF_DISCONNECTED)
            return status;
        waiting->progressed = true;
    }
    return IPCF_OK;
}

ipcf_status ipcf_stream_channel_poll(ipcf_channel *base, uint64_t deadline_ns,
                                     ipcf_error *error)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    ipcf_waiting waiting = {
        .step = ready_step, .spin = &base->receive_spin, .deadline_ns = deadline_ns};
    ipcf_status status =
        ipcf_channel_enter(base, &base->receive_lock, deadline_ns, error);
    if (status == IPCF_OK) {
        status = ready_step(channel, &waiting, error);
        if (status == IPCF_AGAIN)
            status = wait_for(channel, &waiting, error);
        status = unless_late(status, deadline_ns, error);
        if (status == IPCF_OK) /* the end of the bytes may be our own doing */
            status = ipcf_channel_state_status(base, error);
        if (status == IPCF_OK && channel->has_head &&
            channel->head.kind == IPCF_KIND_NOISE)
            status = ipcf_fail(error, IPCF_NOISE, "bytes that belong to no frame", 0,
                               channel->head.body_size);
        ipcf_stream_channel_leave_receiving(channel);
    }
    /* The peer's end and its failures count as something to receive: begin says what.
     * Our own end is no news. */
    switch (status) {
    case IPCF_TIMEOUT:
    case IPCF_INTERRUPTED:
    case IPCF_CLOSED:
    case IPCF_SHUT_DOWN:
    case IPCF_FORKED:
    case IPCF_NOISE:
        return status;
    default:
        return IPCF_OK;
    }
}

ipcf_status ipcf_stream_channel_sniff(ipcf_stream_channel *channel,
                                      ipcf_framing *framing, ipcf_error *error)
{
    ipcf_channel *base = &channel->base;
    ipcf_status status =
        ipcf_channel_enter(base, &base->receive_lock, IPCF_NO_WAIT, error);
    if (status != IPCF_OK)
        return status;
    if (channel->decoder.framing == IPCF_FRAMING_SNIFF) {
        if (!channel->at_end && ipcf_intake_fill(channel, NULL) == IPCF_OK)
            (void)ipcf_intake_is_ready(channel); /* looks at the first byte */
        if (channel->at_end)
            status = ipcf_intake_ended(channel, error);
        else
            status = ipcf_channel_state_status(base, error);
    }
    *framing = channel->decoder.framing;
    ipcf_stream_channel_leave_receiving(channel);
    return status == IPCF_OK && *framing == IPCF_FRAMING_SNIFF
               ? ipcf_fail(error, IPCF_TIMEOUT, "not a byte has come", 0, 0)
               : status;
}

ipcf_status ipcf_stream_channel_read_handle(ipcf_stream_channel *channel,
                                            ipcf_handle *handle, ipcf_error *error)
{
    ipcf_status status = ipcf_channel_enter(&channel->base, &channel->base.receive_lock,
                                            IPCF_NO_WAIT, error);
    if (status != IPCF_OK)
        return status;
    *handle = ipcf_stream_arm_read(&channel->base.stream);
    ipcf_stream_channel_leave_receiving(channel);
    return IPCF_OK;
}

/* ---- handshake ------------------------------------------------------------------- */

static void give_handles(ipcf_stream_channel *channel, ipcf_handle *handles,
                         size_t *count)
{
    size_t given = channel->handle_count < *count ? channel->handle_count : *count;
    for (size_t i = 0; i < given; i++)
        handles[i] = channel->handles[i];
    for (size_t i = given; i < channel->handle_count; i++)
        ipcf_handle_close(&channel->handles[i]);
    channel->handle_count = 0;
    *count = given;
}

ipcf_status ipcf_stream_channel_receive_handles(ipcf_stream_channel *channel,
                                                uint8_t *kind, void *body, size_t room,
                                                size_t *size, ipcf_handle *handles,
                                                size_t *handle_count,
                                                uint64_t deadline_ns, ipcf_error *error)
{
    ipcf_message message;
    size_t handle_room = *handle_count;
    *handle_count = 0;
    ipcf_status status = begin_any(channel, deadline_ns, NULL, &message, error);
    if (status != IPCF_OK)
        return status;
    if (message.data == NULL || message.size > room) {
        ipcf_stream_channel_leave(&channel->base);
        return ipcf_fail(error, IPCF_TOO_LARGE, "handshake", room, message.size);
    }
    if (message.size != 0)
        memcpy(body, message.data, (size_t)message.size);
    *kind = message.kind;
    *size = (size_t)message.size;
    *handle_count = handle_room;
    give_handles(channel, handles, handle_count);
    end_handshake(channel);
    ipcf_stream_channel_finish(&channel->base);
    return IPCF_OK;
}
