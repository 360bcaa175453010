/* SPDX-License-Identifier: MIT
 * The ring between two processes, one of which is killed at any moment: the survivor
 * finds whole records, all that the dead knew to be out, and nothing after them.
 */
#include <sys/wait.h>

#include "ring_sides.h"

#define KILL_ROUNDS (400 / TRAFFIC_SLOWDOWN)

/* Shared with a child that will be killed. */
typedef struct tally {
    ipcf_atomic_u64 published; /* records known to be out */
    ipcf_atomic_u64 received;
    ipcf_atomic_u32 is_running;
} tally;

static tally *new_tally(void)
{
    tally *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    return shared;
}

static traffic killing_traffic(uint64_t round)
{
    bool on_two_cpus = round % 4 != 3;
    return (traffic){.capacity = (round & 4) == 0 ? 4096 : UINT64_C(1) << 16,
                     .count = UINT64_MAX,
                     .sleeps = (round & 1) != 0,
                     .producer_cpu = first_cpu,
                     .consumer_cpu = on_two_cpus ? last_cpu : first_cpu};
}

/* When to kill: up to 2 ms after the child has begun its work, in some rounds before. */
static uint64_t random_deadline(uint64_t round, const tally *shared)
{
    /* acquire: pairs with the release in the child */
    while (round % 8 != 5 && ipcf_load_acquire(&shared->is_running) == 0)
        ipcf_thread_yield();
    return ipcf_clock_ns() + traffic_mix(round) % 2000000;
}

static void kill_and_reap(pid_t child)
{
    int status = 0;
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void produce_until_killed(traffic *way, tally *shared)
{
    ipcf_ring_producer producer;
    pin(way->producer_cpu);
    CHECK_OK(ipcf_ring_attach_producer(&producer, way->memory, way->capacity, NULL));
    /* release: pairs with the acquire in random_deadline */
    ipcf_store_release(&shared->is_running, 1u);
    for (uint64_t n = 0;; n++) {
        produce(way, &producer, n);
        if ((n & 7) == 7) {
            publish(way, &producer);
            /* release: pairs with the acquire in survive_producer */
            ipcf_store_release(&shared->published, n + 1);
        }
    }
}

/* Whatever the producer was doing: an intact prefix that holds at least all it knew to
 * be out, then nothing. */
static uint64_t survive_producer(uint64_t round)
{
    traffic way = killing_traffic(round);
    tally *shared = new_tally();
    open_traffic(&way);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        alarm(WATCHDOG_SECONDS), produce_until_killed(&way, shared);
    ipcf_ring_consumer consumer;
    ipcf_record record;
    pin(way.consumer_cpu);
    uint64_t n = 0, deadline_ns = random_deadline(round, shared);
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, way.memory, way.capacity, NULL));
    while (ipcf_clock_ns() < deadline_ns && consume(&way, &consumer, n, deadline_ns))
        n++;
    kill_and_reap(child);
    while (consume(&way, &consumer, n, IPCF_NO_WAIT))
        n++;
    CHECK_STATUS(ipcf_ring_peek(&consumer, &record, NULL), IPCF_AGAIN);
    CHECK(n >= ipcf_load_acquire(&shared->published));
    CHECK(!ipcf_ring_producer_has_left(&consumer));
    close_traffic(&way);
    CHECK(munmap(shared, sizeof *shared) == 0);
    return n;
}

static void consume_until_killed(traffic *way, tally *shared)
{
    ipcf_ring_consumer consumer;
    pin(way->consumer_cpu);
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, way->memory, way->capacity, NULL));
    /* release: pairs with the acquire in random_deadline */
    ipcf_store_release(&shared->is_running, 1u);
    for (uint64_t n = 0;; n++) {
        CHECK(consume(way, &consumer, n, IPCF_NEVER));
        /* release: pairs with the acquire in survive_consumer */
        ipcf_store_release(&shared->received, n + 1);
    }
}

