/* SPDX-License-Identifier: MIT
 * What the end of a ring channel tells the other side: all was sent, or a message was
 * cut; and that a full ring hides no death.
 */
#include "tests/ring_channel_ends.h"

#define LONG_BODY (4 * CAPACITY)

static uint8_t long_body[LONG_BODY];

/* ---- ends in mid-message --------------------------------------------------------- */

static void begin_long_send(ipcf_ring_channel *channel)
{
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_channel_send(&channel->base, IPCF_KIND_BYTES, long_body,
                                   LONG_BODY, IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK(error.what == ipcf_channel_begun);
}

static void (*const ends_of_life[])(ipcf_channel *) = {ipcf_channel_shut_down,
                                                       ipcf_channel_close};

static void no_goodbye_in_mid_message(void)
{
    for (size_t way = 0; way < 2; way++)
        for (int sends_first = 0; sends_first < 2; sends_first++) {
            pair both;
            open_pair(&both);
            send_text(&both.creator.base, "whole");
            begin_long_send(&both.creator);
            ends_of_life[way](&both.creator.base);
            if (sends_first) {
                CHECK_STATUS(send_until(&both.adopter.base, "no", 2, IPCF_NO_WAIT),
                             IPCF_DISCONNECTED);
                CHECK(ending_of(&both.adopter) == IPCF_ENDING_DIED);
            }
            expect_text(&both.adopter.base, "whole");
            uint8_t *body;
            size_t size;
            for (int again = 0; again < 2; again++)
                CHECK_STATUS(
                    receive_until(&both.adopter.base, &body, &size, hang_bound()),
                    IPCF_DISCONNECTED);
            CHECK(ending_of(&both.adopter) == IPCF_ENDING_DIED);
            close_pair(&both);
        }
}

static void *receive_the_rest(void *argument)
{
    uint8_t *body;
    size_t size;
    CHECK_STATUS(receive_until(argument, &body, &size, IPCF_NEVER), IPCF_DISCONNECTED);
    return NULL;
}

static void the_cut_wakes_who_waits_for_the_rest(void)
{
    pair both;
    open_pair(&both);
    begin_long_send(&both.creator);
    pthread_t receiver = start_thread(receive_the_rest, &both.adopter.base);
    wait_until_parked(&both.adopter.in.shared->wants_data);
    ipcf_channel_shut_down(&both.creator.base);
    join(receiver);
    CHECK(ending_of(&both.adopter) == IPCF_ENDING_DIED);
    close_pair(&both);
}

static void *receive_long(void *argument)
{
    expect(argument, long_body, LONG_BODY);
    return NULL;
}

static void a_message_that_was_finished_late_is_not_cut(void)
{
    pair both;
    open_pair(&both);
    begin_long_send(&both.creator);
    pthread_t receiver = start_thread(receive_long, &both.adopter.base);
    ipcf_status status;
    do
        status = ipcf_channel_flush(&both.creator.base, hang_bound(), NULL);
    while (status == IPCF_INTERRUPTED);
    CHECK_OK(status);
    join(receiver);
    ipcf_channel_shut_down(&both.creator.base);
    CHECK_STATUS(receive_status(&both.adopter.base, hang_bound()), IPCF_DISCONNECTED);
    CHECK(ending_of(&both.adopter) == IPCF_ENDING_GOODBYE);
    close_pair(&both);
}

/* ---- a full ring ----------------------------------------------------------------- */

static int life[2];

/* A child of the peer holds on to everything that the peer had. */
static void leave_a_child_and_wait(ipcf_ring_channel *channel)
{
    CHECK(close(life[1]) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    char byte;
    if (child == 0)
        _exit((int)read(life[0], &byte, 1));
    send_text(&channel->base, "there");
    for (;;)
        pause();
}

static void a_full_ring_tells_of_a_death_without_waiting(void)
{
    for (int is_long = 0; is_long < 2; is_long++) {
        ipcf_ring_channel survivor;
        CHECK(pipe2(life, O_CLOEXEC) == 0);
        pid_t peer = fork_peer(&survivor, CAPACITY, leave_a_child_and_wait, true);
        expect_text(&survivor.base, "there");
        if (is_long)
            begin_long_send(&survivor);
        else
            fill_ring(&survivor.base);
        CHECK_STATUS(send_until(&survivor.base, "no", 2, IPCF_NO_WAIT), IPCF_TIMEOUT);
        CHECK(kill(peer, SIGKILL) == 0);
        (void)end_of_process(peer);
        CHECK_STATUS(send_until(&survivor.base, "no", 2, IPCF_NO_WAIT),
                     IPCF_DISCONNECTED);
        CHECK(ending_of(&survivor) == IPCF_ENDING_DIED);
        ipcf_channel_destroy(&survivor.base);
        CHECK(close(life[0]) == 0 && close(life[1]) == 0);
    }
}

/* ---- a peer that takes a message and leaves -------------------------------------- */

static pair taken;

/* While the sender is still in its call. */
static void take_it_and_leave(const char *step)
{
    if (strcmp(step, "ring data bell rung") != 0)
        return;
    ipcf_test_on_step(NULL);
    expect_text(&taken.adopter.base, "last");
    ipcf_channel_close(&taken.adopter.base);
}

static void a_message_that_was_received_was_sent(void)
{
    for (int in_batch = 0; in_batch < 2; in_batch++) {
        open_pair(&taken);
        taken.creator.sends_unasked = UINT32_MAX - 1; /* it asks for the peer now */
        ipcf_piece last = {"last", 4};
        size_t sent;
        ipcf_test_on_step(take_it_and_leave);
        CHECK_OK(in_batch ? ipcf_channel_send_many(&taken.creator.base, IPCF_KIND_BYTES,
                                                   &last, 1, &sent, hang_bound(), NULL)
                          : ipcf_channel_try_send(&taken.creator.base, IPCF_KIND_BYTES,
                                                  last.data, last.size, NULL));
        CHECK_STATUS(send_until(&taken.creator.base, "no", 2, IPCF_NO_WAIT),
                     IPCF_DISCONNECTED);
        CHECK(ending_of(&taken.creator) == IPCF_ENDING_GOODBYE);
        close_pair(&taken);
    }
}

int main(void)
{
    alarm(200);
    RUN(no_goodbye_in_mid_message);
    RUN(the_cut_wakes_who_waits_for_the_rest);
    RUN(a_message_that_was_finished_late_is_not_cut);
    RUN(a_full_ring_tells_of_a_death_without_waiting);
    RUN(a_message_that_was_received_was_sent);
    return 0;
}
