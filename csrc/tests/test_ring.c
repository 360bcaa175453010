/* SPDX-License-Identifier: MIT
 * The ring's bytes and records (docs/spec/ring.md, ring.h), from one thread:
 * formatting, wrapping, padding, room.
 */
#include "ring_ends.h"

static void test_capacities(void)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t power = UINT64_C(1) << bit;
        CHECK(ipcf_ring_capacity_is_valid(power) == (bit >= 12 && bit <= 30));
        CHECK(bit < 2 || !ipcf_ring_capacity_is_valid(power - 1));
        CHECK(bit < 2 || !ipcf_ring_capacity_is_valid(power + 1));
        CHECK(bit < 2 || !ipcf_ring_capacity_is_valid(power + power / 2));
    }
    CHECK(!ipcf_ring_capacity_is_valid(0));
    CHECK(!ipcf_ring_capacity_is_valid(UINT64_MAX));
    CHECK(ipcf_ring_size(CAPACITY) == 8192);
    CHECK(ipcf_ring_size(UINT64_C(1) << 30) == (UINT64_C(1) << 30) + 4096);
    CHECK(ipcf_ring_record_max(CAPACITY) == SIZE_MAX_RECORD);
    CHECK(ipcf_ring_record_max(UINT64_C(1) << 30) == (UINT32_C(1) << 28) - 8);
}

static void test_format_is_byte_exact(void)
{
    memset(memory, 0, sizeof memory);
    ipcf_ring_format(memory, CAPACITY);
    CHECK(memcmp(memory, "IPCRING1", 8) == 0);
    CHECK(load(8, 4) == 1);
    CHECK(load(16, 8) == CAPACITY);
    CHECK(load(AT_PRODUCER_CPU, 4) == 0xffffffff);
    CHECK(load(AT_CONSUMER_CPU, 4) == 0xffffffff);
    store(0, 0, 8);
    store(8, 0, 4);
    store(16, 0, 8);
    store(AT_PRODUCER_CPU, 0, 4);
    store(AT_CONSUMER_CPU, 0, 4);
    for (size_t i = 0; i < sizeof memory; i++)
        CHECK(memory[i] == 0);
}

static void check_attach(ipcf_status producer_due, ipcf_status consumer_due)
{
    error = (ipcf_error){0};
    CHECK_STATUS(ipcf_ring_attach_producer(&producer, memory, CAPACITY, &error),
                 producer_due);
    CHECK(producer_due == IPCF_OK || error.what != NULL);
    CHECK(producer_due == IPCF_OK || error.expected != error.found);
    CHECK_STATUS(ipcf_ring_attach_consumer(&consumer, memory, CAPACITY, NULL),
                 consumer_due);
}

static void test_attach_refuses_what_is_not_a_fresh_ring(void)
{
    static const struct {
        size_t offset;
        uint64_t value;
        unsigned bytes;
    } wrong[] = {
        {0, 0, 8},
        {0, IPCF_RING_MAGIC ^ 1, 8},
        {0, IPCF_RING_MAGIC << 8, 8},
        {8, 0, 4},
        {8, 2, 4},
        {8, UINT32_C(1) << 24, 4},
        {16, 0, 8},
        {16, CAPACITY * 2, 8},
        {16, CAPACITY / 2, 8},
        {16, 4097, 8},
        {16, CAPACITY | UINT64_C(1) << 32, 8},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin(CAPACITY);
        store(wrong[i].offset, wrong[i].value, wrong[i].bytes);
        check_attach(IPCF_CORRUPT, IPCF_CORRUPT);
    }
    begin(CAPACITY);
    store(AT_TAIL, 8, 8);
    CHECK_STATUS(ipcf_ring_attach_producer(&producer, memory, CAPACITY, &error),
                 IPCF_CORRUPT);
    begin(CAPACITY);
    store(AT_HEAD, 8, 8);
    CHECK_STATUS(ipcf_ring_attach_consumer(&consumer, memory, CAPACITY, &error),
                 IPCF_CORRUPT);
}

