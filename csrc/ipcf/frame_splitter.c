/* SPDX-License-Identifier: MIT
 * Holds the beginning of an unfinished frame and completes it with as few copied bytes
 * as it takes.
 */
#include "ipcf/frame_splitter.h"

/* How much of the new bytes is tried first to complete a frame whose size is not known
 * yet. */
#define FIRST_STEP 512
/* An empty buffer beyond this is given back. */
#define KEPT_CAPACITY 65536

void ipcf_frame_splitter_init(ipcf_frame_splitter *splitter, ipcf_framing framing,
                              uint64_t body_limit, bool skip_noise)
{
    *splitter = (ipcf_frame_splitter){0};
    ipcf_frame_decoder_init(&splitter->decoder, framing, body_limit, skip_noise);
}

void ipcf_frame_splitter_free(ipcf_frame_splitter *splitter)
{
    ipcf_buffer_free(&splitter->held);
}

void ipcf_frame_splitter_give(ipcf_frame_splitter *splitter, const uint8_t *data,
                              size_t size)
{
    ipcf_buffer_shrink(&splitter->held, KEPT_CAPACITY);
    splitter->data = data;
    splitter->size = size;
}

static void advance(ipcf_frame_splitter *splitter, size_t size)
{
    splitter->data += size;
    splitter->size -= size;
}

/* Add to what is held as many new bytes as its frame lacks, or `step` where that is not
 * known. */
static ipcf_status lengthen(ipcf_frame_splitter *splitter, size_t step,
                            ipcf_error *error)
{
    uint64_t lacking = step;
    if (splitter->whole != 0)
        lacking = splitter->whole - ipcf_buffer_size(&splitter->held);
    size_t size = lacking < splitter->size ? (size_t)lacking : splitter->size;
    ipcf_status status =
        ipcf_buffer_append(&splitter->held, splitter->data, size, error);
    if (status == IPCF_OK)
        advance(splitter, size);
    return status;
}

/* The decoder saw no end of the frame in what is held, or else in the new bytes. */
static void await_rest(ipcf_frame_splitter *splitter, bool is_held, uint64_t whole)
{
    size_t blank = ipcf_frame_blank_size(&splitter->decoder);
    ipcf_frame_consumed(&splitter->decoder, blank);
    splitter->whole = whole == 0 ? 0 : whole - blank;
    if (is_held)
        ipcf_buffer_consume(&splitter->held, blank);
    else
        advance(splitter, blank);
}

/* The first `used` of the `available` bytes seen are done with; more than available:
 * the rest is yet to come. A frame that was held never ends within the bytes that were
 * held before this call, because it would have been told then: so what was copied too
 * much is still there among the new bytes. */
static void take_away(ipcf_frame_splitter *splitter, bool is_held, uint64_t used,
                      size_t available)
{
    size_t now = used < available ? (size_t)used : available;
    ipcf_frame_consumed(&splitter->decoder, (size_t)used);
    splitter->whole = 0;
    splitter->drop_left = used - now;
    if (is_held) {
        ipcf_buffer_consume(&splitter->held, available);
        splitter->data -= available - now;
        splitter->size += available - now;
    } else {
        advance(splitter, now);
    }
}

static void tell_part(ipcf_status status, const ipcf_frame *frame, const uint8_t *data,
                      ipcf_frame_part *part)
{
    part->data = data + frame->header_size;
    part->size = frame->body_size;
    part->kind = frame->kind;
    if (status == IPCF_NOISE)
        part->size = frame->skip - frame->header_size;
    else if (status == IPCF_TOO_LARGE)
        part->data = NULL;
}

ipcf_status ipcf_frame_splitter_next(ipcf_frame_splitter *splitter,
                                     ipcf_frame_part *part, ipcf_error *error)
{
    size_t dropped = splitter->drop_left < splitter->size ? (size_t)splitter->drop_left
                                                          : splitter->size;
    splitter->drop_left -= dropped;
    advance(splitter, dropped);
    for (size_t step = FIRST_STEP; splitter->size != 0; step *= 2) {
        bool is_held = ipcf_buffer_size(&splitter->held) != 0;
        ipcf_status status = is_held ? lengthen(splitter, step, error) : IPCF_OK;
        if (status != IPCF_OK)
            return status;
        const uint8_t *data =
            is_held ? splitter->held.data + splitter->held.start : splitter->data;
        size_t size = is_held ? ipcf_buffer_size(&splitter->held) : splitter->size;
        ipcf_frame frame;
        status = ipcf_frame_decode(&splitter->decoder, data, size, &frame, error);
        uint64_t used = frame.header_size + frame.body_size + frame.trailer_size;
        if (status == IPCF_BAD_FRAME)
            return status;
        if (status == IPCF_AGAIN || (status == IPCF_OK && used > size)) {
            await_rest(splitter, is_held, status == IPCF_OK ? used : 0);
            if (!is_held)
                return IPCF_AGAIN;
            continue;
        }
        tell_part(status, &frame, data, part);
        take_away(splitter, is_held, frame.skip != 0 ? frame.skip : used, size);
        return status;
    }
    return IPCF_AGAIN;
}

size_t ipcf_frame_splitter_next_run(ipcf_frame_splitter *splitter,
                                    ipcf_frame_part *parts, size_t room)
{
    size_t used;
    if (ipcf_buffer_size(&splitter->held) != 0 || splitter->drop_left != 0)
        return 0;
    size_t count = ipcf_frame_decode_run(&splitter->decoder, splitter->data,
                                         splitter->size, parts, room, &used);
    advance(splitter, used);
    return count;
}

ipcf_status ipcf_frame_splitter_keep(ipcf_frame_splitter *splitter, ipcf_error *error)
{
    ipcf_status status =
        ipcf_buffer_append(&splitter->held, splitter->data, splitter->size, error);
    if (status == IPCF_OK)
        advance(splitter, splitter->size);
    return status;
}
