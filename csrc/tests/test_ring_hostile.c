/* SPDX-License-Identifier: MIT
 * The ring against memory that lies, all at once: a thread scribbles over every shared
 * byte while both ends run, between closed pages. An end may stop at CORRUPT, and is
 * then attached anew; it may not crash, hang, or leave the ring. Seconds to go on for:
 * IPCF_TEST_SECONDS (5).
 */
#include <signal.h>
#include <unistd.h>

#include "ipcf/clock.h"
#include "ring_guarded.h"

#define ROUND_NS UINT64_C(3000000)
#define HANG_SECONDS 60
#define LOOKS 5000000

typedef struct battle {
    uint64_t seed;
    uint64_t until_ns;
    ipcf_atomic_u32 ends_running;
    uint64_t sent; /* and below: each counted by one thread */
    uint64_t received, rings, parks;
    uint64_t scribbled;
    bool producer_saw_it, consumer_saw_it;
} battle;

static void *hostile_consumer_side(void *argument)
{
    battle *fight = argument;
    ipcf_ring_consumer consumer;
    ipcf_record record;
    uint64_t sum = 0;
    ipcf_status status = ipcf_ring_attach_consumer(&consumer, memory, capacity, NULL);
    while (status != IPCF_CORRUPT && ipcf_clock_ns() < fight->until_ns) {
        status = ipcf_ring_peek(&consumer, &record, NULL);
        if (status == IPCF_OK) {
            CHECK(is_inside(record.data, record.size));
            CHECK(record.size <= ipcf_ring_record_max(capacity));
            for (uint32_t i = 0; i < record.size; i++)
                sum += record.data[i];
            fight->rings += ipcf_ring_release(&consumer);
            fight->received++;
        } else if (status == IPCF_AGAIN) {
            fight->parks += ipcf_ring_consumer_park(&consumer) == IPCF_AGAIN;
            (void)ipcf_ring_producer_has_left(&consumer);
            (void)ipcf_ring_producer_cpu(&consumer);
            ipcf_ring_consumer_unpark(&consumer);
            ipcf_thread_yield();
        }
    }
    fight->consumer_saw_it = status == IPCF_CORRUPT;
    fight->received += sum == 1; /* so that the reads are not optimised away */
    atomic_fetch_sub(&fight->ends_running, 1); /* pairs with the acquire in scribble */
    return NULL;
}

static void *hostile_producer_side(void *argument)
{
    battle *fight = argument;
    ipcf_ring_producer producer;
    uint8_t *payload;
    ipcf_status status = ipcf_ring_attach_producer(&producer, memory, capacity, NULL);
    for (uint64_t n = fight->seed;
         status != IPCF_CORRUPT && ipcf_clock_ns() < fight->until_ns; n++) {
        uint32_t size = traffic_size(n, capacity);
        status = ipcf_ring_claim(&producer, size, &payload, NULL);
        if (status == IPCF_OK) {
            CHECK(is_inside(payload, size));
            memset(payload, (int)(n & 0xff), size);
            ipcf_ring_commit(&producer, traffic_kind(n), traffic_flags(n));
            (void)ipcf_ring_publish(&producer);
            fight->sent++;
        } else if (status == IPCF_AGAIN) {
            status = ipcf_ring_producer_park(&producer, size, (n & 1) != 0, NULL);
            (void)ipcf_ring_consumer_has_left(&producer);
            (void)ipcf_ring_consumer_cpu(&producer);
            ipcf_ring_producer_unpark(&producer);
            ipcf_thread_yield();
        }
    }
    fight->producer_saw_it = status == IPCF_CORRUPT;
    atomic_fetch_sub(&fight->ends_running, 1); /* pairs with the acquire in scribble */
    return NULL;
}

/* Which bytes a round's scribbler goes for; the fewer, the longer the ends live. */
enum { INDICES = 1, FLAGS = 2, HEADERS = 4, PAYLOAD = 8, ANYTHING = 16 };

