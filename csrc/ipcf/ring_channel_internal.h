/* SPDX-License-Identifier: MIT
 * What the files of ring_channel share among themselves: the table of operations,
 * sleeping, and news of the peer.
 */
#ifndef IPCF_RING_CHANNEL_INTERNAL_H
#define IPCF_RING_CHANNEL_INTERNAL_H

#include "ipcf/channel_kinds.h"
#include "ipcf/ring_channel.h"

/* base is the first member. */
static inline ipcf_ring_channel *ipcf_ring_channel_of(ipcf_channel *base)
{
    return (ipcf_ring_channel *)base;
}

/* ---- operations of the table (channel.h) ----------------------------------------- */

/* ring_channel_send.c */
ipcf_status ipcf_ring_channel_try_send(ipcf_channel *base, uint8_t kind,
                                       const void *body, size_t size,
                                       ipcf_error *error);
ipcf_status ipcf_ring_channel_send_many(ipcf_channel *base, uint8_t kind,
                                        const ipcf_piece *bodies, size_t count,
                                        size_t *sent, uint64_t deadline_ns,
                                        ipcf_error *error);
ipcf_status ipcf_ring_channel_flush(ipcf_channel *base, uint64_t deadline_ns,
                                    ipcf_error *error);

/* ring_channel_receive.c */
ipcf_status ipcf_ring_channel_try_begin(ipcf_channel *base, ipcf_look look,
                                        ipcf_message *message, ipcf_error *error);
ipcf_status ipcf_ring_channel_begin(ipcf_channel *base, uint64_t deadline_ns,
                                    const ipcf_stop *stop, ipcf_message *message,
                                    ipcf_error *error);
ipcf_status ipcf_ring_channel_read_body(ipcf_channel *base, void *dest, size_t size,
                                        size_t *got, uint64_t deadline_ns,
                                        const ipcf_stop *stop, ipcf_error *error);
void ipcf_ring_channel_finish(ipcf_channel *base);
void ipcf_ring_channel_leave(ipcf_channel *base);
ipcf_status ipcf_ring_channel_next(ipcf_channel *base, ipcf_message *message);
ipcf_status ipcf_ring_channel_poll(ipcf_channel *base, uint64_t deadline_ns,
                                   ipcf_error *error);

/* ---- shared steps ---------------------------------------------------------------- */

/* Ask the control stream and the peer's process, without waiting, whether the peer has
 * ended; notes the ending. CORRUPT where the control stream says something it must not. */
ipcf_status ipcf_ring_channel_ask_peer(ipcf_ring_channel *channel, ipcf_error *error);

/* One sleep on {bell, extra bell, control, peer's process, wake}, until the deadline or
 * lapse_ns. OK: look again (a bell, or news of the peer, which has been noted then).
 * TIMEOUT: the deadline has passed. AGAIN: lapse_ns has, which comes first. Both are
 * told even if bells never stop ringing. INTERRUPTED: a signal. Also the state's status
 * and CORRUPT. bell is cleared, extra (may be NULL) is not. */
ipcf_status ipcf_ring_channel_sleep(ipcf_ring_channel *channel,
                                    const ipcf_doorbell *bell,
                                    const ipcf_doorbell *extra, uint64_t deadline_ns,
                                    uint64_t lapse_ns, ipcf_error *error);

/* ring_channel_send.c; the send lock is held */

/* OK, or DISCONNECTED when the peer has ended, as far as is known without asking. */
ipcf_status ipcf_ring_channel_peer_status(ipcf_ring_channel *channel,
                                          ipcf_error *error);
/* ipcf_ring_claim; a corrupt ring breaks the channel. */
ipcf_status ipcf_ring_channel_claim(ipcf_ring_channel *channel, uint32_t size,
                                    uint8_t **payload, ipcf_error *error);

/* ring_channel_room.c */

/* Wait until a record of size bytes fits; the send lock is held. OK: claim again. */
ipcf_status ipcf_ring_channel_wait_for_space(ipcf_ring_channel *channel, uint32_t size,
                                             uint64_t deadline_ns, ipcf_error *error);

/* ring_channel_ahead.c */

/* Move what the peer has sent into channel->ahead, so that it can go on, if no other
 * thread receives. True: the data bell rings when there is more, and is worth waiting
 * for. A corrupt ring breaks the channel. */
bool ipcf_ring_channel_read_ahead(ipcf_ring_channel *channel);

/* Bytes that a record takes in `ahead`: as many as in the ring. */
static inline uint64_t ipcf_ring_channel_stride(uint32_t size)
{
    return (IPCF_RING_RECORD_HEADER + (uint64_t)size + 7u) & ~UINT64_C(7);
}

/* Where the peer runs, for a receive; publishes our own CPU. The receive lock is held. */
ipcf_whereabouts ipcf_ring_channel_whereabouts(ipcf_ring_channel *channel);

/* Wait until a record is at hand; the receive lock is held. OK: peek again. DISCONNECTED:
 * nothing more will come. TIMEOUT also when the stop (NULL: none) is set. */
ipcf_status ipcf_ring_channel_wait_for_record(ipcf_ring_channel *channel,
                                              uint64_t deadline_ns,
                                              const ipcf_stop *stop, ipcf_error *error);

/* Whether a record is at hand, in `ahead` or in the ring. The receive lock is held. */
bool ipcf_ring_channel_has_record(ipcf_ring_channel *channel);

#endif
