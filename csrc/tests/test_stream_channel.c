/* SPDX-License-Identifier: MIT
 * Messages on a stream channel, as far as one thread can test them: sizes, framings,
 * chunks, batches.
 */
#include "tests/channel_ends.h"

#define BUFFER ((size_t)64 << 10)

static const ipcf_framing framings[] = {IPCF_FRAMING_LENGTH, IPCF_FRAMING_U32BE,
                                        IPCF_FRAMING_LINES,
                                        IPCF_FRAMING_CONTENT_LENGTH};
#define FRAMINGS (sizeof framings / sizeof framings[0])

static void every_size_travels_on_every_framing(void)
{
    /* the buffer takes header and body, so these are its edges for all headers */
    static const size_t sizes[] = {1,           63,          1000,       BUFFER - 40,
                                   BUFFER - 17, BUFFER - 16, BUFFER - 1, BUFFER,
                                   BUFFER + 1,  100000,      150000};
    for (size_t f = 0; f < FRAMINGS; f++) {
        ends both;
        ipcf_channel_options options = options_with(framings[f]);
        open_ends(&both, &options);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            send_seeded(&both.one, i, sizes[i]);
            receive_seeded(&both.other, i, sizes[i]);
        }
        /* as many at a time as the socket takes without a reader */
        for (uint64_t round = 0; round < 50; round++) {
            for (uint64_t i = 0; i < 100; i++)
                send_seeded(&both.other, i, (size_t)(1 + i % 40));
            for (uint64_t i = 0; i < 100; i++)
                receive_seeded(&both.one, i, (size_t)(1 + i % 40));
        }
        close_ends(&both);
    }
}

static void empty_messages_travel_where_the_framing_has_them(void)
{
    for (size_t f = 0; f < FRAMINGS; f++) {
        ends both;
        ipcf_channel_options options = options_with(framings[f]);
        open_ends(&both, &options);
        ipcf_status due = framings[f] == IPCF_FRAMING_LINES ? IPCF_INVALID : IPCF_OK;
        CHECK_STATUS(ipcf_channel_send(&both.one.base, IPCF_KIND_BYTES, NULL, 0,
                                       hang_bound(), &failure),
                     due);
        if (due == IPCF_OK)
            receive_seeded(&both.other, 0, 0);
        close_ends(&both);
    }
}

static void a_line_cannot_hold_an_end_of_line(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
    open_ends(&both, &options);
    ipcf_piece bodies[] = {{"{}", 2}, {"a\nb", 3}, {"{}", 2}};
    size_t sent;
    CHECK_STATUS(ipcf_channel_send_many(&both.one.base, 0, bodies, 3, &sent,
                                        hang_bound(), &failure),
                 IPCF_INVALID);
    CHECK(sent == 1);
    check_receive(&both.other, "{}");
    CHECK(!is_ready(both.other.base.stream.handle));
    close_ends(&both);
}

static void kinds_travel_on_the_own_framing(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    ipcf_message message;
    CHECK_OK(
        ipcf_channel_try_send(&both.one.base, IPCF_KIND_MESSAGE, "m", 1, &failure));
    CHECK_OK(ipcf_channel_try_send(&both.one.base, IPCF_KIND_BYTES, "b", 1, &failure));
    CHECK_OK(try_begin(&both.other, &message));
    CHECK(message.kind == IPCF_KIND_MESSAGE);
    ipcf_channel_leave(&both.other.base); /* stays at the head */
    CHECK_OK(try_begin(&both.other, &message));
    CHECK(message.kind == IPCF_KIND_MESSAGE && message.data[0] == 'm');
    ipcf_channel_finish(&both.other.base);
    CHECK_OK(try_begin(&both.other, &message));
    CHECK(message.kind == IPCF_KIND_BYTES && message.data[0] == 'b');
    ipcf_channel_finish(&both.other.base);
    CHECK_STATUS(try_begin(&both.other, &message), IPCF_AGAIN);
    close_ends(&both);
}

