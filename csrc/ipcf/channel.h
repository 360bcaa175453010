/* SPDX-License-Identifier: MIT
 * A channel: whole messages in both directions until a deadline. What every kind of
 * channel has in common.
 *
 * ipcf_stream_channel and ipcf_ring_channel begin with an ipcf_channel and are used
 * through the functions of this page; their own headers only say how they are made.
 * channel.c keeps the life cycle (entering, ending, waking), the two kinds the moving
 * of messages; what it gives them is channel_kinds.h.
 *
 * Rules. Full duplex: each direction has its lock; a function takes it, and gives it
 * back before it returns, but for ipcf_channel_begin and try_begin: after OK the
 * direction stays locked until finish or leave. Between those two the caller must not
 * run foreign code (no Python object that the garbage collector tracks may be made).
 *
 * A function with a deadline waits, with the direction's lock held, until the deadline,
 * or until close or shut_down from any thread, or the peer's end; call it without the
 * GIL. Where a long message never has to be waited for, all this is looked at between
 * its parts. IPCF_NO_WAIT makes it a single step that never sleeps, and that finishes
 * what needs no waiting. INTERRUPTED means: run signal handlers, then call again with the
 * same deadline; nothing is lost.
 *
 * A send that timed out, was interrupted, or was refused by the system after its first
 * byte went out is *begun*: error->what is ipcf_channel_begun, the channel keeps a copy
 * of the rest, and the message must not be sent again: ipcf_channel_flush, or the next
 * send, finishes it. Where there is no memory for the copy the channel ends. A
 * receive that timed out in mid-message goes on with the next begin.
 *
 * While a send waits for room, it takes in what the peer sends (up to read_ahead_limit
 * bytes), if no other thread is receiving: so two peers that both send large messages
 * do not deadlock.
 */
#ifndef IPCF_CHANNEL_H
#define IPCF_CHANNEL_H

#include "ipcf/atomic.h"
#include "ipcf/buffer.h"
#include "ipcf/channel_terms.h"
#include "ipcf/doorbell.h"
#include "ipcf/lock.h"
#include "ipcf/metrics.h"
#include "ipcf/park.h"
#include "ipcf/stop.h"
#include "ipcf/stream.h"

/* ---- the common part of every channel -------------------------------------------- */

typedef struct ipcf_channel ipcf_channel;

/* What a kind of channel does its own way. The first group is the public functions
 * below. */
typedef struct ipcf_channel_ops {
    ipcf_status (*try_send)(ipcf_channel *, uint8_t, const void *, size_t,
                            ipcf_error *);
    ipcf_status (*send_many)(ipcf_channel *, uint8_t, const ipcf_piece *, size_t,
                             size_t *, uint64_t, ipcf_error *);
    ipcf_status (*flush)(ipcf_channel *, uint64_t, ipcf_error *);
    ipcf_status (*try_begin)(ipcf_channel *, ipcf_look, ipcf_message *, ipcf_error *);
    /* the stop may be NULL, and is not set on entry */
    ipcf_status (*begin)(ipcf_channel *, uint64_t, const ipcf_stop *, ipcf_message *,
                         ipcf_error *);
    ipcf_status (*read_body)(ipcf_channel *, void *, size_t, size_t *, uint64_t,
                             const ipcf_stop *, ipcf_error *);
    void (*finish)(ipcf_channel *);
    void (*leave)(ipcf_channel *);
    ipcf_status (*next)(ipcf_channel *, ipcf_message *);
    ipcf_status (*poll)(ipcf_channel *, uint64_t, ipcf_error *);
    /* Make the ready set, and the member `buffered` of it; life_lock is held, another
     * thread may be receiving. Its other members exist as long as the channel. */
    ipcf_status (*make_ready_set)(ipcf_channel *, ipcf_handle *, ipcf_error *);
    /* Make the ready set say what can be received; receive_lock is held, and stays so. */
    void (*settle)(ipcf_channel *);
    /* Tell the peer that nothing more will come; without locks. shut_down and close may
     * both call it, in two threads: the second finds it said, or everything freed. */
    void (*say_goodbye)(ipcf_channel *);
    /* Free what the kind owns beyond ipcf_channel; all locks are held. Not intact: a
     * buffer of the receiving direction was being changed when the process was forked,
     * do not touch it. */
    void (*free_parts)(ipcf_channel *, bool is_intact);
} ipcf_channel_ops;

