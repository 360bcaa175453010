/* SPDX-License-Identifier: MIT
 * Tests of the spin's bookkeeping: when it shrinks, and what an interrupted wait leaves.
 */
#include "ipcf/spin.h"
#include "tests/check.h"

static void a_wait_that_was_given_up_leaves_no_trace(void)
{
    ipcf_spin spin;
    ipcf_spin_init(&spin, UINT64_MAX);
    CHECK(spin.whole_ns ==
          IPCF_SLEEP_FIRST_NS); /* nobody looks for signals meanwhile */
    CHECK(!ipcf_spin_is_resumed(&spin));
    ipcf_spin_begin(&spin, IPCF_NEVER);
    CHECK(ipcf_spin_turn(&spin, IPCF_PEER_UNKNOWN));
    CHECK(spin.started_ns == 0); /* the first turn does not ask the clock */
    CHECK(ipcf_spin_turn(&spin, IPCF_PEER_UNKNOWN));
    ipcf_spin_pause(&spin);
    CHECK(ipcf_spin_is_resumed(&spin));
    spin.paused_ns -= IPCF_SPIN_RESUME_NS;
    CHECK(!ipcf_spin_is_resumed(&spin));
    ipcf_spin_end(&spin, true);
    CHECK(!ipcf_spin_is_resumed(&spin));
}

static void the_spin_shrinks_after_long_waits_only(void)
{
    ipcf_spin spin;
    ipcf_spin_init(&spin, 1000);
    ipcf_spin_begin(&spin, IPCF_NEVER);
    while (ipcf_spin_turn(&spin, IPCF_PEER_UNKNOWN))
        continue;
    spin.started_ns -= 2 * IPCF_SPIN_LONG_WAIT_NS;
    ipcf_spin_end(&spin, true);
    CHECK(spin.allowed_ns == spin.whole_ns / 2);
    /* what comes within the first turn, also after a sleep, was no long wait */
    ipcf_spin_begin(&spin, IPCF_NEVER);
    ipcf_spin_end(&spin, true);
    CHECK(spin.allowed_ns == spin.whole_ns);
}

int main(void)
{
    RUN(a_wait_that_was_given_up_leaves_no_trace);
    RUN(the_spin_shrinks_after_long_waits_only);
    return 0;
}
