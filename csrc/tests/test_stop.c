/* SPDX-License-Identifier: MIT
 * Tests of ending one thread's waits early: on channels of both kinds and on queues,
 * asleep or not yet, in mid-message, while others wait, and again and again.
 */
#include "tests/both_kinds.h"
#include "tests/queue_users.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A thread that receives with a stop, and what came of it. */
typedef struct waiter {
    ipcf_channel *channel;
    ipcf_stop stop;
    ipcf_message message;
    ipcf_status status;
} waiter;

static void make_waiter(waiter *one, ipcf_channel *channel)
{
    *one = (waiter){.channel = channel};
    CHECK_OK(ipcf_stop_init(&one->stop, NULL));
}

static void *begin_with_stop(void *argument)
{
    waiter *one = argument;
    do
        one->status = ipcf_channel_begin_stoppable(one->channel, hang_bound(),
                                                   &one->stop, &one->message, NULL);
    while (one->status == IPCF_INTERRUPTED);
    return NULL;
}

static void stop(waiter *one)
{
    ipcf_stop_set(&one->stop);
    ipcf_channel_wake_receivers(one->channel);
}

static uint64_t reading_of(const ipcf_atomic_u64 *counter)
{
    return ipcf_load_relaxed(counter);
}

/* Until somebody has found nothing there, and waits or is about to. */
static void until_waiting(ipcf_channel *channel)
{
    uint64_t deadline = hang_bound();
    while (reading_of(&channel->received.waits) == 0) {
        CHECK(ipcf_clock_ns() < deadline);
        ipcf_thread_yield();
    }
}

/* ---- one stop -------------------------------------------------------------------- */

static void a_stop_ends_a_receive_and_the_channel_goes_on(void)
{
    for (size_t kind = 0; kind < KINDS; kind++)
        for (unsigned delay_us = 0; delay_us <= 20000; delay_us += 10000) {
            both_ends ends;
            waiter one;
            openers[kind](&ends);
            make_waiter(&one, ends.ours);
            pthread_t thread = start_thread(begin_with_stop, &one);
            until_waiting(ends.ours);
            usleep(delay_us); /* it spins at first, and then sleeps */
            stop(&one);
            join(thread);
            CHECK_STATUS(one.status, IPCF_TIMEOUT);
            CHECK(ipcf_load_acquire(&ends.ours->state) == IPCF_STATE_OPEN);
            send_text(ends.theirs, "comes");
            expect_text(ends.ours, "comes");
            ipcf_stop_destroy(&one.stop);
            destroy_both(&ends);
        }
}

static void a_stop_ends_the_next_wait_and_is_taken_back_by_a_reset(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        waiter one;
        openers[kind](&ends);
        make_waiter(&one, ends.ours);
        stop(&one);
        stop(&one);
        for (unsigned i = 0; i < 2; i++) {
            begin_with_stop(&one);
            CHECK_STATUS(one.status, IPCF_TIMEOUT);
        }
        ipcf_stop_reset(&one.stop);
        uint64_t deadline = ipcf_clock_ns() + 5 * MS;
        CHECK_STATUS(ipcf_channel_begin_stoppable(ends.ours, deadline, &one.stop,
                                                  &one.message, NULL),
                     IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        send_text(ends.theirs, "comes");
        begin_with_stop(&one);
        CHECK_OK(one.status);
        CHECK(one.message.size == 5);
        ipcf_channel_finish(ends.ours);
        ipcf_stop_destroy(&one.stop);
        destroy_both(&ends);
    }
}

static void other_ends_come_before_the_stop_or_after_it(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        waiter one;
        openers[kind](&ends);
        make_waiter(&one, ends.ours);
        pthread_t thread = start_thread(begin_with_stop, &one);
        until_waiting(ends.ours);
        ipcf_channel_shut_down(ends.ours);
        join(thread);
        CHECK_STATUS(one.status, IPCF_SHUT_DOWN);
        ipcf_channel_close(ends.ours);
        stop(&one); /* of a channel that is closed */
        ipcf_stop_reset(&one.stop);
        begin_with_stop(&one);
        CHECK_STATUS(one.status, IPCF_CLOSED);
        ipcf_stop_destroy(&one.stop);
        make_waiter(&one, ends.theirs);
        begin_with_stop(&one);
        CHECK_STATUS(one.status, IPCF_DISCONNECTED);
        ipcf_stop_destroy(&one.stop);
        destroy_both(&ends);
    }
}