/* Where to write: 8-byte words at odd offsets too. */
static uint64_t target(unsigned targets, uint64_t random)
{
    static const uint64_t indices[] = {AT_TAIL, AT_HEAD};
    static const uint64_t flags[] = {AT_WANTS_SPACE, AT_WANTS_DATA, 136, 260, 392, 516};
    uint64_t position;
    unsigned chosen = 1u << random % 5;
    uint64_t more = random >> 8;
    switch (chosen & targets) {
    case INDICES:
        return indices[more % COUNT(indices)];
    case FLAGS:
        return flags[more % COUNT(flags)];
    case HEADERS: /* of the record at the head, or of the one before the tail or after it */
        memcpy(&position, memory + indices[more % COUNT(indices)], 8);
        return AT_DATA + (position - more / 2 % 4 * 8) % capacity / 8 * 8;
    case PAYLOAD:
        return AT_DATA + more % (capacity / 8) * 8;
    case ANYTHING:
        return more % (AT_DATA + capacity - 7);
    default:
        return 0;
    }
}

/* What to write: noise, an interesting value, something near the right one, or a header
 * that could be one. */
static uint64_t poison(const uint64_t *values, size_t count, uint64_t at,
                       uint64_t random)
{
    static const int64_t steps[] = {-8, -4, -1, 1, 4, 8, 16, 64};
    static const uint64_t uppers[] = {0, 1, 0xff, 0x1ff, 0x301, 0x401, 0x10001};
    uint64_t present, more = random >> 8;
    memcpy(&present, memory + at, 8);
    switch (random % 5) {
    case 0:
        return traffic_mix(random);
    case 1:
        return values[more % count];
    case 2:
        return present + (uint64_t)steps[more % COUNT(steps)];
    case 3:
        return present + (more % 2 != 0 ? capacity : 0 - capacity);
    default:
        return (uint32_t)values[more % count] | uppers[more / count % COUNT(uppers)]
                                                    << 32;
    }
}

static void *scribble(void *argument)
{
    battle *fight = argument;
    uint64_t values[INTERESTING_MAX], random = traffic_mix(fight->seed);
    size_t count = interesting(values);
    unsigned targets = (unsigned)(random % 31) + 1;
    unsigned pause = 1u << (random >> 8) % 12;
    while (ipcf_load_acquire(&fight->ends_running) != 0) {
        random = traffic_mix(random);
        uint64_t at = target(targets, random);
        if (at != 0) {
            uint64_t value = poison(values, count, at, traffic_mix(random + 1));
            memcpy(memory + at, &value,
                   random >> 60 & 1 ? 8 : 1 + (size_t)(random >> 61));
            fight->scribbled++;
        }
        for (unsigned i = 0; i < pause; i++)
            ipcf_cpu_relax();
        if ((random & 7u) == 0)
            ipcf_thread_yield();
    }
    return NULL;
}

static void fight_once(battle *fight, uint64_t bytes)
{
    pthread_t threads[3];
    void *(*const parts[])(void *) = {hostile_consumer_side, hostile_producer_side,
                                      scribble};
    open_memory(bytes);
    fight->until_ns = ipcf_clock_ns() + ROUND_NS;
    ipcf_store_release(&fight->ends_running, 2u);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, parts[i], fight) == 0);
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close_memory();
}

static double seconds_to_fight(void)
{
    const char *told = getenv("IPCF_TEST_SECONDS");
    return told != NULL ? atof(told) : 5.0;
}

static void test_scribbling_over_every_byte(void)
{
    uint64_t rounds = 0, saw[2] = {0, 0},
             until_ns = ipcf_deadline_in(seconds_to_fight());
    battle total = {0};
    do {
        battle fight = {.seed = rounds};
        alarm(HANG_SECONDS);
        fight_once(&fight, UINT64_C(4096) << rounds % 3);
        total.sent += fight.sent;
        total.received += fight.received;
        total.scribbled += fight.scribbled;
        saw[0] += fight.producer_saw_it;
        saw[1] += fight.consumer_saw_it;
        rounds++;
    } while (ipcf_clock_ns() < until_ns);
    alarm(0);
    printf("    %llu rounds, %llu scribbles, %llu records sent, %llu received; CORRUPT "
           "seen by the producer in "
           "%llu rounds, by the consumer in %llu\n",
           (unsigned long long)rounds, (unsigned long long)total.scribbled,
           (unsigned long long)total.sent, (unsigned long long)total.received,
           (unsigned long long)saw[0], (unsigned long long)saw[1]);
    CHECK(total.sent > 0 && total.received > 0 && saw[0] > 0 && saw[1] > 0);
}

/* ---- loaded once ----------------------------------------------------------------- */

