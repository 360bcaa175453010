/* SPDX-License-Identifier: MIT
 * Tests of what both kinds of channel count: messages, bytes, errors, waits, the queue.
 */
#include "tests/both_kinds.h"

static ipcf_metrics read_of(const ipcf_channel *channel)
{
    ipcf_metrics metrics;
    ipcf_channel_read_metrics(channel, &metrics);
    return metrics;
}

static void check_sent(const ipcf_channel *channel, uint64_t messages, uint64_t bytes)
{
    ipcf_metrics found = read_of(channel);
    CHECK(found.messages_sent == messages && found.bytes_sent == bytes);
}

static void check_received(const ipcf_channel *channel, uint64_t messages,
                           uint64_t bytes)
{
    ipcf_metrics found = read_of(channel);
    CHECK(found.messages_received == messages && found.bytes_received == bytes);
}

static void for_both_kinds(void (*test)(both_ends *))
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        openers[kind](&ends);
        test(&ends);
        destroy_both(&ends);
    }
}

/* ---- messages and bytes ---------------------------------------------------------- */

static const size_t sizes[] = {0, 1, 64, 4000, 70000, 0, 700001, 3};
#define SIZES (sizeof sizes / sizeof *sizes)
#define ROUNDS 200u

static uint64_t bytes_of_round(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SIZES; i++)
        sum += sizes[i];
    return sum;
}

static void *send_rounds(void *argument)
{
    static const uint8_t body[700001];
    for (unsigned i = 0; i < ROUNDS * SIZES; i++)
        CHECK_OK(send_until(argument, body, sizes[i % SIZES], hang_bound()));
    return NULL;
}

static void *receive_rounds(void *argument)
{
    for (unsigned i = 0; i < ROUNDS * SIZES; i++) {
        uint8_t *body;
        size_t size;
        CHECK_OK(receive_until(argument, &body, &size, hang_bound()));
        CHECK(size == sizes[i % SIZES]);
        free(body);
    }
    return NULL;
}

/* Whoever reads meanwhile finds each number growing only. */
static void watch(const ipcf_channel *channel)
{
    ipcf_metrics before = read_of(channel), now;
    do {
        now = read_of(channel);
        CHECK(now.messages_sent >= before.messages_sent);
        CHECK(now.bytes_received >= before.bytes_received);
        CHECK(now.waits >= before.waits && now.wake_ups >= before.wake_ups);
        CHECK(now.peak_queue >= before.peak_queue);
        before = now;
        ipcf_thread_yield();
    } while (now.messages_received < ROUNDS * SIZES);
}

static void both_directions(both_ends *ends)
{
    pthread_t threads[] = {start_thread(send_rounds, ends->ours),
                           start_thread(send_rounds, ends->theirs),
                           start_thread(receive_rounds, ends->ours),
                           start_thread(receive_rounds, ends->theirs)};
    watch(ends->ours);
    for (size_t i = 0; i < 4; i++)
        join(threads[i]);
    for (size_t i = 0; i < 2; i++) {
        const ipcf_channel *channel = i == 0 ? ends->ours : ends->theirs;
        check_sent(channel, ROUNDS * SIZES, ROUNDS * bytes_of_round());
        check_received(channel, ROUNDS * SIZES, ROUNDS * bytes_of_round());
        CHECK(read_of(channel).errors == 0);
    }
}

static void every_message_counts_once_with_threads_in_both_directions(void)
{
    for_both_kinds(both_directions);
}

static void batch(both_ends *ends)
{
    ipcf_piece pieces[] = {{"one", 3}, {"", 0}, {"three", 5}};
    ipcf_message message;
    size_t sent;
    CHECK_OK(ipcf_channel_send_many(ends->ours, IPCF_KIND_BYTES, pieces, 3, &sent,
                                    hang_bound(), NULL));
    CHECK_OK(
        ipcf_channel_try_send(ends->ours, IPCF_KIND_MESSAGE, pieces[0].data, 3, NULL));
    check_sent(ends->ours, 4, 11);
    check_received(ends->theirs, 0, 0);
    CHECK_OK(begin_until(ends->theirs, hang_bound(), &message, NULL));
    CHECK_OK(ipcf_channel_next(ends->theirs, &message));
    check_received(ends->theirs, 1, 3);
    ipcf_channel_leave(ends->theirs);
    check_received(ends->theirs, 1, 3); /* what is left at the head has not come yet */
    CHECK_OK(begin_until(ends->theirs, hang_bound(), &message, NULL));
    CHECK_OK(ipcf_channel_next(ends->theirs, &message));
    CHECK_OK(ipcf_channel_next(ends->theirs, &message));
    CHECK_STATUS(ipcf_channel_next(ends->theirs, &message), IPCF_AGAIN);
    check_received(ends->theirs, 4, 11);
    CHECK(read_of(ends->theirs).errors == 0);
}

