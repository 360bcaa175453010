/* SPDX-License-Identifier: MIT
 * The ring between two threads: nothing lost, torn, doubled or overwritten, and no wake-up lost.
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
    for (uint64_t n = 0; n < way->count; n++)
        CHECK(consume(way, &consumer, n, IPCF_NEVER));
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
    run_threads(4096, 10000000, false, true);
    run_threads(4096, 10000000, false, false);
    run_threads(UINT64_C(1) << 16, 10000000, false, true);
}

static void test_threads_that_sleep(void)
{
    run_threads(4096, 500000, true, true);
    run_threads(4096, 2000000, true, false);
    run_threads(UINT64_C(1) << 16, 10000000, true, true);
    run_threads(UINT64_C(1) << 16, 10000000, true, false);
}

int main(void)
{
    begin_sides();
    RUN(test_threads_that_spin);
    RUN(test_threads_that_sleep);
    return 0;
}
