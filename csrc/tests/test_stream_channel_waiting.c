/* SPDX-License-Identifier: MIT
 * Waiting on a stream channel, with threads on both ends: deadlines, begun sends, both directions at once, and being woken
 * by the end of the channel.
 */
#include "tests/channel_ends.h"

#define MIB ((size_t)1 << 20)
#define MS UINT64_C(1000000)

static pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static void join(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

/* Send what is never read until nothing more fits. Returns whether a message is begun. */
static bool fill_up(ipcf_stream_channel *channel)
{
    static uint8_t body[50000];
    ipcf_status status = IPCF_OK;
    while (status == IPCF_OK)
        status = ipcf_channel_send(&channel->base, IPCF_KIND_BYTES, body, sizeof body,
                                   IPCF_NO_WAIT, &failure);
    CHECK_STATUS(status, IPCF_TIMEOUT);
    return failure.what == ipcf_channel_begun;
}

/* ---- deadlines ----------------------------------------------------------------------------- */

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

/* ---- begun sends ---------------------------------------------------------------------------- */

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

static void send_many_tells_how_far_it_came(void)
{
    enum { COUNT = 40 };
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_CONTENT_LENGTH);
    open_ends(&both, &options);
    ipcf_piece bodies[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        bodies[i] = (ipcf_piece){make_body(i, 20000), 20000};
    size_t sent;
    CHECK_STATUS(ipcf_channel_send_many(&both.one.base, IPCF_KIND_ANY, bodies, COUNT,
                                        &sent, ipcf_clock_ns() + MS, &failure),
                 IPCF_TIMEOUT);
    CHECK(sent > 0 && sent < COUNT);
    seeded all = {&both.other, COUNT, 20000};
    pthread_t receiver = start_thread(receive_all, &all);
    size_t done = sent;
    while (done < COUNT) {
        ipcf_status status =
            ipcf_channel_send_many(&both.one.base, IPCF_KIND_ANY, bodies + done,
                                   COUNT - done, &sent, hang_bound(), &failure);
        CHECK(status == IPCF_OK || status == IPCF_INTERRUPTED);
        done += sent;
    }
    CHECK_OK(ipcf_channel_flush(&both.one.base, hang_bound(), &failure));
    join(receiver);
    for (size_t i = 0; i < COUNT; i++)
        free((void *)(uintptr_t)bodies[i].data);
    close_ends(&both);
}

/* ---- both directions ------------------------------------------------------------------------- */

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

/* ---- being woken ----------------------------------------------------------------------------- */

enum { RECEIVE, RECEIVE_SECOND, SEND, POLL, BODY, CALLS };

typedef struct blocked {
    ipcf_stream_channel *channel;
    int call;
    int there[2]; /* a pipe: about to block */
    ipcf_status status;
} blocked;

static void *block(void *argument)
{
    blocked *self = argument;
    ipcf_channel *base = &self->channel->base;
    ipcf_error error;
    ipcf_message message;
    uint8_t *body = calloc(1, MIB);
    size_t got;
    tell(self->there[1]);
    do {
        if (self->call == SEND) {
            self->status = ipcf_channel_send(base, IPCF_KIND_BYTES, body, MIB,
                                             hang_bound(), &error);
        } else if (self->call == POLL) {
            self->status = ipcf_channel_poll(base, hang_bound(), &error);
        } else {
            self->status = ipcf_channel_begin(base, hang_bound(), &message, &error);
            if (self->status == IPCF_OK && self->call == BODY) {
                self->status =
                    ipcf_channel_read_body(base, body, MIB, &got, hang_bound(), &error);
                ipcf_channel_leave(base);
            }
        }
    } while (self->status == IPCF_INTERRUPTED);
    free(body);
    return NULL;
}

/* The calls block for as long as this takes or longer: being in the spin, the sleep, or on the way are all fine. */
static void let_it_block(blocked *self, unsigned microseconds)
{
    hear(self->there[0]);
    usleep(microseconds);
}

typedef void (*ending)(ipcf_stream_channel *mine, ipcf_stream_channel *peers);

static void close_here(ipcf_stream_channel *mine, ipcf_stream_channel *peers)
{
    (void)peers;
    ipcf_channel_close(&mine->base);
}

static void shut_down_here(ipcf_stream_channel *mine, ipcf_stream_channel *peers)
{
    (void)peers;
    ipcf_channel_shut_down(&mine->base);
}

static void close_there(ipcf_stream_channel *mine, ipcf_stream_channel *peers)
{
    (void)mine;
    ipcf_channel_close(&peers->base);
}

static void shut_down_there(ipcf_stream_channel *mine, ipcf_stream_channel *peers)
{
    (void)mine;
    ipcf_channel_shut_down(&peers->base);
}

static void check_woken(ending end, ipcf_status due, int call, unsigned microseconds)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    open_ends(&both, &options);
    if (call == SEND)
        fill_up(&both.one);
    if (call == BODY)
        say((int)both.other.base.stream.handle, header, write_header(MIB, header));
    blocked one = {.channel = &both.one, .call = call},
            second = {.channel = &both.one, .call = call};
    CHECK(pipe(one.there) == 0 && pipe(second.there) == 0);
    pthread_t threads[2] = {start_thread(block, &one)};
    let_it_block(&one, microseconds);
    if (call == RECEIVE_SECOND) {
        threads[1] = start_thread(block, &second);
        let_it_block(&second, microseconds);
    }
    end(&both.one, &both.other);
    join(threads[0]);
    CHECK_STATUS(one.status, call == POLL ? IPCF_OK : due);
    if (call == RECEIVE_SECOND) {
        join(threads[1]);
        CHECK_STATUS(second.status, due);
    }
    for (int i = 0; i < 2; i++) {
        close(one.there[i]);
        close(second.there[i]);
    }
    close_ends(&both);
}

