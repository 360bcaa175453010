/* SPDX-License-Identifier: MIT
 * frame.h: the specification's vectors in every split, limits, repeated looks, linear
 * time, and the encoders.
 *
 * Runs in csrc; the specification's path may be given as the first argument.
 */
#include "tests/frame_vectors.h"

static const char *specification = "../docs/spec/framing.md";
static frame_driver driver;

static void print_log(const char *title, const event_log *log)
{
    fprintf(stderr, "  %s:", title);
    for (size_t at = 0; at < log->size;) {
        const char *name = (const char *)log->bytes + at;
        size_t size;
        memcpy(&size, name + strlen(name) + 1, sizeof size);
        at += strlen(name) + 1 + sizeof size;
        fprintf(stderr, " %s(%zu):%.*s", name, size, size > 60 ? 60 : (int)size,
                (const char *)log->bytes + at);
        at += size;
    }
    fprintf(stderr, "\n");
}

static void check_says(const frame_vector *vector, const char *how, size_t where)
{
    driver_end(&driver);
    if (logs_equal(&driver.log, &vector->says))
        return;
    fprintf(stderr, "vector %s, %s %zu\n", vector->id, how, where);
    print_log("due", &vector->says);
    print_log("said", &driver.log);
    abort();
}

static void begin(const frame_vector *vector, bool keeps_skipped)
{
    driver_init(&driver, vector->framing, vector->limit, vector->skip_noise);
    driver.decoder.takes_times = vector->takes_times;
    driver.keeps_skipped = keeps_skipped;
}

static void feed_in_pieces_of(const frame_vector *vector, size_t piece)
{
    for (size_t at = 0; at < vector->input_size; at += piece) {
        size_t left = vector->input_size - at;
        driver_feed(&driver, vector->input + at, left < piece ? left : piece);
    }
}

static void visit_vector(const frame_vector *vector)
{
    for (int keeps = 0; keeps < 2; keeps++) {
        begin(vector, keeps != 0);
        feed_in_pieces_of(vector, SIZE_MAX / 2);
        check_says(vector, "whole", 0);
        for (size_t piece = 1; piece < 8; piece++) {
            begin(vector, keeps != 0);
            feed_in_pieces_of(vector, piece);
            check_says(vector, "in pieces of", piece);
        }
        for (size_t cut = 1; cut < vector->input_size; cut++) {
            begin(vector, keeps != 0);
            driver_feed(&driver, vector->input, cut);
            driver_feed(&driver, vector->input + cut, vector->input_size - cut);
            check_says(vector, "split at", cut);
        }
    }
}

static void test_vectors_in_every_split(void)
{
    size_t count = for_each_vector(specification, visit_vector);
    CHECK(count > 100);
    printf("  (%zu vectors)\n", count);
}

/* Every prefix of every vector: what is said after a prefix is the beginning of what is
 * said after the whole. */
static void visit_prefixes(const frame_vector *vector)
{
    if (vector->input_size > 2000)
        return;
    for (size_t size = 1; size < vector->input_size; size++) {
        begin(vector, false);
        driver_feed(&driver, vector->input, size);
        CHECK(driver.log.size <= vector->says.size);
        CHECK(memcmp(driver.log.bytes, vector->says.bytes, driver.log.size) == 0);
        CHECK(driver.most_held <= size);
    }
}

static void test_prefixes_say_a_beginning(void)
{
    CHECK(for_each_vector(specification, visit_prefixes) > 100);
}

/* A frame looked at again, before it is consumed, is the same; so is a bad one. */
static void check_looks_alike(ipcf_framing framing, const char *text, size_t size)
{
    ipcf_frame_decoder decoder;
    ipcf_frame first, again;
    ipcf_error first_error = {0}, again_error = {0};
    ipcf_frame_decoder_init(&decoder, framing, 100, false);
    const uint8_t *data = (const uint8_t *)text;
    ipcf_status status = ipcf_frame_decode(&decoder, data, size, &first, &first_error);
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(ipcf_frame_decode(&decoder, data, size, &again, &again_error),
                     status);
        CHECK(again.header_size == first.header_size);
        CHECK(again.body_size == first.body_size);
        CHECK(again.trailer_size == first.trailer_size);
        CHECK(again.skip == first.skip);
        CHECK(again_error.what == first_error.what);
        CHECK(again_error.found == first_error.found);
    }
    if (status != IPCF_OK)
        return;
    /* consumed in parts, then the next frame is found */
    ipcf_frame_consumed(&decoder, first.header_size);
    ipcf_frame_consumed(&decoder, (size_t)first.body_size);
    ipcf_frame_consumed(&decoder, first.trailer_size);
    size_t whole = first.header_size + (size_t)first.body_size + first.trailer_size;
    CHECK_OK(ipcf_frame_decode(&decoder, data + whole, size - whole, &again, NULL));
    CHECK(again.body_size == 2);
}