static void batches_count_each_message(void) { for_both_kinds(batch); }

/* ---- begun sends ----------------------------------------------------------------- */

#define LARGE ((size_t)8 << 20)

static void *receive_one(void *argument)
{
    uint8_t *body;
    size_t size;
    CHECK_OK(receive_until(argument, &body, &size, hang_bound()));
    CHECK(size == LARGE);
    free(body);
    return NULL;
}

static void begin_large(ipcf_channel *channel)
{
    static const uint8_t body[LARGE];
    ipcf_error error = {0};
    CHECK_STATUS(
        ipcf_channel_send(channel, IPCF_KIND_BYTES, body, LARGE, IPCF_NO_WAIT, &error),
        IPCF_TIMEOUT);
    CHECK(error.what == ipcf_channel_begun);
}

static void begun(both_ends *ends)
{
    begin_large(ends->ours);
    check_sent(ends->ours, 0, 0);
    pthread_t receiver = start_thread(receive_one, ends->theirs);
    ipcf_status status;
    do
        status = ipcf_channel_flush(ends->ours, hang_bound(), NULL);
    while (status == IPCF_INTERRUPTED);
    CHECK_OK(status);
    check_sent(ends->ours, 1, LARGE);
    join(receiver);
    check_received(ends->theirs, 1, LARGE);
    CHECK_OK(ipcf_channel_flush(ends->ours, hang_bound(), NULL));
    check_sent(ends->ours, 1, LARGE);
    CHECK(read_of(ends->ours).errors == 0);
}

static void a_begun_send_counts_when_it_is_finished(void) { for_both_kinds(begun); }

/* What a goodbye finishes counts as well: a stream has room for the rest of a small
 * message after the first has been taken. */
static void a_send_that_the_goodbye_finishes_counts(void)
{
    static const uint8_t body[50000];
    both_ends ends;
    ipcf_error error = {0};
    open_stream(&ends);
    while (ipcf_channel_send(ends.ours, IPCF_KIND_BYTES, body, sizeof body,
                             IPCF_NO_WAIT, &error) == IPCF_OK)
        continue;
    CHECK(error.what == ipcf_channel_begun);
    uint64_t before = read_of(ends.ours).messages_sent;
    for (uint64_t i = 0; i < before; i++)
        expect(ends.theirs, body, sizeof body);
    ipcf_channel_shut_down(ends.ours);
    check_sent(ends.ours, before + 1, (before + 1) * sizeof body);
    expect(ends.theirs, body, sizeof body);
    check_received(ends.theirs, before + 1, (before + 1) * sizeof body);
    destroy_both(&ends);
}

/* ---- what does not count --------------------------------------------------------- */

static void a_handshake_does_not_count(void)
{
    both_ends ends;
    uint8_t kind, body[8];
    size_t size, handles = 0;
    open_stream(&ends);
    CHECK_OK(ipcf_stream_channel_send_handles(&ends.stream[0], IPCF_KIND_HELLO, "hello",
                                              5, NULL, 0, hang_bound(), NULL));
    CHECK_OK(ipcf_stream_channel_receive_handles(&ends.stream[1], &kind, body,
                                                 sizeof body, &size, NULL, &handles,
                                                 hang_bound(), NULL));
    CHECK(kind == IPCF_KIND_HELLO && size == 5);
    check_sent(ends.ours, 0, 0);
    check_received(ends.theirs, 0, 0);
    CHECK(read_of(ends.theirs).peak_queue == 0);
    destroy_both(&ends);
}

/* ---- errors ---------------------------------------------------------------------- */

static void fail_in_each_way(both_ends *ends)
{
    static const uint8_t body[5000];
    ends->theirs->message_limit = ends->stream[1].decoder.body_limit = 4096;
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_OK(send_until(ends->ours, body, sizeof body, hang_bound()));
        CHECK_STATUS(receive_status(ends->theirs, hang_bound()), IPCF_TOO_LARGE);
        CHECK(read_of(ends->theirs).errors == i);
    }
    check_sent(ends->ours, 3, 3 * sizeof body);
    check_received(ends->theirs, 0, 0);
    CHECK_STATUS(receive_status(ends->theirs, IPCF_NO_WAIT), IPCF_TIMEOUT);
    ipcf_message message;
    CHECK_STATUS(ipcf_channel_try_begin(ends->theirs, IPCF_LOOK_ONCE, &message,
                                        &(ipcf_error){0}),
                 IPCF_AGAIN);
    CHECK(read_of(ends->theirs).errors == 3);
    ipcf_channel_close(ends->ours);
    CHECK_STATUS(receive_status(ends->theirs, hang_bound()), IPCF_DISCONNECTED);
    CHECK(read_of(ends->theirs).errors == 3); /* the peer took its leave */
    CHECK_STATUS(send_until(ends->theirs, "x", 1, hang_bound()), IPCF_DISCONNECTED);
    CHECK(read_of(ends->theirs).errors == 4);
    CHECK_STATUS(send_until(ends->ours, "x", 1, hang_bound()), IPCF_CLOSED);
    CHECK(read_of(ends->ours).errors == 0);
    check_sent(ends->ours, 3, 3 * sizeof body);
}

