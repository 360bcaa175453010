/* SPDX-License-Identifier: MIT
 * The handshake of a stream channel: the handles that travel with it, those that nobody
 * wants, and where it ends.
 */
#include "tests/channel_ends.h"
#include "tests/sockets.h"

static uint8_t kind_got, body_got[16];
static size_t size_got, count_got;
static ipcf_handle handles_got[IPCF_STREAM_MAX_HANDLES];

static ipcf_status greet(ipcf_stream_channel *channel, const ipcf_handle *handles,
                         size_t count)
{
    return ipcf_stream_channel_send_handles(channel, IPCF_KIND_HELLO, "hello", 5,
                                            handles, count, hang_bound(), &failure);
}

static ipcf_status receive_greeting(ipcf_stream_channel *channel)
{
    count_got = IPCF_STREAM_MAX_HANDLES;
    return ipcf_stream_channel_receive_handles(channel, &kind_got, body_got,
                                               sizeof body_got, &size_got, handles_got,
                                               &count_got, hang_bound(), &failure);
}

static void check_greeting(ipcf_stream_channel *channel, size_t handles)
{
    CHECK_OK(receive_greeting(channel));
    CHECK(kind_got == IPCF_KIND_HELLO && size_got == 5 &&
          memcmp(body_got, "hello", 5) == 0 && count_got == handles);
}

/* ---- handles --------------------------------------------------------------------- */

static void handles_travel_with_the_handshake(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    size_t before = open_descriptors();
    open_ends(&both, &options);
    int pipe_ends[2];
    CHECK(pipe(pipe_ends) == 0);
    ipcf_handle sent[] = {pipe_ends[0], pipe_ends[1]};
    CHECK_OK(greet(&both.one, sent, 2));
    CHECK_OK(ipcf_channel_poll(&both.other.base, hang_bound(), &failure));
    check_greeting(&both.other, 2);
    tell((int)handles_got[1]);
    hear(pipe_ends[0]);
    for (size_t i = 0; i < 2; i++) {
        ipcf_handle_close(&sent[i]);
        ipcf_handle_close(&handles_got[i]);
    }
    close_ends(&both);
    CHECK(open_descriptors() == before);
}

/* An acceptor, which sniffs, holds nothing for a client at any time. */
static void a_channel_that_sniffs_takes_no_handles(void)
{
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    options.sniff = true;
    for (int copies = 1; copies <= 64; copies += 21) {
        ipcf_stream_channel channel;
        ipcf_framing framing;
        ipcf_status status;
        int raw = open_raw(&channel, &options);
        uint8_t hello[IPCF_FRAME_HEADER_MAX + 5];
        size_t before = open_descriptors();
        size_t size = ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_HELLO,
                                        IPCF_FRAME_CPU_UNKNOWN, 5, hello, &status);
        memcpy(hello + size, "hello", 5);
        send_copies(raw, hello, 1, raw, copies);
        CHECK_OK(ipcf_stream_channel_sniff(&channel, &framing, &failure));
        CHECK(framing == IPCF_FRAMING_LENGTH && open_descriptors() == before);
        send_copies(raw, hello + 1, size + 4, raw, copies);
        CHECK_OK(ipcf_channel_poll(&channel.base, hang_bound(), &failure));
        CHECK(open_descriptors() == before);
        check_greeting(&channel, 0);
        CHECK(open_descriptors() == before);
        close(raw);
        ipcf_channel_destroy(&channel.base);
    }
}

static void too_many_handles_end_the_channel_whoever_reads(void)
{
    for (int by_a_send = 0; by_a_send < 2; by_a_send++) {
        ipcf_stream_channel channel;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        int raw = open_raw(&channel, &options);
        size_t before = open_descriptors();
        if (by_a_send)
            fill_up(&channel);
        send_copies(raw, "\xF1", 1, raw, IPCF_STREAM_MAX_HANDLES + 1);
        /* nobody asks why, but it is remembered */
        if (by_a_send)
            CHECK_STATUS(ipcf_channel_send(&channel.base, IPCF_KIND_BYTES, "x", 1,
                                           hang_bound(), NULL),
                         IPCF_BAD_FRAME);
        else
            CHECK_STATUS(ipcf_channel_begin(&channel.base, hang_bound(),
                                            &(ipcf_message){0}, NULL),
                         IPCF_BAD_FRAME);
        CHECK_STATUS(receive_status(&channel), IPCF_BAD_FRAME);
        CHECK(failure.expected == IPCF_STREAM_MAX_HANDLES && failure.found == 17);
        CHECK(open_descriptors() == before);
        close(raw);
        ipcf_channel_destroy(&channel.base);
    }
}

