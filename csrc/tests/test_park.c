/* SPDX-License-Identifier: MIT
 * Sleeping until things change: no wake-up is lost, none is early, one wakes one.
 */
#include <pthread.h>

#include "ipcf/park.h"
#include "tests/processes.h"

#define ROUNDS 20000
#define SLEEPERS 4

static ipcf_park park;
static ipcf_atomic_u32 word;
static ipcf_atomic_u32 woken;

/* Sleep until the word has reached this, as park.h says. */
static void sleep_until_word_is(uint32_t due)
{
    uint64_t deadline = hang_bound();
    for (;;) {
        uint32_t key = ipcf_park_prepare(&park);
        if (ipcf_load_seq_cst(&word) >= due) {
            ipcf_park_cancel(&park);
            return;
        }
        CHECK_OK(ipcf_park_sleep(&park, key, deadline));
    }
}

static void *take_turns(void *argument)
{
    uint32_t mine = *(uint32_t *)argument;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        sleep_until_word_is(2 * round + mine);
        ipcf_store_seq_cst(&word, 2 * round + mine + 1);
        ipcf_park_wake(&park, true);
    }
    return NULL;
}

/* A lost wake-up would end in the hang bound. */
static void no_wake_is_lost(void)
{
    uint32_t mine[] = {0, 1};
    pthread_t threads[2];
    CHECK_OK(ipcf_park_init(&park));
    ipcf_store_seq_cst(&word, 0u);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, take_turns, &mine[i]) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(ipcf_load_seq_cst(&word) == 2 * ROUNDS);
    CHECK(ipcf_load_seq_cst(&park.sleepers) == 0);
    ipcf_park_destroy(&park);
}

static void no_timeout_is_early(void)
{
    CHECK_OK(ipcf_park_init(&park));
    for (uint64_t i = 1; i <= 20; i++) {
        uint64_t until = ipcf_clock_ns() + i * UINT64_C(210001);
        uint32_t key = ipcf_park_prepare(&park);
        CHECK_STATUS(ipcf_park_sleep(&park, key, until), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= until);
    }
    CHECK_STATUS(ipcf_park_sleep(&park, ipcf_park_prepare(&park), IPCF_NO_WAIT),
                 IPCF_TIMEOUT);
    CHECK(ipcf_load_seq_cst(&park.sleepers) == 0);
    ipcf_park_destroy(&park);
}

static void a_wake_before_the_sleep_counts(void)
{
    CHECK_OK(ipcf_park_init(&park));
    uint32_t key = ipcf_park_prepare(&park);
    ipcf_park_wake(&park, false);
    CHECK_OK(ipcf_park_sleep(&park, key, hang_bound()));
    ipcf_park_wake(&park, true); /* nobody is there: it is not kept for later */
    key = ipcf_park_prepare(&park);
    CHECK_STATUS(ipcf_park_sleep(&park, key, ipcf_clock_ns() + 1000), IPCF_TIMEOUT);
    ipcf_park_destroy(&park);
}

static void *sleep_once(void *argument)
{
    (void)argument;
    CHECK_OK(ipcf_park_sleep(&park, ipcf_park_prepare(&park), hang_bound()));
    (void)ipcf_add_seq_cst(&woken, 1u);
    return NULL;
}

static void wait_for(ipcf_atomic_u32 *counter, uint32_t due)
{
    uint64_t deadline = hang_bound();
    while (ipcf_load_seq_cst(counter) != due) {
        CHECK(ipcf_clock_ns() < deadline);
        ipcf_thread_yield();
    }
}

static void one_wake_is_for_one_and_all_for_all(void)
{
    pthread_t threads[SLEEPERS];
    CHECK_OK(ipcf_park_init(&park));
    ipcf_store_seq_cst(&woken, 0u);
    for (int i = 0; i < SLEEPERS; i++)
        CHECK(pthread_create(&threads[i], NULL, sleep_once, NULL) == 0);
    wait_for(&park.sleepers, SLEEPERS);
    usleep(20000); /* so that they sleep; if not, there is less to test */
    ipcf_park_wake(&park, false);
    wait_for(&woken, 1);
    ipcf_park_wake(&park, true);
    for (int i = 0; i < SLEEPERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(ipcf_load_seq_cst(&woken) == SLEEPERS);
    ipcf_park_destroy(&park);
}

int main(void)
{
    alarm(100);
    RUN(no_wake_is_lost);
    RUN(no_timeout_is_early);
    RUN(a_wake_before_the_sleep_counts);
    RUN(one_wake_is_for_one_and_all_for_all);
    return 0;
}
