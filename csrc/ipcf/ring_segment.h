/* SPDX-License-Identifier: MIT
 * The shared half of a ring channel: one piece of memory with two rings, and their four
 * doorbells.
 *
 * Made by the accepting side, sent to the connecting side as handles. Layout and order:
 * docs/spec/ring.md.
 */
#ifndef IPCF_RING_SEGMENT_H
#define IPCF_RING_SEGMENT_H

#include "ipcf/doorbell.h"
#include "ipcf/ring.h"
#include "ipcf/shm.h"
#include "ipcf/stream.h"

#define IPCF_RING_SEGMENT_BELLS 4u
#define IPCF_RING_SEGMENT_MAX_HANDLES (1u + 2u * IPCF_RING_SEGMENT_BELLS)

typedef struct ipcf_ring_segment {
    ipcf_shm shm;
    uint64_t capacity
        [2]; /* of ring 0 (adopter to creator) and ring 1 (creator to adopter), bytes */
    ipcf_doorbell bells[IPCF_RING_SEGMENT_BELLS]; /* data 0, space 0, data 1, space 1 */
    bool is_creator;
} ipcf_ring_segment;

/* inbound: capacity of the ring that this side reads; outbound: of the one it writes.
 * INVALID for a capacity that is no power of two within the ring's limits. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_segment_create(ipcf_ring_segment *segment,
                                                     uint64_t inbound,
                                                     uint64_t outbound,
                                                     ipcf_error *error);

/* How many handles a segment has on this system, and what they are; they stay the
 * segment's. */
size_t ipcf_ring_segment_handle_count(void);
size_t ipcf_ring_segment_handles(const ipcf_ring_segment *segment,
                                 ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES]);

/* Take over the handles that the creator sent. BAD_FRAME: they are not what they should
 * be. On failure all of them are closed. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_segment_adopt(ipcf_ring_segment *segment,
                                                    ipcf_handle *handles, size_t count,
                                                    uint64_t inbound, uint64_t outbound,
                                                    ipcf_error *error);

/* Idempotent. */
void ipcf_ring_segment_close(ipcf_ring_segment *segment);

#endif
