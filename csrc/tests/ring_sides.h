/* SPDX-License-Identifier: MIT
 * The two sides of a ring at work, spinning or sleeping on bells without any time
 * limit: a lost wake-up is a hang, and the watchdog makes it a failure.
 */
#ifndef IPCF_TESTS_RING_SIDES_H
#define IPCF_TESTS_RING_SIDES_H

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "ipcf/doorbell.h"
#include "ipcf/wait.h"
#include "ring_traffic.h"

#define WATCHDOG_SECONDS 60

typedef struct traffic {
    uint8_t *memory;
    uint64_t capacity;
    uint64_t count; /* records to move; UINT64_MAX: until killed */
    bool sleeps;    /* on bells; otherwise both sides only spin */
    int producer_cpu;
    int consumer_cpu;
    ipcf_doorbell data_bell;
    ipcf_doorbell space_bell;
    uint64_t data_rings;
    uint64_t space_rings;
} traffic;

static inline void watchdog(int signal_number)
{
    static const char text[] = "watchdog: a side of the ring hangs (lost wake-up?)\n";
    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

/* The first and the last CPU that this process may use. */
static int first_cpu, last_cpu;

static inline void find_cpus(void)
{
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    first_cpu = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set)) {
            first_cpu = first_cpu < 0 ? cpu : first_cpu;
            last_cpu = cpu;
        }
}

static inline void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
}

static inline void spin_once(const traffic *way)
{
    if (way->producer_cpu == way->consumer_cpu)
        ipcf_thread_yield();
    else
        ipcf_cpu_relax();
}

static inline bool sleep_on(const ipcf_doorbell *bell, uint64_t deadline_ns)
{
    ipcf_wait_item item = {.handle = ipcf_doorbell_arm(bell)};
    ipcf_status status = ipcf_wait(&item, 1, deadline_ns, NULL);
    if (status == IPCF_OK)
        ipcf_doorbell_clear(bell);
    CHECK(status == IPCF_OK || status == IPCF_TIMEOUT || status == IPCF_INTERRUPTED);
    return status == IPCF_OK;
}

static inline void publish(traffic *way, ipcf_ring_producer *producer)
{
    if (ipcf_ring_publish(producer)) {
        way->data_rings++;
        ipcf_doorbell_ring(&way->data_bell);
    }
}

static inline void produce(traffic *way, ipcf_ring_producer *producer, uint64_t n)
{
    uint8_t *payload = NULL;
    uint32_t size = traffic_size(n, way->capacity);
    ipcf_status status;
    while ((status = ipcf_ring_claim(producer, size, &payload, NULL)) == IPCF_AGAIN) {
        publish(way, producer);
        if (!way->sleeps) {
            spin_once(way);
            continue;
        }
        status = ipcf_ring_producer_park(producer, size, (n & 1) == 0, NULL);
        if (status == IPCF_AGAIN)
            sleep_on(&way->space_bell, IPCF_NEVER);
        else
            CHECK_OK(status);
        ipcf_ring_producer_unpark(producer);
    }
    CHECK_OK(status);
    traffic_fill(payload, size, n);
    ipcf_ring_commit(producer, traffic_kind(n), traffic_flags(n));
    if (traffic_mix(n) >> 52 & 3) /* else it goes out with the next: batches */
        publish(way, producer);
}

/* False: the deadline has passed and nothing is there. */
static inline bool consume(traffic *way, ipcf_ring_consumer *consumer, uint64_t n,
                           uint64_t deadline_ns)
{
    ipcf_record record;
    ipcf_status status;
    while ((status = ipcf_ring_peek(consumer, &record, NULL)) == IPCF_AGAIN) {
        if (deadline_ns != IPCF_NEVER && ipcf_clock_ns() >= deadline_ns)
            return false;
        if (!way->sleeps) {
            spin_once(way);
            continue;
        }
        if (ipcf_ring_consumer_park(consumer) == IPCF_AGAIN)
            sleep_on(&way->data_bell, deadline_ns);
        ipcf_ring_consumer_unpark(consumer);
    }
    CHECK_OK(status);
    CHECK(traffic_is_record(&record, n, way->capacity));
    if (ipcf_ring_release(consumer)) {
        way->space_rings++;
        ipcf_doorbell_ring(&way->space_bell);
    }
    return true;
}

static inline void open_traffic(traffic *way)
{
    size_t size = (size_t)ipcf_ring_size(way->capacity);
    way->memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(way->memory != MAP_FAILED);
    ipcf_ring_format(way->memory, way->capacity);
    CHECK_OK(ipcf_doorbell_create(&way->data_bell, NULL));
    CHECK_OK(ipcf_doorbell_create(&way->space_bell, NULL));
}

static inline void close_traffic(traffic *way)
{
    ipcf_doorbell_close(&way->data_bell);
    ipcf_doorbell_close(&way->space_bell);
    CHECK(munmap(way->memory, (size_t)ipcf_ring_size(way->capacity)) == 0);
}

static inline void begin_sides(void)
{
    CHECK(signal(SIGALRM, watchdog) != SIG_ERR);
    find_cpus();
}

#endif