#define LOOK(framing, text) check_looks_alike(framing, text, sizeof(text) - 1)

static void test_looking_again(void)
{
    LOOK(IPCF_FRAMING_LINES, "\n\n[1]\r\n{}\n");
    LOOK(IPCF_FRAMING_LINES, "\n\n[1");
    LOOK(IPCF_FRAMING_U32BE, "\0\0\0\1a\0\0\0\2{}");
    LOOK(IPCF_FRAMING_U32BE, "\0\0\1\0{}");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH,
         "\r\nContent-Length: 1\r\n\r\naContent-Length: 2\r\n\r\n{}");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH,
         "Content-Length: 1\r\nX: y\r\n\r\naContent-Length: 2\r\n\r\n{}");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH, "Content-Length: 1\r\nX: y\r\n");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH, "\r\nContent-Length: 1\r\ncontent-length: 1\r\n");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH, "Content-Length: 12345678901\r\n\r\n");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH, "Content-Length: 1\r\n\rx");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH, "X: y\r\n\r\n");
    LOOK(IPCF_FRAMING_CONTENT_LENGTH, "Content-Length: 101\r\n\r\n");
    LOOK(IPCF_FRAMING_LENGTH, "\xf1\x9c\x01\x02\x00\x01");
    LOOK(IPCF_FRAMING_SNIFF, "?");
}

/* Endless input of each kind: the error comes at once, and little is held. */
static void check_endless(ipcf_framing framing, const char *start, const char *unit,
                          const char *says, size_t may_hold)
{
    driver_init(&driver, framing, 1000, false);
    driver_feed(&driver, (const uint8_t *)start, strlen(start));
    static uint8_t chunk[4000];
    size_t unit_size = strlen(unit);
    for (size_t i = 0; i < sizeof chunk; i++)
        chunk[i] = (uint8_t)unit[i % unit_size];
    for (int i = 0; i < 5000; i++)
        driver_feed(&driver, chunk, sizeof chunk);
    CHECK(driver.has_failed == (strcmp(says, "bad") == 0));
    CHECK(driver.log.size != 0 && strcmp((char *)driver.log.bytes, says) == 0);
    CHECK(driver.most_held <= may_hold + sizeof chunk);
}

static void test_endless_input(void)
{
    const ipcf_framing text = IPCF_FRAMING_CONTENT_LENGTH;
    check_endless(text, "", "a", "bad", 8192);
    check_endless(text, "X: ", "a", "bad", 8192);
    check_endless(text, "", "X: y\r\n", "bad", 8192);
    check_endless(text, "Content-Length:", " ", "bad", 8192);
    check_endless(text, "Content-Length: 0", "0", "bad", 8192);
    check_endless(text, "Content-Length: 9999999999\r\n\r\n", "a", "large", 0);
    check_endless(IPCF_FRAMING_LINES, "", "a", "large", 1002);
    check_endless(IPCF_FRAMING_LINES, "", " ", "large", 1002);
    check_endless(IPCF_FRAMING_U32BE, "\xff\xff\xff\xff", "a", "large", 0);
}

/* Blank lines for ever are passed over and nothing of them is held. */
static void test_endless_blank_lines(void)
{
    const ipcf_framing framings[] = {IPCF_FRAMING_LINES, IPCF_FRAMING_CONTENT_LENGTH};
    for (size_t f = 0; f < 2; f++) {
        driver_init(&driver, framings[f], 100, false);
        for (int i = 0; i < 100000; i++) {
            driver_feed(&driver, (const uint8_t *)"\r\n\r", 3);
            driver_feed(&driver, (const uint8_t *)"\n", 1);
        }
        CHECK(driver.most_held == 1 && driver.held == 0);
        CHECK(!driver.has_failed && driver.log.size == 0);
    }
}

