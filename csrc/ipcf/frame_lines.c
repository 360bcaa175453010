/* SPDX-License-Identifier: MIT
 * Decodes frames that are lines of text, and tells the noise that goes by lines
 * (docs/spec/framing.md).
 */
#include <string.h>

#include "ipcf/frame_decoders.h"

ipcf_status ipcf_frame_tell_noise(ipcf_frame_decoder *decoder, const uint8_t *data,
                                  size_t size, ipcf_frame *frame)
{
    size_t start = decoder->frame_start;
    size_t end =
        size - start < IPCF_NOISE_PIECE_MAX ? size : start + IPCF_NOISE_PIECE_MAX;
    const uint8_t *newline = NULL;
    if (decoder->scanned < end)
        newline = memchr(data + decoder->scanned, '\n', end - decoder->scanned);
    if (newline == NULL && end - start < IPCF_NOISE_PIECE_MAX) {
        decoder->scanned = end;
        return ipcf_frame_need_more(decoder, frame);
    }
    if (newline != NULL) {
        end = (size_t)(newline - data) + 1;
        decoder->in_noise = false;
    }
    frame->header_size = start;
    frame->skip = end;
    ipcf_frame_start_at(decoder, end);
    return IPCF_NOISE;
}

/* Inside an oversized line: true when its end has been found. */
static bool pass_oversized(ipcf_frame_decoder *decoder, const uint8_t *data,
                           size_t size)
{
    const uint8_t *newline =
        memchr(data + decoder->scanned, '\n', size - decoder->scanned);
    ipcf_frame_start_at(decoder, newline == NULL ? size : (size_t)(newline - data) + 1);
    decoder->skipping = newline == NULL;
    return newline != NULL;
}

/* The line at frame_start is too large; all of it that has come ends at `end`. */
static ipcf_status tell_oversized(ipcf_frame_decoder *decoder, size_t end,
                                  bool is_whole, ipcf_frame *frame, ipcf_error *error)
{
    ipcf_frame_start_at(decoder, end);
    decoder->skipping = !is_whole;
    frame->skip = end;
    frame->body_size = decoder->body_limit + 1;
    return ipcf_fail(error, IPCF_TOO_LARGE, "line", decoder->body_limit,
                     frame->body_size);
}

/* The line at frame_start has no end yet. */
static ipcf_status await_newline(ipcf_frame_decoder *decoder, const uint8_t *data,
                                 size_t size, ipcf_frame *frame, ipcf_error *error)
{
    size_t seen = size - decoder->frame_start;
    decoder->scanned = size;
    /* a CR at the very end may turn out to belong to the trailer */
    bool is_undecided =
        seen != 0 && seen - 1 == decoder->body_limit && data[size - 1] == '\r';
    if (seen > decoder->body_limit && !is_undecided)
        return tell_oversized(decoder, size, false, frame, error);
    return ipcf_frame_need_more(decoder, frame);
}

/* The line without its newline, which is at `end`, and without a carriage return before
 * that. */
static size_t body_size_of(const uint8_t *data, size_t start, size_t end)
{
    return end - start - (end > start && data[end - 1] == '\r');
}

/* Pass blank lines, then look at the first bytes of a line until one is not white. A
 * blank line that is too large is left for the caller. */
static void find_line(ipcf_frame_decoder *decoder, const uint8_t *data, size_t size)
{
    size_t at = decoder->scanned, start = decoder->frame_start;
    for (;; start = ++at) {
        while (at < size && ipcf_frame_is_white(data[at]))
            at++;
        if (at == size || data[at] != '\n' ||
            body_size_of(data, start, at) > decoder->body_limit)
            break;
    }
    ipcf_frame_start_at(decoder, start);
    decoder->scanned = at;
    if (at == size || data[at] == '\n')
        return;
    decoder->in_body = true;
    decoder->in_noise = decoder->skip_noise && data[at] != '{' && data[at] != '[' &&
                        at - start <= decoder->body_limit;
}

ipcf_status ipcf_frame_decode_line(ipcf_frame_decoder *decoder, const uint8_t *data,
                                   size_t size, ipcf_frame *frame, ipcf_error *error)
{
    if (decoder->skipping && !pass_oversized(decoder, data, size))
        return ipcf_frame_need_more(decoder, frame);
    if (!decoder->in_body && !decoder->in_noise)
        find_line(decoder, data, size);
    if (decoder->in_noise)
        return ipcf_frame_tell_noise(decoder, data, size, frame);
    const uint8_t *newline = NULL;
    if (decoder->scanned < size)
        newline = memchr(data + decoder->scanned, '\n', size - decoder->scanned);
    if (newline == NULL)
        return await_newline(decoder, data, size, frame, error);
    size_t start = decoder->frame_start, end = (size_t)(newline - data);
    size_t body_size = body_size_of(data, start, end);
    if (body_size > decoder->body_limit)
        return tell_oversized(decoder, end + 1, true, frame, error);
    decoder->scanned = end;
    frame->trailer_size = end + 1 - start - body_size;
    return ipcf_frame_tell(decoder, frame, start, body_size, error);
}

size_t ipcf_frame_run_lines(const ipcf_frame_decoder *decoder, const uint8_t *data,
                            size_t size, ipcf_frame_part *parts, size_t room,
                            size_t *used)
{
    size_t at = 0, count = 0;
    while (count < room && at < size) {
        uint8_t first = data[at];
        bool may_be_noise = decoder->skip_noise && first != '{' && first != '[';
        if (first <= ' ' || may_be_noise)
            break;
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        if (newline == NULL)
            break;
        size_t end = (size_t)(newline - data);
        size_t body_size = end - at - (data[end - 1] == '\r');
        if (body_size > decoder->body_limit)
            break;
        parts[count++] = (ipcf_frame_part){data + at, body_size, IPCF_KIND_ANY};
        at = end + 1;
    }
    *used = at;
    return count;
}
