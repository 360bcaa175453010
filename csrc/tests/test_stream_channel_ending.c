/* SPDX-License-Identifier: MIT
 * How a stream channel ends between two processes: goodbye, death at any moment, and a
 * kept socket.
 */
#include "tests/channel_ends.h"
#include "tests/sockets.h"

/* A second process that connects, does something, says so, and waits to be killed or
 * told to go on. */
typedef struct peer {
    char directory[64], path[128];
    int listening, go[2], ready[2], keep[2];
    void (*act)(struct peer *self, ipcf_stream_channel *channel);
    ipcf_channel_options options;
    bool has_grandchild;
    pid_t process;
    ipcf_stream_channel channel; /* the survivor's end */
} peer;

static void keep_socket(void *argument)
{
    const peer *self = argument;
    char byte;
    CHECK(close(self->keep[1]) == 0);
    CHECK(read(self->keep[0], &byte, 1) == 0); /* until the test closes the other end */
}

static void run_peer(void *argument)
{
    peer *self = argument;
    ipcf_stream stream;
    ipcf_stream_channel channel;
    CHECK_OK(ipcf_stream_connect(self->path, true, &stream, &failure));
    CHECK_OK(ipcf_stream_channel_init(&channel, &stream, &self->options, &failure));
    if (self->has_grandchild)
        (void)start_process(keep_socket, self);
    self->act(self, &channel);
}

static void start_peer(peer *self, void (*act)(peer *, ipcf_stream_channel *))
{
    self->act = act;
    make_directory(self->directory, sizeof self->directory);
    CHECK(snprintf(self->path, sizeof self->path, "%s/s", self->directory) > 0);
    CHECK(pipe(self->go) == 0 && pipe(self->ready) == 0 && pipe(self->keep) == 0);
    self->listening = listen_at(self->path, SOCK_STREAM, 4);
    self->process = start_process(run_peer, self);
    ipcf_stream stream;
    int accepted = accept(self->listening, NULL, NULL);
    CHECK(accepted >= 0);
    CHECK_OK(ipcf_stream_adopt(accepted, &stream, &failure));
    CHECK_OK(
        ipcf_stream_channel_init(&self->channel, &stream, &self->options, &failure));
    CHECK_OK(ipcf_channel_watch_peer(&self->channel.base, &failure));
    CHECK(self->channel.base.peer.pid == self->process);
    hear(self->ready[0]);
}

