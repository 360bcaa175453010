/* SPDX-License-Identifier: MIT
 * Asking to be woken, telling the CPU, and leaving (docs/spec/ring.md, ring.h), from
 * one thread: every return value.
 */
#include "ring_ends.h"

static void test_consumer_parks(void)
{
    begin(CAPACITY);
    CHECK_STATUS(ipcf_ring_consumer_park(&consumer), IPCF_AGAIN);
    CHECK(wants_data() == 1);
    CHECK_OK(put(0, 8, 2, 0));
    CHECK(wants_data() == 1 && !ipcf_ring_has_record(&consumer));
    CHECK(ipcf_ring_publish(&producer)); /* rings, and only once */
    CHECK(wants_data() == 0);
    put_and_publish(1, 8);
    CHECK_OK(ipcf_ring_consumer_park(&consumer)); /* something is there */
    ipcf_ring_consumer_unpark(&consumer);
    CHECK(wants_data() == 0);
    put_and_publish(2, 8);
    CHECK(!take());
    CHECK_OK(ipcf_ring_consumer_park(&consumer)); /* known, not yet taken */
    ipcf_ring_consumer_unpark(&consumer);
    CHECK(!take() && !take());
    CHECK_STATUS(ipcf_ring_consumer_park(&consumer), IPCF_AGAIN);
    ipcf_ring_consumer_unpark(&consumer);
    CHECK(wants_data() == 0);
    put_and_publish(3, 8);
}

/* 512 records of 8 bytes: not one byte of room is left. */
static void fill(void)
{
    for (int i = 0; i < 512; i++)
        put_and_publish(0, 0);
}

/* Fill with records of 8 bytes, park for size, take one by one: exactly one release
 * says ring. */
static void check_producer_park(uint64_t offset, uint32_t size, bool generously)
{
    begin(CAPACITY);
    advance_to(offset);
    uint64_t from = tail();
    fill();
    uint64_t need = generously ? CAPACITY / 2 : needed(tail(), size, CAPACITY);
    CHECK_STATUS(ipcf_ring_producer_park(&producer, size, generously, &error),
                 IPCF_AGAIN);
    CHECK(wants_space() == need);
    uint64_t rung_at = (need + 511) / 512 * 512; /* the head is published in eighths */
    for (uint64_t taken = 8; taken <= CAPACITY; taken += 8) {
        CHECK(take() == (taken == rung_at));
        CHECK(wants_space() == (taken < rung_at ? need : 0));
    }
    CHECK(head() == from + CAPACITY);
    CHECK_OK(ipcf_ring_producer_park(&producer, size, generously, &error));
    ipcf_ring_producer_unpark(&producer);
    CHECK(wants_space() == 0);
    CHECK_OK(put(1, size, 2, 0));
}

static void test_producer_parks(void)
{
    for (uint64_t offset = 0; offset < CAPACITY; offset += 248) {
        check_producer_park(offset, 0, false);
        check_producer_park(offset, 504, false);
        check_producer_park(offset, 505, false);
        check_producer_park(offset, SIZE_MAX_RECORD, false);
        check_producer_park(offset, SIZE_MAX_RECORD, true);
    }
    begin(CAPACITY); /* parked, thought better of it: nobody rings */
    fill();
    CHECK_STATUS(ipcf_ring_producer_park(&producer, 0, false, &error), IPCF_AGAIN);
    ipcf_ring_producer_unpark(&producer);
    for (int i = 0; i < 512; i++)
        CHECK(!take());
}

static void test_cpu(void)
{
    begin(CAPACITY);
    CHECK(ipcf_ring_consumer_cpu(&producer) == IPCF_CPU_UNKNOWN);
    CHECK(ipcf_ring_producer_cpu(&consumer) == IPCF_CPU_UNKNOWN);
    for (uint32_t cpu = 0; cpu < 300; cpu += 99) {
        ipcf_ring_producer_publish_cpu(&producer, cpu);
        ipcf_ring_consumer_publish_cpu(&consumer, cpu + 1);
        CHECK(load(AT_PRODUCER_CPU, 4) == cpu && load(AT_CONSUMER_CPU, 4) == cpu + 1);
        CHECK(ipcf_ring_producer_cpu(&consumer) == cpu);
        CHECK(ipcf_ring_consumer_cpu(&producer) == cpu + 1);
    }
}

/* Leaving ends the other side's sleep, whichever of the two comes first, and takes
 * nothing back. */
static void test_producer_leaves(void)
{
    begin(CAPACITY);
    put_and_publish(4, 100);
    CHECK(!ipcf_ring_producer_has_left(&consumer));
    CHECK(!ipcf_ring_producer_leave(&producer)); /* nobody sleeps */
    CHECK(load(AT_PRODUCER_LEFT, 4) == 1 && load(AT_CONSUMER_LEFT, 4) == 0);
    CHECK(ipcf_ring_producer_has_left(&consumer));
    check_record(4, 100, 2, 0);
    CHECK(!ipcf_ring_release(&consumer));
    check_empty();
    CHECK_OK(ipcf_ring_consumer_park(&consumer));
    begin(CAPACITY);
    CHECK_STATUS(ipcf_ring_consumer_park(&consumer), IPCF_AGAIN);
    CHECK(ipcf_ring_producer_leave(&producer));
    CHECK(wants_data() == 0);
}

static void test_consumer_leaves(void)
{
    begin(CAPACITY);
    CHECK(!ipcf_ring_consumer_has_left(&producer));
    CHECK(!ipcf_ring_consumer_leave(&consumer));
    CHECK(load(AT_CONSUMER_LEFT, 4) == 1 && load(AT_PRODUCER_LEFT, 4) == 0);
    CHECK(ipcf_ring_consumer_has_left(&producer));
    fill();
    CHECK_OK(ipcf_ring_producer_park(&producer, 0, false, &error));
    begin(CAPACITY);
    fill();
    CHECK_STATUS(ipcf_ring_producer_park(&producer, 0, true, &error), IPCF_AGAIN);
    CHECK(ipcf_ring_consumer_leave(&consumer));
    CHECK(wants_space() == 0);
}

static void test_park_refuses_a_head_that_cannot_be(void)
{
    static const uint64_t wrong[] = {8, 1, CAPACITY, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin(CAPACITY);
        store(AT_HEAD, wrong[i], 8);
        CHECK_STATUS(ipcf_ring_producer_park(&producer, 0, false, &error),
                     IPCF_CORRUPT);
        CHECK(error.what != NULL && error.found == wrong[i]);
    }
}

/* The head that is published frees one record, although the consumer knows of no other:
 * too little for a producer that wants half the ring. */
static void test_free_space_is_what_the_producer_sees(void)
{
    begin(CAPACITY);
    put_and_publish(0, 0);
    check_record(0, 0, 2, 0);
    for (int i = 1; i < 512; i++)
        put_and_publish(0, 0);
    CHECK_STATUS(ipcf_ring_producer_park(&producer, 0, true, &error), IPCF_AGAIN);
    CHECK(!ipcf_ring_release(&consumer));
    CHECK(head() == 8 && wants_space() == CAPACITY / 2);
    for (int taken = 2; taken <= 512; taken++)
        CHECK(take() == (taken == 257)); /* eighths after the first record */
}

int main(void)
{
    RUN(test_consumer_parks);
    RUN(test_producer_parks);
    RUN(test_free_space_is_what_the_producer_sees);
    RUN(test_park_refuses_a_head_that_cannot_be);
    RUN(test_cpu);
    RUN(test_producer_leaves);
    RUN(test_consumer_leaves);
    return 0;
}