/* The cost of a frame that comes byte by byte grows with its size, not with the square:
 * `scanned` moves on. */
static void test_bytes_are_scanned_once(void)
{
    const size_t size = 200000;
    uint8_t *line = malloc(size);
    CHECK(line != NULL);
    memset(line, ' ', size);
    ipcf_frame_decoder decoder;
    ipcf_frame frame;
    ipcf_frame_decoder_init(&decoder, IPCF_FRAMING_LINES, size, false);
    for (size_t seen = 1; seen < size; seen++) {
        CHECK_STATUS(ipcf_frame_decode(&decoder, line, seen, &frame, NULL), IPCF_AGAIN);
        ipcf_frame_consumed(&decoder, frame.skip);
        CHECK(decoder.scanned == seen);
    }
    memcpy(line, "Content-Type: a", 15);
    memset(line + 15, 'a', size - 15);
    ipcf_frame_decoder_init(&decoder, IPCF_FRAMING_CONTENT_LENGTH, size, true);
    for (size_t seen = 15; seen < IPCF_CONTENT_LENGTH_BLOCK_MAX; seen++) {
        CHECK_STATUS(ipcf_frame_decode(&decoder, line, seen, &frame, NULL), IPCF_AGAIN);
        CHECK(decoder.scanned == seen);
    }
    free(line);
}

/* A run is given only where a frame starts: not within a line, be it held, oversized or
 * noise, nor unsniffed. */
static void check_no_run(ipcf_framing framing, const char *text, uint64_t limit,
                         bool skip_noise)
{
    const char more[] = "x\n{}\n";
    uint8_t data[100];
    ipcf_frame_decoder decoder;
    ipcf_frame frame;
    ipcf_frame_part part;
    size_t size = strlen(text), used = 9;
    memcpy(data, text, size);
    memcpy(data + size, more, sizeof more);
    ipcf_frame_decoder_init(&decoder, framing, limit, skip_noise);
    ipcf_status status = ipcf_frame_decode(&decoder, data, size, &frame, NULL);
    CHECK(status == IPCF_AGAIN || status == IPCF_TOO_LARGE);
    ipcf_frame_consumed(&decoder, frame.skip);
    size += sizeof more - 1 - frame.skip;
    CHECK(ipcf_frame_decode_run(&decoder, data + frame.skip, size, &part, 1, &used) ==
          0);
    CHECK(used == 0);
}

static void test_no_run_within_a_frame(void)
{
    check_no_run(IPCF_FRAMING_LINES, "{", 100, false);
    check_no_run(IPCF_FRAMING_LINES, "{12345", 3, false);
    check_no_run(IPCF_FRAMING_LINES, "hello", 100, true);
    check_no_run(IPCF_FRAMING_CONTENT_LENGTH, "Content-", 100, false);
    check_no_run(IPCF_FRAMING_SNIFF, "", 100, false);
}

static void test_no_run_within_noise(void)
{
    static uint8_t line[IPCF_NOISE_PIECE_MAX + 2];
    ipcf_frame_decoder decoder;
    ipcf_frame frame;
    ipcf_frame_part part;
    size_t used;
    memset(line, 'x', sizeof line - 2);
    memcpy(line + sizeof line - 2, "{\n", 2);
    ipcf_frame_decoder_init(&decoder, IPCF_FRAMING_LINES, 100, true);
    CHECK_STATUS(ipcf_frame_decode(&decoder, line, sizeof line, &frame, NULL),
                 IPCF_NOISE);
    CHECK(frame.skip == IPCF_NOISE_PIECE_MAX);
    ipcf_frame_consumed(&decoder, frame.skip);
    CHECK(ipcf_frame_decode_run(&decoder, line + frame.skip, 2, &part, 1, &used) == 0);
}

