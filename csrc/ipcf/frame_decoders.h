/* SPDX-License-Identifier: MIT
 * What the decoders of the four framings share; for frame.c, frame_lines.c and
 * frame_content_length.c only.
 */
#ifndef IPCF_FRAME_DECODERS_H
#define IPCF_FRAME_DECODERS_H

#include "ipcf/frame.h"

/* Text framings, called with at least one byte. */
ipcf_status ipcf_frame_decode_line(ipcf_frame_decoder *decoder, const uint8_t *data,
                                   size_t size, ipcf_frame *frame, ipcf_error *error);
ipcf_status ipcf_frame_decode_content_length(ipcf_frame_decoder *decoder,
                                             const uint8_t *data, size_t size,
                                             ipcf_frame *frame, ipcf_error *error);

/* ipcf_frame_decode_run of one framing; the decoder is at the start of a frame. */
size_t ipcf_frame_run_lines(const ipcf_frame_decoder *decoder, const uint8_t *data,
                            size_t size, ipcf_frame_part *parts, size_t room,
                            size_t *used);
size_t ipcf_frame_run_content_length(const ipcf_frame_decoder *decoder,
                                     const uint8_t *data, size_t size,
                                     ipcf_frame_part *parts, size_t room, size_t *used);

/* The line at frame_start is noise (decoder->in_noise): tell the next piece of it. */
ipcf_status ipcf_frame_tell_noise(ipcf_frame_decoder *decoder, const uint8_t *data,
                                  size_t size, ipcf_frame *frame);

static inline bool ipcf_frame_is_white(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Start afresh `start` bytes into the unconsumed data: at a frame, a line, or the next
 * piece of noise. */
static inline void ipcf_frame_start_at(ipcf_frame_decoder *decoder, size_t start)
{
    decoder->scanned = decoder->frame_start = decoder->line_start = start;
    decoder->in_body = decoder->has_length = false;
    decoder->phase = 0;
    decoder->digits = 0;
    decoder->length = 0;
}

static inline ipcf_status ipcf_frame_need_more(const ipcf_frame_decoder *decoder,
                                               ipcf_frame *frame)
{
    frame->skip = decoder->frame_start;
    return IPCF_AGAIN;
}

static inline ipcf_status ipcf_frame_bad(ipcf_error *error, const char *field,
                                         uint64_t expected, uint64_t found)
{
    return ipcf_fail(error, IPCF_BAD_FRAME, field, expected, found);
}

/* A header is whole: tell the frame, or that it is beyond the limit. */
static inline ipcf_status ipcf_frame_tell(const ipcf_frame_decoder *decoder,
                                          ipcf_frame *frame, size_t header_size,
                                          uint64_t body_size, ipcf_error *error)
{
    frame->header_size = header_size;
    frame->body_size = body_size;
    if (IPCF_UNLIKELY(body_size > decoder->body_limit))
        return ipcf_fail(error, IPCF_TOO_LARGE, "body", decoder->body_limit, body_size);
    return IPCF_OK;
}

#endif
