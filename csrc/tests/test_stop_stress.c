/* SPDX-License-Identifier: MIT
 * Stops that race with messages: each of thousands is noticed, whenever it comes, none
 * twice, and everything that is sent arrives in order.
 */
#include "tests/both_kinds.h"
#include "tests/queue_users.h"

#define MESSAGES UINT64_C(20000)
#define STOPS 2000u

/* What is received from: a channel, or a queue. */
typedef struct traffic {
    ipcf_channel *channel, *peer;
    ipcf_queue *queue;
    ipcf_stop stop;
    pthread_mutex_t mutex; /* guards setting and resetting, and the three below */
    uint64_t asked, noticed;
    bool has_ended;
} traffic;

static void *send_numbers(void *argument)
{
    traffic *all = argument;
    for (uint64_t number = 1; number <= MESSAGES; number++) {
        if (all->queue != NULL)
            CHECK_OK(push(all->queue, (uintptr_t)number, hang_bound()));
        else
            CHECK_OK(send_until(all->peer, &number, sizeof number, hang_bound()));
        if (number % 512 == 0)
            usleep(500); /* so that stops find a receiver that sleeps */
    }
    return NULL;
}

/* One wait and one message. TIMEOUT: stopped. */
static ipcf_status take_from_queue(traffic *all, uint64_t *number)
{
    ipcf_queue_wait wait;
    ipcf_queue_item item;
    ipcf_queue_wait_begin(&wait, all->queue, IPCF_QUEUE_FOR_ITEM, hang_bound(),
                          IPCF_NEVER);
    wait.stop = &all->stop;
    ipcf_status status;
    do {
        status = ipcf_queue_wait_on(&wait);
        if (status == IPCF_OK)
            status =
                ipcf_queue_try_pop(all->queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item);
    } while (status == IPCF_AGAIN || status == IPCF_INTERRUPTED);
    ipcf_queue_wait_end(&wait, status == IPCF_OK);
    if (status == IPCF_OK)
        *number = (uintptr_t)item.pointer;
    return status;
}

static ipcf_status take_from_channel(traffic *all, uint64_t *number)
{
    ipcf_message message;
    ipcf_status status;
    do
        status = ipcf_channel_begin_stoppable(all->channel, hang_bound(), &all->stop,
                                              &message, NULL);
    while (status == IPCF_INTERRUPTED);
    if (status != IPCF_OK)
        return status;
    CHECK(message.size == sizeof *number && message.data != NULL);
    memcpy(number, message.data, sizeof *number);
    ipcf_channel_finish(all->channel);
    return IPCF_OK;
}

/* A stop has been noticed: one for each that was asked for, and none of old. */
static void notice(traffic *all)
{
    pthread_mutex_lock(&all->mutex);
    CHECK(all->noticed + 1 == all->asked);
    all->noticed = all->asked;
    ipcf_stop_reset(&all->stop);
    pthread_mutex_unlock(&all->mutex);
}

static void *receive_numbers(void *argument)
{
    traffic *all = argument;
    for (uint64_t due = 1; due <= MESSAGES;) {
        uint64_t number = 0;
        ipcf_status status = all->queue != NULL ? take_from_queue(all, &number)
                                                : take_from_channel(all, &number);
        if (status == IPCF_TIMEOUT) {
            notice(all);
            continue;
        }
        CHECK_OK(status);
        CHECK(number == due);
        due++;
    }
    pthread_mutex_lock(&all->mutex);
    all->has_ended = true;
    pthread_mutex_unlock(&all->mutex);
    return NULL;
}

static bool ask(traffic *all)
{
    pthread_mutex_lock(&all->mutex);
    bool asks = !all->has_ended;
    if (asks && all->noticed == all->asked) {
        all->asked++;
        ipcf_stop_set(&all->stop);
        if (all->queue != NULL)
            ipcf_queue_wake_receivers(all->queue);
        else
            ipcf_channel_wake_receivers(all->channel);
    }
    pthread_mutex_unlock(&all->mutex);
    return asks;
}

/* Nobody sends, so it is the stop alone that ends a wait. */
static void *receive_nothing(void *argument)
{
    traffic *all = argument;
    for (unsigned i = 0; i < STOPS; i++) {
        uint64_t number;
        CHECK_STATUS(all->queue != NULL ? take_from_queue(all, &number)
                                        : take_from_channel(all, &number),
                     IPCF_TIMEOUT);
        notice(all);
    }
    pthread_mutex_lock(&all->mutex);
    all->has_ended = true;
    pthread_mutex_unlock(&all->mutex);
    return NULL;
}

static void run(traffic *all, void *(*receive)(void *), bool sends)
{
    pthread_t sender;
    CHECK_OK(ipcf_stop_init(&all->stop, NULL));
    CHECK(pthread_mutex_init(&all->mutex, NULL) == 0);
    pthread_t receiver = start(receive, all);
    if (sends)
        sender = start(send_numbers, all);
    for (unsigned i = 0; ask(all); i++)
        if (i % 8 == 0)
            usleep(i % 64);
        else
            ipcf_thread_yield();
    join(receiver);
    if (sends)
        join(sender);
    CHECK(all->noticed != 0 || !sends);
    pthread_mutex_destroy(&all->mutex);
    ipcf_stop_destroy(&all->stop);
}

static void race(void *(*receive)(void *), bool sends)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        openers[kind](&ends);
        traffic of_channel = {.channel = ends.ours, .peer = ends.theirs};
        run(&of_channel, receive, sends);
        destroy_both(&ends);
    }
    traffic of_queue = {.queue = make_queue(64)};
    run(&of_queue, receive, sends);
    drop_queue(of_queue.queue);
}

static void messages_that_race_with_stops_arrive_in_order(void)
{
    race(receive_numbers, true);
}

static void every_stop_of_a_silent_channel_is_noticed(void)
{
    race(receive_nothing, false);
}

int main(void)
{
    RUN(messages_that_race_with_stops_arrive_in_order);
    RUN(every_stop_of_a_silent_channel_is_noticed);
    return 0;
}
