/* SPDX-License-Identifier: MIT
 * Waiting on a stream channel, with threads on both ends: deadlines, begun sends, and
 * both directions at once.
 */
#include "tests/channel_ends.h"

#define MIB ((size_t)1 << 20)
#define MS UINT64_C(1000000)

/* ---- deadlines ------------------------------------------------------------------- */

static void deadlines_are_never_early(void)
{
    static const uint64_t waits[] = {0, 1, MS / 20, MS, 30 * MS, 80 * MS};
    for (int spins = 0; spins < 2; spins++) {
        ends both;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        options.spin_ns = spins ? IPCF_SPIN_DEFAULT_NS : 0;
        open_ends(&both, &options);
        fill_up(&both.one);
        ipcf_message message;
        for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
            uint64_t deadline = ipcf_clock_ns() + waits[i];
            CHECK_STATUS(begin_until(&both.one, deadline, &message, &failure),
                         IPCF_TIMEOUT);
            CHECK(ipcf_clock_ns() >= deadline);
            deadline = ipcf_clock_ns() + waits[i];
            CHECK_STATUS(send_until(&both.one, IPCF_KIND_BYTES, "x", 1, deadline),
                         IPCF_TIMEOUT);
            CHECK(ipcf_clock_ns() >= deadline);
            deadline = ipcf_clock_ns() + waits[i];
            ipcf_status status;
            do
                status = ipcf_channel_poll(&both.one.base, deadline, &failure);
            while (status == IPCF_INTERRUPTED);
            CHECK_STATUS(status, IPCF_TIMEOUT);
            CHECK(ipcf_clock_ns() >= deadline);
        }
        close_ends(&both);
    }
}

/* So that the caller can run signal handlers. */
static void a_wait_lapses_from_time_to_time(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    ipcf_message message;
    uint64_t start = ipcf_clock_ns();
    CHECK_STATUS(ipcf_channel_begin(&both.one.base, IPCF_NEVER, &message, &failure),
                 IPCF_INTERRUPTED);
    CHECK(ipcf_clock_ns() - start >= IPCF_SLEEP_FIRST_NS);
    start = ipcf_clock_ns();
    CHECK_STATUS(ipcf_channel_begin(&both.one.base, IPCF_NEVER, &message, &failure),
                 IPCF_INTERRUPTED);
    CHECK(ipcf_clock_ns() - start >= IPCF_SLEEP_MAX_NS);
    close_ends(&both);
}

/* A byte now and then, never a whole message. */
static void *drip(void *argument)
{
    const int *raw = argument;
    for (int i = 0; i < 150; i++) {
        say(*raw, "x", 1);
        usleep(20000);
    }
    return NULL;
}

