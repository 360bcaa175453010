/* SPDX-License-Identifier: MIT
 * What a stream channel does not let in: messages beyond the limit, bytes that are no
 * frames or make none for ever, noise.
 */
#include "tests/channel_ends.h"

#define BUFFER ((size_t)64 << 10)

static const ipcf_framing framings[] = {IPCF_FRAMING_LENGTH, IPCF_FRAMING_U32BE,
                                        IPCF_FRAMING_LINES,
                                        IPCF_FRAMING_CONTENT_LENGTH};
#define FRAMINGS (sizeof framings / sizeof framings[0])

static void too_large_is_told_once_and_passed_over(void)
{
    for (size_t f = 0; f < FRAMINGS; f++) {
        ends both;
        ipcf_channel_options options = options_with(framings[f]);
        options.message_limit = 1000;
        open_ends(&both, &options);
        static const size_t sizes[] = {1000, 1001, 5, 200000, 5};
        uint8_t *body = make_body(1, 200000);
        for (size_t i = 0; i < 5; i++) {
            /* no thread reads meanwhile, so what does not fit is finished later */
            ipcf_status sent = ipcf_channel_send(&both.one.base, IPCF_KIND_BYTES, body,
                                                 sizes[i], IPCF_NO_WAIT, &failure);
            bool begun = sent == IPCF_TIMEOUT && failure.what == ipcf_channel_begun;
            CHECK(sent == IPCF_OK || begun);
            if (sizes[i] > 1000) {
                CHECK_STATUS(receive_status(&both.other), IPCF_TOO_LARGE);
                CHECK(failure.expected == 1000);
                CHECK(failure.found ==
                      (framings[f] == IPCF_FRAMING_LINES ? 1001 : sizes[i]));
                ipcf_message message;
                while (begun && ipcf_channel_flush(&both.one.base, IPCF_NO_WAIT,
                                                   &failure) != IPCF_OK)
                    CHECK_STATUS(try_begin(&both.other, &message), IPCF_AGAIN);
            } else {
                receive_seeded(&both.other, 1, sizes[i]);
            }
        }
        CHECK(both.other.incoming.capacity <= 2 * BUFFER);
        free(body);
        close_ends(&both);
    }
}

static void poll_and_next_do_not_swallow_what_is_told_once(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
    options.message_limit = 4;
    int raw = open_raw(&channel, &options);
    ipcf_message message;
    say_text(raw, "{}\ntoo large\n[]\n");
    CHECK_OK(try_begin(&channel, &message));
    CHECK_STATUS(ipcf_channel_next(&channel.base, &message), IPCF_AGAIN);
    CHECK_STATUS(receive_status(&channel), IPCF_TOO_LARGE);
    check_receive(&channel, "[]");
    say_text(raw, "too large\n[]\n");
    CHECK_OK(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure));
    CHECK_OK(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure));
    CHECK_STATUS(receive_status(&channel), IPCF_TOO_LARGE);
    check_receive(&channel, "[]");
    CHECK_STATUS(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure),
                 IPCF_TIMEOUT);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void an_endless_line_stays_small(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
    options.message_limit = 200000;
    int raw = open_raw(&channel, &options);
    uint8_t *chunk = make_body(3, 50000);
    ipcf_message message;
    size_t told = 0;
    for (size_t i = 0; i < 400; i++) {
        say(raw, chunk, 50000);
        ipcf_status status = try_begin(&channel, &message);
        told += status == IPCF_TOO_LARGE;
        CHECK(status == IPCF_AGAIN || status == IPCF_TOO_LARGE);
        CHECK(channel.incoming.capacity <= 1 << 19);
    }
    CHECK(told == 1);
    say_text(raw, "\n{}\n");
    check_receive(&channel, "{}");
    free(chunk);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void a_bad_frame_ends_the_channel_for_good(void)
{
    static const uint8_t bad[] = {0xF1, 0x9C, 9, 2, 0, 0, 0, 0,  1,
                                  0,    0,    0, 0, 0, 0, 0, 'x'};
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    int raw = open_raw(&channel, &options);
    uint8_t header[IPCF_FRAME_HEADER_MAX], byte;
    say(raw, header, write_header(2, header));
    say(raw, "ok", 2);
    say(raw, bad, sizeof bad);
    check_receive(&channel, "ok");
    CHECK_OK(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure));
    for (int i = 0; i < 3; i++) {
        failure = (ipcf_error){0};
        CHECK_STATUS(receive_status(&channel), IPCF_BAD_FRAME);
        CHECK(failure.expected == 1 && failure.found == 9 &&
              strcmp(failure.what, "version") == 0);
    }
    failure = (ipcf_error){0};
    CHECK_STATUS(ipcf_channel_send(&channel.base, IPCF_KIND_BYTES, "x", 1, hang_bound(),
                                   &failure),
                 IPCF_BAD_FRAME);
    CHECK(failure.found == 9);
    CHECK(recv(raw, &byte, 1, 0) == 0); /* the peer notices */
    CHECK_OK(ipcf_channel_poll(&channel.base, IPCF_NO_WAIT, &failure));
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void check_noise(ipcf_stream_channel *channel, const char *text)
{
    ipcf_message message;
    CHECK_OK(begin_until(channel, hang_bound(), &message, &failure));
    CHECK(message.kind == IPCF_KIND_NOISE && message.data != NULL);
    CHECK(message.size == strlen(text) &&
          memcmp(message.data, text, (size_t)message.size) == 0);
    ipcf_channel_finish(&channel->base);
}

static void noise_is_received_as_such(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_CONTENT_LENGTH);
    options.skip_noise = true;
    int raw = open_raw(&channel, &options);
    say_text(raw, "\r\nstarting up\nContent-Length: 2\r\n\r\n{}more\n\nthe");
    CHECK_STATUS(ipcf_channel_poll(&channel.base, hang_bound(), &failure), IPCF_NOISE);
    CHECK(failure.found == strlen("starting up\n"));
    check_noise(&channel, "starting up\n");
    CHECK_OK(ipcf_channel_poll(&channel.base, hang_bound(), &failure));
    check_receive(&channel, "{}");
    check_noise(&channel, "more\n");
    check_noise(&channel, "\n");
    CHECK_STATUS(receive_status(&channel), IPCF_TIMEOUT);
    say_text(raw, " end");
    close(raw);
    check_noise(&channel, "the end"); /* also without its line's end */
    CHECK_STATUS(receive_status(&channel), IPCF_DISCONNECTED);
    CHECK(ipcf_load_acquire(&channel.base.ending) == IPCF_ENDING_UNKNOWN);
    ipcf_channel_destroy(&channel.base);
}

