/* SPDX-License-Identifier: MIT
 * The ring's algorithm: publishing, consuming, and asking to be woken. See ring.h and
 * docs/spec/ring.md.
 */
#include "ipcf/ring.h"

#include <string.h>

#define PADDING_KIND 0xffu
/* The next lines of payload are fetched while the caller works on this record: +40 %
 * one-way at 1 KiB; fetching 4 KiB ahead was slower than none. */
#define PREFETCH_BYTES 1024u
#define PREFETCH_STEP 64u

static uint64_t stride_of(uint64_t size)
{
    return (IPCF_RING_RECORD_HEADER + size + 7u) & ~UINT64_C(7);
}

static uint64_t pack_header(uint32_t size, uint8_t kind, uint8_t flags)
{
    return (uint64_t)size | (uint64_t)kind << 32 | (uint64_t)flags << 40;
}

static void store_header(uint8_t *at, uint64_t header)
{
    /* Positions are multiples of 8 in page-aligned memory: one aligned 8-byte store. */
    memcpy(at, &header, sizeof header);
}

static void prefetch(const uint8_t *data, uint64_t offset, uint64_t capacity)
{
    uint64_t end =
        offset + PREFETCH_BYTES < capacity ? offset + PREFETCH_BYTES : capacity;
    for (uint64_t at = offset; at < end; at += PREFETCH_STEP)
        IPCF_PREFETCH(data + at);
}

bool ipcf_ring_capacity_is_valid(uint64_t capacity)
{
    return capacity >= IPCF_RING_CAPACITY_MIN && capacity <= IPCF_RING_CAPACITY_MAX &&
           (capacity & (capacity - 1)) == 0;
}

uint64_t ipcf_ring_size(uint64_t capacity)
{
    return sizeof(ipcf_ring_shared) + capacity;
}

void ipcf_ring_format(void *memory, uint64_t capacity)
{
    ipcf_ring_shared *shared = memory;
    shared->capacity = capacity;
    shared->version = IPCF_RING_VERSION;
    shared->magic = IPCF_RING_MAGIC;
    ipcf_store_relaxed(&shared->producer_cpu, IPCF_CPU_UNKNOWN);
    ipcf_store_relaxed(&shared->consumer_cpu, IPCF_CPU_UNKNOWN);
}

static ipcf_status check_shared(ipcf_ring_shared *shared, uint64_t capacity,
                                ipcf_error *error)
{
    const volatile ipcf_ring_shared *untrusted = shared;
    uint64_t magic = untrusted->magic, told = untrusted->capacity;
    uint32_t version = untrusted->version;
    if (magic != IPCF_RING_MAGIC)
        return ipcf_fail(error, IPCF_CORRUPT, "ring magic", IPCF_RING_MAGIC, magic);
    if (version != IPCF_RING_VERSION)
        return ipcf_fail(error, IPCF_CORRUPT, "ring layout version", IPCF_RING_VERSION,
                         version);
    if (told != capacity)
        return ipcf_fail(error, IPCF_CORRUPT, "ring capacity", capacity, told);
    return IPCF_OK;
}

ipcf_status ipcf_ring_attach_producer(ipcf_ring_producer *producer, void *memory,
                                      uint64_t capacity, ipcf_error *error)
{
    ipcf_ring_shared *shared = memory;
    ipcf_status status = check_shared(shared, capacity, error);
    if (status != IPCF_OK)
        return status;
    /* relaxed: an end attaches once, before the handshake ends */
    uint64_t tail = ipcf_load_relaxed(&shared->tail);
    if (tail != 0)
        return ipcf_fail(error, IPCF_CORRUPT, "tail of a new ring", 0, tail);
    *producer = (ipcf_ring_producer){
        .shared = shared,
        .data = (uint8_t *)memory + sizeof(ipcf_ring_shared),
        .capacity = capacity,
        .cpu = IPCF_CPU_UNKNOWN,
    };
    return IPCF_OK;
}