/* A word that changes between a right and a wrong value, as fast as a store can. */
typedef struct flipping {
    volatile uint64_t *word;
    uint64_t right, wrong;
    ipcf_atomic_u32 is_over;
} flipping;

static void *flip(void *argument)
{
    flipping *word = argument;
    while (ipcf_load_acquire(&word->is_over) == 0)
        for (int i = 0; i < 1000; i++) {
            *word->word = word->wrong;
            *word->word = word->right;
        }
    return NULL;
}

static ipcf_status look_at_header(ipcf_ring_producer *producer,
                                  ipcf_ring_consumer *consumer)
{
    ipcf_record record;
    ipcf_status status = ipcf_ring_peek(consumer, &record, NULL);
    (void)producer;
    CHECK(status != IPCF_OK ||
          (record.size == 8 && record.kind == 2 && record.flags == 0));
    return status;
}

static ipcf_status look_at_tail(ipcf_ring_producer *producer,
                                ipcf_ring_consumer *consumer)
{
    ipcf_record record;
    ipcf_status status = ipcf_ring_peek(consumer, &record, NULL);
    (void)producer;
    CHECK(consumer->cached_tail - consumer->head <= capacity);
    consumer->cached_tail = consumer->head; /* so that it is loaded again */
    return status;
}

static ipcf_status look_at_head(ipcf_ring_producer *producer,
                                ipcf_ring_consumer *consumer)
{
    (void)consumer;
    ipcf_status status = ipcf_ring_producer_park(producer, 8, false, NULL);
    CHECK(producer->tail - producer->cached_head <= capacity);
    return status;
}

/* Every answer is the one for the right value or the one for the wrong, never something
 * in between. */
static void check_loaded_once(uint64_t at, uint64_t right, uint64_t wrong,
                              ipcf_status (*look)(ipcf_ring_producer *,
                                                  ipcf_ring_consumer *))
{
    ipcf_ring_producer producer;
    ipcf_ring_consumer consumer;
    uint8_t *payload;
    uint64_t answers[2] = {0, 0}, until_ns = ipcf_deadline_in(60.0);
    pthread_t thread;
    open_memory(IPCF_RING_CAPACITY_MIN);
    CHECK_OK(ipcf_ring_attach_producer(&producer, memory, capacity, NULL));
    CHECK_OK(ipcf_ring_attach_consumer(&consumer, memory, capacity, NULL));
    CHECK_OK(ipcf_ring_claim(&producer, 8, &payload, NULL));
    ipcf_ring_commit(&producer, 2, 0);
    CHECK(!ipcf_ring_publish(&producer));
    flipping word = {(volatile uint64_t *)(void *)(memory + at), right, wrong, 0};
    CHECK(pthread_create(&thread, NULL, flip, &word) == 0);
    for (uint64_t i = 0; i < LOOKS || answers[0] == 0 || answers[1] == 0; i++) {
        ipcf_status status = look(&producer, &consumer);
        CHECK(status == IPCF_OK || status == IPCF_CORRUPT);
        answers[status == IPCF_CORRUPT]++;
        CHECK(i % 1024 != 0 || ipcf_clock_ns() < until_ns);
    }
    ipcf_store_release(&word.is_over, 1u); /* pairs with the acquire in flip */
    CHECK(pthread_join(thread, NULL) == 0);
    close_memory();
}

static void test_shared_words_are_loaded_once(void)
{
    uint64_t header = UINT64_C(2) << 32 | 8;
    check_loaded_once(AT_DATA, header, header | 0xfffffff0u, look_at_header);
    check_loaded_once(AT_DATA, header, header | UINT64_C(1) << 42, look_at_header);
    check_loaded_once(AT_TAIL, 16, UINT64_MAX - 7, look_at_tail);
    check_loaded_once(AT_HEAD, 0, UINT64_C(1) << 63, look_at_head);
}

static void hang(int signal_number)
{
    static const char text[] = "an end of the ring hangs\n";
    (void)signal_number;
    _exit(write(STDERR_FILENO, text, sizeof text - 1) < 0 ? 3 : 2);
}

int main(void)
{
    CHECK(signal(SIGALRM, hang) != SIG_ERR);
    /* ThreadSanitizer would report the very races that a hostile peer makes, and
     * rightly. */
    if (!UNDER_TSAN) {
        RUN(test_shared_words_are_loaded_once);
        RUN(test_scribbling_over_every_byte);
    }
    return 0;
}
