/* SPDX-License-Identifier: MIT
 * Long transfers through a ring channel that never have to wait, because the peer keeps
 * up: they obey the deadline, look for signals, and end when the channel is shut down.
 */
#include "tests/ring_channel_ends.h"

#define SIZE ((size_t)8 << 20)
#define AT_STEP 3u

/* The peer, which does its part between two records of ours; at one of them something
 * happens. Only one thread at a time comes here. */
static struct {
    ipcf_ring_channel channel;
    raw_peer peer;
    ipcf_ring_consumer in;
    ipcf_ring_producer out;
    unsigned steps;
    size_t drained;
    void (*happening)(void);
    uint64_t deadline_ns;
    pthread_t thread;
} now;

static ipcf_error failure;
static uint8_t body[SIZE];

static void drain(void)
{
    ipcf_record record;
    while (ipcf_ring_peek(&now.in, &record, NULL) == IPCF_OK) {
        now.drained += record.size;
        CHECK(!ipcf_ring_release(&now.in)); /* nobody waits for room */
    }
}

static void count_step(void)
{
    if (++now.steps == AT_STEP && now.happening != NULL)
        now.happening();
}

static void drain_between(const char *step)
{
    if (strcmp(step, "between two parts") == 0) {
        drain();
        count_step();
    }
}

static void feed(uint32_t size, uint8_t flags, const void *data)
{
    uint8_t *payload;
    CHECK_OK(ipcf_ring_claim(&now.out, size, &payload, NULL));
    memcpy(payload, data, size);
    ipcf_ring_commit(&now.out, IPCF_KIND_BYTES, flags);
    CHECK(!ipcf_ring_publish(&now.out)); /* nobody sleeps */
}

static void feed_between(const char *step)
{
    if (strcmp(step, "between two parts") == 0) {
        feed(1000, IPCF_RING_MORE | IPCF_RING_CONTINUED, body);
        count_step();
    }
}

static void open_now(void (*happening)(void))
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    open_raw_peer(&now.channel, &now.peer, CAPACITY, &options);
    CHECK_OK(ipcf_ring_attach_producer(&now.out, now.peer.memory, CAPACITY, NULL));
    CHECK_OK(ipcf_ring_attach_consumer(
        &now.in, now.peer.memory + ipcf_ring_size(CAPACITY), CAPACITY, NULL));
    now.steps = 0;
    now.drained = 0;
    now.happening = happening;
}

static void close_now(void)
{
    ipcf_test_on_step(NULL);
    ipcf_channel_destroy(&now.channel.base);
    close_raw_peer(&now.peer);
}

/* ---- what happens ---------------------------------------------------------------- */

static void let_pass(uint64_t until_ns)
{
    while (ipcf_clock_ns() < until_ns)
        usleep(1000);
}

static void the_deadline_passes(void) { let_pass(now.deadline_ns); }

static void a_second_passes(void) { let_pass(ipcf_clock_ns() + IPCF_SLEEP_MAX_NS); }

static void *shut_down(void *argument)
{
    (void)argument;
    ipcf_channel_shut_down(&now.channel.base);
    return NULL;
}

static void another_thread_shuts_down(void)
{
    now.thread = start_thread(shut_down, NULL);
    while (ipcf_channel_state_status(&now.channel.base, NULL) == IPCF_OK)
        usleep(1000);
}

/* ---- sending --------------------------------------------------------------------- */

static ipcf_status send_long(uint64_t deadline_ns)
{
    failure = (ipcf_error){0};
    ipcf_test_on_step(drain_between);
    return ipcf_channel_send(&now.channel.base, IPCF_KIND_BYTES, body, SIZE,
                             deadline_ns, &failure);
}

static ipcf_status flush_until(uint64_t deadline_ns)
{
    ipcf_status status;
    do
        status = ipcf_channel_flush(&now.channel.base, deadline_ns, &failure);
    while (status == IPCF_INTERRUPTED);
    return status;
}

/* What was begun goes out whole. */
static void check_the_rest_follows(void)
{
    CHECK(now.steps > 0 && now.steps <= AT_STEP); /* less on a slow machine */
    CHECK_OK(flush_until(hang_bound()));
    drain();
    CHECK(now.drained == SIZE + sizeof(uint64_t));
}

static void a_send_obeys_its_deadline(void)
{
    open_now(the_deadline_passes);
    now.deadline_ns = ipcf_clock_ns() + 5 * MS;
    CHECK_STATUS(send_long(now.deadline_ns), IPCF_TIMEOUT);
    CHECK(failure.what == ipcf_channel_begun);
    check_the_rest_follows();
    close_now();
}

static void a_flush_obeys_its_deadline(void)
{
    open_now(the_deadline_passes);
    CHECK_STATUS(ipcf_channel_send(&now.channel.base, IPCF_KIND_BYTES, body, SIZE,
                                   IPCF_NO_WAIT, &failure),
                 IPCF_TIMEOUT);
    CHECK(failure.what == ipcf_channel_begun);
    drain();
    now.steps = 0;
    now.deadline_ns = ipcf_clock_ns() + 5 * MS;
    ipcf_test_on_step(drain_between);
    CHECK_STATUS(ipcf_channel_flush(&now.channel.base, now.deadline_ns, &failure),
                 IPCF_TIMEOUT);
    check_the_rest_follows();
    close_now();
}

