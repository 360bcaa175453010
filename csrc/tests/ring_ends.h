/* SPDX-License-Identifier: MIT
 * A ring in plain memory with both its ends in one thread, and its shared bytes by the
 * offsets of docs/spec/ring.md.
 */
#ifndef IPCF_TESTS_RING_ENDS_H
#define IPCF_TESTS_RING_ENDS_H

#include "check.h"
#include "ipcf/ring.h"

#define CAPACITY UINT64_C(4096)
#define SIZE_MAX_RECORD 1016u /* CAPACITY / 4 - 8 */
#define LARGEST_TESTED (UINT64_C(64) << 10)
#define PADDING 0xffu

static _Alignas(4096) uint8_t memory[4096 + LARGEST_TESTED];
static uint8_t *const data = memory + 4096;
static ipcf_ring_producer producer;
static ipcf_ring_consumer consumer;
static ipcf_error error;

/* Offsets of docs/spec/ring.md, on purpose not taken from the struct. */
enum {
    AT_TAIL = 128,
    AT_PRODUCER_CPU = 136,
    AT_WANTS_SPACE = 256,
    AT_PRODUCER_LEFT = 260,
    AT_HEAD = 384,
    AT_CONSUMER_CPU = 392,
    AT_WANTS_DATA = 512,
    AT_CONSUMER_LEFT = 516
};

static inline uint64_t load(size_t offset, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)memory[offset + i] << (8 * i);
    return value;
}

static inline void store(size_t offset, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        memory[offset + i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t tail(void) { return load(AT_TAIL, 8); }
static inline uint64_t head(void) { return load(AT_HEAD, 8); }
static inline uint64_t wants_space(void) { return load(AT_WANTS_SPACE, 4); }
static inline uint64_t wants_data(void) { return load(AT_WANTS_DATA, 4); }

static inline uint64_t stride(uint64_t size) { return 8 + (size + 7) / 8 * 8; }

/* Bytes that a record takes at a position, the padding before it included. */
static inline uint64_t needed(uint64_t position, uint64_t size, uint64_t capacity)
{
    uint64_t to_end = capacity - position % capacity;
    return stride(size) <= to_end ? stride(size) : to_end + stride(size);
}

static inline void begin(uint64_t capacity)
{
    memset(memory, 0, (size_t)(4096 + capacity));
    ipcf_ring_format(memory, capacity);
    CHECK_OK(ipcf_ring_attach_producer(&producer, memory, capacity, &error));
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, memory, capacity, &error));
}

static inline uint8_t byte_of(uint64_t seed, uint32_t i)
{
    return (uint8_t)(seed * 31 + i * 7 + 1);
}

static inline ipcf_status put(uint64_t seed, uint32_t size, uint8_t kind, uint8_t flags)
{
    uint8_t *payload = NULL;
    ipcf_status status = ipcf_ring_claim(&producer, size, &payload, &error);
    if (status != IPCF_OK)
        return status;
    for (uint32_t i = 0; i < size; i++)
        payload[i] = byte_of(seed, i);
    ipcf_ring_commit(&producer, kind, flags);
    return IPCF_OK;
}

static inline void put_and_publish(uint64_t seed, uint32_t size)
{
    CHECK_OK(put(seed, size, 2, 0));
    CHECK(!ipcf_ring_publish(&producer));
}

static inline void check_record(uint64_t seed, uint32_t size, uint8_t kind,
                                uint8_t flags)
{
    ipcf_record record;
    CHECK_OK(ipcf_ring_peek(&consumer, &record, &error));
    CHECK(record.size == size && record.kind == kind && record.flags == flags);
    for (uint32_t i = 0; i < size; i++)
        CHECK(record.data[i] == byte_of(seed, i));
}

static inline bool take(void)
{
    ipcf_record record;
    CHECK_OK(ipcf_ring_peek(&consumer, &record, &error));
    return ipcf_ring_release(&consumer);
}

static inline void check_empty(void)
{
    ipcf_record record;
    CHECK(!ipcf_ring_has_record(&consumer));
    CHECK_STATUS(ipcf_ring_peek(&consumer, &record, &error), IPCF_AGAIN);
}

/* Publish and take records until the next one would start at this data offset. */
static inline void advance_to(uint64_t offset)
{
    while (tail() % CAPACITY != offset) {
        uint64_t to_go = (offset - tail()) % CAPACITY;
        uint64_t to_end = CAPACITY - tail() % CAPACITY;
        uint64_t step = to_go < to_end ? to_go : to_end;
        put_and_publish(0, step < 1024 ? (uint32_t)step - 8 : SIZE_MAX_RECORD);
        CHECK(!take());
    }
}

#endif
