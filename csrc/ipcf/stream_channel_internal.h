/* SPDX-License-Identifier: MIT
 * What the files of stream_channel share among themselves: the table of operations, the
 * wait ladder, and taking bytes in.
 */
#ifndef IPCF_STREAM_CHANNEL_INTERNAL_H
#define IPCF_STREAM_CHANNEL_INTERNAL_H

#include "ipcf/channel_kinds.h"
#include "ipcf/stream_channel.h"

/* The buffer of received bytes: its size while little is under way, and what it may
 * keep when it has been emptied. */
#define IPCF_INCOMING_SIZE ((size_t)64 << 10)
#define IPCF_INCOMING_KEEP ((size_t)256 << 10)

/* Reads of bytes that make no message (an oversized body that is passed over, blank
 * lines, an endless line) before somebody looks at the clock and for signals; and in a
 * first attempt, while the caller holds locks of its own. */
#define IPCF_FILLS_AT_ONCE 64u
#define IPCF_FILLS_IN_A_LOOK 4u

/* base is the first member. */
static inline ipcf_stream_channel *ipcf_stream_channel_of(ipcf_channel *base)
{
    return (ipcf_stream_channel *)base;
}

/* ---- operations of the table (channel.h) ----------------------------------------- */

/* stream_channel_send.c */
ipcf_status ipcf_stream_channel_try_send(ipcf_channel *base, uint8_t kind,
                                         const void *body, size_t size,
                                         ipcf_error *error);
ipcf_status ipcf_stream_channel_send_many(ipcf_channel *base, uint8_t kind,
                                          const ipcf_piece *bodies, size_t count,
                                          size_t *sent, uint64_t deadline_ns,
                                          ipcf_error *error);
ipcf_status ipcf_stream_channel_flush(ipcf_channel *base, uint64_t deadline_ns,
                                      ipcf_error *error);

/* stream_channel_receive.c */
ipcf_status ipcf_stream_channel_try_begin(ipcf_channel *base, ipcf_look look,
                                          ipcf_message *message, ipcf_error *error);
ipcf_status ipcf_stream_channel_begin(ipcf_channel *base, uint64_t deadline_ns,
                                      const ipcf_stop *stop, ipcf_message *message,
                                      ipcf_error *error);
ipcf_status ipcf_stream_channel_read_body(ipcf_channel *base, void *dest, size_t size,
                                          size_t *got, uint64_t deadline_ns,
                                          const ipcf_stop *stop, ipcf_error *error);
void ipcf_stream_channel_finish(ipcf_channel *base);
void ipcf_stream_channel_leave(ipcf_channel *base);
ipcf_status ipcf_stream_channel_next(ipcf_channel *base, ipcf_message *message);
ipcf_status ipcf_stream_channel_poll(ipcf_channel *base, uint64_t deadline_ns,
                                     ipcf_error *error);

/* ---- the wait ladder (stream_channel_wait.c) ------------------------------------- */

/* What one wait is for: a step that is tried again and again until it says something
 * else than AGAIN. A step of many system calls asks ipcf_channel_go_on between them. */
typedef struct ipcf_waiting ipcf_waiting;
struct ipcf_waiting {
    ipcf_status (*step)(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                        ipcf_error *error);
    ipcf_spin *spin;
    uint64_t deadline_ns;
    const ipcf_stop *stop; /* NULL: none; not for writing */
    uint64_t started_ns;   /* for ipcf_channel_go_on */
    bool for_writing;
    bool progressed; /* set by the step: bytes have moved, though not enough of them */
};

/* After the step has said AGAIN: spin, then sleep, until it says something else, the
 * deadline (TIMEOUT), a signal or a lapse (INTERRUPTED), or the end of the channel. The
 * direction's lock is held throughout. */
ipcf_status ipcf_stream_channel_await(ipcf_stream_channel *channel,
                                      ipcf_waiting *waiting, ipcf_error *error);

/* Whether the peer's process has ended; false where it is not watched. */
bool ipcf_stream_channel_peer_has_ended(ipcf_stream_channel *channel);
/* The same for steps that may not wait: asks the system once in a while only. The
 * receive lock is held. */
bool ipcf_stream_channel_check_peer(ipcf_stream_channel *channel);

/* ---- taking bytes in (stream_channel_intake.c); the receive lock is held --------- */

/* One read from the stream into `incoming`. At the stream's end: DISCONNECTED, and
 * channel->at_end is set. */
ipcf_status ipcf_intake_fill(ipcf_stream_channel *channel, ipcf_error *error);

/* What lies at the head of `incoming`, without reading. OK: a message that is whole
 * (data != NULL) or large; AGAIN: more bytes are needed. TOO_LARGE is told once,
 * DISCONNECTED (a goodbye) and BAD_FRAME for ever. */
ipcf_status ipcf_intake_head(ipcf_stream_channel *channel, ipcf_message *message,
                             ipcf_error *error);

/* The same, with reading what is there. DISCONNECTED at the end of the stream, when all
 * has been handed out. INTERRUPTED: so many reads have brought no message, and there may
 * be more. */
ipcf_status ipcf_intake_look(ipcf_stream_channel *channel, unsigned fills,
                             ipcf_message *message, ipcf_error *error);

/* The peer says what only a handshake may hold. Returns BAD_FRAME. */
ipcf_status ipcf_intake_refuse_kind(ipcf_stream_channel *channel, uint8_t kind,
                                    ipcf_error *error);

/* Whether begin would not block, as far as `incoming` tells. */
bool ipcf_intake_is_ready(ipcf_stream_channel *channel);

/* The message at the head is done with; what is left of its body is skipped. */
void ipcf_intake_drop_head(ipcf_stream_channel *channel);

/* The bytes have ended: note how. Always DISCONNECTED, unless this side has ended. */
ipcf_status ipcf_intake_ended(ipcf_stream_channel *channel, ipcf_error *error);

/* Close the handles that came and were not asked for. */
void ipcf_intake_drop_handles(ipcf_stream_channel *channel);

/* Keep the ready handle true to what can be received (channel.h). */
void ipcf_stream_channel_settle(ipcf_channel *base);
static inline void ipcf_stream_channel_leave_receiving(ipcf_stream_channel *channel)
{
    ipcf_channel_leave_receiving(&channel->base);
}

/* ---- for a waiting send (stream_channel_intake.c); the receive lock is not held ---- */

/* Move what the peer has sent into `incoming`, so that it can go on. Returns the handle
 * to wait for more, IPCF_NO_HANDLE where there is no more room or no more to come;
 * *is_busy: another thread receives. */
ipcf_handle ipcf_intake_read_ahead(ipcf_stream_channel *channel, bool *progressed,
                                   bool *is_busy);

/* A send found the peer gone: find out how it left, if no other thread is about to. */
void ipcf_intake_learn_ending(ipcf_stream_channel *channel);

#endif
