/* SPDX-License-Identifier: MIT
 * What the in-process queue counts: items, their sizes, waits, and what is thrown away.
 */
#include "tests/queue_users.h"

static ipcf_metrics metrics_of(const ipcf_queue *outbound, const ipcf_queue *inbound)
{
    ipcf_metrics metrics;
    ipcf_queue_read_metrics(outbound, inbound, &metrics);
    return metrics;
}

static void each_direction_counts_items_and_sizes(void)
{
    ipcf_queue *out = make_queue(7), *in = make_queue(7);
    uint64_t size = 0;
    for (uintptr_t i = 0; i < 100; i++) {
        CHECK_OK(try_push(out, i * 37));
        size += item_of(i * 37).size;
        ipcf_metrics ours = metrics_of(out, in), theirs = metrics_of(in, out);
        CHECK(ours.messages_sent == i + 1 && ours.bytes_sent == size);
        CHECK(theirs.messages_received == i);
        CHECK(popped(out) == i * 37);
        theirs = metrics_of(in, out);
        CHECK(theirs.messages_received == i + 1 && theirs.bytes_received == size);
        CHECK(theirs.messages_sent == 0 && theirs.bytes_sent == 0);
        CHECK(ours.messages_received == 0 && ours.bytes_received == 0);
        CHECK(theirs.peak_queue == 1 && ours.peak_queue == 0);
    }
    ipcf_queue_close(out); /* which is a bit of the position */
    CHECK_STATUS(try_push(out, 1), IPCF_DISCONNECTED);
    CHECK(metrics_of(out, in).messages_sent == 100);
    drop_queue(out);
    drop_queue(in);
}

static void what_is_refused_or_not_wanted_does_not_count(void)
{
    ipcf_queue *queue = make_queue(1);
    ipcf_queue_item item;
    CHECK_OK(try_push(queue, 500));
    CHECK_STATUS(try_push(queue, 501), IPCF_AGAIN);
    CHECK_STATUS(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, 499, &item),
                 IPCF_TOO_LARGE);
    ipcf_metrics found = metrics_of(queue, queue);
    CHECK(found.messages_sent == 1 && found.bytes_sent == 500);
    CHECK(found.messages_received == 0 && found.bytes_received == 0);
    CHECK(found.errors == 0 && found.waits == 0);
    drop_queue(queue);
}

static void what_is_thrown_away_was_not_received(void)
{
    ipcf_queue *queue = make_queue(10);
    ipcf_queue_item item;
    for (uintptr_t i = 100; i < 105; i++)
        CHECK_OK(try_push(queue, i));
    CHECK(popped(queue) == 100);
    ipcf_queue_close(queue);
    while (ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item) == IPCF_OK)
        ipcf_queue_count_discarded(queue, &item);
    ipcf_metrics found = metrics_of(queue, queue);
    CHECK(found.messages_sent == 5 && found.bytes_sent == 510);
    CHECK(found.messages_received == 1 && found.bytes_received == 100);
    drop_queue(queue);
}

static void a_wait_counts_once_and_its_sleeps_beside_it(void)
{
    ipcf_queue *queue = make_queue(1);
    CHECK_STATUS(wait_once(queue, IPCF_QUEUE_FOR_ITEM, IPCF_NO_WAIT), IPCF_TIMEOUT);
    CHECK(metrics_of(queue, queue).waits == 0);
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ROOM, IPCF_NEVER));
    CHECK(metrics_of(queue, queue).waits == 0); /* it was there */
    /* three naps long */
    uint64_t deadline = ipcf_clock_ns() + NAP_NS * 5 / 2;
    CHECK_STATUS(wait_once(queue, IPCF_QUEUE_FOR_ITEM, deadline), IPCF_TIMEOUT);
    ipcf_metrics found = metrics_of(queue, queue);
    CHECK(found.waits == 1 && found.wake_ups >= 3);
    CHECK_OK(try_push(queue, 1));
    deadline = ipcf_clock_ns() + NAP_NS;
    CHECK_STATUS(wait_once(queue, IPCF_QUEUE_FOR_ROOM, deadline), IPCF_TIMEOUT);
    CHECK(metrics_of(queue, queue).waits == 2);
    CHECK(metrics_of(queue, queue).wake_ups > found.wake_ups);
    drop_queue(queue);
}

/* ---- times ----------------------------------------------------------------------- */

static uint64_t sampled_of(uint64_t count)
{
    uint64_t sampled = 0;
    for (uint64_t number = 0; number < count; number++)
        sampled += ipcf_latency_is_sampled(number);
    return sampled;
}