static void a_first_attempt_does_not_finish_what_is_long(void)
{
    open_now(NULL);
    CHECK_STATUS(ipcf_channel_send(&now.channel.base, IPCF_KIND_BYTES, body, SIZE,
                                   IPCF_NO_WAIT, &failure),
                 IPCF_TIMEOUT);
    drain();
    now.steps = 0;
    ipcf_test_on_step(drain_between);
    CHECK_STATUS(
        ipcf_channel_try_send(&now.channel.base, IPCF_KIND_BYTES, "x", 1, &failure),
        IPCF_AGAIN);
    CHECK(now.steps == 0);
    close_now();
}

static void a_send_looks_for_signals(void)
{
    open_now(a_second_passes);
    CHECK_STATUS(send_long(IPCF_NEVER), IPCF_INTERRUPTED);
    CHECK(failure.what == ipcf_channel_begun);
    check_the_rest_follows();
    close_now();
}

static void a_send_that_may_not_wait_finishes_what_needs_no_waiting(void)
{
    open_now(NULL);
    ipcf_status status = send_long(IPCF_NO_WAIT);
    if (status == IPCF_INTERRUPTED)
        status = flush_until(IPCF_NO_WAIT);
    CHECK_OK(status);
    drain();
    CHECK(now.drained == SIZE + sizeof(uint64_t) && now.steps > AT_STEP);
    close_now();
}

static void a_send_ends_when_the_channel_is_shut_down(void)
{
    open_now(another_thread_shuts_down);
    CHECK_STATUS(send_long(IPCF_NEVER), IPCF_SHUT_DOWN);
    join(now.thread);
    CHECK(now.steps == AT_STEP && now.drained < SIZE);
    close_now();
}

/* Whenever some of them are published. */
static void many_messages_obey_the_deadline(void)
{
    enum { COUNT = 10, EACH = 5000 };
    ipcf_piece pieces[COUNT];
    size_t sent;
    open_now(NULL);
    for (size_t i = 0; i < COUNT; i++)
        pieces[i] = (ipcf_piece){body, EACH};
    CHECK_STATUS(ipcf_channel_send_many(&now.channel.base, IPCF_KIND_BYTES, pieces,
                                        COUNT, &sent, 1, &failure),
                 IPCF_TIMEOUT);
    CHECK(sent > 0 && sent < COUNT && failure.what != ipcf_channel_begun);
    drain();
    CHECK(now.drained == sent * EACH);
    close_now();
}

/* ---- receiving ------------------------------------------------------------------- */

/* Fetch the body from where it was left. Not OK: left. */
static ipcf_status receive_long(uint64_t deadline_ns, size_t *at)
{
    ipcf_message message;
    size_t got;
    CHECK_OK(ipcf_channel_begin(&now.channel.base, IPCF_NO_WAIT, &message, &failure));
    CHECK(message.data == NULL && message.size == SIZE && message.received == *at);
    ipcf_test_on_step(feed_between);
    ipcf_status status = ipcf_channel_read_body(
        &now.channel.base, body + *at, SIZE - *at, &got, deadline_ns, &failure);
    ipcf_test_on_step(NULL);
    *at += got;
    ipcf_channel_leave(&now.channel.base);
    return status;
}

static void check_long_receive(void (*happening)(void), uint64_t deadline_ns,
                               ipcf_status due)
{
    size_t at = 0;
    uint64_t first[2] = {SIZE, 0};
    open_now(happening);
    feed(sizeof first, IPCF_RING_MORE, first);
    now.deadline_ns = deadline_ns;
    CHECK_STATUS(receive_long(deadline_ns, &at), due);
    CHECK(now.steps > 0 && now.steps <= AT_STEP && at == 8 + 1000 * (now.steps - 1));
    if (due == IPCF_SHUT_DOWN) {
        join(now.thread);
    } else {
        /* nothing is lost, and it goes on */
        size_t steps = now.steps;
        now.happening = NULL;
        CHECK_STATUS(receive_long(1, &at), IPCF_TIMEOUT);
        CHECK(now.steps == steps + 1 && at == 8 + 1000 * steps);
    }
    close_now();
}

static void a_receive_obeys_its_deadline(void)
{
    check_long_receive(the_deadline_passes, ipcf_clock_ns() + 5 * MS, IPCF_TIMEOUT);
}

static void a_receive_looks_for_signals(void)
{
    check_long_receive(a_second_passes, IPCF_NEVER, IPCF_INTERRUPTED);
}

static void a_receive_ends_when_the_channel_is_shut_down(void)
{
    check_long_receive(another_thread_shuts_down, IPCF_NEVER, IPCF_SHUT_DOWN);
}

int main(void)
{
    alarm(100);
    RUN(a_send_obeys_its_deadline);
    RUN(a_flush_obeys_its_deadline);
    RUN(a_first_attempt_does_not_finish_what_is_long);
    RUN(a_send_looks_for_signals);
    RUN(a_send_that_may_not_wait_finishes_what_needs_no_waiting);
    RUN(a_send_ends_when_the_channel_is_shut_down);
    RUN(many_messages_obey_the_deadline);
    RUN(a_receive_obeys_its_deadline);
    RUN(a_receive_looks_for_signals);
    RUN(a_receive_ends_when_the_channel_is_shut_down);
    return 0;
}
