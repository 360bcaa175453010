/* SPDX-License-Identifier: MIT
 * frame_splitter.h: says what the specification says in every split, and holds no more
 * than what has come.
 */
#include "tests/frame_vectors.h"
#include "tests/splitter_driver.h"

static const char *specification = "../docs/spec/framing.md";
static splitter_driver driver;

static bool uses_runs;

static void begin(const frame_vector *vector)
{
    splitter_begin(&driver, vector->framing, vector->limit, vector->skip_noise);
    driver.splitter.decoder.takes_times = vector->takes_times;
    driver.uses_runs = uses_runs;
}

static void check_says(const frame_vector *vector, size_t cut, size_t second)
{
    splitter_end(&driver);
    if (logs_equal(&driver.log, &vector->says))
        return;
    fprintf(stderr, "vector %s cut at %zu, %zu\n", vector->id, cut, second);
    abort();
}

static void visit_cuts(const frame_vector *vector)
{
    size_t size = vector->input_size, step = size > 2000 ? 97 : 1;
    for (size_t cut = 0; cut <= size; cut += step) {
        begin(vector);
        splitter_feed(&driver, vector->input, cut);
        splitter_feed(&driver, vector->input + cut, size - cut);
        check_says(vector, cut, size);
    }
    for (size_t piece = 1; piece < 1500; piece = piece * 2 + 1) {
        begin(vector);
        for (size_t at = 0; at < size; at += piece)
            splitter_feed(&driver, vector->input + at,
                          size - at < piece ? size - at : piece);
        check_says(vector, piece, piece);
    }
}

static void visit_three_pieces(const frame_vector *vector)
{
    size_t size = vector->input_size;
    if (size > 70)
        return;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            begin(vector);
            splitter_feed(&driver, vector->input, first);
            splitter_feed(&driver, vector->input + first, second - first);
            splitter_feed(&driver, vector->input + second, size - second);
            check_says(vector, first, second);
        }
    }
}

static void test_vectors_in_two_pieces_and_more(void)
{
    for (int runs = 0; runs < 2; runs++) {
        uses_runs = runs != 0;
        CHECK(for_each_vector(specification, visit_cuts) > 100);
    }
}

static void test_vectors_in_three_pieces(void)
{
    for (int runs = 0; runs < 2; runs++) {
        uses_runs = runs != 0;
        CHECK(for_each_vector(specification, visit_three_pieces) > 100);
    }
}

/* A run takes all the frames that fit, and stops before the unfinished one. */
static void check_run(ipcf_framing framing, const char *start, const char *end)
{
    uint8_t wire[1000];
    size_t start_size = strlen(start), size = 0, count = 0;
    ipcf_frame_part parts[4];
    for (int i = 0; i < 9; i++) {
        memcpy(wire + size, start, start_size);
        memset(wire + size + start_size, 'x', 40);
        memcpy(wire + size + start_size + 40, end, strlen(end));
        size += start_size + 40 + strlen(end);
    }
    splitter_begin(&driver, framing, 40, false);
    ipcf_frame_splitter_give(&driver.splitter, wire, size - 1);
    for (size_t got;
         (got = ipcf_frame_splitter_next_run(&driver.splitter, parts, 4)) != 0;
         count += got)
        for (size_t i = 0; i < got; i++)
            CHECK(parts[i].size == 40 && parts[i].data[39] == 'x');
    CHECK(count == 8);
    CHECK(driver.splitter.size == size / 9 - 1);
}

static void test_runs(void)
{
    check_run(IPCF_FRAMING_LINES, "", "\n");
    check_run(IPCF_FRAMING_LINES, "", "\r\n");
    check_run(IPCF_FRAMING_CONTENT_LENGTH, "Content-Length: 40\r\n\r\n", "");
}

/* A frame that is held is completed by copying what it lacks; the frames after it are
 * read where they are. */