static void a_long_line_of_noise_comes_in_pieces(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LINES);
    options.skip_noise = true;
    int raw = open_raw(&channel, &options);
    static char line[IPCF_NOISE_PIECE_MAX + 1];
    memset(line, 'n', IPCF_NOISE_PIECE_MAX);
    say_text(raw, line);
    say_text(raw, "rest\n{\"a\":1}\n");
    check_noise(&channel, line);
    check_noise(&channel, "rest\n");
    check_receive(&channel, "{\"a\":1}");
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

/* ---- bytes that never make a message --------------------------------------------- */

static struct {
    ipcf_stream_channel channel;
    int raw;
    const char *chunk;
    size_t fills;
} flood;

/* The peer is always faster than we. */
static void flood_the_reader(const char *step)
{
    if (strcmp(step, "about to read") == 0) {
        say_text(flood.raw, flood.chunk);
        flood.fills++;
    }
}

/* What a receive says and how often it read for that. */
static ipcf_status flooded(uint64_t deadline_ns, size_t most)
{
    ipcf_message message;
    flood.fills = 0;
    ipcf_status status =
        ipcf_channel_begin(&flood.channel.base, deadline_ns, &message, &failure);
    CHECK(flood.fills > 0 && flood.fills <= most);
    return status;
}

static ipcf_status flooded_poll(uint64_t deadline_ns, size_t most)
{
    flood.fills = 0;
    ipcf_status status = ipcf_channel_poll(&flood.channel.base, deadline_ns, &failure);
    CHECK(flood.fills > 0 && flood.fills <= most);
    return status;
}

static void check_flooded(void)
{
    ipcf_message message;
    for (int round = 0; round < 20; round++) {
        flood.fills = 0;
        CHECK_STATUS(try_begin(&flood.channel, &message), IPCF_AGAIN);
        CHECK(flood.fills > 0 && flood.fills <= 4);
        CHECK_STATUS(flooded(IPCF_NO_WAIT, 64), IPCF_TIMEOUT);
        CHECK_STATUS(flooded_poll(IPCF_NO_WAIT, 64), IPCF_TIMEOUT);
        CHECK_STATUS(flooded(IPCF_NEVER, 64), IPCF_INTERRUPTED);
        CHECK_STATUS(flooded_poll(IPCF_NEVER, 64), IPCF_INTERRUPTED);
    }
    uint64_t deadline = ipcf_deadline_in(0.01);
    ipcf_status status;
    while ((status = flooded(deadline, 64)) == IPCF_INTERRUPTED)
        continue;
    CHECK_STATUS(status, IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    deadline = ipcf_deadline_in(0.01);
    while ((status = flooded_poll(deadline, 64)) == IPCF_INTERRUPTED)
        continue;
    CHECK_STATUS(status, IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
}

static void bytes_that_make_no_message_are_passed_over_in_steps(void)
{
    static const struct {
        ipcf_framing framing;
        const char *start, *chunk;
    } cases[] = {{IPCF_FRAMING_LENGTH, NULL, "passed over"},
                 {IPCF_FRAMING_U32BE, "\xFF\xFF\xFF\xFF", "passed over"},
                 {IPCF_FRAMING_CONTENT_LENGTH, "Content-Length: 9999999999\r\n\r\n",
                  "passed over"},
                 {IPCF_FRAMING_LINES, "a line that has no end", "or so it seems"},
                 {IPCF_FRAMING_LINES, "", " \r\n \r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ipcf_channel_options options = options_with(cases[i].framing);
        uint8_t header[IPCF_FRAME_HEADER_MAX];
        options.message_limit = 10;
        flood.raw = open_raw(&flood.channel, &options);
        flood.chunk = cases[i].chunk;
        if (cases[i].start == NULL)
            say(flood.raw, header, write_header(UINT64_C(1) << 60, header));
        else
            say_text(flood.raw, cases[i].start);
        if (cases[i].chunk[0] != ' ')
            CHECK_STATUS(receive_status(&flood.channel), IPCF_TOO_LARGE);
        ipcf_test_on_step(flood_the_reader);
        check_flooded();
        ipcf_test_on_step(NULL);
        close(flood.raw);
        ipcf_channel_destroy(&flood.channel.base);
    }
}

int main(void)
{
    alarm(100);
    RUN(too_large_is_told_once_and_passed_over);
    RUN(poll_and_next_do_not_swallow_what_is_told_once);
    RUN(an_endless_line_stays_small);
    RUN(a_bad_frame_ends_the_channel_for_good);
    RUN(noise_is_received_as_such);
    RUN(a_long_line_of_noise_comes_in_pieces);
    RUN(bytes_that_make_no_message_are_passed_over_in_steps);
    return 0;
}