static void kill_peer(peer *self)
{
    CHECK(kill(self->process, SIGKILL) == 0);
    int ended = end_of_process(self->process);
    CHECK(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
}

static void end_peer(peer *self)
{
    for (int i = 0; i < 2; i++)
        CHECK(close(self->go[i]) == 0 && close(self->ready[i]) == 0 &&
              close(self->keep[i]) == 0);
    ipcf_channel_destroy(&self->channel.base);
    CHECK(close(self->listening) == 0);
    remove_directory(self->directory);
}

/* ---- what the peer does ---------------------------------------------------------- */

static void wait_to_be_killed(peer *self, ipcf_stream_channel *channel)
{
    (void)channel;
    tell(self->ready[1]);
    hear(self->go[0]);
}

static void send_three_and_wait(peer *self, ipcf_stream_channel *channel)
{
    for (uint64_t i = 0; i < 3; i++)
        send_seeded(channel, i, 5000);
    wait_to_be_killed(self, channel);
}

static void stop_in_mid_frame(peer *self, ipcf_stream_channel *channel)
{
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    send_seeded(channel, 0, 100);
    say((int)channel->base.stream.handle, header, write_header(1000000, header));
    say((int)channel->base.stream.handle, "the beginning", 13);
    wait_to_be_killed(self, channel);
}

static void stop_in_a_short_frame(peer *self, ipcf_stream_channel *channel)
{
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    say((int)channel->base.stream.handle, header, write_header(1000, header));
    say((int)channel->base.stream.handle, "the beginning", 13);
    wait_to_be_killed(self, channel);
}

static void block_in_receiving(peer *self, ipcf_stream_channel *channel)
{
    ipcf_message message;
    tell(self->ready[1]);
    CHECK(begin_until(channel, hang_bound(), &message, &failure) != IPCF_TIMEOUT);
}

static void send_and_close(peer *self, ipcf_stream_channel *channel)
{
    send_seeded(channel, 0, 5000);
    ipcf_channel_close(&channel->base);
    tell(self->ready[1]);
}

static void leave_without_a_word(peer *self, ipcf_stream_channel *channel)
{
    send_seeded(channel, 0, 5000);
    tell(self->ready[1]);
    _exit(0);
}

/* ---- death ----------------------------------------------------------------------- */

static void *kill_soon(void *argument)
{
    usleep(2000); /* so that the other thread blocks: correct whatever it has come to */
    kill_peer(argument);
    return NULL;
}

static void a_killed_peer_is_noticed(void)
{
    static void (*const acts[])(peer *, ipcf_stream_channel *) = {
        wait_to_be_killed, send_three_and_wait, stop_in_mid_frame,
        stop_in_a_short_frame, block_in_receiving};
    size_t before = open_descriptors();
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        for (int kept = 0; kept < 2; kept++) {
            peer it = {.options = options_with(IPCF_FRAMING_LENGTH),
                       .has_grandchild = kept};
            start_peer(&it, acts[i]);
            pthread_t killer;
            CHECK(pthread_create(&killer, NULL, kill_soon, &it) == 0);
            if (acts[i] == send_three_and_wait)
                for (uint64_t n = 0; n < 3; n++)
                    receive_seeded(&it.channel, n, 5000);
            if (acts[i] == stop_in_mid_frame)
                receive_seeded(&it.channel, 0, 100);
            uint8_t *body;
            size_t size;
            for (int again = 0; again < 2; again++)
                CHECK_STATUS(
                    receive_until(&it.channel, hang_bound(), &body, &size, &failure),
                    IPCF_DISCONNECTED);
            CHECK(ending_of(&it.channel) == IPCF_ENDING_DIED);
            CHECK(pthread_join(killer, NULL) == 0);
            end_peer(&it);
        }
    CHECK(open_descriptors() == before);
}

static void a_killed_peer_is_noticed_without_waiting(void)
{
    for (int how = 0; how < 3; how++) {
        peer it = {.options = options_with(IPCF_FRAMING_LENGTH),
                   .has_grandchild = true};
        start_peer(&it, send_three_and_wait);
        ipcf_handle ready;
        ipcf_message message;
        CHECK_OK(ipcf_channel_ready_handle(&it.channel.base, &ready, &failure));
        for (uint64_t n = 0; n < 3; n++)
            receive_seeded(&it.channel, n, 5000);
        CHECK_STATUS(
            ipcf_channel_begin(&it.channel.base, IPCF_NO_WAIT, &message, &failure),
            IPCF_TIMEOUT);
        CHECK(!is_ready(ready));
        kill_peer(&it);
        wait_until_ready(ready);
        uint64_t give_up = hang_bound();
        ipcf_status status = IPCF_TIMEOUT;
        while (how < 2 && status == IPCF_TIMEOUT && ipcf_clock_ns() < give_up)
            status = how == 0
                         ? ipcf_channel_begin(&it.channel.base, IPCF_NO_WAIT, &message,
                                              &failure)
                         : ipcf_channel_poll(&it.channel.base, IPCF_NO_WAIT, &failure);
        if (how == 1)
            CHECK_OK(status);
        if (how !=
            0) /* after a poll that says "ready", and after a wait on the handle */
            status =
                ipcf_channel_begin(&it.channel.base, hang_bound(), &message, &failure);
        CHECK_STATUS(status, IPCF_DISCONNECTED);
        CHECK(ending_of(&it.channel) == IPCF_ENDING_DIED);
        end_peer(&it);
    }
}

static void a_killed_peer_ends_a_blocked_send(void)
{
    for (int kept = 0; kept < 2; kept++) {
        peer it = {.options = options_with(IPCF_FRAMING_LENGTH),
                   .has_grandchild = kept};
        start_peer(&it, send_three_and_wait);
        pthread_t killer;
        uint8_t *body = make_body(0, 1 << 20);
        CHECK(pthread_create(&killer, NULL, kill_soon, &it) == 0);
        CHECK_STATUS(
            send_until(&it.channel, IPCF_KIND_BYTES, body, 1 << 20, hang_bound()),
            IPCF_DISCONNECTED);
        CHECK(ending_of(&it.channel) == IPCF_ENDING_DIED);
        CHECK(pthread_join(killer, NULL) == 0);
        /* what had been sent before is still there */
        for (uint64_t n = 0; n < 3; n++)
            receive_seeded(&it.channel, n, 5000);
        CHECK_STATUS(receive_status(&it.channel), IPCF_DISCONNECTED);
        free(body);
        end_peer(&it);
    }
}

/* Somebody else holds the socket, and will never make room in it. */
static void a_full_socket_tells_of_a_death_without_waiting(void)
{
    peer it = {.options = options_with(IPCF_FRAMING_LENGTH), .has_grandchild = true};
    start_peer(&it, wait_to_be_killed);
    fill_up(&it.channel);
    ipcf_channel *base = &it.channel.base;
    CHECK_STATUS(
        ipcf_channel_send(base, IPCF_KIND_BYTES, "x", 1, IPCF_NO_WAIT, &failure),
        IPCF_TIMEOUT);
    kill_peer(&it);
    CHECK_STATUS(
        ipcf_channel_send(base, IPCF_KIND_BYTES, "x", 1, IPCF_NO_WAIT, &failure),
        IPCF_DISCONNECTED);
    CHECK(ending_of(&it.channel) == IPCF_ENDING_DIED);
    end_peer(&it);
}

/* ---- orderly and unknown ends ---------------------------------------------------- */

static void a_goodbye_is_told_from_a_death(void)
{
    static const struct {
        void (*act)(peer *, ipcf_stream_channel *);
        ipcf_ending due;
    } cases[] = {{send_and_close, IPCF_ENDING_GOODBYE},
                 {leave_without_a_word, IPCF_ENDING_DIED}};
    for (size_t i = 0; i < 2; i++)
        for (int sends_first = 0; sends_first < 2; sends_first++) {
            peer it = {.options = options_with(IPCF_FRAMING_LENGTH)};
            start_peer(&it, cases[i].act);
            finish_process(it.process);
            if (sends_first) {
                CHECK_STATUS(
                    send_until(&it.channel, IPCF_KIND_BYTES, "x", 1, hang_bound()),
                    IPCF_DISCONNECTED);
                CHECK(ending_of(&it.channel) == cases[i].due);
            }
            receive_seeded(&it.channel, 0, 5000);
            CHECK_STATUS(receive_status(&it.channel), IPCF_DISCONNECTED);
            CHECK(ending_of(&it.channel) == cases[i].due);
            end_peer(&it);
        }
}

static void the_end_counts_as_something_to_receive(void)
{
    for (int sends_first = 0; sends_first < 2; sends_first++) {
        ipcf_stream_channel channel;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        int raw = open_raw(&channel, &options);
        CHECK_STATUS(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure),
                     IPCF_TIMEOUT);
        if (sends_first)
            say(raw, "\xF1\x9C", 2); /* half a header */
        close(raw);
        for (int again = 0; again < 2; again++)
            CHECK_OK(ipcf_channel_poll(&channel.base, hang_bound(), &failure));
        CHECK_STATUS(receive_status(&channel), IPCF_DISCONNECTED);
        CHECK_OK(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure));
        ipcf_channel_destroy(&channel.base);
    }
}