ipcf_status ipcf_ring_attach_consumer(ipcf_ring_consumer *consumer, void *memory,
                                      uint64_t capacity, ipcf_error *error)
{
    ipcf_ring_shared *shared = memory;
    ipcf_status status = check_shared(shared, capacity, error);
    if (status != IPCF_OK)
        return status;
    uint64_t head = ipcf_load_relaxed(&shared->head);
    if (head != 0)
        return ipcf_fail(error, IPCF_CORRUPT, "head of a new ring", 0, head);
    *consumer = (ipcf_ring_consumer){
        .shared = shared,
        .data = (const uint8_t *)memory + sizeof(ipcf_ring_shared),
        .capacity = capacity,
        .known_flags = IPCF_RING_MORE | IPCF_RING_CONTINUED,
        .cpu = IPCF_CPU_UNKNOWN,
    };
    return IPCF_OK;
}

/* ---- producer -------------------------------------------------------------------- */

/* Load the consumer's head and check it before it becomes the cached one. */
static ipcf_status refresh_head(ipcf_ring_producer *producer, ipcf_error *error)
{
    /* acquire: pairs with the release in publish_head, so that the consumer has
     * finished reading what we overwrite */
    uint64_t head = ipcf_load_acquire(&producer->shared->head);
    if (producer->tail - head > producer->capacity || (head & 7u) != 0)
        return ipcf_fail(error, IPCF_CORRUPT, "head", producer->cached_head, head);
    producer->cached_head = head;
    return IPCF_OK;
}

/* Bytes that a record of this stride takes at the present tail, padding included;
 * *padding of them come first. */
static uint64_t bytes_needed(const ipcf_ring_producer *producer, uint64_t stride,
                             uint64_t *padding)
{
    uint64_t offset = producer->tail & (producer->capacity - 1);
    uint64_t contiguous = producer->capacity - offset;
    *padding = stride > contiguous ? contiguous : 0;
    return *padding + stride;
}

ipcf_status ipcf_ring_claim(ipcf_ring_producer *producer, uint32_t size,
                            uint8_t **payload, ipcf_error *error)
{
    uint64_t padding, needed = bytes_needed(producer, stride_of(size), &padding);
    if (IPCF_UNLIKELY(producer->capacity - (producer->tail - producer->cached_head) <
                      needed)) {
        ipcf_status status = refresh_head(producer, error);
        if (status != IPCF_OK)
            return status;
        if (producer->capacity - (producer->tail - producer->cached_head) < needed)
            return IPCF_AGAIN;
    }
    uint64_t mask = producer->capacity - 1;
    if (padding != 0) {
        uint32_t filler = (uint32_t)(padding - IPCF_RING_RECORD_HEADER);
        store_header(producer->data + (producer->tail & mask),
                     pack_header(filler, PADDING_KIND, 0));
    }
    producer->claimed = producer->tail + padding;
    producer->claimed_size = size;
    *payload = producer->data + (producer->claimed & mask) + IPCF_RING_RECORD_HEADER;
    return IPCF_OK;
}

void ipcf_ring_commit(ipcf_ring_producer *producer, uint8_t kind, uint8_t flags)
{
    uint64_t mask = producer->capacity - 1;
    store_header(producer->data + (producer->claimed & mask),
                 pack_header(producer->claimed_size, kind, flags));
    producer->tail = producer->claimed + stride_of(producer->claimed_size);
}

bool ipcf_ring_publish(ipcf_ring_producer *producer)
{
    ipcf_ring_shared *shared = producer->shared;
    /* release: pairs with the acquire in refresh_tail; the records come first */
    ipcf_store_release(&shared->tail, producer->tail);
    IPCF_TEST_STEP("ring tail stored");
    /* Either the consumer sees this tail before it sleeps, or we see its wish: pairs
     * with the fence in ipcf_ring_consumer_park. */
    ipcf_fence_seq_cst();
    if (IPCF_LIKELY(ipcf_load_relaxed(&shared->wants_data) == 0))
        return false;
    return ipcf_exchange_acq_rel(&shared->wants_data, 0u) != 0;
}

ipcf_status ipcf_ring_producer_park(ipcf_ring_producer *producer, uint32_t size,
                                    bool generously, ipcf_error *error)
{
    uint64_t padding, needed = bytes_needed(producer, stride_of(size), &padding);
    uint64_t wanted =
        generously && needed < producer->capacity / 2 ? producer->capacity / 2 : needed;
    ipcf_store_relaxed(&producer->shared->wants_space, (uint32_t)wanted);
    IPCF_TEST_STEP("ring space wanted");
    /* Pairs with the fence in ipcf_ring_release. */
    ipcf_fence_seq_cst();
    ipcf_status status = refresh_head(producer, error);
    if (status != IPCF_OK)
        return status;
    bool fits = producer->capacity - (producer->tail - producer->cached_head) >= needed;
    return fits || ipcf_ring_consumer_has_left(producer) ? IPCF_OK : IPCF_AGAIN;
}