/* The creator is ready first: it may publish, or sleep, before the adopter has attached
 * its end. */
static void test_attach_after_the_peer_has_begun(void)
{
    begin(CAPACITY);
    put_and_publish(5, 40);
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, memory, CAPACITY, &error));
    check_record(5, 40, 2, 0);
    begin(CAPACITY);
    CHECK_STATUS(ipcf_ring_consumer_park(&consumer), IPCF_AGAIN);
    CHECK_OK(ipcf_ring_attach_producer(&producer, memory, CAPACITY, &error));
    CHECK_OK(put(5, 40, 2, 0));
    CHECK(ipcf_ring_publish(&producer));
}

/* One record of every size at every offset: bytes of header, padding and payload as the
 * spec says. */
static void check_record_at(uint64_t offset, uint32_t size)
{
    advance_to(offset);
    uint64_t before = tail();
    uint64_t end = before + needed(before, size, CAPACITY);
    memset(data + offset, 0xEE,
           (size_t)(CAPACITY - offset < 16 ? CAPACITY - offset : 16));
    CHECK_OK(put(offset + size, size, 1, IPCF_RING_MORE));
    CHECK(!ipcf_ring_publish(&producer));
    CHECK(tail() == end);
    uint64_t start = (end - stride(size)) % CAPACITY;
    CHECK(start + stride(size) <= CAPACITY);
    if (start != offset) {
        CHECK(start == 0 && offset != 0);
        CHECK(load(4096 + offset, 4) == CAPACITY - offset - 8);
        CHECK(load(4096 + offset + 4, 4) == PADDING);
    }
    CHECK(load(4096 + start, 4) == size);
    CHECK(load(4096 + start + 4, 4) == (UINT64_C(1) | UINT64_C(1) << 8));
    for (uint32_t i = 0; i < size; i++)
        CHECK(data[start + 8 + i] == byte_of(offset + size, i));
    check_record(offset + size, size, 1, IPCF_RING_MORE);
    CHECK(!ipcf_ring_release(&consumer));
    CHECK(head() == tail());
}

static void test_every_size_at_every_offset(void)
{
    begin(CAPACITY);
    for (uint64_t offset = 0; offset < CAPACITY; offset += 8)
        for (uint32_t size = 0; size <= SIZE_MAX_RECORD;
             size += size < 24 || size > 1000 ? 1 : 13)
            check_record_at(offset, size);
    for (uint64_t offset = CAPACITY - 1032; offset < CAPACITY; offset += 8)
        for (uint32_t size = 0; size <= SIZE_MAX_RECORD; size++)
            check_record_at(offset, size);
    check_empty();
}

static void test_kinds_and_flags(void)
{
    static const uint8_t kinds[] = {0, 1, 2, 0xf0, 0xf1, 0xf2, 0xf3, 0xfe};
    begin(CAPACITY);
    for (size_t i = 0; i < sizeof kinds; i++)
        for (uint8_t flags = 0; flags <= 3; flags++) {
            CHECK_OK(put(i, 3, kinds[i], flags));
            CHECK(!ipcf_ring_publish(&producer));
            check_record(i, 3, kinds[i], flags);
            CHECK(!ipcf_ring_release(&consumer));
        }
}

static void test_batch_is_visible_at_publish_only(void)
{
    begin(CAPACITY);
    for (uint32_t i = 0; i < 5; i++)
        CHECK_OK(put(i, i * 100, 2, 0));
    CHECK(tail() == 0);
    check_empty();
    CHECK(!ipcf_ring_publish(&producer));
    CHECK(tail() == 8 + 112 + 208 + 312 + 408);
    CHECK_OK(put(9, 16, 2, 0)); /* committed only: not part of what follows */
    for (uint32_t i = 0; i < 5; i++) {
        check_record(i, i * 100, 2, 0);
        check_record(i, i * 100, 2, 0); /* peeking twice gives the same */
        CHECK(ipcf_ring_has_record(&consumer));
        CHECK(!ipcf_ring_release(&consumer));
    }
    check_empty();
    CHECK(!ipcf_ring_publish(&producer));
    check_record(9, 16, 2, 0);
}

