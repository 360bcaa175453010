/* SPDX-License-Identifier: MIT
 * Whole messages over a stream until a deadline: stream + frame + the wait ladder.
 *
 * See channel.h for the rules and for what can be done with it. Receiving reads into
 * one buffer and hands out messages in place; a body that is larger than the buffer
 * goes straight into the caller's memory (ipcf_channel_read_body). Small sends are one
 * system call; header, body and trailer are gathered. With the own framing, shut_down
 * and close say goodbye (as far as it can be said without waiting, and never in
 * mid-frame), so that the peer can tell an orderly end from a death.
 */
#ifndef IPCF_STREAM_CHANNEL_H
#define IPCF_STREAM_CHANNEL_H

#include "ipcf/channel.h"

typedef struct ipcf_stream_channel {
    ipcf_channel base; /* first; base.stream carries the messages */

    /* of sending; changed under base.send_lock, asked for without */
    ipcf_atomic_u32 framing;
    bool goodbye_said;

    /* under base.receive_lock */
    ipcf_frame_decoder decoder;
    ipcf_buffer incoming;
    ipcf_frame head; /* has_head: the frame at the start of `incoming` */
    /* in_body: of the message that read_body is in the middle of */
    uint64_t body_size, body_left;
    uint64_t skip_left; /* of an oversized one */
    uint64_t run;       /* messages received since the last read */
    uint8_t body_kind;
    bool has_head, in_body;
    bool at_end;              /* no more bytes will come from the stream */
    ipcf_atomic_u32 peer_cpu; /* last told; IPCF_CPU_UNKNOWN; senders look at it too */
    /* when a step that may not wait last asked for the peer's process */
    uint64_t peer_checked_ns;
    /* TOO_LARGE that poll or next came upon; the next begin returns it */
    ipcf_status pending;
    ipcf_error pending_error;
    bool in_handshake;  /* frames of a handshake are let in */
    bool takes_handles; /* likewise; never where it sniffs: an acceptor gets none */
    size_t handle_count;
    ipcf_handle handles[IPCF_STREAM_MAX_HANDLES]; /* received, not yet asked for */
    /* with base.ready_set: rung while `incoming` holds a whole message or the end */
    ipcf_doorbell buffered;
    bool buffered_rung;
} ipcf_stream_channel;

/* Takes over the stream on OK (on failure it stays the caller's). The struct must not
 * move afterwards; use it through &channel->base and the functions of channel.h. The
 * peer's process is not watched unless ipcf_channel_watch_peer is called, before the
 * channel is shared between threads and before ipcf_channel_ready_handle. */
IPCF_MUST_CHECK ipcf_status
ipcf_stream_channel_init(ipcf_stream_channel *channel, ipcf_stream *stream,
                         const ipcf_channel_options *options, ipcf_error *error);

/* ---- handshakes ------------------------------------------------------------------ */

/* Send a small body (IPCF_STREAM_HANDSHAKE_MAX bytes) with the own framing; handles
 * travel with the frame, and stay ours. */
#define IPCF_STREAM_HANDSHAKE_MAX 4096u
IPCF_MUST_CHECK ipcf_status ipcf_stream_channel_send_handles(
    ipcf_stream_channel *channel, uint8_t kind, const void *body, size_t size,
    const ipcf_handle *handles, size_t handle_count, uint64_t deadline_ns,
    ipcf_error *error);

/* Receive one whole message and the handles that came along with it; *handle_count is
 * the room on entry. TOO_LARGE where the body does not fit into room; it stays at the
 * head.
 *
 * A handshake is one frame each way, and comes first: when this has given one, or an
 * ordinary receive has, further ones (kinds from HELLO on) are BAD_FRAME, and handles
 * are closed as they come. A channel that sniffs never takes any. Where this process
 * has no descriptor left for a handle the channel ends with that OS_ERROR. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_channel_receive_handles(
    ipcf_stream_channel *channel, uint8_t *kind, void *body, size_t room, size_t *size,
    ipcf_handle *handles, size_t *handle_count, uint64_t deadline_ns,
    ipcf_error *error);

/* Find out the framing of receiving, without waiting. TIMEOUT: the peer has not said
 * anything yet (or another thread receives). DISCONNECTED, BAD_FRAME: it never will. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_channel_sniff(ipcf_stream_channel *channel,
                                                      ipcf_framing *framing,
                                                      ipcf_error *error);

/* The framing of sending; from any thread, also after close. */
ipcf_framing ipcf_stream_channel_send_framing(ipcf_stream_channel *channel);
/* Change it, once the peer's is known. TIMEOUT: another thread sends. INVALID: SNIFF,
 * or a begun send is not finished. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_channel_set_send_framing(
    ipcf_stream_channel *channel, ipcf_framing framing, ipcf_error *error);

/* What ipcf_wait can wait for: ready when sniff or a receive has something to do that
 * has not been read yet. TIMEOUT: another thread receives. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_channel_read_handle(
    ipcf_stream_channel *channel, ipcf_handle *handle, ipcf_error *error);

/* Both ends have said in their handshake that messages may tell their times (1 of 64
 * does then, see latency.h). Before anything behind the handshake is received or sent,
 * and before the channel is shared between threads. With the own framing only. */
void ipcf_stream_channel_use_times(ipcf_stream_channel *channel);

/* Give the stream to someone else (a ring channel's control); the channel becomes
 * CLOSED without closing it. BAD_FRAME when the peer has said more than its handshake;
 * INVALID when a begun send is not finished. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_channel_release_stream(
    ipcf_stream_channel *channel, ipcf_stream *stream, ipcf_error *error);

#endif
