/* SPDX-License-Identifier: MIT
 * The lock: exclusion, hand-over, deadlines, and being woken by close. Meaningful under
 * TSan: the counter is a plain one.
 */
#include <pthread.h>

#include "ipcf/clock.h"
#include "ipcf/lock.h"
#include "tests/check.h"

#define THREADS 4
#define ROUNDS 20000
/* A wake-up that works shows in at least one of so many tries, however busy the machine
 * is. */
#define TRIES 40

static ipcf_lock lock;
static uint64_t counter;

static void *count_up(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; ++i) {
        ipcf_status status;
        do
            status = ipcf_lock_acquire(&lock, IPCF_NEVER);
        while (status == IPCF_INTERRUPTED);
        CHECK_OK(status);
        ++counter;
        if (i % 64 == 0)
            ipcf_thread_yield(); /* let the others run into a held lock */
        ipcf_lock_release(&lock);
    }
    return NULL;
}

static void threads_exclude_each_other(void)
{
    pthread_t threads[THREADS];
    CHECK_OK(ipcf_lock_init(&lock));
    counter = 0;
    for (int i = 0; i < THREADS; ++i)
        CHECK(pthread_create(&threads[i], NULL, count_up, NULL) == 0);
    for (int i = 0; i < THREADS; ++i)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(counter == (uint64_t)THREADS * ROUNDS);
    CHECK(ipcf_lock_try(&lock));
    ipcf_lock_release(&lock);
    ipcf_lock_destroy(&lock);
}

static void trying_never_waits(void)
{
    CHECK_OK(ipcf_lock_init(&lock));
    CHECK(ipcf_lock_try(&lock));
    CHECK(!ipcf_lock_try(&lock));
    CHECK_STATUS(ipcf_lock_acquire(&lock, IPCF_NO_WAIT), IPCF_TIMEOUT);
    CHECK_STATUS(ipcf_lock_acquire(&lock, ipcf_clock_ns()), IPCF_TIMEOUT);
    ipcf_lock_release(&lock);
    CHECK_OK(ipcf_lock_acquire(&lock, IPCF_NO_WAIT));
    ipcf_lock_release(&lock);
    ipcf_lock_destroy(&lock);
}

static void a_timeout_is_never_early(void)
{
    const uint64_t spans[] = {1, 1000, 1000000, 20000000};
    CHECK_OK(ipcf_lock_init(&lock));
    CHECK(ipcf_lock_try(&lock));
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; ++i) {
        uint64_t deadline = ipcf_clock_ns() + spans[i];
        ipcf_status status;
        do
            status = ipcf_lock_acquire(&lock, deadline);
        while (status == IPCF_INTERRUPTED);
        CHECK_STATUS(status, IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
    }
    ipcf_lock_release(&lock);
    ipcf_lock_destroy(&lock);
}

static void a_long_wait_comes_in_slices(void)
{
    CHECK_OK(ipcf_lock_init(&lock));
    CHECK(ipcf_lock_try(&lock));
    int slices = 0;
    uint64_t start = ipcf_clock_ns();
    /* 3.5 slices: at least 3 interruptions, and none of them is a timeout */
    uint64_t deadline = start + 3 * IPCF_LOCK_SLICE_NS + IPCF_LOCK_SLICE_NS / 2;
    ipcf_status status;
    while ((status = ipcf_lock_acquire(&lock, deadline)) == IPCF_INTERRUPTED)
        ++slices;
    CHECK_STATUS(status, IPCF_TIMEOUT);
    CHECK(slices >= 1); /* a stalled machine may swallow some, but not all */
    CHECK_STATUS(ipcf_lock_acquire(&lock, IPCF_NEVER), IPCF_INTERRUPTED);
    ipcf_lock_release(&lock);
    ipcf_lock_destroy(&lock);
}

typedef struct waiter {
    pthread_t thread;
    ipcf_status status;
    uint64_t took_ns;
} waiter;

static void *wait_once(void *argument)
{
    waiter *self = argument;
    uint64_t start = ipcf_clock_ns();
    self->status = ipcf_lock_acquire(&lock, IPCF_NEVER);
    self->took_ns = ipcf_clock_ns() - start;
    if (self->status == IPCF_OK)
        ipcf_lock_release(&lock);
    return NULL;
}

static void start_waiter(waiter *self)
{
    CHECK(pthread_create(&self->thread, NULL, wait_once, self) == 0);
    /* acquire: pairs with the exchange in take_or_mark; 2 says that it sleeps, or will
     * before the mutex is free */
    while (ipcf_load_acquire(&lock.state) != 2u)
        ipcf_thread_yield();
}

static void releasing_wakes_a_sleeper(void)
{
    int quick = 0;
    CHECK_OK(ipcf_lock_init(&lock));
    for (int i = 0; i < TRIES && quick == 0; ++i) {
        waiter sleeper;
        CHECK(ipcf_lock_try(&lock));
        start_waiter(&sleeper);
        ipcf_lock_release(&lock);
        CHECK(pthread_join(sleeper.thread, NULL) == 0);
        CHECK_OK(sleeper.status);
        quick += sleeper.took_ns < IPCF_LOCK_SLICE_NS / 2;
    }
    CHECK(quick > 0);
    ipcf_lock_destroy(&lock);
}

static void wake_all_wakes_all_who_sleep(void)
{
    int quick = 0;
    CHECK_OK(ipcf_lock_init(&lock));
    CHECK(ipcf_lock_try(&lock));
    for (int i = 0; i < TRIES && quick == 0; ++i) {
        waiter sleepers[2];
        for (int j = 0; j < 2; ++j) {
            ipcf_store_release(
                &lock.state,
                1u); /* as if just taken; pairs with the load in start_waiter */
            start_waiter(&sleepers[j]);
        }
        ipcf_lock_wake_all(&lock);
        for (int j = 0; j < 2; ++j) {
            CHECK(pthread_join(sleepers[j].thread, NULL) == 0);
            CHECK_STATUS(sleepers[j].status, IPCF_INTERRUPTED);
        }
        quick += sleepers[0].took_ns < IPCF_LOCK_SLICE_NS / 2 &&
                 sleepers[1].took_ns < IPCF_LOCK_SLICE_NS / 2;
    }
    CHECK(quick > 0);
    ipcf_lock_release(&lock);
    ipcf_lock_destroy(&lock);
}

static void a_waiter_that_gives_up_leaves_the_mark_for_the_others(void)
{
    waiter sleeper;
    CHECK_OK(ipcf_lock_init(&lock));
    CHECK(ipcf_lock_try(&lock));
    start_waiter(&sleeper);
    CHECK_STATUS(ipcf_lock_acquire(&lock, ipcf_clock_ns() + 1000), IPCF_TIMEOUT);
    /* acquire: pairs with the exchange in take_or_mark */
    CHECK(ipcf_load_acquire(&lock.state) == 2u);
    ipcf_lock_release(&lock);
    CHECK(pthread_join(sleeper.thread, NULL) == 0);
    CHECK(sleeper.status == IPCF_OK || sleeper.status == IPCF_INTERRUPTED);
    ipcf_lock_destroy(&lock);
}

int main(void)
{
    RUN(threads_exclude_each_other);
    RUN(trying_never_waits);
    RUN(a_timeout_is_never_early);
    RUN(a_long_wait_comes_in_slices);
    RUN(releasing_wakes_a_sleeper);
    RUN(wake_all_wakes_all_who_sleep);
    RUN(a_waiter_that_gives_up_leaves_the_mark_for_the_others);
    return 0;
}
