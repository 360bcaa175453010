/* SPDX-License-Identifier: MIT
 * Cuts a stream that somebody else reads into frames: takes bytes in any pieces, gives
 * out whole bodies.
 *
 * For consumers that are handed bytes (an event loop, a pipe's reader); stream_channel
 * reads for itself and has its own buffer. Frames that lie whole in the new bytes are
 * given out in place; only the beginning of an unfinished frame is copied and held.
 * Memory grows with bytes that arrived, never to a size that a header told. Not safe
 * from several threads at once.
 */
#ifndef IPCF_FRAME_SPLITTER_H
#define IPCF_FRAME_SPLITTER_H

#include "ipcf/buffer.h"
#include "ipcf/frame.h"

typedef struct ipcf_frame_splitter {
    ipcf_frame_decoder decoder;
    ipcf_buffer held;    /* the beginning of an unfinished frame */
    const uint8_t *data; /* given, not yet looked at */
    size_t size;
    uint64_t whole;     /* size of the frame that is held in part; 0: not known yet */
    uint64_t drop_left; /* bytes still to come of a frame that was too large */
} ipcf_frame_splitter;

void ipcf_frame_splitter_init(ipcf_frame_splitter *splitter, ipcf_framing framing,
                              uint64_t body_limit, bool skip_noise);
void ipcf_frame_splitter_free(ipcf_frame_splitter *splitter); /* idempotent */

/* Lend the next bytes of the stream until ipcf_frame_splitter_keep. Those given before
 * must have been kept. */
void ipcf_frame_splitter_give(ipcf_frame_splitter *splitter, const uint8_t *data,
                              size_t size);

/* Find what comes next. OK, NOISE, TOO_LARGE: *part tells of it (of TOO_LARGE the size:
 * what the header told, for lines limit + 1, "at least"), valid until the next call of
 * any function here; call again. AGAIN: nothing whole is left. BAD_FRAME: the stream
 * has ended, every further call says the same. NO_MEMORY: nothing is lost, call again.
 * Copies no more than splitter->size bytes, and those only while something is held. */
IPCF_MUST_CHECK ipcf_status ipcf_frame_splitter_next(ipcf_frame_splitter *splitter,
                                                     ipcf_frame_part *part,
                                                     ipcf_error *error);

/* Find many frames at once where they lie whole in the lent bytes, one after the other:
 * returns how many of parts[0..room) are filled; they stay valid as long as the lent
 * bytes do. 0 says nothing: ask ipcf_frame_splitter_next. */
size_t ipcf_frame_splitter_next_run(ipcf_frame_splitter *splitter,
                                    ipcf_frame_part *parts, size_t room);

/* After AGAIN: copy what is left of the lent bytes (splitter->size of them). NO_MEMORY:
 * nothing is lost, call again. */
IPCF_MUST_CHECK ipcf_status ipcf_frame_splitter_keep(ipcf_frame_splitter *splitter,
                                                     ipcf_error *error);

/* Bytes held of an unfinished frame. */
static inline size_t ipcf_frame_splitter_pending(const ipcf_frame_splitter *splitter)
{
    return ipcf_buffer_size(&splitter->held);
}

#endif