static void failures_count_and_orderly_ends_do_not(void)
{
    for_both_kinds(fail_in_each_way);
}

static void the_death_of_the_peer_counts(void)
{
    both_ends ends;
    open_stream(&ends);
    ipcf_stream_shut_down(&ends.theirs->stream); /* without goodbye */
    CHECK_STATUS(receive_status(ends.ours, hang_bound()), IPCF_DISCONNECTED);
    CHECK(how_it_ended(ends.ours) == IPCF_ENDING_DIED);
    CHECK(read_of(ends.ours).errors == 1);
    destroy_both(&ends);
}

static void *count_errors(void *argument)
{
    for (unsigned i = 0; i < 20000; i++)
        ipcf_count_error(argument);
    return NULL;
}

static void errors_of_several_threads_are_all_counted(void)
{
    ipcf_counters sent = {0}, received = {0};
    ipcf_metrics metrics;
    pthread_t threads[] = {start_thread(count_errors, &sent),
                           start_thread(count_errors, &sent),
                           start_thread(count_errors, &received)};
    for (size_t i = 0; i < 3; i++)
        join(threads[i]);
    ipcf_metrics_read(&sent, &received, &(ipcf_latency){0}, &metrics);
    CHECK(metrics.errors == 60000);
}

/* ---- queue and waits ------------------------------------------------------------- */

static void queue(both_ends *ends)
{
    for (unsigned i = 0; i < 5; i++)
        send_text(ends->ours, "x");
    CHECK(read_of(ends->theirs).peak_queue == 0);
    for (unsigned i = 0; i < 5; i++)
        expect_text(ends->theirs, "x");
    CHECK(read_of(ends->theirs).peak_queue == 5);
    for (unsigned i = 0; i < 10; i++) {
        send_text(ends->ours, "y");
        expect_text(ends->theirs, "y");
    }
    CHECK(read_of(ends->theirs).peak_queue == 5);
    CHECK(read_of(ends->ours).peak_queue == 0);
}

static void the_queue_is_what_one_look_found(void) { for_both_kinds(queue); }

static void wait_in_vain(both_ends *ends)
{
    ipcf_message message;
    CHECK_STATUS(receive_status(ends->theirs, IPCF_NO_WAIT), IPCF_TIMEOUT);
    CHECK(read_of(ends->theirs).waits == 0 && read_of(ends->theirs).wake_ups == 0);
    ipcf_status status = IPCF_INTERRUPTED;
    uint64_t deadline = ipcf_clock_ns() + UINT64_C(120000000);
    while (status == IPCF_INTERRUPTED) /* it is one wait, however often it goes on */
        status = ipcf_channel_begin(ends->theirs, deadline, &message, &(ipcf_error){0});
    CHECK_STATUS(status, IPCF_TIMEOUT);
    CHECK(read_of(ends->theirs).waits == 1 && read_of(ends->theirs).wake_ups >= 1);
    send_text(ends->ours, "x");
    expect_text(ends->theirs, "x");
    CHECK(read_of(ends->theirs).waits == 1);
    CHECK(read_of(ends->ours).waits == 0);
}

static void a_wait_counts_once_and_its_sleeps_beside_it(void)
{
    for_both_kinds(wait_in_vain);
}

static void wait_for_room_in_vain(both_ends *ends)
{
    begin_large(ends->ours);
    CHECK(read_of(ends->ours).waits == 0);
    uint64_t deadline = ipcf_clock_ns() + UINT64_C(20000000);
    CHECK_STATUS(ipcf_channel_flush(ends->ours, deadline, NULL), IPCF_TIMEOUT);
    CHECK(read_of(ends->ours).waits == 1 && read_of(ends->ours).wake_ups >= 1);
    CHECK(read_of(ends->ours).errors == 0);
}

static void waiting_for_room_counts_too(void) { for_both_kinds(wait_for_room_in_vain); }

int main(void)
{
    RUN(every_message_counts_once_with_threads_in_both_directions);
    RUN(batches_count_each_message);
    RUN(a_begun_send_counts_when_it_is_finished);
    RUN(a_send_that_the_goodbye_finishes_counts);
    RUN(a_handshake_does_not_count);
    RUN(failures_count_and_orderly_ends_do_not);
    RUN(the_death_of_the_peer_counts);
    RUN(errors_of_several_threads_are_all_counted);
    RUN(the_queue_is_what_one_look_found);
    RUN(a_wait_counts_once_and_its_sleeps_beside_it);
    RUN(waiting_for_room_counts_too);
    return 0;
}