void ipcf_ring_producer_unpark(ipcf_ring_producer *producer)
{
    ipcf_store_relaxed(&producer->shared->wants_space, 0u);
}

bool ipcf_ring_producer_leave(ipcf_ring_producer *producer)
{
    /* release: pairs with the acquire in ipcf_ring_producer_has_left; the last tail
     * comes first */
    ipcf_store_release(&producer->shared->producer_left, 1u);
    IPCF_TEST_STEP("ring producer left");
    ipcf_fence_seq_cst();
    return ipcf_exchange_acq_rel(&producer->shared->wants_data, 0u) != 0;
}

bool ipcf_ring_consumer_has_left(const ipcf_ring_producer *producer)
{
    /* acquire: pairs with the release in ipcf_ring_consumer_leave */
    return ipcf_load_acquire(&producer->shared->consumer_left) != 0;
}

uint32_t ipcf_ring_consumer_cpu(const ipcf_ring_producer *producer)
{
    return ipcf_load_relaxed(&producer->shared->consumer_cpu);
}

void ipcf_ring_producer_publish_cpu(ipcf_ring_producer *producer, uint32_t cpu)
{
    if (producer->cpu != cpu) {
        producer->cpu = cpu;
        ipcf_store_relaxed(&producer->shared->producer_cpu, cpu);
    }
}

/* ---- consumer -------------------------------------------------------------------- */

/* Load the producer's tail and check it before it becomes the cached one. AGAIN:
 * nothing new. */
static ipcf_status refresh_tail(ipcf_ring_consumer *consumer, ipcf_error *error)
{
    /* acquire: pairs with the release in ipcf_ring_publish */
    uint64_t tail = ipcf_load_acquire(&consumer->shared->tail);
    if (tail == consumer->head)
        return IPCF_AGAIN;
    if (tail - consumer->head > consumer->capacity || (tail & 7u) != 0)
        return ipcf_fail(error, IPCF_CORRUPT, "tail", consumer->cached_tail, tail);
    consumer->cached_tail = tail;
    consumer->run = 0;
    return IPCF_OK;
}

/* Check a header against what may stand at the head. *stride: bytes to pass over. */
static ipcf_status check_header(const ipcf_ring_consumer *consumer, uint64_t header,
                                uint64_t *stride, ipcf_error *error)
{
    uint64_t offset = consumer->head & (consumer->capacity - 1);
    uint64_t contiguous = consumer->capacity - offset;
    uint64_t published = consumer->cached_tail - consumer->head;
    uint64_t size = header & UINT32_MAX;
    bool is_padding = (header >> 32 & 0xffu) == PADDING_KIND;
    *stride = stride_of(size);
    if ((header >> 40 & ~consumer->known_flags) != 0)
        return ipcf_fail(error, IPCF_CORRUPT, "record flags", 0, header >> 40);
    if (*stride > published)
        return ipcf_fail(error, IPCF_CORRUPT, "record size", published, size);
    if (is_padding) {
        if (*stride != contiguous || offset == 0 || header >> 40 != 0 ||
            size > ipcf_ring_record_max(consumer->capacity))
            return ipcf_fail(error, IPCF_CORRUPT, "padding size", contiguous, *stride);
        return IPCF_OK;
    }
    if (size > ipcf_ring_record_max(consumer->capacity) || *stride > contiguous)
        return ipcf_fail(error, IPCF_CORRUPT, "record size",
                         ipcf_ring_record_max(consumer->capacity), size);
    return IPCF_OK;
}

