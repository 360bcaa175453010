/* SPDX-License-Identifier: MIT
 * The ring against memory that lies, one value at a time: every combination of
 * adversarial head, tail, header and size, compared with an oracle written from
 * docs/spec/ring.md, between closed pages.
 */
#include "ring_guarded.h"

enum { HEADERS_MAX = 8 * INTERESTING_MAX };

/* Every interesting size below every kind and flag that means something, and as 64-bit
 * values too. */
static size_t interesting_headers(uint64_t *headers)
{
    static const uint64_t uppers[] = {0,     0x01,  0xff,    0x1ff,
                                      0x301, 0x401, 0x10001, 0x80000000};
    uint64_t values[INTERESTING_MAX];
    size_t count = 0, value_count = interesting(values);
    for (size_t i = 0; i < value_count; i++)
        for (size_t k = 0; k < COUNT(uppers); k++)
            headers[count++] = (k == 7 ? values[i] : (uint32_t)values[i]) |
                               uppers[k] % 0x80000000 << 32;
    return count;
}

/* docs/spec/ring.md, "Publishing and consuming": what peek must answer. The header
 * after padding is zero. */
static ipcf_status peek_due(uint64_t head, uint64_t tail, uint64_t header,
                            uint64_t known_flags, ipcf_record *due)
{
    uint64_t used = tail - head, offset = head % capacity, size = (uint32_t)header;
    uint64_t stride = 8 + (size + 7) / 8 * 8;
    if (used == 0)
        return IPCF_AGAIN;
    if (used > capacity || tail % 8 != 0)
        return IPCF_CORRUPT;
    if ((header >> 40 & ~known_flags) != 0 || size > capacity / 4 - 8 ||
        stride > used || stride > capacity - offset)
        return IPCF_CORRUPT;
    *due = (ipcf_record){memory + 4096 + offset + 8, (uint32_t)size,
                         (uint8_t)(header >> 32), (uint8_t)(header >> 40)};
    if (due->kind != 0xff)
        return IPCF_OK;
    if (offset == 0 || stride != capacity - offset || due->flags != 0)
        return IPCF_CORRUPT;
    *due = (ipcf_record){.data = memory + 4096 + 8};
    return used == stride ? IPCF_AGAIN : IPCF_OK;
}

static void check_peek(uint64_t head, uint64_t tail, uint64_t header,
                       uint64_t known_flags)
{
    ipcf_ring_consumer consumer = {.shared = (ipcf_ring_shared *)(void *)memory,
                                   .data = memory + 4096,
                                   .capacity = capacity,
                                   .head = head,
                                   .published_head = head,
                                   .cached_tail = head,
                                   .known_flags = known_flags};
    ipcf_record record = {0}, due = {0};
    ipcf_error error = {0};
    put(AT_TAIL, tail);
    CHECK(ipcf_ring_has_record(&consumer) == (tail != head));
    ipcf_status status = ipcf_ring_peek(&consumer, &record, &error);
    CHECK_STATUS(status, peek_due(head, tail, header, known_flags, &due));
    CHECK(status != IPCF_CORRUPT || error.what != NULL);
    if (status != IPCF_OK)
        return;
    CHECK(record.data == due.data && record.size == due.size);
    CHECK(record.kind == due.kind && record.flags == due.flags);
    CHECK(is_inside(record.data, record.size));
    CHECK(!ipcf_ring_release(&consumer)); /* nobody waits for space */
    CHECK(tail - consumer.head <= tail - head);
}

static void peek_everything(uint64_t bytes, uint64_t known_flags)
{
    static uint64_t values[INTERESTING_MAX], headers[HEADERS_MAX];
    open_memory(bytes);
    size_t count = interesting(values), header_count = interesting_headers(headers);
    for (size_t h = 0; h < count; h++) {
        uint64_t head = values[h] & ~UINT64_C(7), at = 4096 + head % capacity;
        for (size_t i = 0; i < header_count; i++) {
            put(at, headers[i]);
            for (size_t t = 0; t < count; t++) {
                check_peek(head, values[t], headers[i], known_flags);
                check_peek(head, head + values[t], headers[i], known_flags);
            }
        }
        put(at, 0);
    }
    close_memory();
}

static ipcf_status claim_due(uint64_t tail, uint64_t head, uint32_t size)
{
    uint64_t to_end = capacity - tail % capacity,
             stride = 8 + ((uint64_t)size + 7) / 8 * 8;
    uint64_t needed = stride <= to_end ? stride : to_end + stride;
    if (tail - head > capacity || head % 8 != 0)
        return IPCF_CORRUPT;
    return needed <= capacity - (tail - head) ? IPCF_OK : IPCF_AGAIN;
}

static void check_claim(uint64_t tail, uint64_t head, uint32_t size)
{
    ipcf_ring_producer producer = {.shared = (ipcf_ring_shared *)(void *)memory,
                                   .data = memory + 4096,
                                   .capacity = capacity,
                                   .tail = tail,
                                   .cached_head = tail - capacity};
    ipcf_error error = {0};
    uint8_t *payload = NULL;
    put(AT_HEAD, head);
    ipcf_status due = claim_due(tail, head, size);
    CHECK_STATUS(ipcf_ring_producer_park(&producer, size, (size & 1) != 0, &error),
                 due);
    producer.cached_head = tail - capacity;
    CHECK_STATUS(ipcf_ring_claim(&producer, size, &payload, &error), due);
    CHECK(due != IPCF_CORRUPT || (error.what != NULL && error.found == head));
    if (due != IPCF_OK)
        return;
    CHECK(is_inside(payload, size) && (uintptr_t)payload % 8 == 0);
    CHECK(payload >= memory + 4096 + 8);
    if (size != 0)
        payload[0] = payload[size - 1] = 1;
    ipcf_ring_commit(&producer, 1, 0);
    CHECK(producer.tail - tail <= capacity - (tail - head));
}

static void claim_everything(uint64_t bytes)
{
    uint64_t values[INTERESTING_MAX];
    open_memory(bytes);
    uint32_t limit = ipcf_ring_record_max(capacity);
    uint32_t sizes[] = {0,         1,         7,         8,         9,
                        limit / 2, limit - 8, limit - 7, limit - 1, limit};
    size_t count = interesting(values);
    for (size_t t = 0; t < count; t++)
        for (size_t h = 0; h < count; h++)
            for (size_t s = 0; s < COUNT(sizes); s++) {
                uint64_t tail = values[t] & ~UINT64_C(7);
                check_claim(tail, values[h], sizes[s]);
                check_claim(tail, tail - values[h], sizes[s]);
            }
    close_memory();
}

static void test_every_header_and_tail(void)
{
    const uint64_t untimed = IPCF_RING_MORE | IPCF_RING_CONTINUED;
    peek_everything(IPCF_RING_CAPACITY_MIN, untimed);
    peek_everything(IPCF_RING_CAPACITY_MIN, untimed | IPCF_RING_TIMED);
    peek_everything(UINT64_C(1) << 16, untimed);
    peek_everything(IPCF_RING_CAPACITY_MAX, untimed | IPCF_RING_TIMED);
}

static void test_every_head(void)
{
    claim_everything(IPCF_RING_CAPACITY_MIN);
    claim_everything(UINT64_C(1) << 16);
    claim_everything(IPCF_RING_CAPACITY_MAX);
}

int main(void)
{
    RUN(test_every_header_and_tail);
    RUN(test_every_head);
    return 0;
}
