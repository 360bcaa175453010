/* SPDX-License-Identifier: MIT
 * Tests of the end that is announced before it is brought about: this side knows, the
 * peer does not.
 */
#include "tests/both_kinds.h"

static void check_ended_here(ipcf_channel *channel)
{
    ipcf_error error;
    CHECK_STATUS(
        ipcf_channel_send(channel, IPCF_KIND_BYTES, "x", 1, IPCF_NO_WAIT, &error),
        IPCF_SHUT_DOWN);
    CHECK_STATUS(receive_status(channel, IPCF_NO_WAIT), IPCF_SHUT_DOWN);
}

static void the_peer_learns_nothing_of_an_announcement(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        openers[kind](&ends);
        send_text(ends.ours, "before");
        for (int times = 0; times < 2; times++) {
            ipcf_channel_announce_end(ends.ours);
            check_ended_here(ends.ours);
        }
        expect_text(ends.theirs, "before");
        CHECK_STATUS(receive_status(ends.theirs, IPCF_NO_WAIT), IPCF_TIMEOUT);
        CHECK(how_it_ended(ends.theirs) == IPCF_ENDING_NONE);
        for (int times = 0; times < 2; times++) {
            ipcf_channel_shut_down(ends.ours);
            check_ended_here(ends.ours);
            CHECK_STATUS(receive_status(ends.theirs, hang_bound()), IPCF_DISCONNECTED);
            CHECK(how_it_ended(ends.theirs) == IPCF_ENDING_GOODBYE);
        }
        destroy_both(&ends);
    }
}

static void closing_after_an_announcement_says_goodbye(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        openers[kind](&ends);
        ipcf_channel_announce_end(ends.ours);
        ipcf_channel_close(ends.ours);
        ipcf_channel_announce_end(ends.ours);
        ipcf_channel_shut_down(ends.ours);
        CHECK_STATUS(receive_status(ends.ours, IPCF_NO_WAIT), IPCF_CLOSED);
        CHECK_STATUS(receive_status(ends.theirs, hang_bound()), IPCF_DISCONNECTED);
        CHECK(how_it_ended(ends.theirs) == IPCF_ENDING_GOODBYE);
        destroy_both(&ends);
    }
}

static void *receive_the_end(void *argument)
{
    CHECK_STATUS(receive_status(argument, hang_bound()), IPCF_SHUT_DOWN);
    return NULL;
}

static void an_announcement_ends_calls_that_wait(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        openers[kind](&ends);
        pthread_t waiting = start_thread(receive_the_end, ends.ours);
        usleep(kind == 0 ? 2000 : 20000); /* asleep or not: it comes back */
        ipcf_channel_announce_end(ends.ours);
        join(waiting);
        destroy_both(&ends);
    }
}

int main(void)
{
    alarm(100);
    RUN(the_peer_learns_nothing_of_an_announcement);
    RUN(closing_after_an_announcement_says_goodbye);
    RUN(an_announcement_ends_calls_that_wait);
    return 0;
}
