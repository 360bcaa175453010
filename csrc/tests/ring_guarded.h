/* SPDX-License-Identifier: MIT
 * A ring between closed pages, so that one byte too far is a crash, and the values that
 * a hostile peer would try.
 */
#ifndef IPCF_TESTS_RING_GUARDED_H
#define IPCF_TESTS_RING_GUARDED_H

#include <sys/mman.h>

#include "check.h"
#include "ring_traffic.h"

#define GUARD (UINT64_C(64) << 10)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define INTERESTING_MAX 128

static uint8_t *memory;
static uint64_t capacity;

/* docs/spec/ring.md */
enum {
    AT_TAIL = 128,
    AT_WANTS_SPACE = 256,
    AT_HEAD = 384,
    AT_WANTS_DATA = 512,
    AT_DATA = 4096
};

static inline void open_memory(uint64_t bytes)
{
    capacity = bytes;
    size_t size = (size_t)(ipcf_ring_size(bytes) + 2 * GUARD);
    uint8_t *all =
        mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(all != MAP_FAILED);
    memory = all + GUARD;
    CHECK(mprotect(memory, size - 2 * GUARD, PROT_READ | PROT_WRITE) == 0);
    ipcf_ring_format(memory, capacity);
}

static inline void close_memory(void)
{
    CHECK(munmap(memory - GUARD, (size_t)(ipcf_ring_size(capacity) + 2 * GUARD)) == 0);
}

static inline void put(uint64_t offset, uint64_t value)
{
    memcpy(memory + offset, &value, 8);
}

static inline bool is_inside(const uint8_t *at, uint64_t size)
{
    const uint8_t *data = memory + 4096;
    return at >= data && at <= data + capacity &&
           size <= (uint64_t)(data + capacity - at);
}

/* Round numbers, and what lies next to them, where an unchecked sum or comparison would
 * go wrong. */
static inline size_t interesting(uint64_t *values)
{
    uint64_t centres[] = {0,
                          8,
                          capacity / 8,
                          capacity / 4 - 8,
                          capacity / 4,
                          capacity / 2,
                          capacity - 8,
                          capacity,
                          2 * capacity,
                          UINT64_C(1) << 31,
                          UINT64_C(1) << 32,
                          (UINT64_C(1) << 32) + capacity,
                          UINT64_C(1) << 48,
                          UINT64_C(1) << 63,
                          (UINT64_C(1) << 63) + capacity,
                          0 - capacity,
                          0 - capacity / 4,
                          0 - UINT64_C(8)};
    static const int64_t steps[] = {-8, -1, 0, 1, 8};
    size_t count = 0;
    for (size_t i = 0; i < COUNT(centres); i++)
        for (size_t k = 0; k < COUNT(steps); k++)
            values[count++] = centres[i] + (uint64_t)steps[k];
    return count;
}

#endif
