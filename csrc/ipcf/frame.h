/* SPDX-License-Identifier: MIT
 * Frames on a stream of bytes: encoders and incremental decoders for four framings.
 *
 * Theory of operation. A frame is a header, a body and (for lines) a trailer. The
 * decoder never owns or copies bytes: the caller keeps what it has read in one
 * contiguous piece and asks ipcf_frame_decode what lies at its start. The answer is one
 * of: a whole header (OK: sizes of header, body and trailer, the body's kind), not
 * enough bytes yet (AGAIN: call again with the same start and more bytes; the decoder
 * remembers how far it has looked, so that the cost is linear for any chunking), a
 * frame that is too large (TOO_LARGE), noise (NOISE), or an error that ends the stream
 * (BAD_FRAME). Whoever consumes bytes calls ipcf_frame_consumed so that the decoder
 * starts afresh at the next frame.
 *
 * For length, u32be and content-length, OK comes as soon as the header is whole: the
 * body may still be under way, and the caller reads it straight into its destination.
 * For lines, OK comes with the newline, so body and trailer are there.
 *
 * Limits are checked before anything is allocated. An oversized body behind a good
 * header is TOO_LARGE with body_size told: the caller skips header + body + trailer and
 * the stream goes on. An oversized line is TOO_LARGE once, as soon as it passes the
 * limit; from then on the decoder is skipping: it answers SKIP spans (see
 * ipcf_frame.skip) until the newline has passed. The grammar of each framing is
 * docs/spec/framing.md; there is one strict reading of each.
 */
#ifndef IPCF_FRAME_H
#define IPCF_FRAME_H

#include "ipcf/status.h"

typedef enum ipcf_framing {
    IPCF_FRAMING_SNIFF = 0, /* not known yet: the first byte decides */
    /* ipcfast's own: magic, version, kind, flags, CPU, length */
    IPCF_FRAMING_LENGTH = 1,
    IPCF_FRAMING_U32BE = 2, /* 4-byte big-endian length */
    IPCF_FRAMING_LINES = 3, /* one message a line */
    IPCF_FRAMING_CONTENT_LENGTH = 4
} ipcf_framing;

/* What a message of the own framing (and a ring record) is. Foreign framings carry
 * IPCF_KIND_ANY. */
typedef enum ipcf_kind {
    IPCF_KIND_ANY = 0,        /* the wire does not say */
    IPCF_KIND_MESSAGE = 1,    /* a codec's document */
    IPCF_KIND_BYTES = 2,      /* raw bytes */
    IPCF_KIND_NOISE = 0xE0,   /* never on a wire: see skip_noise in channel.h */
    IPCF_KIND_GOODBYE = 0xF0, /* orderly end, no body */
    IPCF_KIND_HELLO = 0xF1,   /* handshake, docs/spec/handshake.md */
    IPCF_KIND_WELCOME = 0xF2,
    IPCF_KIND_REFUSAL = 0xF3
} ipcf_kind;

/* Own header, 16 bytes, little-endian:
 *   0  u16 magic      0xF1 0x9C  (0xF1 starts no text in ASCII; no UTF-8 text has 0xF1 before 0x9C at its start
 *                                 and then 0x01)
 *   2  u8  version    1
 *   3  u8  kind       ipcf_kind
 *   4  u8  flags      0, or IPCF_FRAME_TIMED where the decoder takes_times; other bits are BAD_FRAME
 *   5  u8  reserved   0
 *   6  u16 cpu        the CPU the sender ran on, 0xFFFF unknown: a hint for the waiting side, never trusted for more
 *   8  u64 length     bytes of body
 *  16  u64 time       only with IPCF_FRAME_TIMED: of ipcf_clock_ns, when the send began */
#define IPCF_FRAME_MAGIC_0 0xF1
#define IPCF_FRAME_MAGIC_1 0x9C
#define IPCF_FRAME_VERSION 1
#define IPCF_FRAME_CPU_UNKNOWN 0xFFFF
#define IPCF_FRAME_TIMED 1
#define IPCF_FRAME_TIME_SIZE 8
/* Room for the longest header that any encoder here writes. */
#define IPCF_FRAME_HEADER_MAX 48
/* Longest header line and longest header block of content-length that is accepted. */
#define IPCF_CONTENT_LENGTH_LINE_MAX 8192
#define IPCF_CONTENT_LENGTH_BLOCK_MAX 8192
/* Noise is reported in pieces of at most this many bytes, so that it need not be kept
 * until its line ends. */
#define IPCF_NOISE_PIECE_MAX 8192

typedef struct ipcf_frame_decoder {
    ipcf_framing framing;
    /* content-length and lines: lines that cannot start a frame are NOISE, not an error */
    bool skip_noise;
    bool takes_times; /* length: IPCF_FRAME_TIMED was agreed on; set after init */
    bool skipping;    /* inside an oversized line */
    bool in_noise;    /* inside a line that is noise */
    bool in_body;     /* lines: more than white space has been seen of this line */
    bool has_length;  /* content-length: the header was seen in this block */
    /* content-length: what the next byte may be; frame.c names the values */
    uint8_t phase;
    uint8_t digits;      /* content-length: how many were seen */
    uint64_t body_limit; /* bytes */
    /* bytes at the start of the unconsumed data that need not be looked at again */
    size_t scanned;
    /* bytes at the start of the unconsumed data that belong to no frame (blank lines) */
    size_t frame_start;
    size_t
        line_start;  /* content-length: where the header line under inspection starts */
    uint64_t length; /* content-length: the value seen in this header block */
} ipcf_frame_decoder;