/* ---- nobody else is stopped ------------------------------------------------------ */

static void *receive_plainly(void *channel)
{
    expect_text(channel, "for the other");
    return NULL;
}

static void who_waits_for_its_turn_is_stopped_and_who_has_it_is_not(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        waiter one;
        openers[kind](&ends);
        make_waiter(&one, ends.ours);
        pthread_t other = start_thread(receive_plainly, ends.ours);
        until_waiting(ends.ours);
        pthread_t thread = start_thread(begin_with_stop, &one);
        usleep(1000); /* most often it waits by now */
        stop(&one);
        join(thread);
        CHECK_STATUS(one.status, IPCF_TIMEOUT);
        send_text(ends.theirs, "for the other");
        join(other);
        ipcf_stop_destroy(&one.stop);
        destroy_both(&ends);
    }
}

/* ---- in mid-message -------------------------------------------------------------- */

#define LONG_SIZE ((size_t)8 << 20)

static ipcf_status read_with_stop(waiter *one, uint8_t *body, size_t *at)
{
    ipcf_status status;
    do {
        size_t got;
        status =
            ipcf_channel_read_body_stoppable(one->channel, body + *at, LONG_SIZE - *at,
                                             &got, hang_bound(), &one->stop, NULL);
        *at += got;
    } while (status == IPCF_INTERRUPTED);
    return status;
}

static void *stop_it(void *argument)
{
    usleep(2000);
    stop(argument);
    return NULL;
}

static void *flush_it(void *channel)
{
    CHECK_OK(ipcf_channel_flush(channel, hang_bound(), NULL));
    return NULL;
}

/* Half of the message is there: read it, and be stopped before the rest comes. */
static void be_stopped_in_mid_message(waiter *one, uint8_t *body, size_t *at)
{
    size_t got;
    begin_with_stop(one);
    CHECK_OK(one->status);
    CHECK(one->message.data == NULL && one->message.size == LONG_SIZE);
    CHECK_OK(ipcf_channel_read_body_stoppable(one->channel, body, 1000, at,
                                              hang_bound(), &one->stop, NULL));
    pthread_t thread = start_thread(stop_it, one);
    CHECK_STATUS(read_with_stop(one, body, at), IPCF_TIMEOUT);
    CHECK(*at >= 1000 && *at < LONG_SIZE);
    CHECK_STATUS(ipcf_channel_read_body_stoppable(one->channel, body, 1, &got,
                                                  hang_bound(), &one->stop, NULL),
                 IPCF_TIMEOUT);
    CHECK(got == 0);
    ipcf_channel_leave(one->channel);
    join(thread);
    ipcf_stop_reset(&one->stop);
}

static void a_stop_ends_a_receive_in_mid_message_and_nothing_is_lost(void)
{
    uint8_t *sent = malloc(LONG_SIZE), *body = malloc(LONG_SIZE);
    CHECK(sent != NULL && body != NULL);
    fill(sent, LONG_SIZE, 7);
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        waiter one;
        size_t at;
        openers[kind](&ends);
        make_waiter(&one, ends.ours);
        CHECK_STATUS(send_until(ends.theirs, sent, LONG_SIZE, ipcf_clock_ns() + 5 * MS),
                     IPCF_TIMEOUT);
        be_stopped_in_mid_message(&one, body, &at);
        pthread_t thread = start_thread(flush_it, ends.theirs);
        begin_with_stop(&one);
        CHECK_OK(one.status);
        CHECK(one.message.received == at);
        CHECK_OK(read_with_stop(&one, body, &at));
        ipcf_channel_finish(ends.ours);
        join(thread);
        CHECK(at == LONG_SIZE && memcmp(sent, body, LONG_SIZE) == 0);
        ipcf_stop_destroy(&one.stop);
        destroy_both(&ends);
    }
    free(sent);
    free(body);
}

/* ---- asleep ---------------------------------------------------------------------- */

