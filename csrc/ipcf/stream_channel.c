/* SPDX-License-Identifier: MIT
 * A stream channel's life: making it, its framing, its ready handle, and its goodbye.
 * See stream_channel.h.
 */
#include "ipcf/stream_channel.h"

#include <string.h>

#include "ipcf/ready_set.h"
#include "ipcf/stream_channel_internal.h"

/* A peer that drains what is left of a begun send as fast as it is written must not
 * keep us from leaving. */
#define GOODBYE_WRITES 64

/* ---- the ready handle ------------------------------------------------------------ */

static ipcf_status make_ready_set(ipcf_channel *base, ipcf_handle *set,
                                  ipcf_error *error)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    ipcf_status status = ipcf_doorbell_create(&channel->buffered, error);
    if (status != IPCF_OK)
        return status;
    /* The stream's own handle: where there are ready sets, arming is free. */
    ipcf_handle members[] = {base->stream.handle, ipcf_doorbell_arm(&channel->buffered),
                             base->peer_process, ipcf_doorbell_arm(&base->wake)};
    status = ipcf_ready_set_create(members, 4, set, error);
    if (status != IPCF_OK)
        ipcf_doorbell_close(&channel->buffered);
    return status;
}

/* ---- ending ---------------------------------------------------------------------- */

/* Finish a begun send as far as that goes without waiting, and soon. False: something
 * is left. */
static bool push_unsent(ipcf_channel *base)
{
    ipcf_buffer *unsent = &base->unsent;
    bool is_begun = ipcf_buffer_size(unsent) != 0;
    for (int writes = 0; ipcf_buffer_size(unsent) != 0; writes++) {
        size_t put;
        ipcf_piece rest = {unsent->data + unsent->start, ipcf_buffer_size(unsent)};
        if (writes == GOODBYE_WRITES ||
            ipcf_stream_try_write(&base->stream, &rest, 1, &put, NULL) != IPCF_OK)
            return false;
        ipcf_buffer_consume(unsent, put);
        IPCF_TEST_STEP("between two parts");
    }
    if (is_begun)
        ipcf_channel_count_unsent(base);
    return true;
}

/* A goodbye that does not fit, or would come in mid-frame, is not said: the peer then
 * takes us for dead. */
static void write_goodbye(ipcf_stream_channel *channel)
{
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    ipcf_status status;
    size_t put;
    if (!push_unsent(&channel->base) ||
        ipcf_stream_channel_send_framing(channel) != IPCF_FRAMING_LENGTH)
        return;
    size_t size = ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_GOODBYE,
                                    IPCF_FRAME_CPU_UNKNOWN, 0, header, &status);
    ipcf_piece goodbye = {header, size};
    status = ipcf_stream_try_write(&channel->base.stream, &goodbye, 1, &put, NULL);
    (void)status;
}

static void say_goodbye(ipcf_channel *base)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    ipcf_channel_take(&base->send_lock);
    if (!channel->goodbye_said && base->stream.handle != IPCF_NO_HANDLE) {
        channel->goodbye_said = true;
        write_goodbye(channel);
        ipcf_stream_shut_down(&base->stream);
    }
    ipcf_lock_release(&base->send_lock);
}

static void free_parts(ipcf_channel *base, bool is_intact)
{
    ipcf_stream_channel *channel = ipcf_stream_channel_of(base);
    ipcf_doorbell_close(&channel->buffered);
    ipcf_intake_drop_handles(channel);
    if (is_intact)
        ipcf_buffer_free(&channel->incoming);
}

/* ---- making ---------------------------------------------------------------------- */

static const ipcf_channel_ops ipcf_stream_channel_ops = {
    .try_send = ipcf_stream_channel_try_send,
    .send_many = ipcf_stream_channel_send_many,
    .flush = ipcf_stream_channel_flush,
    .try_begin = ipcf_stream_channel_try_begin,
    .begin = ipcf_stream_channel_begin,
    .read_body = ipcf_stream_channel_read_body,
    .finish = ipcf_stream_channel_finish,
    .leave = ipcf_stream_channel_leave,
    .next = ipcf_stream_channel_next,
    .poll = ipcf_stream_channel_poll,
    .make_ready_set = make_ready_set,
    .settle = ipcf_stream_channel_settle,
    .say_goodbye = say_goodbye,
    .free_parts = free_parts,
};