static void test_claim_again_replaces_the_claim(void)
{
    uint8_t *first = NULL;
    uint8_t *second = NULL;
    begin(CAPACITY);
    CHECK_OK(ipcf_ring_claim(&producer, SIZE_MAX_RECORD, &first, &error));
    CHECK_OK(ipcf_ring_claim(&producer, 1, &second, &error));
    CHECK(first == data + 8 && second == first);
    *second = 77;
    ipcf_ring_commit(&producer, 2, 0);
    CHECK(!ipcf_ring_publish(&producer));
    CHECK(tail() == 16 && data[8] == 77);
}

/* 512 records of 8 bytes fill the ring to the last byte; room returns in eighths, or
 * when all is taken. */
static void test_full_and_lazy_head(void)
{
    begin(CAPACITY);
    for (int i = 0; i < 512; i++)
        CHECK_OK(put(0, 0, 2, 0));
    CHECK_STATUS(put(0, 0, 2, 0), IPCF_AGAIN);
    CHECK(!ipcf_ring_publish(&producer));
    CHECK(tail() == CAPACITY);
    for (uint64_t eighth = 1; eighth <= 8; eighth++) {
        for (int i = 0; i < 63; i++)
            CHECK(!take() && head() == (eighth - 1) * 512);
        CHECK_STATUS(put(0, 0, 2, 0), IPCF_AGAIN);
        CHECK(!take() && head() == eighth * 512);
        for (int i = 0; i < 64; i++)
            CHECK_OK(put(0, 0, 2, 0));
        CHECK_STATUS(put(0, 0, 2, 0), IPCF_AGAIN);
    }
    CHECK(!ipcf_ring_publish(&producer));
    begin(CAPACITY); /* known and taken: published although it is little */
    put_and_publish(0, 8);
    put_and_publish(0, 8);
    CHECK(!take() && head() == 0);
    CHECK(!take() && head() == 32);
}

/* Random sizes against a model that knows only the rules of the spec. */
static void test_room_is_exact(void)
{
    uint64_t random = 1;
    uint64_t committed = 0; /* the model's tail */
    uint64_t sizes[512];
    uint64_t first = 0, count = 0, published_count = 0;
    begin(CAPACITY);
    for (int step = 0; step < 300000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned choice = (unsigned)(random >> 33) % 8;
        uint32_t size = (uint32_t)(random >> 40) % (choice == 0 ? 1017 : 60);
        if (choice < 4) {
            uint64_t need = needed(committed, size, CAPACITY);
            bool fits = committed - head() + need <= CAPACITY;
            CHECK_STATUS(put(first + count, size, 2, 0), fits ? IPCF_OK : IPCF_AGAIN);
            if (fits)
                committed += need, sizes[(first + count++) % 512] = size;
        } else if (choice == 4) {
            CHECK(!ipcf_ring_publish(&producer));
            published_count = count;
            CHECK(tail() == committed);
        } else if (published_count == 0) {
            check_empty();
        } else {
            check_record(first, (uint32_t)sizes[first % 512], 2, 0);
            CHECK(!ipcf_ring_release(&consumer));
            first++, count--, published_count--;
        }
        CHECK(committed - head() <= CAPACITY && head() % 8 == 0);
    }
}

int main(void)
{
    RUN(test_capacities);
    RUN(test_format_is_byte_exact);
    RUN(test_attach_refuses_what_is_not_a_fresh_ring);
    RUN(test_attach_after_the_peer_has_begun);
    RUN(test_every_size_at_every_offset);
    RUN(test_kinds_and_flags);
    RUN(test_batch_is_visible_at_publish_only);
    RUN(test_claim_again_replaces_the_claim);
    RUN(test_full_and_lazy_head);
    RUN(test_room_is_exact);
    return 0;
}
