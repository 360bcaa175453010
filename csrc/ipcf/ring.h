/* SPDX-License-Identifier: MIT
 * A single-producer single-consumer ring of variable-size records over memory that it
 * does not own.
 *
 * Theory of operation (the layout byte by byte and the protocol: docs/spec/ring.md).
 * Two 64-bit positions count the bytes ever written (tail) and ever released (head);
 * the difference is what the ring holds. Each side keeps its own position in private
 * memory and publishes it with one release-store; each caches the other's and loads it
 * only when the cached value no longer suffices. So a hop costs two cache lines: the
 * one with the tail and the one with the record.
 *
 *   producer: claim -> write payload -> commit (not yet visible) ... -> publish (all committed records at once)
 *   consumer: peek -> use payload in place -> release
 *
 * Sleeping is the caller's: *_park sets the flag that asks the other side to ring, and
 * publish/release say when to ring. Nothing read from shared memory is trusted: it is
 * loaded once and checked against the private capacity. After CORRUPT the caller must
 * not use the ring any more; the ring keeps no mark of it. One thread at a time on each
 * end; the two ends need no lock between them.
 */
#ifndef IPCF_RING_H
#define IPCF_RING_H

#include "ipcf/atomic.h"
#include "ipcf/status.h"

#define IPCF_RING_MAGIC UINT64_C(0x31474e4952435049)
#define IPCF_RING_VERSION 1u
#define IPCF_RING_CAPACITY_MIN (UINT64_C(4) << 10)
#define IPCF_RING_CAPACITY_MAX (UINT64_C(1) << 30)
#define IPCF_RING_RECORD_HEADER 8u

/* Record flags. */
#define IPCF_RING_MORE 1u      /* the message goes on in the next record */
#define IPCF_RING_CONTINUED 2u /* this record goes on with a message */
/* the payload begins with 8 bytes that tell when the message was sent; where agreed */
#define IPCF_RING_TIMED 4u
#define IPCF_RING_TIME_SIZE ((uint32_t)sizeof(uint64_t))

#define IPCF_RING_PAD(from, to) uint8_t pad_##from[(to) - (from)]

/* The part of a ring in shared memory, before its data. Offsets are the protocol. */
typedef struct ipcf_ring_shared {
    uint64_t magic;
    uint32_t version;
    uint32_t zero;
    uint64_t capacity;
    IPCF_RING_PAD(24, 128);
    /* producer: written at every publish */
    ipcf_atomic_u64 tail;
    ipcf_atomic_u32 producer_cpu;
    IPCF_RING_PAD(140, 256);
    /* producer: written when it sleeps or leaves */
    ipcf_atomic_u32 wants_space;
    ipcf_atomic_u32 producer_left;
    IPCF_RING_PAD(264, 384);
    /* consumer: written when it publishes its head */
    ipcf_atomic_u64 head;
    ipcf_atomic_u32 consumer_cpu;
    IPCF_RING_PAD(396, 512);
    /* consumer: written when it sleeps or leaves */
    ipcf_atomic_u32 wants_data;
    ipcf_atomic_u32 consumer_left;
    IPCF_RING_PAD(520, 4096);
} ipcf_ring_shared;

_Static_assert(offsetof(ipcf_ring_shared, tail) == 128, "layout version 1");
_Static_assert(offsetof(ipcf_ring_shared, wants_space) == 256, "layout version 1");
_Static_assert(offsetof(ipcf_ring_shared, head) == 384, "layout version 1");
_Static_assert(offsetof(ipcf_ring_shared, wants_data) == 512, "layout version 1");
_Static_assert(sizeof(ipcf_ring_shared) == 4096, "layout version 1");

typedef struct ipcf_ring_producer {
    ipcf_ring_shared *shared;
    uint8_t *data;
    uint64_t capacity;
    uint64_t tail;        /* ours: all committed records, published or not */
    uint64_t cached_head; /* the consumer's, as last loaded and checked */
    uint64_t claimed;     /* position of the record under construction */
    uint32_t claimed_size;
    uint32_t cpu; /* as last published */
} ipcf_ring_producer;

typedef struct ipcf_ring_consumer {
    ipcf_ring_shared *shared;
    const uint8_t *data;
    uint64_t capacity;
    uint64_t head; /* ours */
    uint64_t published_head;
    uint64_t cached_tail;   /* the producer's, as last loaded and checked */
    uint64_t peeked_stride; /* of the record that peek gave; 0: none */
    uint64_t run;           /* for the caller to count with: 0 at each new tail */
    uint64_t known_flags;   /* MORE and CONTINUED; the caller adds TIMED */
    uint32_t cpu;
} ipcf_ring_consumer;