ipcf_status ipcf_stream_channel_init(ipcf_stream_channel *channel, ipcf_stream *stream,
                                     const ipcf_channel_options *options,
                                     ipcf_error *error)
{
    /* Sums of a size and a header must not overflow. */
    ipcf_channel_options bounded = *options;
    if (bounded.message_limit > SIZE_MAX / 4)
        bounded.message_limit = SIZE_MAX / 4;
    if (bounded.read_ahead_limit > SIZE_MAX / 4)
        bounded.read_ahead_limit = SIZE_MAX / 4;
    if (options->framing == IPCF_FRAMING_SNIFF)
        return ipcf_fail(error, IPCF_INVALID, "framing of sending", 0, 0);
    memset(channel, 0, sizeof *channel);
    channel->buffered = IPCF_DOORBELL_NONE;
    ipcf_store_relaxed(&channel->peer_cpu, IPCF_CPU_UNKNOWN);
    ipcf_store_relaxed(&channel->framing, (uint32_t)options->framing);
    ipcf_frame_decoder_init(&channel->decoder,
                            options->sniff ? IPCF_FRAMING_SNIFF : options->framing,
                            bounded.message_limit, options->skip_noise);
    channel->in_handshake = options->sniff || options->framing == IPCF_FRAMING_LENGTH;
    channel->takes_handles = channel->in_handshake && !options->sniff;
    ipcf_status status =
        ipcf_buffer_reserve(&channel->incoming, IPCF_INCOMING_SIZE, error);
    if (status == IPCF_OK)
        status = ipcf_channel_init(&channel->base, &ipcf_stream_channel_ops, stream,
                                   false, &bounded, error);
    if (status != IPCF_OK) {
        ipcf_buffer_free(&channel->incoming);
        return status;
    }
    channel->base.peer_is_here = ipcf_stream_peer_is_here(&channel->base.stream);
    return IPCF_OK;
}

ipcf_status ipcf_stream_channel_release_stream(ipcf_stream_channel *channel,
                                               ipcf_stream *stream, ipcf_error *error)
{
    ipcf_channel *base = &channel->base;
    ipcf_status status =
        ipcf_channel_enter(base, &base->send_lock, IPCF_NO_WAIT, error);
    if (status != IPCF_OK)
        return status;
    status = ipcf_channel_enter(base, &base->receive_lock, IPCF_NO_WAIT, error);
    if (status == IPCF_OK) {
        size_t held = ipcf_buffer_size(&channel->incoming);
        size_t unsent = ipcf_buffer_size(&base->unsent);
        if (held != 0 || channel->in_body) {
            status =
                ipcf_fail(error, IPCF_BAD_FRAME, "bytes behind the handshake", 0, held);
        } else if (unsent != 0) {
            status =
                ipcf_fail(error, IPCF_INVALID, "a send is not finished", 0, unsent);
        } else {
            ipcf_channel_take(&base->life_lock);
            *stream = base->stream;
            base->stream = IPCF_STREAM_NONE;
            ipcf_lock_release(&base->life_lock);
            IPCF_TEST_STEP("stream released");
            channel->goodbye_said = true;
        }
        ipcf_stream_channel_leave_receiving(channel);
    }
    ipcf_lock_release(&base->send_lock);
    if (status == IPCF_OK)
        ipcf_channel_close(base);
    return status;
}

void ipcf_stream_channel_use_times(ipcf_stream_channel *channel)
{
    channel->base.is_timed = channel->decoder.takes_times = true;
}

/* ---- framing of sending ---------------------------------------------------------- */

ipcf_framing ipcf_stream_channel_send_framing(ipcf_stream_channel *channel)
{
    /* relaxed: nothing else is published with it */
    return (ipcf_framing)ipcf_load_relaxed(&channel->framing);
}

ipcf_status ipcf_stream_channel_set_send_framing(ipcf_stream_channel *channel,
                                                 ipcf_framing framing,
                                                 ipcf_error *error)
{
    ipcf_channel *base = &channel->base;
    if (framing == IPCF_FRAMING_SNIFF)
        return ipcf_fail(error, IPCF_INVALID, "framing of sending", 0, 0);
    ipcf_status status =
        ipcf_channel_enter(base, &base->send_lock, IPCF_NO_WAIT, error);
    if (status != IPCF_OK)
        return status;
    if (ipcf_buffer_size(&base->unsent) != 0)
        status = ipcf_fail(error, IPCF_INVALID, "a send is not finished", 0,
                           ipcf_buffer_size(&base->unsent));
    else
        ipcf_store_relaxed(&channel->framing, (uint32_t)framing);
    ipcf_lock_release(&base->send_lock);
    return status;
}
