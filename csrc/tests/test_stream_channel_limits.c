/* SPDX-License-Identifier: MIT
 * What a stream channel does not let in: messages beyond the limit, bytes that are no
 * frames, noise.
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

static void noise_is_told_and_passed_over(void)
{
    ipcf_stream_channel channel;
    ipcf_channel_options options = options_with(IPCF_FRAMING_CONTENT_LENGTH);
    options.skip_noise = true;
    int raw = open_raw(&channel, &options);
    say_text(raw, "starting up\nContent-Length: 2\r\n\r\n{}");
    CHECK_STATUS(receive_status(&channel), IPCF_NOISE);
    CHECK(failure.found == strlen("starting up\n"));
    check_receive(&channel, "{}");
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

int main(void)
{
    RUN(too_large_is_told_once_and_passed_over);
    RUN(poll_and_next_do_not_swallow_what_is_told_once);
    RUN(an_endless_line_stays_small);
    RUN(a_bad_frame_ends_the_channel_for_good);
    RUN(noise_is_told_and_passed_over);
    return 0;
}