static void messages_arrive_byte_by_byte(void)
{
    static const char wire[] =
        "Content-Length: 5\r\n\r\nhelloContent-Length: 0\r\n\r\n";
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_CONTENT_LENGTH);
    int raw = open_raw(&channel, &options);
    ipcf_message message;
    for (size_t i = 0; i + 1 < sizeof wire; i++) {
        CHECK_STATUS(try_begin(&channel, &message), IPCF_AGAIN);
        say(raw, wire + i, 1);
        if (i == strlen("Content-Length: 5\r\n\r\nhello") - 1)
            check_receive(&channel, "hello");
    }
    check_receive(&channel, "");
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

/* A body that read_body takes in pieces, left in between: nothing is lost, and the next
 * message is intact. */
static void a_large_body_is_taken_piece_by_piece(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    int raw = open_raw(&channel, &options);
    size_t size = 3 * BUFFER, got = 0, at = 0;
    uint8_t header[IPCF_FRAME_HEADER_MAX], *body = make_body(7, size),
                                           *copy = malloc(size);
    say(raw, header, write_header(size, header));
    for (size_t sent = 0; at < size; at += got) {
        size_t chunk = size - sent < 10007 ? size - sent : 10007;
        say(raw, body + sent, chunk);
        sent += chunk;
        ipcf_message message;
        CHECK_OK(ipcf_channel_begin(&channel.base, IPCF_NO_WAIT, &message, &failure));
        CHECK(message.data == NULL && message.size == size && message.received == at);
        ipcf_status status = ipcf_channel_read_body(&channel.base, copy + at, size - at,
                                                    &got, IPCF_NO_WAIT, &failure);
        CHECK(status == (sent == size ? IPCF_OK : IPCF_TIMEOUT));
        if (status == IPCF_OK)
            ipcf_channel_finish(&channel.base);
        else
            ipcf_channel_leave(&channel.base);
        if (status != IPCF_OK && sent % 3 == 0)
            CHECK_STATUS(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure),
                         IPCF_TIMEOUT);
    }
    CHECK(memcmp(body, copy, size) == 0);
    say(raw, header, write_header(2, header));
    say(raw, "ok", 2);
    check_receive(&channel, "ok");
    free(body);
    free(copy);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void a_body_that_is_given_up_is_passed_over(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    int raw = open_raw(&channel, &options);
    size_t size = BUFFER + 1000, got;
    uint8_t header[IPCF_FRAME_HEADER_MAX], *body = make_body(7, size), part[100];
    ipcf_message message;
    say(raw, header, write_header(size, header));
    say(raw, body, size - 500);
    CHECK_OK(try_begin(&channel, &message));
    CHECK_OK(ipcf_channel_read_body(&channel.base, part, sizeof part, &got,
                                    IPCF_NO_WAIT, &failure));
    ipcf_channel_finish(&channel.base);
    CHECK_STATUS(try_begin(&channel, &message), IPCF_AGAIN);
    say(raw, body + size - 500, 500);
    say(raw, header, write_header(2, header));
    say(raw, "ok", 2);
    check_receive(&channel, "ok");
    free(body);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void batches_go_out_and_come_in(void)
{
    enum { COUNT = 1000 };
    for (size_t f = 0; f < FRAMINGS; f++) {
        ends both;
        ipcf_channel_options options = options_with(framings[f]);
        open_ends(&both, &options);
        ipcf_piece bodies[COUNT];
        for (size_t i = 0; i < COUNT; i++)
            bodies[i] = (ipcf_piece){make_body(i, 1 + i % 50), 1 + i % 50};
        size_t sent, taken = 0;
        CHECK_OK(ipcf_channel_send_many(&both.one.base, IPCF_KIND_BYTES, bodies, COUNT,
                                        &sent, hang_bound(), &failure));
        CHECK(sent == COUNT);
        while (taken < COUNT) {
            ipcf_message message;
            ipcf_status status = try_begin(&both.other, &message);
            CHECK_OK(status);
            for (; status == IPCF_OK;
                 status = ipcf_channel_next(&both.other.base, &message), taken++)
                CHECK(message.size == 1 + taken % 50 &&
                      is_body(taken, message.data, (size_t)message.size));
        }
        CHECK(taken == COUNT);
        for (size_t i = 0; i < COUNT; i++)
            free((void *)(uintptr_t)bodies[i].data);
        close_ends(&both);
    }
}

/* ---- sniffing, ready handle ------------------------------------------------------ */

static void the_first_byte_tells_the_framing(void)
{
    static const struct {
        const char *text;
        ipcf_framing framing;
    } cases[] = {{"{\"a\": 1}\n", IPCF_FRAMING_LINES},
                 {"Content-Length: 8\r\n\r\n{\"a\": 1}", IPCF_FRAMING_CONTENT_LENGTH}};
    for (size_t i = 0; i < 2; i++) {
        ipcf_stream_channel channel;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        options.sniff = true;
        int raw = open_raw(&channel, &options);
        ipcf_framing framing;
        CHECK_STATUS(ipcf_stream_channel_sniff(&channel, &framing, &failure),
                     IPCF_TIMEOUT);
        say(raw, cases[i].text, 1);
        CHECK_OK(ipcf_stream_channel_sniff(&channel, &framing, &failure));
        CHECK(framing == cases[i].framing);
        say_text(raw, cases[i].text + 1);
        check_receive(&channel, "{\"a\": 1}");
        CHECK_OK(ipcf_stream_channel_set_send_framing(&channel, framing, &failure));
        CHECK_OK(ipcf_channel_try_send(&channel.base, 0, "{\"a\": 1}", 8, &failure));
        char back[64] = {0};
        CHECK(recv(raw, back, sizeof back - 1, 0) == (ssize_t)strlen(cases[i].text));
        CHECK(strcmp(back, cases[i].text) == 0);
        close(raw);
        ipcf_channel_destroy(&channel.base);
    }
}

static void sniffing_tells_that_nothing_will_come(void)
{
    static const struct {
        const char *text;
        ipcf_status due;
    } cases[] = {{"", IPCF_DISCONNECTED}, {"\x01", IPCF_BAD_FRAME}};
    for (size_t i = 0; i < 2; i++) {
        ipcf_stream_channel channel;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        options.sniff = true;
        int raw = open_raw(&channel, &options);
        ipcf_framing framing;
        say_text(raw, cases[i].text);
        close(raw);
        CHECK_STATUS(ipcf_stream_channel_sniff(&channel, &framing, &failure),
                     cases[i].due);
        CHECK_STATUS(receive_status(&channel), cases[i].due);
        ipcf_channel_destroy(&channel.base);
    }
}

static void the_ready_handle_tells_what_can_be_received(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    ipcf_handle ready;
    ipcf_message message;
    CHECK_OK(ipcf_channel_ready_handle(&both.other.base, &ready, &failure));
    CHECK(!is_ready(ready));
    for (int i = 0; i < 3; i++)
        CHECK_OK(
            ipcf_channel_try_send(&both.one.base, IPCF_KIND_BYTES, "x", 1, &failure));
    for (int i = 0; i < 3; i++) {
        CHECK(is_ready(ready)); /* also when the rest lies in the buffer */
        CHECK_OK(try_begin(&both.other, &message));
        ipcf_channel_finish(&both.other.base);
    }
    CHECK(!is_ready(ready));
    ipcf_channel_shut_down(&both.one.base);
    CHECK(is_ready(ready));
    CHECK_STATUS(receive_status(&both.other), IPCF_DISCONNECTED);
    CHECK(is_ready(ready)); /* the end does not go away */
    close_ends(&both);
}

int main(void)
{
    RUN(every_size_travels_on_every_framing);
    RUN(empty_messages_travel_where_the_framing_has_them);
    RUN(a_line_cannot_hold_an_end_of_line);
    RUN(kinds_travel_on_the_own_framing);
    RUN(messages_arrive_byte_by_byte);
    RUN(a_large_body_is_taken_piece_by_piece);
    RUN(a_body_that_is_given_up_is_passed_over);
    RUN(batches_go_out_and_come_in);
    RUN(the_first_byte_tells_the_framing);
    RUN(sniffing_tells_that_nothing_will_come);
    RUN(the_ready_handle_tells_what_can_be_received);
    return 0;
}