/* What peek found. data points into shared memory: valid until release, and changeable
 * by a hostile peer. */
typedef struct ipcf_record {
    const uint8_t *data;
    uint32_t size;
    uint8_t kind;
    uint8_t flags;
} ipcf_record;

/* Bytes of shared memory a ring takes. capacity: a power of two within the limits
 * above. */
bool ipcf_ring_capacity_is_valid(uint64_t capacity);
uint64_t ipcf_ring_size(uint64_t capacity);
/* The largest payload of one record. */
static inline uint32_t ipcf_ring_record_max(uint64_t capacity)
{
    return (uint32_t)(capacity / 4 - IPCF_RING_RECORD_HEADER);
}

/* Write the constant part into zeroed memory of ipcf_ring_size(capacity) bytes. */
void ipcf_ring_format(void *memory, uint64_t capacity);
/* Attach an end to memory of ipcf_ring_size(capacity) bytes, aligned to 128, that stays
 * mapped until the end is no longer used. CORRUPT: it was not formatted with this
 * capacity, or is already in use. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_attach_producer(ipcf_ring_producer *producer,
                                                      void *memory, uint64_t capacity,
                                                      ipcf_error *error);
IPCF_MUST_CHECK ipcf_status ipcf_ring_attach_consumer(ipcf_ring_consumer *consumer,
                                                      void *memory, uint64_t capacity,
                                                      ipcf_error *error);

/* ---- producer -------------------------------------------------------------------- */

/* Room for a record of size bytes; the caller sees to it that size <=
 * ipcf_ring_record_max. OK: *payload is where to write. AGAIN: full. CORRUPT. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_claim(ipcf_ring_producer *producer, uint32_t size,
                                            uint8_t **payload, ipcf_error *error);
/* The claimed record is complete; not visible before publish. Without a claim before it
 * this is not allowed. */
void ipcf_ring_commit(ipcf_ring_producer *producer, uint8_t kind, uint8_t flags);
/* Make all committed records visible. True: the consumer sleeps, ring its data bell. */
bool ipcf_ring_publish(ipcf_ring_producer *producer);
/* Ask to be rung when a record of size bytes fits; generously (half the capacity free)
 * or exactly. OK: do not sleep, it fits already or the consumer has left. AGAIN: sleep.
 * What is committed must be published before. Either way the wish stands until unpark. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_producer_park(ipcf_ring_producer *producer,
                                                    uint32_t size, bool generously,
                                                    ipcf_error *error);
void ipcf_ring_producer_unpark(ipcf_ring_producer *producer);
/* Nothing more will come. True: ring the data bell. */
bool ipcf_ring_producer_leave(ipcf_ring_producer *producer);
bool ipcf_ring_consumer_has_left(const ipcf_ring_producer *producer);
uint32_t ipcf_ring_consumer_cpu(const ipcf_ring_producer *producer);
void ipcf_ring_producer_publish_cpu(ipcf_ring_producer *producer, uint32_t cpu);

/* ---- consumer -------------------------------------------------------------------- */

/* The record at the head; padding is passed over. AGAIN: empty. CORRUPT. Peeking again
 * gives the same record. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_peek(ipcf_ring_consumer *consumer,
                                           ipcf_record *record, ipcf_error *error);
/* Done with the peeked record. True: the producer waits for space and has it now, ring
 * its space bell. */
IPCF_MUST_CHECK bool ipcf_ring_release(ipcf_ring_consumer *consumer);
/* Whether anything is there; loads the tail if the cached one says no. Says true for a
 * corrupt ring: peek tells. */
bool ipcf_ring_has_record(ipcf_ring_consumer *consumer);
/* Ask to be rung at the next publish. OK: do not sleep, something is there already or
 * the producer has left. AGAIN: sleep. Either way the wish stands until unpark or a
 * bell. */
IPCF_MUST_CHECK ipcf_status ipcf_ring_consumer_park(ipcf_ring_consumer *consumer);
void ipcf_ring_consumer_unpark(ipcf_ring_consumer *consumer);
/* Nothing more will be read. True: ring the space bell. */
bool ipcf_ring_consumer_leave(ipcf_ring_consumer *consumer);
bool ipcf_ring_producer_has_left(const ipcf_ring_consumer *consumer);
uint32_t ipcf_ring_producer_cpu(const ipcf_ring_consumer *consumer);
void ipcf_ring_consumer_publish_cpu(ipcf_ring_consumer *consumer, uint32_t cpu);

#endif