struct ipcf_channel {
    const ipcf_channel_ops *ops; /* NULL: never was open */
    ipcf_atomic_u32 state;       /* ipcf_channel_state */
    ipcf_atomic_u32 ending;      /* ipcf_ending */
    ipcf_error broken;           /* why the state is BROKEN; written once, before it */
    ipcf_status broken_status;   /* likewise: what every operation gives from then on */
    ipcf_stream stream;          /* carries the messages, or only the hang-up (ring) */
    ipcf_handle peer_process;    /* IPCF_NO_HANDLE: not watched */
    ipcf_peer peer;
    bool peer_is_here; /* same process: its CPU says nothing, and it needs the GIL */
    bool is_timed; /* some messages tell when they were sent: agreed with the peer */
    ipcf_doorbell wake; /* rung by close and shut_down, never cleared */
    uint64_t message_limit;
    uint64_t read_ahead_limit;
    ipcf_handle ready_set; /* made by the first ready_handle; under life_lock */
    /* a few system calls long: ringing or closing wake, hanging up, making ready_set */
    ipcf_lock life_lock;
    ipcf_lock send_lock;
    ipcf_spin send_spin;
    ipcf_buffer unsent;   /* the rest of a begun send */
    uint64_t unsent_size; /* of that message's body; IPCF_NO_MESSAGE: a handshake */
    /* Set by close, at the latest: a message is on the stream in part, so whatever else is
     * written there would be taken for the rest of it. Under send_lock. */
    bool cut_short;
    ipcf_counters sent;
    ipcf_lock receive_lock;
    ipcf_atomic_u32 has_ready_set; /* 1: who leaves receiving settles it; stays 1 */
    ipcf_spin receive_spin;
    ipcf_counters received;
    ipcf_atomic_u32 end_was_received; /* 1: receiving has given DISCONNECTED */
    ipcf_atomic_u32 callers;          /* between call_begins and call_ends */
    ipcf_park idle;                   /* where ipcf_channel_drain sleeps */
    uint64_t head_sent_ns; /* what the message at the head tells; 0: nothing */
    ipcf_latency latency;
};

#define IPCF_NO_MESSAGE UINT64_MAX

/* error->what of a send that failed after its first byte went out, but can go on. */
extern const char ipcf_channel_begun[];

/* Count a failure, if it is one (metrics.h). Returns status. */
static inline ipcf_status
ipcf_channel_counted(ipcf_channel *channel, ipcf_counters *counters, ipcf_status status)
{
    if (IPCF_UNLIKELY(status != IPCF_OK)) {
        /* acquire: pairs with the compare-and-swap in ipcf_channel_note_ending */
        bool died = ipcf_load_acquire(&channel->ending) == IPCF_ENDING_DIED;
        ipcf_count_failure(counters, status, counters == &channel->sent || died);
        /* release: pairs with the load in ipcf_channel_is_over */
        if (status == IPCF_DISCONNECTED && counters == &channel->received)
            ipcf_store_release(&channel->end_was_received, 1u);
    }
    return status;
}

/* Nothing will be received any more, and a receive has said so: the peer's end, after
 * everything that it had sent, or a fault of it. */
static inline bool ipcf_channel_is_over(const ipcf_channel *channel)
{
    /* acquire, twice: pair with the store in ipcf_channel_counted and the
     * compare-and-swap in ipcf_channel_break */
    return ipcf_load_acquire(&channel->end_was_received) != 0 ||
           ipcf_load_acquire(&channel->state) == IPCF_STATE_BROKEN;
}

/* What has been counted; at any time, from any thread. */
static inline void ipcf_channel_read_metrics(const ipcf_channel *channel,
                                             ipcf_metrics *metrics)
{
    ipcf_metrics_read(&channel->sent, &channel->received, &channel->latency, metrics);
}

/* ---- sending --------------------------------------------------------------------- */

/* One step without waiting, for small messages: OK, or AGAIN (no room, too long for one
 * step, a begun send, or another thread is sending), or the state's status. Cheap
 * enough to be called with the GIL held. */
