/* SPDX-License-Identifier: MIT
 * The ready handle of either kind of channel: it can be asked for at any moment,
 * whatever another thread is receiving, and is true from then on.
 */
#include "tests/both_kinds.h"

#define ROUNDS 1200

/* ---- while the receive lock is held ---------------------------------------------- */

static void send_number(ipcf_channel *channel, uint64_t number)
{
    CHECK_OK(send_until(channel, &number, sizeof number, hang_bound()));
}

/* Begun, and not finished: the direction stays locked. */
static void begin_number(ipcf_channel *channel)
{
    ipcf_message message;
    ipcf_error error;
    CHECK_OK(begin_until(channel, hang_bound(), &message, &error));
    CHECK(message.size == sizeof(uint64_t) && message.data != NULL);
}

static void receive_number(ipcf_channel *channel)
{
    begin_number(channel);
    ipcf_channel_finish(channel);
}

static void check_true_from_now_on(both_ends *ends, ipcf_handle handle)
{
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(!is_ready(handle));
        send_number(ends->theirs, i);
        CHECK(is_ready(handle));
        receive_number(ends->ours);
    }
    CHECK(!is_ready(handle));
}

/* Would wait for ever, if it waited. */
static void it_does_not_wait_for_a_receiver(void)
{
    for (size_t kind = 0; kind < KINDS; kind++)
        for (uint64_t more = 0; more < 2; more++) {
            both_ends ends;
            ipcf_handle handle, again;
            openers[kind](&ends);
            for (uint64_t i = 0; i <= more; i++)
                send_number(ends.theirs, i);
            begin_number(ends.ours);
            CHECK_OK(ipcf_channel_ready_handle(ends.ours, &handle, NULL));
            CHECK_OK(ipcf_channel_ready_handle(ends.ours, &again, NULL));
            CHECK(again == handle);
            ipcf_channel_finish(ends.ours);
            CHECK(is_ready(handle) == (more != 0));
            if (more != 0)
                receive_number(ends.ours);
            check_true_from_now_on(&ends, handle);
            destroy_both(&ends);
        }
}

static ipcf_channel *asked;
static ipcf_handle asked_handle;

static void ask_when_settled(const char *step)
{
    if (strcmp(step, "channel settled") == 0) {
        ipcf_test_on_step(NULL);
        CHECK_OK(ipcf_channel_ready_handle(asked, &asked_handle, NULL));
    }
}

static void it_may_be_made_while_a_receiver_leaves(void)
{
    for (size_t kind = 0; kind < KINDS; kind++)
        for (uint64_t more = 0; more < 2; more++) {
            both_ends ends;
            openers[kind](&ends);
            for (uint64_t i = 0; i <= more; i++)
                send_number(ends.theirs, i);
            begin_number(ends.ours);
            asked = ends.ours;
            asked_handle = IPCF_NO_HANDLE;
            ipcf_test_on_step(ask_when_settled);
            ipcf_channel_finish(ends.ours);
            CHECK(asked_handle != IPCF_NO_HANDLE);
            CHECK(is_ready(asked_handle) == (more != 0));
            if (more != 0)
                receive_number(ends.ours);
            check_true_from_now_on(&ends, asked_handle);
            destroy_both(&ends);
        }
}

/* ---- raced ----------------------------------------------------------------------- */

typedef struct race {
    both_ends ends;
    ipcf_atomic_u32 started; /* relaxed: only so that both begin together */
} race;

static void start_together(race *both)
{
    (void)atomic_fetch_add_explicit(&both->started, 1u, memory_order_relaxed);
    while (ipcf_load_relaxed(&both->started) != 2)
        ipcf_cpu_relax();
}

static void *receive_two(void *argument)
{
    race *both = argument;
    start_together(both);
    receive_number(both->ends.ours);
    receive_number(both->ends.ours);
    return NULL;
}

/* Between the look at has_ready_set and the release: the longer, the more rounds meet. */
static void dawdle(const char *step)
{
    if (strcmp(step, "channel settled") == 0)
        for (int i = 0; i < 100; i++)
            ipcf_cpu_relax();
}

/* The receiver's last release against the maker's try, as close as two threads come. */
static void a_receiver_that_leaves_is_not_missed(void)
{
    size_t before = open_descriptors();
    ipcf_test_on_step(dawdle);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        race both = {.started = 0};
        ipcf_handle handle;
        openers[round % KINDS](&both.ends);
        send_number(both.ends.theirs, 0);
        send_number(both.ends.theirs, 1);
        if (round % 3 == 0)
            send_number(both.ends.theirs, 2);
        pthread_t receiver = start_thread(receive_two, &both);
        start_together(&both);
        for (uint64_t i = 0; i < round / KINDS % 32 * 8; i++)
            ipcf_cpu_relax();
        CHECK_OK(ipcf_channel_ready_handle(both.ends.ours, &handle, NULL));
        join(receiver);
        CHECK(is_ready(handle) == (round % 3 == 0));
        if (round % 3 == 0)
            receive_number(both.ends.ours);
        send_number(both.ends.theirs, 3);
        CHECK(is_ready(handle));
        destroy_both(&both.ends);
    }
    ipcf_test_on_step(NULL);
    CHECK(open_descriptors() == before);
}

static void *receive_one(void *argument)
{
    receive_number(argument);
    return NULL;
}

static void a_receiver_that_sleeps_leaves_the_next_message_to_the_handle(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        ipcf_handle handle;
        openers[kind](&ends);
        pthread_t receiver = start_thread(receive_one, ends.ours);
        /* acquire: pairs with the exchange in ipcf_lock_release */
        while (ipcf_load_acquire(&ends.ours->receive_lock.state) == 0)
            ipcf_thread_yield();
        CHECK_OK(ipcf_channel_ready_handle(ends.ours, &handle, NULL));
        send_number(ends.theirs, 0);
        join(receiver);
        check_true_from_now_on(&ends, handle);
        destroy_both(&ends);
    }
}

/* ---- the end --------------------------------------------------------------------- */

static unsigned unwatched_at, freed_at, steps;

static void count_steps(const char *step)
{
    steps++;
    if (strcmp(step, "channel unwatched") == 0)
        unwatched_at = steps;
    if (strcmp(step, "channel parts freed") == 0)
        freed_at = steps;
}

static void the_set_is_closed_before_its_members(void)
{
    static void (*const ends_of_life[])(ipcf_channel *) = {ipcf_channel_close,
                                                           ipcf_channel_abandon};
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t way = 0; way < 2; way++) {
            size_t before = open_descriptors();
            both_ends ends;
            ipcf_handle handle;
            openers[kind](&ends);
            CHECK_OK(ipcf_channel_ready_handle(ends.ours, &handle, NULL));
            unwatched_at = freed_at = steps = 0;
            ipcf_test_on_step(count_steps);
            ends_of_life[way](ends.ours);
            ipcf_test_on_step(NULL);
            CHECK(unwatched_at != 0 && unwatched_at < freed_at);
            CHECK(ipcf_channel_ready_handle(ends.ours, &handle, NULL) != IPCF_OK);
            destroy_both(&ends);
            CHECK(open_descriptors() == before);
        }
}

int main(void)
{
    alarm(200);
    RUN(it_does_not_wait_for_a_receiver);
    RUN(it_may_be_made_while_a_receiver_leaves);
    RUN(a_receiver_that_leaves_is_not_missed);
    RUN(a_receiver_that_sleeps_leaves_the_next_message_to_the_handle);
    RUN(the_set_is_closed_before_its_members);
    return 0;
}
