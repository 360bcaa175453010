/* SPDX-License-Identifier: MIT
 * The ring between two threads: nothing lost, torn, doubled or overwritten, and no
 * wake-up lost.
 */
#include "ring_sides.h"

static void *producer_thread(void *argument)
{
    traffic *way = argument;
    ipcf_ring_producer producer;
    pin(way->producer_cpu);
    CHECK_OK(ipcf_ring_attach_producer(&producer, way->memory, way->capacity, NULL));
    for (uint64_t n = 0; n < way->count; n++)
        produce(way, &producer, n);
    publish(way, &producer);
    if (ipcf_ring_producer_leave(&producer))
        ipcf_doorbell_ring(&way->data_bell);
    return NULL;
}

static void *consumer_thread(void *argument)
{
    traffic *way = argument;
    ipcf_ring_consumer consumer;
    ipcf_record record;
    pin(way->consumer_cpu);
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, way->memory, way->capacity, NULL));
    for (uint64_t n = 0; n < way->count; n++) {
        if (n % 65536 == 0)
            alarm(WATCHDOG_SECONDS); /* for so many records, however slow the machine */
        CHECK(consume(way, &consumer, n, IPCF_NEVER));
    }
    while (!ipcf_ring_producer_has_left(&consumer))
        ipcf_thread_yield();
    CHECK_STATUS(ipcf_ring_peek(&consumer, &record, NULL), IPCF_AGAIN);
    return NULL;
}

static void run_threads(uint64_t capacity, uint64_t count, bool sleeps,
                        bool on_two_cpus)
{
    traffic way = {
        .capacity = capacity, .count = count / TRAFFIC_SLOWDOWN, .sleeps = sleeps};
    way.producer_cpu = first_cpu;
    way.consumer_cpu = on_two_cpus ? last_cpu : first_cpu;
    open_traffic(&way);
    alarm(WATCHDOG_SECONDS);
    uint64_t started_ns = ipcf_clock_ns();
    pthread_t threads[2];
    CHECK(pthread_create(&threads[0], NULL, producer_thread, &way) == 0);
    CHECK(pthread_create(&threads[1], NULL, consumer_thread, &way) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
    alarm(0);
    printf("    %9llu records, %6llu KiB, %s, %s: %5llu ms, rings for data %llu, for "
           "space %llu\n",
           (unsigned long long)way.count, (unsigned long long)(capacity >> 10),
           sleeps ? "sleeping" : "spinning", on_two_cpus ? "two CPUs" : "one CPU",
           (unsigned long long)((ipcf_clock_ns() - started_ns) / 1000000),
           (unsigned long long)way.data_rings, (unsigned long long)way.space_rings);
    CHECK(!sleeps || way.data_rings + way.space_rings > 0);
    close_traffic(&way);
}

static void test_threads_that_spin(void)
{
    run_threads(4096, 4000000, false, true);
    run_threads(4096, 4000000, false, false);
    run_threads(UINT64_C(1) << 16, 4000000, false, true);
}

static void test_threads_that_sleep(void)
{
    run_threads(4096, 500000, true, true);
    run_threads(4096, 2000000, true, false);
    run_threads(UINT64_C(1) << 16, 4000000, true, true);
    run_threads(UINT64_C(1) << 16, 4000000, true, false);
}

/* ---- wake-ups at close range ----------------------------------------------------- */

/* Bells that are words, so that parking and waking meet within nanoseconds, millions of
 * times: the two sides start each round together, and the one that parks must be rung
 * by the only step that the other takes in this round. */
typedef struct duel {
    uint8_t *memory;
    uint64_t rounds;
    ipcf_atomic_u64 producer_round; /* the last round that the side has begun */
    ipcf_atomic_u64 consumer_round;
    ipcf_atomic_u32 bell;
} duel;

static void turn(uint64_t turns)
{
    if (first_cpu == last_cpu || turns % 4096 == 4095)
        ipcf_thread_yield();
    else
        ipcf_cpu_relax();
}

/* Meet the other side at the start of a round, then take up to some hundred
 * nanoseconds. */
static void begin_round(ipcf_atomic_u64 *mine, ipcf_atomic_u64 *others, uint64_t round,
                        uint64_t salt)
{
    if (round % 65536 == 0)
        alarm(WATCHDOG_SECONDS);
    /* release and acquire: pair with each other in the other side's begin_round */
    ipcf_store_release(mine, round);
    for (uint64_t turns = 0; ipcf_load_acquire(others) < round; turns++)
        turn(turns);
    for (uint64_t i = traffic_mix(round ^ salt) % 16; i > 0; i--)
        ipcf_cpu_relax();
}

static void ring_word(duel *both)
{
    /* release: pairs with the acquire in wait_for_word */
    ipcf_store_release(&both->bell, 1u);
}

static void wait_for_word(duel *both)
{
    for (uint64_t turns = 0; ipcf_load_acquire(&both->bell) == 0; turns++)
        turn(turns);
    ipcf_store_relaxed(&both->bell, 0u);
}

static void send_one(ipcf_ring_producer *producer, uint8_t *payload)
{
    *payload = 1;
    ipcf_ring_commit(producer, 2, 0);
}

/* Each round: one record comes, or the consumer has parked before. */
static void *duel_for_data(void *argument)
{
    duel *both = argument;
    ipcf_ring_producer producer;
    uint8_t *payload = NULL;
    pin(first_cpu);
    CHECK_OK(ipcf_ring_attach_producer(&producer, both->memory, IPCF_RING_CAPACITY_MIN,
                                       NULL));
    for (uint64_t round = 1; round <= both->rounds; round++) {
        begin_round(&both->producer_round, &both->consumer_round, round, 1);
        CHECK_OK(ipcf_ring_claim(&producer, 1, &payload, NULL));
        send_one(&producer, payload);
        if (ipcf_ring_publish(&producer))
            ring_word(both);
    }
    return NULL;
}

static void *park_for_data(void *argument)
{
    duel *both = argument;
    ipcf_ring_consumer consumer;
    ipcf_record record;
    pin(last_cpu);
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, both->memory, IPCF_RING_CAPACITY_MIN,
                                       NULL));
    for (uint64_t round = 1; round <= both->rounds; round++) {
        begin_round(&both->consumer_round, &both->producer_round, round, 2);
        while (ipcf_ring_consumer_park(&consumer) == IPCF_AGAIN)
            wait_for_word(both);
        ipcf_ring_consumer_unpark(&consumer);
        CHECK_OK(ipcf_ring_peek(&consumer, &record, NULL));
        CHECK(!ipcf_ring_release(&consumer));
    }
    return NULL;
}