IPCF_MUST_CHECK static inline ipcf_status
ipcf_channel_try_send(ipcf_channel *channel, uint8_t kind, const void *body,
                      size_t size, ipcf_error *error)
{
    return ipcf_channel_counted(
        channel, &channel->sent,
        channel->ops->try_send(channel, kind, body, size, error));
}

/* Send several messages in order, gathered; *sent: how many are handed over (or begun),
 * also when the status is not OK. kind is ignored by foreign framings. INVALID: a body
 * cannot travel on this framing. */
IPCF_MUST_CHECK static inline ipcf_status
ipcf_channel_send_many(ipcf_channel *channel, uint8_t kind, const ipcf_piece *bodies,
                       size_t count, size_t *sent, uint64_t deadline_ns,
                       ipcf_error *error)
{
    return ipcf_channel_counted(channel, &channel->sent,
                                channel->ops->send_many(channel, kind, bodies, count,
                                                        sent, deadline_ns, error));
}

/* Send one message. OK: handed over whole. */
IPCF_MUST_CHECK static inline ipcf_status
ipcf_channel_send(ipcf_channel *channel, uint8_t kind, const void *body, size_t size,
                  uint64_t deadline_ns, ipcf_error *error)
{
    ipcf_piece piece = {body, size};
    size_t sent;
    return ipcf_channel_send_many(channel, kind, &piece, 1, &sent, deadline_ns, error);
}

/* Finish a begun send. OK when there is none. */
IPCF_MUST_CHECK static inline ipcf_status
ipcf_channel_flush(ipcf_channel *channel, uint64_t deadline_ns, ipcf_error *error)
{
    return ipcf_channel_counted(channel, &channel->sent,
                                channel->ops->flush(channel, deadline_ns, error));
}

/* ---- receiving ------------------------------------------------------------------- */

/* begin without waiting: OK (locked), AGAIN, or a status as begin's. It may leave out
 * asking whether the peer still lives (begin with IPCF_NO_WAIT asks). For a first
 * attempt with the GIL held. */
IPCF_MUST_CHECK static inline ipcf_status ipcf_channel_try_begin(ipcf_channel *channel,
                                                                 ipcf_look look,
                                                                 ipcf_message *message,
                                                                 ipcf_error *error)
{
    return ipcf_channel_counted(channel, &channel->received,
                                channel->ops->try_begin(channel, look, message, error));
}

/* Wait for the message at the head. OK: *message describes it, the direction is locked
 * until finish or leave. DISCONNECTED only after everything received has been handed
 * out. BAD_FRAME and CORRUPT end the channel for good. TOO_LARGE: the message is passed
 * over, the channel goes on. */
IPCF_MUST_CHECK static inline ipcf_status ipcf_channel_begin(ipcf_channel *channel,
                                                             uint64_t deadline_ns,
                                                             ipcf_message *message,
                                                             ipcf_error *error)
{
    return ipcf_channel_counted(
        channel, &channel->received,
        channel->ops->begin(channel, deadline_ns, NULL, message, error));
}

/* After begin gave data == NULL: fill dest with the next `size` bytes of the body
 * (message->size - message->received at most). *got says how many have come, also when
 * the status is not OK. The direction stays locked in any case. */
IPCF_MUST_CHECK static inline ipcf_status
ipcf_channel_read_body(ipcf_channel *channel, void *dest, size_t size, size_t *got,
                       uint64_t deadline_ns, ipcf_error *error)
{
    return ipcf_channel_counted(
        channel, &channel->received,
        channel->ops->read_body(channel, dest, size, got, deadline_ns, NULL, error));
}

/* The two that a stop (NULL: none) can end as well: TIMEOUT, and nothing is lost. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_begin_stoppable(ipcf_channel *channel,
                                                         uint64_t deadline_ns,
                                                         const ipcf_stop *stop,
                                                         ipcf_message *message,
                                                         ipcf_error *error);
IPCF_MUST_CHECK ipcf_status ipcf_channel_read_body_stoppable(
    ipcf_channel *channel, void *dest, size_t size, size_t *got, uint64_t deadline_ns,
    const ipcf_stop *stop, ipcf_error *error);

/* Done with the message (its body has been read to the end): the next begin gives the
 * next one. */
static inline void ipcf_channel_finish(ipcf_channel *channel)
{
    channel->ops->finish(channel);
}

/* Unlock, but leave the message at the head (wrong kind, no room, or body not yet
 * complete). */