static void check_round_trip(ipcf_framing framing, uint8_t kind, const char *body,
                             size_t size)
{
    uint8_t wire[IPCF_FRAME_HEADER_MAX + 400 + 1];
    ipcf_status status = IPCF_INVALID;
    size_t header = ipcf_frame_header(framing, kind, 7, size, wire, &status);
    CHECK_OK(status);
    CHECK(header <= IPCF_FRAME_HEADER_MAX);
    CHECK(ipcf_frame_body_fits(framing, body, size));
    memcpy(wire + header, body, size);
    size_t trailer = ipcf_frame_trailer(framing, wire + header + size);
    ipcf_frame_decoder decoder;
    ipcf_frame frame;
    ipcf_frame_decoder_init(&decoder, framing, size, false);
    CHECK_OK(ipcf_frame_decode(&decoder, wire, header + size + trailer, &frame, NULL));
    CHECK(frame.header_size == header && frame.body_size == size);
    CHECK(frame.trailer_size == trailer);
    CHECK(frame.kind == (framing == IPCF_FRAMING_LENGTH ? kind : IPCF_KIND_ANY));
    CHECK(frame.cpu == (framing == IPCF_FRAMING_LENGTH ? 7 : 0));
}

static void test_round_trips(void)
{
    static const uint8_t kinds[] = {IPCF_KIND_ANY,     IPCF_KIND_MESSAGE,
                                    IPCF_KIND_BYTES,   IPCF_KIND_HELLO,
                                    IPCF_KIND_WELCOME, IPCF_KIND_REFUSAL};
    char body[400];
    memset(body, 'x', sizeof body);
    for (size_t size = 0; size <= sizeof body; size++) {
        for (size_t i = 0; i < sizeof kinds; i++)
            check_round_trip(IPCF_FRAMING_LENGTH, kinds[i], body, size);
        check_round_trip(IPCF_FRAMING_U32BE, 0, body, size);
        check_round_trip(IPCF_FRAMING_CONTENT_LENGTH, 0, body, size);
        if (size != 0)
            check_round_trip(IPCF_FRAMING_LINES, 0, body, size);
    }
    check_round_trip(IPCF_FRAMING_LENGTH, IPCF_KIND_GOODBYE, body, 0);
}

static void test_a_time_arrives_as_it_was_written(void)
{
    uint8_t wire[IPCF_FRAME_HEADER_MAX + 2];
    ipcf_frame_decoder decoder;
    ipcf_frame_part parts[2];
    ipcf_status status;
    ipcf_frame frame;
    size_t used;
    const uint64_t times[] = {0, 1, UINT64_C(0x0102030405060708), UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        CHECK(ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_BYTES, 7, 2, wire,
                                &status) == 16);
        CHECK(ipcf_frame_add_time(wire, times[i]) == 24);
        memcpy(wire + 24, "ok", 2);
        ipcf_frame_decoder_init(&decoder, IPCF_FRAMING_LENGTH, 2, false);
        CHECK_STATUS(ipcf_frame_decode(&decoder, wire, 26, &frame, NULL),
                     IPCF_BAD_FRAME);
        decoder.takes_times = true;
        for (size_t size = 1; size < 24; size++)
            CHECK_STATUS(ipcf_frame_decode(&decoder, wire, size, &frame, NULL),
                         IPCF_AGAIN);
        CHECK_OK(ipcf_frame_decode(&decoder, wire, 26, &frame, NULL));
        CHECK(frame.header_size == 24 && frame.body_size == 2 && frame.cpu == 7);
        CHECK(frame.flags == IPCF_FRAME_TIMED && frame.sent_ns == times[i]);
        CHECK(ipcf_frame_decode_run(&decoder, wire, 26, parts, 2, &used) == 1);
        CHECK(used == 26 && memcmp(parts[0].data, "ok", 2) == 0);
    }
    CHECK(memcmp(wire,
                 "\xf1\x9c\x01\x02\x01\0\x07\0\x02\0\0\0\0\0\0\0"
                 "\xff\xff\xff\xff\xff\xff\xff\xff"
                 "ok",
                 26) == 0);
}

static void check_header(ipcf_framing framing, uint8_t kind, uint64_t size,
                         ipcf_status due, const char *bytes, size_t bytes_size)
{
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    ipcf_status status = IPCF_TIMEOUT;
    CHECK(ipcf_frame_header(framing, kind, 0xFFFF, size, header, &status) ==
          bytes_size);
    CHECK_STATUS(status, due);
    CHECK(memcmp(header, bytes, bytes_size) == 0);
}

