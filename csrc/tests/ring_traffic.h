/* SPDX-License-Identifier: MIT
 * What record number n of a test's traffic holds: size, kind, flags and every byte
 * follow from n, so that either side can tell a lost, torn, doubled or foreign record
 * from the right one.
 */
#ifndef IPCF_TESTS_RING_TRAFFIC_H
#define IPCF_TESTS_RING_TRAFFIC_H

#include <string.h>

#include "ipcf/ring.h"

/* What fits into the same time under a sanitizer: a test moves its plain count divided
 * by this. */
#if defined(__has_feature)
#define TRAFFIC_HAS_FEATURE(name) __has_feature(name)
#else
#define TRAFFIC_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || TRAFFIC_HAS_FEATURE(thread_sanitizer)
enum { UNDER_TSAN = 1, TRAFFIC_SLOWDOWN = 6 };
#elif defined(__SANITIZE_ADDRESS__) || TRAFFIC_HAS_FEATURE(address_sanitizer)
enum { UNDER_TSAN = 0, TRAFFIC_SLOWDOWN = 2 };
#else
enum { UNDER_TSAN = 0, TRAFFIC_SLOWDOWN = 1 };
#endif

static inline uint64_t traffic_mix(uint64_t n)
{
    n += UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

/* Mostly small, one in 32 up to what fits into the smallest ring, one in 256 up to the
 * largest record. */
static inline uint32_t traffic_size(uint64_t n, uint64_t capacity)
{
    uint64_t mixed = traffic_mix(n);
    uint32_t limit =
        (mixed & 31u) == 0 ? ipcf_ring_record_max(IPCF_RING_CAPACITY_MIN) : 72u;
    if ((mixed & 255u) == 0)
        limit = ipcf_ring_record_max(capacity);
    return (uint32_t)(mixed >> 8 & 0xffffffffu) % (limit + 1);
}

static inline uint8_t traffic_kind(uint64_t n)
{
    return (uint8_t)(traffic_mix(n) >> 40 & 0x7f);
}
static inline uint8_t traffic_flags(uint64_t n)
{
    return (uint8_t)(traffic_mix(n) >> 48 & 3);
}

static inline uint64_t traffic_word(uint64_t n, uint32_t i)
{
    return (n + 1) * UINT64_C(0xd1342543de82ef95) + i * UINT64_C(0x2545f4914f6cdd1d);
}

static inline void traffic_fill(uint8_t *payload, uint32_t size, uint64_t n)
{
    for (uint32_t i = 0; i < size; i += 8) {
        uint64_t word = traffic_word(n, i);
        memcpy(payload + i, &word, size - i < 8 ? size - i : 8);
    }
}

static inline bool traffic_is_intact(const uint8_t *payload, uint32_t size, uint64_t n)
{
    for (uint32_t i = 0; i < size; i += 8) {
        uint64_t word = traffic_word(n, i);
        if (memcmp(payload + i, &word, size - i < 8 ? size - i : 8) != 0)
            return false;
    }
    return true;
}

static inline bool traffic_is_record(const ipcf_record *record, uint64_t n,
                                     uint64_t capacity)
{
    return record->size == traffic_size(n, capacity) &&
           record->kind == traffic_kind(n) && record->flags == traffic_flags(n) &&
           traffic_is_intact(record->data, record->size, n);
}

#endif