static void test_copies_little(void)
{
    static uint8_t wire[100000];
    ipcf_frame_part part;
    const char frame[] = "Content-Length: 5\r\n\r\nhello";
    const size_t size = sizeof frame - 1;
    for (size_t at = 0; at + size <= sizeof wire; at += size)
        memcpy(wire + at, frame, size);
    ipcf_frame_splitter_free(&driver.splitter);
    ipcf_frame_splitter_init(&driver.splitter, IPCF_FRAMING_CONTENT_LENGTH, 100, false);
    ipcf_frame_splitter_give(&driver.splitter, wire, 10);
    CHECK_STATUS(ipcf_frame_splitter_next(&driver.splitter, &part, NULL), IPCF_AGAIN);
    CHECK_OK(ipcf_frame_splitter_keep(&driver.splitter, NULL));
    CHECK(ipcf_frame_splitter_pending(&driver.splitter) == 10);
    ipcf_frame_splitter_give(&driver.splitter, wire + 10, sizeof wire - 10);
    CHECK_OK(ipcf_frame_splitter_next(&driver.splitter, &part, NULL));
    CHECK(part.size == 5 && memcmp(part.data, "hello", 5) == 0);
    CHECK(part.data < wire || part.data >= wire + sizeof wire);
    CHECK(driver.splitter.held.capacity <= 4096);
    CHECK(driver.splitter.data == wire + size);
    CHECK_OK(ipcf_frame_splitter_next(&driver.splitter, &part, NULL));
    CHECK(part.data == wire + 2 * size - 5);
}

/* A header that tells the largest size there is reserves nothing; the buffer follows
 * what has come. */
static void test_grows_with_what_has_come(void)
{
    static uint8_t chunk[10000];
    ipcf_frame_part part;
    const uint8_t header[] = "Content-Length: 9999999999\r\n\r\n";
    ipcf_frame_splitter_free(&driver.splitter);
    ipcf_frame_splitter_init(&driver.splitter, IPCF_FRAMING_CONTENT_LENGTH, UINT64_MAX,
                             false);
    ipcf_frame_splitter_give(&driver.splitter, header, sizeof header - 1);
    CHECK_STATUS(ipcf_frame_splitter_next(&driver.splitter, &part, NULL), IPCF_AGAIN);
    CHECK_OK(ipcf_frame_splitter_keep(&driver.splitter, NULL));
    for (size_t come = sizeof chunk; come <= 100 * sizeof chunk; come += sizeof chunk) {
        ipcf_frame_splitter_give(&driver.splitter, chunk, sizeof chunk);
        CHECK_STATUS(ipcf_frame_splitter_next(&driver.splitter, &part, NULL),
                     IPCF_AGAIN);
        CHECK_OK(ipcf_frame_splitter_keep(&driver.splitter, NULL));
        CHECK(ipcf_frame_splitter_pending(&driver.splitter) ==
              sizeof header - 1 + come);
        CHECK(driver.splitter.held.capacity <= 2 * (come + sizeof header) + 4096);
    }
}

/* After a large frame has been handed out and the next bytes come, its memory is given
 * back. */
static void test_gives_memory_back(void)
{
    static uint8_t line[300000];
    ipcf_frame_part part;
    memset(line, 'a', sizeof line);
    line[sizeof line - 1] = '\n';
    ipcf_frame_splitter_free(&driver.splitter);
    ipcf_frame_splitter_init(&driver.splitter, IPCF_FRAMING_LINES, sizeof line, false);
    ipcf_frame_splitter_give(&driver.splitter, line, 200000);
    CHECK_STATUS(ipcf_frame_splitter_next(&driver.splitter, &part, NULL), IPCF_AGAIN);
    CHECK_OK(ipcf_frame_splitter_keep(&driver.splitter, NULL));
    CHECK(driver.splitter.held.capacity >= 200000);
    ipcf_frame_splitter_give(&driver.splitter, line + 200000, 100000);
    CHECK_OK(ipcf_frame_splitter_next(&driver.splitter, &part, NULL));
    CHECK(part.size == sizeof line - 1 && memcmp(part.data, line, part.size) == 0);
    ipcf_frame_splitter_give(&driver.splitter, line, 5);
    CHECK(driver.splitter.held.capacity == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        specification = argv[1];
    RUN(test_vectors_in_two_pieces_and_more);
    RUN(test_vectors_in_three_pieces);
    RUN(test_runs);
    RUN(test_copies_little);
    RUN(test_grows_with_what_has_come);
    RUN(test_gives_memory_back);
    ipcf_frame_splitter_free(&driver.splitter);
    free(driver.log.bytes);
    return 0;
}