/* Each round: one record of a quarter of the ring goes from a full ring, or the
 * producer has parked before. */
static void *park_for_space(void *argument)
{
    duel *both = argument;
    ipcf_ring_producer producer;
    uint8_t *payload = NULL;
    uint32_t size = ipcf_ring_record_max(IPCF_RING_CAPACITY_MIN);
    pin(first_cpu);
    CHECK_OK(ipcf_ring_attach_producer(&producer, both->memory, IPCF_RING_CAPACITY_MIN,
                                       NULL));
    for (uint64_t round = 1; round <= both->rounds; round++) {
        while (ipcf_ring_claim(&producer, size, &payload, NULL) == IPCF_OK)
            send_one(&producer, payload);
        CHECK(!ipcf_ring_publish(&producer));
        begin_round(&both->producer_round, &both->consumer_round, round, 1);
        while (ipcf_ring_producer_park(&producer, size, false, NULL) == IPCF_AGAIN)
            wait_for_word(both);
        ipcf_ring_producer_unpark(&producer);
    }
    return NULL;
}

static void *duel_for_space(void *argument)
{
    duel *both = argument;
    ipcf_ring_consumer consumer;
    ipcf_record record;
    pin(last_cpu);
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, both->memory, IPCF_RING_CAPACITY_MIN,
                                       NULL));
    for (uint64_t round = 1; round <= both->rounds; round++) {
        begin_round(&both->consumer_round, &both->producer_round, round, 2);
        CHECK_OK(ipcf_ring_peek(&consumer, &record, NULL));
        if (ipcf_ring_release(&consumer))
            ring_word(both);
    }
    return NULL;
}

static void run_duel(void *(*producer_side)(void *), void *(*consumer_side)(void *))
{
    traffic way = {.capacity = IPCF_RING_CAPACITY_MIN};
    open_traffic(&way);
    duel both = {.memory = way.memory, .rounds = 2000000 / TRAFFIC_SLOWDOWN};
    alarm(WATCHDOG_SECONDS);
    pthread_t threads[2];
    CHECK(pthread_create(&threads[0], NULL, producer_side, &both) == 0);
    CHECK(pthread_create(&threads[1], NULL, consumer_side, &both) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
    alarm(0);
    close_traffic(&way);
}

static void test_parking_for_data_meets_publishing(void)
{
    run_duel(duel_for_data, park_for_data);
}

static void test_parking_for_space_meets_releasing(void)
{
    run_duel(park_for_space, duel_for_space);
}

int main(void)
{
    begin_sides();
    RUN(test_parking_for_data_meets_publishing);
    RUN(test_parking_for_space_meets_releasing);
    RUN(test_threads_that_spin);
    RUN(test_threads_that_sleep);
    return 0;
}