static void a_trickle_does_not_keep_a_wait_from_lapsing(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
    int raw = open_raw(&channel, &options);
    pthread_t dripping = start_thread(drip, &raw);
    ipcf_message message;
    CHECK_STATUS(ipcf_channel_begin(&channel.base, hang_bound(), &message, &failure),
                 IPCF_INTERRUPTED);
    CHECK(ipcf_buffer_size(&channel.incoming) < 140); /* before the trickle ended */
    join(dripping);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

/* ---- begun sends ----------------------------------------------------------------- */

typedef struct seeded {
    ipcf_stream_channel *channel;
    size_t count, size;
} seeded;

static void *receive_all(void *argument)
{
    seeded *all = argument;
    for (size_t i = 0; i < all->count; i++)
        receive_seeded(all->channel, i, all->size);
    return NULL;
}

static void *send_all(void *argument)
{
    seeded *all = argument;
    for (size_t i = 0; i < all->count; i++)
        send_seeded(all->channel, i, all->size);
    return NULL;
}

static void a_begun_send_is_finished_by_the_next_one(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    uint8_t *body = make_body(0, MIB);
    uint64_t deadline = ipcf_clock_ns() + MS;
    CHECK_STATUS(ipcf_channel_send(&both.one.base, IPCF_KIND_BYTES, body, MIB, deadline,
                                   &failure),
                 IPCF_TIMEOUT);
    CHECK(failure.what == ipcf_channel_begun && ipcf_clock_ns() >= deadline);
    memset(body, 0, MIB); /* the channel has a copy */
    free(body);
    /* the next one waits for its turn, and is not begun itself */
    CHECK_STATUS(ipcf_channel_send(&both.one.base, IPCF_KIND_BYTES, "x", 1,
                                   IPCF_NO_WAIT, &failure),
                 IPCF_TIMEOUT);
    CHECK(failure.what != ipcf_channel_begun);
    seeded all = {&both.other, 1, MIB};
    pthread_t receiver = start_thread(receive_all, &all);
    CHECK_OK(send_until(&both.one, IPCF_KIND_BYTES, "next", 4, hang_bound()));
    join(receiver);
    check_receive(&both.other, "next");
    CHECK_OK(ipcf_channel_flush(&both.one.base, IPCF_NO_WAIT, &failure));
    close_ends(&both);
}

enum { MANY = 40, EACH_SIZE = 20000 };

/* The kernel cuts the gathered pieces anywhere: in bodies, headers and trailers. */
static void check_send_many(ipcf_framing framing)
{
    ends both;
    ipcf_channel_options options = options_with(framing);
    open_ends(&both, &options);
    ipcf_piece bodies[MANY];
    for (size_t i = 0; i < MANY; i++)
        bodies[i] = (ipcf_piece){make_body(i, EACH_SIZE), EACH_SIZE};
    size_t sent;
    CHECK_STATUS(ipcf_channel_send_many(&both.one.base, IPCF_KIND_ANY, bodies, MANY,
                                        &sent, ipcf_clock_ns() + MS, &failure),
                 IPCF_TIMEOUT);
    CHECK(sent > 0 && sent < MANY);
    seeded all = {&both.other, MANY, EACH_SIZE};
    pthread_t receiver = start_thread(receive_all, &all);
    size_t done = sent;
    while (done < MANY) {
        ipcf_status status =
            ipcf_channel_send_many(&both.one.base, IPCF_KIND_ANY, bodies + done,
                                   MANY - done, &sent, hang_bound(), &failure);
        CHECK(status == IPCF_OK || status == IPCF_INTERRUPTED);
        done += sent;
    }
    CHECK_OK(ipcf_channel_flush(&both.one.base, hang_bound(), &failure));
    join(receiver);
    for (size_t i = 0; i < MANY; i++)
        free((void *)(uintptr_t)bodies[i].data);
    close_ends(&both);
}

static void send_many_tells_how_far_it_came(void)
{
    check_send_many(IPCF_FRAMING_LENGTH);
    check_send_many(IPCF_FRAMING_LINES);
    check_send_many(IPCF_FRAMING_CONTENT_LENGTH);
}

/* ---- both directions ------------------------------------------------------------- */

static void *send_then_receive(void *argument)
{
    seeded *all = argument;
    send_all(all);
    receive_all(all);
    return NULL;
}

static void two_that_send_at_the_same_time_do_not_block_each_other(void)
{
    for (int many = 0; many < 2; many++) {
        ends both;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        open_ends(&both, &options);
        seeded one = {&both.one, many ? 1000 : 1, many ? 10000 : 10 * MIB}, other = one;
        other.channel = &both.other;
        pthread_t threads[] = {start_thread(send_then_receive, &one),
                               start_thread(send_then_receive, &other)};
        join(threads[0]);
        join(threads[1]);
        CHECK(both.one.incoming.capacity <= (size_t)256
                                                << 10); /* given back when drained */
        close_ends(&both);
    }
}

static void both_directions_run_at_full_duplex(void)
{
    for (size_t f = 1; f <= 4; f++) {
        ends both;
        ipcf_channel_options options = options_with((ipcf_framing)f);
        open_ends(&both, &options);
        seeded one = {&both.one, 3000, 777}, other = {&both.other, 3000, 777};
        pthread_t threads[] = {
            start_thread(send_all, &one), start_thread(receive_all, &one),
            start_thread(send_all, &other), start_thread(receive_all, &other)};
        for (size_t i = 0; i < 4; i++)
            join(threads[i]);
        close_ends(&both);
    }
}

enum { SENDERS = 3, EACH = 1500 };

typedef struct sender {
    ipcf_stream_channel *channel;
    uint64_t number;
} sender;

static void *send_numbered(void *argument)
{
    sender *self = argument;
    for (uint64_t i = 0; i < EACH; i++) {
        uint64_t body[200] = {self->number, i};
        size_t size = 16 + i % 1000;
        CHECK_OK(send_until(self->channel, IPCF_KIND_BYTES, body, size, hang_bound()));
    }
    return NULL;
}

static void several_senders_do_not_interleave(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    sender senders[SENDERS];
    pthread_t threads[SENDERS];
    uint64_t next[SENDERS] = {0};
    for (uint64_t i = 0; i < SENDERS; i++) {
        senders[i] = (sender){&both.one, i};
        threads[i] = start_thread(send_numbered, &senders[i]);
    }
    for (size_t i = 0; i < SENDERS * EACH; i++) {
        uint8_t *body;
        size_t size;
        uint64_t head[2];
        CHECK_OK(receive_until(&both.other, hang_bound(), &body, &size, &failure));
        memcpy(head, body, sizeof head);
        CHECK(head[0] < SENDERS && head[1] == next[head[0]]++ &&
              size == 16 + head[1] % 1000);
        free(body);
    }
    for (size_t i = 0; i < SENDERS; i++)
        join(threads[i]);
    close_ends(&both);
}

int main(void)
{
    RUN(deadlines_are_never_early);
    RUN(a_wait_lapses_from_time_to_time);
    RUN(a_trickle_does_not_keep_a_wait_from_lapsing);
    RUN(a_begun_send_is_finished_by_the_next_one);
    RUN(send_many_tells_how_far_it_came);
    RUN(two_that_send_at_the_same_time_do_not_block_each_other);
    RUN(both_directions_run_at_full_duplex);
    RUN(several_senders_do_not_interleave);
    return 0;
}
