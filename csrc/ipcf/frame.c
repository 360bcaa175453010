/* SPDX-License-Identifier: MIT
 * Frames on a stream of bytes: the decoder's entry, the two binary framings, and the
 * encoders (docs/spec/framing.md).
 */
#include "ipcf/frame.h"

#include <string.h>

#include "ipcf/frame_decoders.h"

#define LENGTH_HEADER_SIZE 16
#define U32BE_HEADER_SIZE 4
#define LENGTH_SIGN_BIT (UINT64_C(1) << 63)
#define CONTENT_LENGTH_END UINT64_C(10000000000) /* the first number of eleven digits */

void ipcf_frame_decoder_init(ipcf_frame_decoder *decoder, ipcf_framing framing,
                             uint64_t body_limit, bool skip_noise)
{
    *decoder = (ipcf_frame_decoder){
        .framing = framing, .body_limit = body_limit, .skip_noise = skip_noise};
}

void ipcf_frame_consumed(ipcf_frame_decoder *decoder, size_t size)
{
    if (size > decoder->frame_start) {
        ipcf_frame_start_at(decoder, 0);
        return;
    }
    decoder->frame_start -= size;
    decoder->scanned -= size;
    decoder->line_start -= size;
}

static bool kind_is_known(uint8_t kind)
{
    return kind <= IPCF_KIND_BYTES ||
           (kind >= IPCF_KIND_GOODBYE && kind <= IPCF_KIND_REFUSAL);
}

