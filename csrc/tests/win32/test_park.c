/* SPDX-License-Identifier: MIT
 * Sleeping until things change: no wake-up is lost, and no timeout is early.
 */
#include "ipcf/park.h"
#include "tests/win32/process.h"

#define ROUNDS 5000

static ipcf_park park;
static ipcf_atomic_u32 word;

static void sleep_until_word_is(uint32_t due)
{
    uint64_t deadline = ipcf_clock_ns() + HANG_NS;
    for (;;) {
        uint32_t key = ipcf_park_prepare(&park);
        if (ipcf_load_seq_cst(&word) >= due) {
            ipcf_park_cancel(&park);
            return;
        }
        CHECK_OK(ipcf_park_sleep(&park, key, deadline));
    }
}

static DWORD WINAPI take_turns(void *context)
{
    uint32_t mine = *(uint32_t *)context;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        sleep_until_word_is(2 * round + mine);
        ipcf_store_seq_cst(&word, 2 * round + mine + 1);
        ipcf_park_wake(&park, true);
    }
    return 0;
}

static void test_no_wake_is_lost(void)
{
    uint32_t mine[] = {0, 1};
    HANDLE threads[2];
    CHECK_OK(ipcf_park_init(&park));
    ipcf_store_seq_cst(&word, 0u);
    for (int i = 0; i < 2; i++)
        threads[i] = start_thread(take_turns, &mine[i]);
    for (int i = 0; i < 2; i++)
        join_thread(threads[i]);
    CHECK(ipcf_load_seq_cst(&word) == 2 * ROUNDS);
    CHECK(ipcf_load_seq_cst(&park.sleepers) == 0);
    ipcf_park_destroy(&park);
}

static void test_timeouts_are_never_early(void)
{
    CHECK_OK(ipcf_park_init(&park));
    for (uint64_t i = 1; i <= 20; i++) {
        uint64_t until = ipcf_clock_ns() + i * UINT64_C(210001);
        uint32_t key = ipcf_park_prepare(&park);
        CHECK_STATUS(ipcf_park_sleep(&park, key, until), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= until);
    }
    ipcf_park_destroy(&park);
}

int main(void)
{
    RUN(test_no_wake_is_lost);
    RUN(test_timeouts_are_never_early);
    return 0;
}