static void one_item_of_64_is_timed(void)
{
    ipcf_queue *queue = make_queue(100);
    ipcf_queue_item item;
    for (uintptr_t i = 0; i < 1000; i++) {
        uint64_t before = ipcf_clock_ns();
        CHECK_OK(try_push(queue, i));
        CHECK_OK(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item));
        if (ipcf_latency_is_sampled(i))
            CHECK(item.sent_ns >= before && item.sent_ns <= ipcf_clock_ns());
        else
            CHECK(item.sent_ns == 0);
        ipcf_queue_count_received(queue, &item);
    }
    ipcf_metrics found = metrics_of(queue, queue);
    CHECK(found.timed == sampled_of(1000) && found.latency_sum_ns != 0);
    CHECK(found.latency_p50_ns <= found.latency_p99_ns);
    drop_queue(queue);
}

static void who_had_to_wait_says_since_when(void)
{
    ipcf_queue *queue = make_queue(1);
    ipcf_queue_item item = item_of(7);
    item.sent_ns = ipcf_clock_ns() - 5000000;
    CHECK_OK(ipcf_queue_try_push(queue, &item));
    CHECK_OK(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item));
    ipcf_queue_count_received(queue, &item);
    CHECK(metrics_of(queue, queue).timed == 1);
    CHECK(metrics_of(queue, queue).latency_sum_ns >= 5000000);
    drop_queue(queue);
}

static void what_is_thrown_away_is_not_timed(void)
{
    ipcf_queue *queue = make_queue(1);
    ipcf_queue_item item;
    CHECK_OK(try_push(queue, 1));
    CHECK_OK(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item));
    CHECK(item.sent_ns != 0);
    ipcf_queue_count_discarded(queue, &item);
    CHECK(metrics_of(queue, queue).timed == 0);
    drop_queue(queue);
}

/* ---- threads --------------------------------------------------------------------- */

#define USERS 3u
#define ITEMS 20000u

static void *push_many(void *argument)
{
    for (uintptr_t i = 0; i < ITEMS; i++)
        CHECK_OK(push(argument, i, hang_bound()));
    return NULL;
}

static void *pop_many(void *argument)
{
    uintptr_t number;
    for (unsigned i = 0; i < ITEMS; i++)
        CHECK_OK(pop(argument, &number, hang_bound()));
    return NULL;
}

/* Whoever reads meanwhile finds each number growing only. */
static void watch(const ipcf_queue *queue)
{
    ipcf_metrics before = metrics_of(queue, queue), now;
    do {
        now = metrics_of(queue, queue);
        CHECK(now.messages_sent >= before.messages_sent);
        CHECK(now.messages_received >= before.messages_received);
        CHECK(now.bytes_sent >= before.bytes_sent);
        CHECK(now.bytes_received >= before.bytes_received);
        CHECK(now.waits >= before.waits && now.wake_ups >= before.wake_ups);
        before = now;
        ipcf_thread_yield();
    } while (now.messages_received < USERS * ITEMS);
}

static void nothing_is_lost_between_several_threads(void)
{
    ipcf_queue *queue = make_queue(100);
    pthread_t threads[2 * USERS];
    uint64_t size = 0;
    for (uintptr_t i = 0; i < ITEMS; i++)
        size += USERS * item_of(i).size;
    for (size_t i = 0; i < 2 * USERS; i++)
        threads[i] = start(i < USERS ? push_many : pop_many, queue);
    watch(queue);
    for (size_t i = 0; i < 2 * USERS; i++)
        (void)result_of(threads[i]);
    ipcf_metrics found = metrics_of(queue, queue);
    CHECK(found.messages_sent == USERS * ITEMS && found.bytes_sent == size);
    CHECK(found.messages_received == USERS * ITEMS && found.bytes_received == size);
    CHECK(found.peak_queue >= 1 && found.peak_queue <= 100);
    drop_queue(queue);
}

int main(void)
{
    RUN(each_direction_counts_items_and_sizes);
    RUN(what_is_refused_or_not_wanted_does_not_count);
    RUN(what_is_thrown_away_was_not_received);
    RUN(a_wait_counts_once_and_its_sleeps_beside_it);
    RUN(one_item_of_64_is_timed);
    RUN(who_had_to_wait_says_since_when);
    RUN(what_is_thrown_away_is_not_timed);
    RUN(nothing_is_lost_between_several_threads);
    return 0;
}
