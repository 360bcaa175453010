/* SPDX-License-Identifier: MIT
 * The end of a stream channel wakes every thread that is blocked on it, and later calls
 * say so at once.
 */
#include "tests/channel_ends.h"

#define MIB ((size_t)1 << 20)

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

/* The calls block for as long as this takes or longer: being in the spin, the sleep, or
 * on the way are all fine. */
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
    /* the end of the peer is something to receive */
    CHECK_STATUS(one.status, call == POLL && due == IPCF_DISCONNECTED ? IPCF_OK : due);
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
        CHECK_STATUS(ipcf_channel_poll(base, hang_bound(), &failure), due);
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

static void close_tells_of_a_message_that_it_cut_short(void)
{
    for (int begins = 0; begins < 2; begins++) {
        ends both;
        static uint8_t body[8 * MIB];
        ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
        open_ends(&both, &options);
        memset(body, 'x', sizeof body);
        CHECK_STATUS(ipcf_channel_send(&both.one.base, IPCF_KIND_BYTES, body,
                                       begins ? sizeof body : 3, IPCF_NO_WAIT,
                                       &failure),
                     begins ? IPCF_TIMEOUT : IPCF_OK);
        CHECK(!both.one.base.cut_short);
        ipcf_channel_close(&both.one.base);
        CHECK(both.one.base.cut_short == (begins == 1));
        close_ends(&both);
    }
}

int main(void)
{
    RUN(the_end_interrupts_every_blocked_call);
    RUN(after_the_end_every_call_says_so);
    RUN(close_tells_of_a_message_that_it_cut_short);
    return 0;
}