static void foreign_wires_have_no_goodbye(void)
{
    static const struct {
        const char *text;
        size_t count;
        ipcf_ending due;
    } cases[] = {{"", 0, IPCF_ENDING_UNKNOWN},
                 {"{}\n", 1, IPCF_ENDING_UNKNOWN},
                 {"{}\n{}\n", 2, IPCF_ENDING_UNKNOWN},
                 {"{}\n{", 1, IPCF_ENDING_DIED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int sends_first = 0; sends_first < 2; sends_first++) {
            ipcf_stream_channel channel;
            ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
            int raw = open_raw(&channel, &options);
            say_text(raw, cases[i].text);
            close(raw);
            if (sends_first)
                CHECK_STATUS(
                    send_until(&channel, IPCF_KIND_BYTES, "x", 1, hang_bound()),
                    IPCF_DISCONNECTED);
            for (size_t taken = 0; taken < cases[i].count; taken++) {
                CHECK(ending_of(&channel) == IPCF_ENDING_NONE);
                check_receive(&channel, "{}");
            }
            CHECK_STATUS(receive_status(&channel), IPCF_DISCONNECTED);
            CHECK(ending_of(&channel) == cases[i].due);
            ipcf_channel_destroy(&channel.base);
        }
}

/* A send that waits takes in what comes, up to the end. */
static void a_waiting_send_does_not_take_unread_messages_for_a_death(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
    int raw = open_raw(&channel, &options);
    fill_up(&channel);
    say_text(raw, "{}\n");
    CHECK(shutdown(raw, SHUT_WR) == 0);
    CHECK_STATUS(send_until(&channel, IPCF_KIND_BYTES, "x", 1, ipcf_deadline_in(0.001)),
                 IPCF_TIMEOUT);
    CHECK(ending_of(&channel) == IPCF_ENDING_NONE);
    check_receive(&channel, "{}");
    CHECK_STATUS(receive_status(&channel), IPCF_DISCONNECTED);
    CHECK(ending_of(&channel) == IPCF_ENDING_UNKNOWN);
    ipcf_channel_destroy(&channel.base);
    close(raw);
}

/* Unread bytes at this end make the kernel reset the other: what we sent must still
 * arrive. */
static void unread_bytes_do_not_cost_the_peer_anything(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    send_seeded(&both.other, 0, 1000);
    send_seeded(&both.one, 1, 1000);
    ipcf_channel_close(&both.one.base);
    receive_seeded(&both.other, 1, 1000);
    CHECK_STATUS(receive_status(&both.other), IPCF_DISCONNECTED);
    CHECK(ending_of(&both.other) == IPCF_ENDING_GOODBYE);
    close_ends(&both);
}

static void no_goodbye_in_mid_frame(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    uint8_t *body = make_body(0, 1 << 20), *got;
    size_t size;
    CHECK_STATUS(ipcf_channel_send(&both.one.base, IPCF_KIND_BYTES, body, 1 << 20,
                                   IPCF_NO_WAIT, &failure),
                 IPCF_TIMEOUT);
    CHECK(failure.what == ipcf_channel_begun);
    ipcf_channel_shut_down(&both.one.base);
    CHECK_STATUS(receive_until(&both.other, hang_bound(), &got, &size, &failure),
                 IPCF_DISCONNECTED);
    CHECK(ending_of(&both.other) == IPCF_ENDING_DIED);
    free(body);
    close_ends(&both);
}

/* A wire that goes on taking bytes, as TCP does, must not let us talk to nobody. */
static void a_goodbye_ends_sending_too(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    ipcf_status status;
    size_t size = ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_GOODBYE,
                                    IPCF_FRAME_CPU_UNKNOWN, 0, header, &status);
    int raw = open_raw(&channel, &options);
    say(raw, header, size);
    CHECK_STATUS(receive_status(&channel), IPCF_DISCONNECTED);
    CHECK_STATUS(ipcf_channel_try_send(&channel.base, IPCF_KIND_BYTES, "x", 1, NULL),
                 IPCF_DISCONNECTED);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void a_goodbye_and_the_end_wake_a_blocked_send(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    static uint8_t body[1 << 16];
    ipcf_status status;
    size_t size = ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_GOODBYE,
                                    IPCF_FRAME_CPU_UNKNOWN, 0, header, &status);
    int raw = open_raw(&channel, &options);
    do
        status = ipcf_channel_send(&channel.base, IPCF_KIND_BYTES, body, sizeof body,
                                   IPCF_NO_WAIT, NULL);
    while (status == IPCF_OK);
    CHECK_STATUS(status, IPCF_TIMEOUT);
    say(raw, header, size);
    CHECK(shutdown(raw, SHUT_WR) == 0); /* nobody says that it does not read any more */
    CHECK_STATUS(send_until(&channel, IPCF_KIND_BYTES, "x", 1, hang_bound()),
                 IPCF_DISCONNECTED);
    CHECK(ipcf_load_acquire(&channel.base.ending) == IPCF_ENDING_GOODBYE);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

int main(void)
{
    RUN(a_killed_peer_is_noticed);
    RUN(a_killed_peer_is_noticed_without_waiting);
    RUN(a_killed_peer_ends_a_blocked_send);
    RUN(a_full_socket_tells_of_a_death_without_waiting);
    RUN(a_goodbye_is_told_from_a_death);
    RUN(the_end_counts_as_something_to_receive);
    RUN(foreign_wires_have_no_goodbye);
    RUN(a_waiting_send_does_not_take_unread_messages_for_a_death);
    RUN(unread_bytes_do_not_cost_the_peer_anything);
    RUN(no_goodbye_in_mid_frame);
    RUN(a_goodbye_ends_sending_too);
    RUN(a_goodbye_and_the_end_wake_a_blocked_send);
    return 0;
}