/* A bad frame, too, is one that no caller need ask about. */
static void a_caller_may_ask_for_no_reason(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    int raw = open_raw(&channel, &options);
    ipcf_message message;
    say_text(raw, "garbage");
    CHECK_STATUS(ipcf_channel_try_begin(&channel.base, IPCF_LOOK_ONCE, &message, NULL),
                 IPCF_BAD_FRAME);
    CHECK_STATUS(receive_status(&channel), IPCF_BAD_FRAME);
    CHECK(failure.expected == 0xF1 && failure.found == 'g');
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

/* The bytes came with the handles and are lost with them. */
static void no_descriptor_left_ends_the_channel_with_that_error(void)
{
    ends both;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    ipcf_handle sent[] = {0, 0, 0};
    open_ends(&both, &options);
    size_t before = open_descriptors();
    CHECK_OK(greet(&both.one, sent, 3));
    rlim_t allowed = limit_descriptors(1);
    CHECK_OK(ipcf_channel_poll(&both.other.base, hang_bound(), &failure));
    allow_descriptors(allowed);
    CHECK_STATUS(receive_greeting(&both.other), IPCF_OS_ERROR);
    CHECK(failure.os_error == EMFILE);
    CHECK(open_descriptors() == before);
    close_ends(&both);
}

/* ---- where it ends --------------------------------------------------------------- */

/* The greeting has come. */
static void check_kind_refused(ends *both)
{
    size_t before = open_descriptors();
    CHECK_STATUS(receive_greeting(&both->other), IPCF_BAD_FRAME);
    CHECK(strcmp(failure.what, "kind") == 0 && failure.found == IPCF_KIND_HELLO);
    CHECK_STATUS(receive_status(&both->other), IPCF_BAD_FRAME);
    CHECK(count_got == 0 && open_descriptors() == before);
    close_ends(both);
}

static void a_second_greeting_ends_the_channel(void)
{
    for (int sniffs = 0; sniffs < 2; sniffs++) {
        ends both;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        options.sniff = sniffs;
        open_ends(&both, &options);
        CHECK_OK(greet(&both.one, NULL, 0));
        check_greeting(&both.other, 0);
        CHECK_OK(greet(&both.one, (ipcf_handle[]){0, 0}, 2));
        check_kind_refused(&both);
    }
}

static void a_greeting_behind_a_message_ends_the_channel(void)
{
    for (int at_once = 0; at_once < 2; at_once++) {
        ends both;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        ipcf_message message;
        open_ends(&both, &options);
        CHECK_OK(
            ipcf_channel_try_send(&both.one.base, IPCF_KIND_BYTES, "x", 1, &failure));
        if (at_once)
            CHECK_OK(greet(&both.one, NULL, 0));
        CHECK_OK(begin_until(&both.other, hang_bound(), &message, &failure));
        CHECK_STATUS(ipcf_channel_next(&both.other.base, &message), IPCF_AGAIN);
        if (!at_once)
            CHECK_OK(greet(&both.one, (ipcf_handle[]){0, 0}, 2));
        check_kind_refused(&both);
    }
}

/* Whoever receives messages has no handshake under way, whatever poll has seen. */
static void a_greeting_is_no_message(void)
{
    for (int looks = 0; looks < 2; looks++) {
        ends both;
        ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
        ipcf_message message;
        size_t before = open_descriptors();
        open_ends(&both, &options);
        CHECK_OK(greet(&both.one, (ipcf_handle[]){0}, 1));
        CHECK_OK(ipcf_channel_poll(&both.other.base, hang_bound(), &failure));
        CHECK_STATUS(looks ? try_begin(&both.other, &message)
                           : receive_status(&both.other),
                     IPCF_BAD_FRAME);
        CHECK(strcmp(failure.what, "kind") == 0);
        CHECK_STATUS(receive_status(&both.other), IPCF_BAD_FRAME);
        close_ends(&both);
        CHECK(open_descriptors() == before);
    }
}

int main(void)
{
    alarm(100);
    RUN(handles_travel_with_the_handshake);
    RUN(a_channel_that_sniffs_takes_no_handles);
    RUN(too_many_handles_end_the_channel_whoever_reads);
    RUN(a_caller_may_ask_for_no_reason);
    RUN(no_descriptor_left_ends_the_channel_with_that_error);
    RUN(a_second_greeting_ends_the_channel);
    RUN(a_greeting_behind_a_message_ends_the_channel);
    RUN(a_greeting_is_no_message);
    return 0;
}