/* Which record starts at this position, or after the padding at it. */
static uint64_t record_at(const traffic *way, uint64_t position)
{
    uint64_t n = 0, at = 0;
    while (at < position) {
        uint64_t stride = 8 + ((uint64_t)traffic_size(n++, way->capacity) + 7) / 8 * 8;
        uint64_t to_end = way->capacity - at % way->capacity;
        at += stride <= to_end ? stride : to_end + stride;
    }
    CHECK(at == position);
    return n;
}

/* What lies between two positions, read by the spec alone, is whole and in order from
 * record n on. Returns the number after the last. */
static uint64_t check_unread(const traffic *way, uint64_t from, uint64_t until,
                             uint64_t n)
{
    const uint8_t *data = way->memory + 4096;
    while (from != until) {
        uint64_t header, offset = from % way->capacity;
        memcpy(&header, data + offset, 8);
        uint32_t size = (uint32_t)header;
        if (header >> 32 == 0xff) {
            CHECK(offset != 0 && offset + 8 + size == way->capacity);
        } else {
            ipcf_record record = {data + offset + 8, size, (uint8_t)(header >> 32),
                                  (uint8_t)(header >> 40)};
            CHECK(header >> 48 == 0 && traffic_is_record(&record, n++, way->capacity));
        }
        from += 8 + ((uint64_t)size + 7) / 8 * 8;
        CHECK(until - from <= way->capacity);
    }
    return n;
}

/* Send until the consumer has been killed and the ring is full. */
static uint64_t produce_past_death(traffic *way, pid_t child, uint64_t deadline_ns)
{
    ipcf_ring_producer producer;
    bool is_alive = true;
    CHECK_OK(ipcf_ring_attach_producer(&producer, way->memory, way->capacity, NULL));
    for (uint64_t n = 0;;) {
        uint8_t *payload = NULL;
        uint32_t size = traffic_size(n, way->capacity);
        ipcf_status status = ipcf_ring_claim(&producer, size, &payload, NULL);
        if (status == IPCF_OK) {
            traffic_fill(payload, size, n);
            ipcf_ring_commit(&producer, traffic_kind(n), traffic_flags(n));
            publish(way, &producer);
            n++;
        } else {
            CHECK_STATUS(status, IPCF_AGAIN);
            if (!is_alive)
                return n;
            spin_once(way);
        }
        if (is_alive && ipcf_clock_ns() >= deadline_ns) {
            kill_and_reap(child);
            is_alive = false;
        }
    }
}

/* The consumer dies anywhere: the producer fills what is free, never more, and what was
 * unread stays as it was. */
static uint64_t survive_consumer(uint64_t round)
{
    traffic way = killing_traffic(round);
    tally *shared = new_tally();
    open_traffic(&way);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        alarm(WATCHDOG_SECONDS), consume_until_killed(&way, shared);
    pin(way.producer_cpu);
    uint64_t n = produce_past_death(&way, child, random_deadline(round, shared));
    uint64_t head, tail;
    memcpy(&tail, way.memory + 128, 8);
    memcpy(&head, way.memory + 384, 8);
    CHECK(tail - head <= way.capacity);
    uint64_t first_unread = record_at(&way, head);
    /* acquire: pairs with the release in consume_until_killed. It lags by the record
     * that was being released. */
    CHECK(first_unread <= ipcf_load_acquire(&shared->received) + 1);
    CHECK(check_unread(&way, head, tail, first_unread) == n);
    close_traffic(&way);
    CHECK(munmap(shared, sizeof *shared) == 0);
    return n;
}

static void run_kills(uint64_t (*survive)(uint64_t), const char *who)
{
    uint64_t records = 0;
    alarm(WATCHDOG_SECONDS);
    for (uint64_t round = 0; round < KILL_ROUNDS; round++)
        records += survive(round);
    alarm(0);
    CHECK(records > KILL_ROUNDS);
    printf("    %s killed %d times, %llu records\n", who, KILL_ROUNDS,
           (unsigned long long)records);
}

static void test_producer_is_killed(void) { run_kills(survive_producer, "producer"); }
static void test_consumer_is_killed(void) { run_kills(survive_consumer, "consumer"); }

int main(void)
{
    begin_sides();
    RUN(test_producer_is_killed);
    RUN(test_consumer_is_killed);
    return 0;
}
