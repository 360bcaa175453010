/* SPDX-License-Identifier: MIT
 * Decodes frames with a Content-Length header, after the one strict grammar in
 * docs/spec/framing.md.
 */
#include <string.h>

#include "ipcf/frame_decoders.h"

#define CONTENT_LENGTH_DIGITS_MAX 10

_Static_assert(IPCF_CONTENT_LENGTH_LINE_MAX >= IPCF_CONTENT_LENGTH_BLOCK_MAX,
               "a header line is bounded by its block, so only the block is checked");

/* What the next byte of a content-length stream may be (ipcf_frame_decoder.phase). */
enum {
    BETWEEN_FRAMES = 0, /* a blank line or the first header line */
    IN_NAME,
    IN_VALUE, /* of a header that does not matter */
    BEFORE_DIGITS,
    IN_DIGITS,
    AFTER_DIGITS,
    AT_LINE_LF,    /* CR of a header line seen */
    AT_LINE_START, /* the next header line or the empty line */
    AT_LAST_LF,    /* CR of the empty line seen */
    AT_BODY
};

static const char length_name[] = "content-length";
static const char type_name[] = "content-type";

static bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static bool is_name_byte(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || is_digit(byte) ||
           (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_value_byte(uint8_t byte)
{
    return (byte >= ' ' && byte != 0x7F) || byte == '\t';
}

/* Compare without regard to case; `name` is all small letters and hyphens. */
static bool names_equal(const uint8_t *bytes, const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        if (byte >= 'A' && byte <= 'Z')
            byte |= 0x20;
        if (byte != (uint8_t)name[i])
            return false;
    }
    return true;
}

/* Whether bytes[0..size), which may be the beginning only, can be the beginning of
 * `name` and a colon. */
static bool may_start(const uint8_t *bytes, size_t size, const char *name,
                      size_t name_size)
{
    if (size <= name_size)
        return names_equal(bytes, name, size);
    return bytes[name_size] == ':' && names_equal(bytes, name, name_size);
}

/* The header that nearly everybody writes, "Content-Length: N\r\n\r\n", in one look.
 * Returns its size, 0: look closer. */
static size_t canonical_header(const uint8_t *data, size_t size, uint64_t *length)
{
    static const char prefix[] = "Content-Length: ";
    const size_t digits_at = sizeof prefix - 1;
    if (size < digits_at + CONTENT_LENGTH_DIGITS_MAX + 4 ||
        memcmp(data, prefix, digits_at) != 0)
        return 0;
    size_t at = digits_at;
    uint64_t value = 0;
    while (is_digit(data[at]) && at < digits_at + CONTENT_LENGTH_DIGITS_MAX)
        value = value * 10 + (uint64_t)(data[at++] - '0');
    if (at == digits_at || memcmp(data + at, "\r\n\r\n", 4) != 0)
        return 0;
    *length = value;
    return at + 4;
}

/* Between frames: pass blank lines. OK: a header line starts at frame_start. */
static ipcf_status find_block(ipcf_frame_decoder *decoder, const uint8_t *data,
                              size_t size, ipcf_frame *frame, ipcf_error *error)
{
    size_t at = decoder->frame_start;
    while (size - at >= 2 && data[at] == '\r' && data[at + 1] == '\n')
        at += 2;
    ipcf_frame_start_at(decoder, at);
    size_t left = size - at;
    if (left == 0 || (left == 1 && data[at] == '\r'))
        return ipcf_frame_need_more(decoder, frame);
    if (decoder->skip_noise) {
        bool may_be_length =
            may_start(data + at, left, length_name, sizeof length_name - 1);
        bool may_be_type = may_start(data + at, left, type_name, sizeof type_name - 1);
        decoder->in_noise = !may_be_length && !may_be_type;
        if (decoder->in_noise)
            return ipcf_frame_tell_noise(decoder, data, size, frame);
        if (left < (may_be_length ? sizeof length_name : sizeof type_name))
            return ipcf_frame_need_more(decoder, frame);
    } else if (data[at] == '\r') {
        return ipcf_frame_bad(error, "header line end", '\n', data[at + 1]);
    }
    decoder->phase = IN_NAME;
    return IPCF_OK;
}

/* The colon after a header's name, at `scanned`. */
static ipcf_status end_name(ipcf_frame_decoder *decoder, const uint8_t *data,
                            ipcf_error *error)
{
    size_t size = decoder->scanned - decoder->line_start;
    decoder->phase = IN_VALUE;
    if (size == sizeof length_name - 1 &&
        names_equal(data + decoder->line_start, length_name, size)) {
        if (decoder->has_length) {
            decoder->phase = IN_NAME;
            return ipcf_frame_bad(error, "content-length headers", 1, 2);
        }
        decoder->has_length = true;
        decoder->phase = BEFORE_DIGITS;
    }
    decoder->scanned++;
    return IPCF_OK;
}

static ipcf_status take_digit(ipcf_frame_decoder *decoder, uint8_t byte,
                              ipcf_error *error)
{
    if (decoder->digits == CONTENT_LENGTH_DIGITS_MAX)
        return ipcf_frame_bad(error, "content-length digits", CONTENT_LENGTH_DIGITS_MAX,
                              CONTENT_LENGTH_DIGITS_MAX + 1);
    decoder->length = decoder->length * 10 + (uint64_t)(byte - '0');
    decoder->digits++;
    decoder->phase = IN_DIGITS;
    decoder->scanned++;
    return IPCF_OK;
}

/* One byte of the value of Content-Length. */
static ipcf_status step_length(ipcf_frame_decoder *decoder, uint8_t byte,
                               ipcf_error *error)
{
    if (decoder->phase != AFTER_DIGITS && is_digit(byte))
        return take_digit(decoder, byte, error);
    if (byte == '\r' && decoder->phase != BEFORE_DIGITS)
        decoder->phase = AT_LINE_LF;
    else if ((byte == ' ' || byte == '\t') && decoder->phase == IN_DIGITS)
        decoder->phase = AFTER_DIGITS;
    else if (byte != ' ' && byte != '\t')
        return ipcf_frame_bad(error, "content-length",
                              decoder->phase == AFTER_DIGITS ? '\r' : '0', byte);
    decoder->scanned++;
    return IPCF_OK;
}

/* The start of a further header line, or of the empty line that ends the block. */
static ipcf_status step_line_start(ipcf_frame_decoder *decoder, uint8_t byte,
                                   ipcf_error *error)
{
    decoder->line_start = decoder->scanned;
    if (byte != '\r') {
        decoder->phase = IN_NAME;
        return IPCF_OK;
    }
    if (!decoder->has_length)
        return ipcf_frame_bad(error, "content-length headers", 1, 0);
    decoder->phase = AT_LAST_LF;
    decoder->scanned++;
    return IPCF_OK;
}

/* Take one or more bytes of a header block from data[scanned..end), of which there is
 * at least one. */
static ipcf_status step_block(ipcf_frame_decoder *decoder, const uint8_t *data,
                              size_t end, ipcf_error *error)
{
    size_t at = decoder->scanned;
    switch (decoder->phase) {
    case IN_NAME:
        while (at < end && is_name_byte(data[at]))
            at++;
        decoder->scanned = at;
        if (at == end)
            return IPCF_OK;
        if (data[at] == ':' && at > decoder->line_start)
            return end_name(decoder, data, error);
        return ipcf_frame_bad(error, "header name", ':', data[at]);
    case IN_VALUE:
        while (at < end && is_value_byte(data[at]))
            at++;
        decoder->scanned = at;
        if (at < end && data[at] != '\r')
            return ipcf_frame_bad(error, "header value", '\r', data[at]);
        if (at < end) {
            decoder->phase = AT_LINE_LF;
            decoder->scanned++;
        }
        return IPCF_OK;
    case AT_LINE_START:
        return step_line_start(decoder, data[at], error);
    case AT_LINE_LF:
    case AT_LAST_LF:
        if (data[at] != '\n')
            return ipcf_frame_bad(error, "header line end", '\n', data[at]);
        decoder->phase = decoder->phase == AT_LINE_LF ? AT_LINE_START : AT_BODY;
        decoder->scanned++;
        return IPCF_OK;
    default:
        return step_length(decoder, data[at], error);
    }
}

ipcf_status ipcf_frame_decode_content_length(ipcf_frame_decoder *decoder,
                                             const uint8_t *data, size_t size,
                                             ipcf_frame *frame, ipcf_error *error)
{
    if (decoder->in_noise)
        return ipcf_frame_tell_noise(decoder, data, size, frame);
    if (decoder->phase == BETWEEN_FRAMES) {
        uint64_t length;
        size_t start = decoder->frame_start;
        size_t header_size = canonical_header(data + start, size - start, &length);
        if (IPCF_LIKELY(header_size != 0))
            return ipcf_frame_tell(decoder, frame, start + header_size, length, error);
        ipcf_status status = find_block(decoder, data, size, frame, error);
        if (status != IPCF_OK)
            return status;
    }
    size_t room = size - decoder->frame_start;
    bool is_full = room >= IPCF_CONTENT_LENGTH_BLOCK_MAX;
    size_t end = is_full ? decoder->frame_start + IPCF_CONTENT_LENGTH_BLOCK_MAX : size;
    while (decoder->scanned < end && decoder->phase != AT_BODY) {
        ipcf_status status = step_block(decoder, data, end, error);
        if (status != IPCF_OK)
            return status;
    }
    if (decoder->phase == AT_BODY) {
        size_t header_size = decoder->scanned;
        uint64_t length = decoder->length;
        ipcf_frame_start_at(decoder, decoder->frame_start); /* may be looked at again */
        return ipcf_frame_tell(decoder, frame, header_size, length, error);
    }
    if (is_full)
        return ipcf_frame_bad(error, "header block", IPCF_CONTENT_LENGTH_BLOCK_MAX,
                              IPCF_CONTENT_LENGTH_BLOCK_MAX + 1);
    return ipcf_frame_need_more(decoder, frame);
}

size_t ipcf_frame_run_content_length(const ipcf_frame_decoder *decoder,
                                     const uint8_t *data, size_t size,
                                     ipcf_frame_part *parts, size_t room, size_t *used)
{
    size_t at = 0, count = 0;
    while (count < room) {
        uint64_t length = 0;
        size_t header_size = canonical_header(data + at, size - at, &length);
        if (header_size == 0 || length > decoder->body_limit ||
            length > size - at - header_size)
            break;
        parts[count++] =
            (ipcf_frame_part){data + at + header_size, length, IPCF_KIND_ANY};
        at += header_size + (size_t)length;
    }
    *used = at;
    return count;
}