static void who_waits_with_a_stop_is_not_woken_for_nothing(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        waiter one;
        openers[kind](&ends);
        make_waiter(&one, ends.ours);
        stop(&one); /* nor by a stop of old */
        ipcf_stop_reset(&one.stop);
        uint64_t started = ipcf_clock_ns();
        pthread_t thread = start_thread(begin_with_stop, &one);
        until_waiting(ends.ours);
        usleep(150000); /* a wait without a stop looks for signals after 50 ms */
        uint64_t wake_ups = reading_of(&ends.ours->received.wake_ups);
        /* a ring is looked at once a second (openers[0]) */
        uint64_t seconds = (ipcf_clock_ns() - started) / IPCF_SLEEP_MAX_NS;
        CHECK(wake_ups <= (kind == 0 ? seconds : 0));
        stop(&one);
        join(thread);
        ipcf_stop_destroy(&one.stop);
        destroy_both(&ends);
    }
}

/* ---- queues ---------------------------------------------------------------------- */

typedef struct queue_waiter {
    ipcf_queue *queue;
    ipcf_stop stop;
} queue_waiter;

static ipcf_status wait_with_stop(queue_waiter *one, uint64_t deadline)
{
    ipcf_queue_wait wait;
    ipcf_status status;
    ipcf_queue_wait_begin(&wait, one->queue, IPCF_QUEUE_FOR_ITEM, deadline, IPCF_NEVER);
    wait.stop = &one->stop;
    while ((status = ipcf_queue_wait_on(&wait)) == IPCF_INTERRUPTED)
        continue;
    ipcf_queue_wait_end(&wait, false);
    return status;
}

static void *wait_for_item(void *argument)
{
    return (void *)(uintptr_t)wait_with_stop(argument, hang_bound());
}

static void *pop_plainly(void *queue)
{
    uintptr_t number = 0;
    CHECK_OK(pop(queue, &number, hang_bound()));
    return (void *)number;
}

static void a_stop_ends_one_wait_for_an_item_and_no_other(void)
{
    queue_waiter one = {.queue = make_queue(4)};
    CHECK_OK(ipcf_stop_init(&one.stop, NULL));
    pthread_t other = start(pop_plainly, one.queue);
    pthread_t thread = start(wait_for_item, &one);
    until_asleep(&one.queue->receivers.park, 2);
    ipcf_stop_set(&one.stop);
    ipcf_queue_wake_receivers(one.queue);
    CHECK(result_of(thread) == IPCF_TIMEOUT);
    CHECK_STATUS(wait_with_stop(&one, hang_bound()), IPCF_TIMEOUT);
    CHECK_OK(try_push(one.queue, 5));
    CHECK(result_of(other) == 5);
    ipcf_stop_reset(&one.stop);
    uint64_t deadline = ipcf_clock_ns() + 5 * MS;
    CHECK_STATUS(wait_with_stop(&one, deadline), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    CHECK_OK(try_push(one.queue, 6));
    CHECK_OK(wait_with_stop(&one, hang_bound()));
    CHECK(popped(one.queue) == 6);
    ipcf_stop_destroy(&one.stop);
    drop_queue(one.queue);
}

static ipcf_stop *stopped_at_step;

static void stop_before_sleep(const char *step)
{
    if (strcmp(step, "queue about to sleep") == 0)
        ipcf_stop_set(stopped_at_step); /* and who wakes finds nobody asleep */
}

static void a_stop_between_the_last_look_and_the_sleep_is_noticed(void)
{
    queue_waiter one = {.queue = make_queue(4)};
    CHECK_OK(ipcf_stop_init(&one.stop, NULL));
    stopped_at_step = &one.stop;
    ipcf_test_on_step(stop_before_sleep);
    CHECK_STATUS(wait_with_stop(&one, IPCF_NEVER), IPCF_TIMEOUT);
    ipcf_test_on_step(NULL);
    ipcf_stop_destroy(&one.stop);
    drop_queue(one.queue);
}

int main(void)
{
    alarm(120); /* a stop that is lost hangs */
    RUN(a_stop_ends_a_receive_and_the_channel_goes_on);
    RUN(a_stop_ends_the_next_wait_and_is_taken_back_by_a_reset);
    RUN(other_ends_come_before_the_stop_or_after_it);
    RUN(who_waits_for_its_turn_is_stopped_and_who_has_it_is_not);
    RUN(a_stop_ends_a_receive_in_mid_message_and_nothing_is_lost);
    RUN(who_waits_with_a_stop_is_not_woken_for_nothing);
    RUN(a_stop_ends_one_wait_for_an_item_and_no_other);
    RUN(a_stop_between_the_last_look_and_the_sleep_is_noticed);
    return 0;
}