static uint64_t read_u64le(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (size_t i = 8; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* Handshakes and goodbyes have no time. */
static bool is_time_flag(const ipcf_frame_decoder *decoder, const uint8_t *data)
{
    return decoder->takes_times && data[4] == IPCF_FRAME_TIMED &&
           data[3] <= IPCF_KIND_BYTES;
}

static ipcf_status decode_length(const ipcf_frame_decoder *decoder, const uint8_t *data,
                                 size_t size, ipcf_frame *frame, ipcf_error *error)
{
    static const struct {
        const char *name;
        uint8_t due;
    } fields[] = {{"magic", IPCF_FRAME_MAGIC_0},
                  {"magic", IPCF_FRAME_MAGIC_1},
                  {"version", IPCF_FRAME_VERSION},
                  {"kind", 0},
                  {"flags", 0},
                  {"reserved", 0}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && i < size; i++) {
        if (i == 3 ? kind_is_known(data[i]) : data[i] == fields[i].due)
            continue;
        if (i != 4 || !is_time_flag(decoder, data))
            return ipcf_frame_bad(error, fields[i].name, fields[i].due, data[i]);
    }
    if (size < LENGTH_HEADER_SIZE)
        return IPCF_AGAIN;
    uint64_t length = read_u64le(data + 8);
    if (length >= LENGTH_SIGN_BIT)
        return ipcf_frame_bad(error, "length", LENGTH_SIGN_BIT - 1, length);
    if (data[3] == IPCF_KIND_GOODBYE && length != 0)
        return ipcf_frame_bad(error, "goodbye length", 0, length);
    frame->kind = data[3];
    frame->flags = data[4];
    frame->cpu = (uint16_t)(data[6] | data[7] << 8);
    if (IPCF_LIKELY(data[4] == 0))
        return ipcf_frame_tell(decoder, frame, LENGTH_HEADER_SIZE, length, error);
    if (size < LENGTH_HEADER_SIZE + IPCF_FRAME_TIME_SIZE)
        return IPCF_AGAIN;
    frame->sent_ns = read_u64le(data + LENGTH_HEADER_SIZE);
    return ipcf_frame_tell(decoder, frame, LENGTH_HEADER_SIZE + IPCF_FRAME_TIME_SIZE,
                           length, error);
}

static ipcf_status decode_u32be(const ipcf_frame_decoder *decoder, const uint8_t *data,
                                size_t size, ipcf_frame *frame, ipcf_error *error)
{
    if (size < U32BE_HEADER_SIZE)
        return IPCF_AGAIN;
    uint32_t length = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
                      (uint32_t)data[2] << 8 | (uint32_t)data[3];
    return ipcf_frame_tell(decoder, frame, U32BE_HEADER_SIZE, length, error);
}

static ipcf_status sniff(ipcf_frame_decoder *decoder, uint8_t first, ipcf_error *error)
{
    if (first == '{' || first == '[' || first == '\n' || ipcf_frame_is_white(first))
        decoder->framing = IPCF_FRAMING_LINES;
    else if (first == 'C' || first == 'c')
        decoder->framing = IPCF_FRAMING_CONTENT_LENGTH;
    else if (first == IPCF_FRAME_MAGIC_0)
        decoder->framing = IPCF_FRAMING_LENGTH;
    else
        return ipcf_frame_bad(error, "first byte", 0, first);
    return IPCF_OK;
}

ipcf_status ipcf_frame_decode(ipcf_frame_decoder *decoder, const uint8_t *data,
                              size_t size, ipcf_frame *frame, ipcf_error *error)
{
    *frame = (ipcf_frame){0};
    if (size == 0)
        return IPCF_AGAIN;
    if (decoder->framing == IPCF_FRAMING_SNIFF) {
        ipcf_status status = sniff(decoder, data[0], error);
        if (status != IPCF_OK)
            return status;
    }
    switch (decoder->framing) {
    case IPCF_FRAMING_LENGTH:
        return decode_length(decoder, data, size, frame, error);
    case IPCF_FRAMING_U32BE:
        return decode_u32be(decoder, data, size, frame, error);
    case IPCF_FRAMING_LINES:
        return ipcf_frame_decode_line(decoder, data, size, frame, error);
    default:
        return ipcf_frame_decode_content_length(decoder, data, size, frame, error);
    }
}

static size_t run_binary(const ipcf_frame_decoder *decoder, const uint8_t *data,
                         size_t size, ipcf_frame_part *parts, size_t room, size_t *used)
{
    bool is_own = decoder->framing == IPCF_FRAMING_LENGTH;
    size_t at = 0, count = 0;
    while (count < room) {
        ipcf_frame frame;
        ipcf_status status =
            is_own ? decode_length(decoder, data + at, size - at, &frame, NULL)
                   : decode_u32be(decoder, data + at, size - at, &frame, NULL);
        if (status != IPCF_OK || frame.body_size > size - at - frame.header_size)
            break;
        parts[count++] =
            (ipcf_frame_part){data + at + frame.header_size, frame.body_size,
                              is_own ? frame.kind : IPCF_KIND_ANY};
        at += frame.header_size + (size_t)frame.body_size;
    }
    *used = at;
    return count;
}

size_t ipcf_frame_decode_run(const ipcf_frame_decoder *decoder, const uint8_t *data,
                             size_t size, ipcf_frame_part *parts, size_t room,
                             size_t *used)
{
    *used = 0;
    if (decoder->scanned != 0 || decoder->skipping || decoder->in_noise)
        return 0;
    switch (decoder->framing) {
    case IPCF_FRAMING_LENGTH:
    case IPCF_FRAMING_U32BE:
        return run_binary(decoder, data, size, parts, room, used);
    case IPCF_FRAMING_LINES:
        return ipcf_frame_run_lines(decoder, data, size, parts, room, used);
    case IPCF_FRAMING_CONTENT_LENGTH:
        return ipcf_frame_run_content_length(decoder, data, size, parts, room, used);
    default:
        return 0;
    }
}

/* ---- encoding -------------------------------------------------------------------- */

static void write_u64le(uint64_t value, uint8_t *bytes)
{
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static size_t write_length_header(uint8_t kind, uint16_t cpu, uint64_t size,
                                  uint8_t *header)
{
    header[0] = IPCF_FRAME_MAGIC_0;
    header[1] = IPCF_FRAME_MAGIC_1;
    header[2] = IPCF_FRAME_VERSION;
    header[3] = kind;
    header[4] = header[5] = 0;
    header[6] = (uint8_t)cpu;
    header[7] = (uint8_t)(cpu >> 8);
    write_u64le(size, header + 8);
    return LENGTH_HEADER_SIZE;
}

static size_t write_u32be_header(uint64_t size, uint8_t *header)
{
    for (size_t i = 0; i < U32BE_HEADER_SIZE; i++)
        header[i] = (uint8_t)(size >> (24 - 8 * i));
    return U32BE_HEADER_SIZE;
}

static size_t write_content_length_header(uint64_t size, uint8_t *header)
{
    static const char prefix[] = "Content-Length: ";
    uint8_t digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (uint8_t)('0' + size % 10);
        size /= 10;
    } while (size != 0);
    size_t at = sizeof prefix - 1, count = sizeof digits - first;
    memcpy(header, prefix, at);
    memcpy(header + at, digits + first, count);
    memcpy(header + at + count, "\r\n\r\n", 4);
    return at + count + 4;
}

static ipcf_status check_header(ipcf_framing framing, uint8_t kind, uint64_t size)
{
    switch (framing) {
    case IPCF_FRAMING_LENGTH:
        if (!kind_is_known(kind) || (kind == IPCF_KIND_GOODBYE && size != 0))
            return IPCF_INVALID;
        return size < LENGTH_SIGN_BIT ? IPCF_OK : IPCF_TOO_LARGE;
    case IPCF_FRAMING_U32BE:
        return size <= UINT32_MAX ? IPCF_OK : IPCF_TOO_LARGE;
    case IPCF_FRAMING_LINES:
        return IPCF_OK;
    case IPCF_FRAMING_CONTENT_LENGTH:
        return size < CONTENT_LENGTH_END ? IPCF_OK : IPCF_TOO_LARGE;
    default:
        return IPCF_INVALID;
    }
}

size_t ipcf_frame_header(ipcf_framing framing, uint8_t kind, uint16_t cpu,
                         uint64_t size, uint8_t *header, ipcf_status *status)
{
    *status = check_header(framing, kind, size);
    if (*status != IPCF_OK || framing == IPCF_FRAMING_LINES)
        return 0;
    if (framing == IPCF_FRAMING_LENGTH)
        return write_length_header(kind, cpu, size, header);
    if (framing == IPCF_FRAMING_U32BE)
        return write_u32be_header(size, header);
    return write_content_length_header(size, header);
}

size_t ipcf_frame_add_time(uint8_t *header, uint64_t sent_ns)
{
    header[4] |= IPCF_FRAME_TIMED;
    write_u64le(sent_ns, header + LENGTH_HEADER_SIZE);
    return LENGTH_HEADER_SIZE + IPCF_FRAME_TIME_SIZE;
}

size_t ipcf_frame_trailer(ipcf_framing framing, uint8_t *trailer)
{
    if (framing != IPCF_FRAMING_LINES)
        return 0;
    trailer[0] = '\n';
    return 1;
}

bool ipcf_frame_body_fits(ipcf_framing framing, const void *body, size_t size)
{
    const uint8_t *bytes = body;
    if (framing != IPCF_FRAMING_LINES)
        return true;
    if (size == 0 || bytes[size - 1] == '\r' || memchr(bytes, '\n', size) != NULL)
        return false;
    size_t white = 0;
    while (white < size && ipcf_frame_is_white(bytes[white]))
        white++;
    return white < size;
}