static void the_end_interrupts_every_blocked_call(void)
{
    static const struct {
        ending end;
        ipcf_status due;
    } ends_of[] = {{close_here, IPCF_CLOSED},
                   {shut_down_here, IPCF_SHUT_DOWN},
                   {close_there, IPCF_DISCONNECTED},
                   {shut_down_there, IPCF_DISCONNECTED}};
    static const unsigned delays[] = {0, 50, 5000};
    size_t before = open_descriptors();
    for (size_t e = 0; e < 4; e++)
        for (int call = 0; call < CALLS; call++)
            for (size_t d = 0; d < 3; d++)
                check_woken(ends_of[e].end, ends_of[e].due, call, delays[d]);
    CHECK(open_descriptors() == before);
}

static void after_the_end_every_call_says_so(void)
{
    for (int closed = 0; closed < 2; closed++) {
        ends both;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        open_ends(&both, &options);
        ipcf_status due = closed ? IPCF_CLOSED : IPCF_SHUT_DOWN;
        ipcf_message message;
        ipcf_handle handle;
        size_t sent;
        ipcf_piece body = {"x", 1};
        CHECK_OK(ipcf_channel_try_send(&both.other.base, IPCF_KIND_BYTES, "left", 4,
                                       &failure));
        closed ? ipcf_channel_close(&both.one.base)
               : ipcf_channel_shut_down(&both.one.base);
        ipcf_channel *base = &both.one.base;
        CHECK_STATUS(try_begin(&both.one, &message), due);
        CHECK_STATUS(ipcf_channel_begin(base, hang_bound(), &message, &failure), due);
        CHECK_STATUS(ipcf_channel_try_send(base, IPCF_KIND_BYTES, "x", 1, &failure),
                     due);
        CHECK_STATUS(ipcf_channel_send_many(base, IPCF_KIND_BYTES, &body, 1, &sent,
                                            hang_bound(), &failure),
                     due);
        CHECK_STATUS(ipcf_channel_flush(base, hang_bound(), &failure), due);
        CHECK_STATUS(ipcf_channel_ready_handle(base, &handle, &failure), due);
        CHECK_STATUS(ipcf_stream_channel_read_handle(&both.one, &handle, &failure),
                     due);
        ipcf_channel_shut_down(base);
        ipcf_channel_close(base);
        ipcf_channel_close(base);
        CHECK_STATUS(try_begin(&both.one, &message), IPCF_CLOSED);
        close_ends(&both);
    }
}

int main(void)
{
    RUN(deadlines_are_never_early);
    RUN(a_wait_lapses_from_time_to_time);
    RUN(a_begun_send_is_finished_by_the_next_one);
    RUN(send_many_tells_how_far_it_came);
    RUN(two_that_send_at_the_same_time_do_not_block_each_other);
    RUN(both_directions_run_at_full_duplex);
    RUN(several_senders_do_not_interleave);
    RUN(the_end_interrupts_every_blocked_call);
    RUN(after_the_end_every_call_says_so);
    return 0;
}