static void test_headers_written(void)
{
    const ipcf_framing text = IPCF_FRAMING_CONTENT_LENGTH, own = IPCF_FRAMING_LENGTH;
    check_header(own, 2, UINT64_C(0x0102030405060708), IPCF_OK,
                 "\xf1\x9c\x01\x02\0\0\xff\xff\x08\x07\x06\x05\x04\x03\x02\x01", 16);
    check_header(own, 2, UINT64_MAX / 2, IPCF_OK,
                 "\xf1\x9c\x01\x02\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 16);
    check_header(own, 2, UINT64_MAX / 2 + 1, IPCF_TOO_LARGE, "", 0);
    check_header(own, 3, 1, IPCF_INVALID, "", 0);
    check_header(own, IPCF_KIND_GOODBYE, 1, IPCF_INVALID, "", 0);
    check_header(IPCF_FRAMING_U32BE, 0, 0x01020304, IPCF_OK, "\1\2\3\4", 4);
    check_header(IPCF_FRAMING_U32BE, 0, UINT32_MAX, IPCF_OK, "\xff\xff\xff\xff", 4);
    check_header(IPCF_FRAMING_U32BE, 0, UINT64_C(1) << 32, IPCF_TOO_LARGE, "", 0);
    check_header(IPCF_FRAMING_LINES, 0, UINT64_MAX, IPCF_OK, "", 0);
    check_header(text, 0, 0, IPCF_OK, "Content-Length: 0\r\n\r\n", 21);
    check_header(text, 0, UINT64_C(9999999999), IPCF_OK,
                 "Content-Length: 9999999999\r\n\r\n", 30);
    check_header(text, 0, UINT64_C(10000000000), IPCF_TOO_LARGE, "", 0);
    check_header(IPCF_FRAMING_SNIFF, 0, 1, IPCF_INVALID, "", 0);
}

static void test_bodies_that_fit(void)
{
    const ipcf_framing lines = IPCF_FRAMING_LINES;
    CHECK(ipcf_frame_body_fits(lines, "{}", 2));
    CHECK(ipcf_frame_body_fits(lines, " a\rb", 4));
    CHECK(ipcf_frame_body_fits(lines, "\0", 1));
    CHECK(!ipcf_frame_body_fits(lines, "", 0));
    CHECK(!ipcf_frame_body_fits(lines, NULL, 0));
    CHECK(!ipcf_frame_body_fits(lines, " \t ", 3));
    CHECK(!ipcf_frame_body_fits(lines, "a\nb", 3));
    CHECK(!ipcf_frame_body_fits(lines, "a\n", 2));
    CHECK(!ipcf_frame_body_fits(lines, "a\r", 2));
    CHECK(ipcf_frame_body_fits(IPCF_FRAMING_LENGTH, "\n", 1));
    CHECK(ipcf_frame_body_fits(IPCF_FRAMING_U32BE, NULL, 0));
    CHECK(ipcf_frame_body_fits(IPCF_FRAMING_CONTENT_LENGTH, "\r\n", 2));
}

static void test_no_limit(void)
{
    driver_init(&driver, IPCF_FRAMING_LINES, UINT64_MAX, false);
    driver_feed(&driver, (const uint8_t *)"a\r\nb", 4);
    driver_end(&driver);
    CHECK(strcmp((char *)driver.log.bytes, "body") == 0);
    CHECK(driver.held == 1);
    ipcf_frame frame;
    CHECK_STATUS(ipcf_frame_decode(&driver.decoder, NULL, 0, &frame, NULL), IPCF_AGAIN);
    CHECK(frame.skip == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        specification = argv[1];
    RUN(test_vectors_in_every_split);
    RUN(test_prefixes_say_a_beginning);
    RUN(test_looking_again);
    RUN(test_endless_input);
    RUN(test_endless_blank_lines);
    RUN(test_bytes_are_scanned_once);
    RUN(test_no_run_within_a_frame);
    RUN(test_no_run_within_noise);
    RUN(test_round_trips);
    RUN(test_a_time_arrives_as_it_was_written);
    RUN(test_headers_written);
    RUN(test_bodies_that_fit);
    RUN(test_no_limit);
    munmap(driver.guard - GUARDED_SIZE, GUARDED_SIZE + GUARD_SIZE);
    free(driver.log.bytes);
    return 0;
}