ipcf_status ipcf_ring_peek(ipcf_ring_consumer *consumer, ipcf_record *record,
                           ipcf_error *error)
{
    uint64_t mask = consumer->capacity - 1;
    for (;;) {
        if (consumer->head == consumer->cached_tail) {
            ipcf_status status = refresh_tail(consumer, error);
            if (status != IPCF_OK)
                return status;
        }
        const uint8_t *at = consumer->data + (consumer->head & mask);
        /* Loaded once: the peer may change it at any time. */
        uint64_t header = *(const volatile uint64_t *)(const void *)at;
        uint64_t stride;
        ipcf_status status = check_header(consumer, header, &stride, error);
        if (status != IPCF_OK)
            return status;
        uint8_t kind = (uint8_t)(header >> 32);
        if (kind == PADDING_KIND) {
            /* At most once a call: padding ends at the end of the data and never starts
             * at its start. */
            consumer->head += stride;
            continue;
        }
        *record = (ipcf_record){at + IPCF_RING_RECORD_HEADER, (uint32_t)header, kind,
                                (uint8_t)(header >> 40)};
        consumer->peeked_stride = stride;
        return IPCF_OK;
    }
}

static bool publish_head(ipcf_ring_consumer *consumer)
{
    ipcf_ring_shared *shared = consumer->shared;
    consumer->published_head = consumer->head;
    /* release: pairs with the acquire in refresh_head; we have finished reading what is
     * before it */
    ipcf_store_release(&shared->head, consumer->head);
    IPCF_TEST_STEP("ring head stored");
    /* Pairs with the fence in ipcf_ring_producer_park. */
    ipcf_fence_seq_cst();
    uint32_t wanted = ipcf_load_relaxed(&shared->wants_space);
    if (IPCF_LIKELY(wanted == 0))
        return false;
    /* The free space as the producer will compute it; a hostile tail only makes a
     * needless or a missing bell. */
    uint64_t used = ipcf_load_relaxed(&shared->tail) - consumer->head;
    if (consumer->capacity - used < wanted)
        return false;
    return ipcf_exchange_acq_rel(&shared->wants_space, 0u) != 0;
}

bool ipcf_ring_release(ipcf_ring_consumer *consumer)
{
    consumer->head += consumer->peeked_stride;
    consumer->peeked_stride = 0;
    /* Lazily, because each store of the head costs the producer a cache miss: +47 %
     * one-way. */
    if (consumer->head != consumer->cached_tail) {
        prefetch(consumer->data, consumer->head & (consumer->capacity - 1),
                 consumer->capacity);
        if (consumer->head - consumer->published_head < consumer->capacity / 8)
            return false;
    }
    return publish_head(consumer);
}

bool ipcf_ring_has_record(ipcf_ring_consumer *consumer)
{
    return consumer->head != consumer->cached_tail ||
           /* acquire: pairs with the release in ipcf_ring_publish */
           ipcf_load_acquire(&consumer->shared->tail) != consumer->head;
}

ipcf_status ipcf_ring_consumer_park(ipcf_ring_consumer *consumer)
{
    ipcf_store_relaxed(&consumer->shared->wants_data, 1u);
    IPCF_TEST_STEP("ring data wanted");
    /* Pairs with the fence in ipcf_ring_publish. */
    ipcf_fence_seq_cst();
    bool is_over = ipcf_ring_producer_has_left(consumer);
    return ipcf_ring_has_record(consumer) || is_over ? IPCF_OK : IPCF_AGAIN;
}

void ipcf_ring_consumer_unpark(ipcf_ring_consumer *consumer)
{
    if (ipcf_load_relaxed(&consumer->shared->wants_data) != 0)
        ipcf_store_relaxed(&consumer->shared->wants_data, 0u);
}

bool ipcf_ring_consumer_leave(ipcf_ring_consumer *consumer)
{
    /* release: pairs with the acquire in ipcf_ring_consumer_has_left */
    ipcf_store_release(&consumer->shared->consumer_left, 1u);
    IPCF_TEST_STEP("ring consumer left");
    ipcf_fence_seq_cst();
    return ipcf_exchange_acq_rel(&consumer->shared->wants_space, 0u) != 0;
}

bool ipcf_ring_producer_has_left(const ipcf_ring_consumer *consumer)
{
    /* acquire: pairs with the release in ipcf_ring_producer_leave */
    return ipcf_load_acquire(&consumer->shared->producer_left) != 0;
}

uint32_t ipcf_ring_producer_cpu(const ipcf_ring_consumer *consumer)
{
    return ipcf_load_relaxed(&consumer->shared->producer_cpu);
}

void ipcf_ring_consumer_publish_cpu(ipcf_ring_consumer *consumer, uint32_t cpu)
{
    if (consumer->cpu != cpu) {
        consumer->cpu = cpu;
        ipcf_store_relaxed(&consumer->shared->consumer_cpu, cpu);
    }
}