typedef struct ipcf_frame {
    /* bytes before the body, with the blank lines that were passed over; NOISE: these
     * only */
    size_t header_size;
    uint64_t body_size; /* bytes */
    /* bytes after the body: 1 or 2 for lines ("\n", "\r\n"), else 0 */
    size_t trailer_size;
    /* AGAIN, TOO_LARGE (lines), NOISE: bytes at the start that are dealt with; consume
     * them first. NOISE: the noise is data[header_size..skip), its line end included */
    size_t skip;
    uint8_t kind; /* ipcf_kind */
    uint8_t flags;
    uint16_t cpu;
    uint64_t sent_ns; /* IPCF_FRAME_TIMED: as the peer says, which may be anything */
} ipcf_frame;

/* A whole frame, or what else ipcf_frame_splitter_next finds. */
typedef struct ipcf_frame_part {
    const uint8_t *data; /* of the body */
    uint64_t size;       /* bytes */
    uint8_t kind;        /* ipcf_kind */
} ipcf_frame_part;

void ipcf_frame_decoder_init(ipcf_frame_decoder *decoder, ipcf_framing framing,
                             uint64_t body_limit, bool skip_noise);

/* Look at the unconsumed bytes data[0..size).
 *
 * OK          frame describes the one at the start.
 * AGAIN       more bytes are needed, also after frame->skip bytes have been consumed, which they may be already (blank
 *             lines, the inside of an oversized line).
 * TOO_LARGE   frame->body_size > limit. Length-prefixed framings: skip header_size + body_size + trailer_size, which may not
 *             have arrived yet. Lines: consume frame->skip, the rest of the line is skipped by the decoder; body_size
 *             is limit + 1, which means "at least".
 * NOISE       only with skip_noise: consume frame->skip bytes.
 * BAD_FRAME   the stream cannot go on; error says which field, what was expected and what was found. Calling again gives the
 *             same again.
 * Until it is consumed, a frame may be looked at again, with the same answer (TOO_LARGE
 * of lines and NOISE: once only). With IPCF_FRAMING_SNIFF the first byte settles
 * decoder->framing: '{', '[', or white space: lines; 'C' or 'c': content-length; the
 * magic: length; anything else: BAD_FRAME. */
IPCF_MUST_CHECK ipcf_status ipcf_frame_decode(ipcf_frame_decoder *decoder,
                                              const uint8_t *data, size_t size,
                                              ipcf_frame *frame, ipcf_error *error);

/* The same for many small frames at once, where nothing but whole frames within the
 * limit lies at the start: fills parts[0..room) as far as that goes and returns how
 * many. *used bytes are dealt with, for the decoder as well (no ipcf_frame_consumed). 0
 * says nothing: ask ipcf_frame_decode. */
size_t ipcf_frame_decode_run(const ipcf_frame_decoder *decoder, const uint8_t *data,
                             size_t size, ipcf_frame_part *parts, size_t room,
                             size_t *used);

/* After any answer: how many of the unconsumed bytes come before the frame and belong
 * to none (blank lines). They may be consumed at once, also when the answer was OK;
 * then header_size is less by as many. */
static inline size_t ipcf_frame_blank_size(const ipcf_frame_decoder *decoder)
{
    return decoder->frame_start;
}

/* The caller has dropped `size` bytes from the start: those told in frame->skip, or a
 * frame (also in parts). */
void ipcf_frame_consumed(ipcf_frame_decoder *decoder, size_t size);

/* Write the header of a body of `size` bytes into header (IPCF_FRAME_HEADER_MAX bytes
 * of room); returns its size, 0 for lines. *status is always written: OK; TOO_LARGE for
 * a size that the framing cannot tell (u32be: 2^32, content-length: 10^10, length:
 * 2^63); INVALID for an unknown framing or kind, or a goodbye with a body. Not OK:
 * returns 0. */
size_t ipcf_frame_header(ipcf_framing framing, uint8_t kind, uint16_t cpu,
                         uint64_t size, uint8_t *header, ipcf_status *status);
/* Make the header that was just written, of a message with the own framing, tell its
 * time. Returns the new size. */
size_t ipcf_frame_add_time(uint8_t *header, uint64_t sent_ns);
/* What follows the body: "\n" (1) for lines, else nothing (0). */
size_t ipcf_frame_trailer(ipcf_framing framing, uint8_t *trailer);
/* Whether a body arrives on this framing as it was: a line must hold no '\n', not end
 * in '\r', and not be blank. */
bool ipcf_frame_body_fits(ipcf_framing framing, const void *body, size_t size);

#endif