static inline void ipcf_channel_leave(ipcf_channel *channel)
{
    channel->ops->leave(channel);
}

/* After begin gave OK for a message in place: finish it and look at the next one, if it
 * is in place too (for batches). AGAIN: there is none; the direction is unlocked then. */
IPCF_MUST_CHECK static inline ipcf_status ipcf_channel_next(ipcf_channel *channel,
                                                            ipcf_message *message)
{
    return channel->ops->next(channel, message);
}

/* OK: a message is there (of one that a ring carries in parts: its next part), or the
 * peer's end or a fault of it. NOISE: the message that comes next is noise (skip_noise).
 * TIMEOUT otherwise; our own end is the state's status. Reads ahead. */
IPCF_MUST_CHECK static inline ipcf_status
ipcf_channel_poll(ipcf_channel *channel, uint64_t deadline_ns, ipcf_error *error)
{
    return channel->ops->poll(channel, deadline_ns, error);
}

/* A handle for select, asyncio, Qt: ready while a message or the end can be received.
 * Level-triggered. POSIX only (UNSUPPORTED elsewhere). It belongs to the channel. Does
 * not wait for a receive in another thread; while that one lasts the message is its, and
 * the handle tells of what it leaves behind. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_ready_handle(ipcf_channel *channel,
                                                      ipcf_handle *handle,
                                                      ipcf_error *error);

/* Watch the peer's process from now on. OK also where the system cannot, or the peer is
 * this process. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_watch_peer(ipcf_channel *channel,
                                                    ipcf_error *error);

/* The system took this process for the peer, because it made both ends (a pair of which
 * a child has inherited one), and the owner knows better: the peer is `peer`, and
 * `process`, which the channel takes over, tells of its end (IPCF_NO_HANDLE: it is not
 * watched). As watch_peer: before the channel is shared between threads. */
void ipcf_channel_set_peer(ipcf_channel *channel, const ipcf_peer *peer,
                           ipcf_handle *process);

/* The second half of stopping (stop.h): make receives that wait for their turn look
 * again. From any thread, in any state but FORKED. */
static inline void ipcf_channel_wake_receivers(ipcf_channel *channel)
{
    ipcf_lock_wake_all(&channel->receive_lock);
}

/* ---- ending ---------------------------------------------------------------------- */

/* From any thread, any number of times: local operations give SHUT_DOWN at once; the
 * peer receives all that was sent and then the end. */
void ipcf_channel_shut_down(ipcf_channel *channel);
/* The first half of it, of which the peer learns nothing: for who shuts both ends down.
 * One operation may still find the peer's end, where it has come: look at the state. */
void ipcf_channel_announce_end(ipcf_channel *channel);
/* From any thread; waits until operations under way in other threads have left (they
 * are woken), then frees everything. Idempotent. Do not hold the GIL. */
void ipcf_channel_close(ipcf_channel *channel);
/* close, and free the locks: for the owner, when no other thread knows the channel. */
void ipcf_channel_destroy(ipcf_channel *channel);
/* In a forked child, before any other use: closes descriptors without a word to the
 * peer; the state becomes FORKED. What another thread was closing just then may stay. */
void ipcf_channel_abandon(ipcf_channel *channel);

/* A caller that makes one operation of several calls (again after INTERRUPTED, part by
 * part) tells where it begins and ends, so that drain waits for the whole of it, waits
 * for its turn included. What a try_ function does at once need not be told. */
static inline void ipcf_channel_call_begins(ipcf_channel *channel)
{
    /* seq_cst: pairs with the load in ipcf_channel_drain */
    (void)ipcf_add_seq_cst(&channel->callers, 1u);
}
static inline void ipcf_channel_call_ends(ipcf_channel *channel)
{
    /* seq_cst as park.h demands: pairs with the load in ipcf_channel_drain */
    if (ipcf_add_seq_cst(&channel->callers, UINT32_MAX) == 1u)
        ipcf_park_wake(&channel->idle, true);
}

/* Wait until the operations that are under way in both directions have left. OK,
 * TIMEOUT, INTERRUPTED, FORKED; in any other state of the channel as well. */
IPCF_MUST_CHECK ipcf_status ipcf_channel_drain(ipcf_channel *channel,
                                               uint64_t deadline_ns, ipcf_error *error);

#endif
