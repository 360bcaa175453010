/* SPDX-License-Identifier: MIT
 * libFuzzer entry for one frame decoder (FUZZ_FRAMING): any chunking of any input gives the same events, and so does
 * the splitter.
 *
 * The first byte of the input chooses options: bits 0-2 the limit, bit 3 skip_noise, bit 4 takes_times; the rest is the
 * stream. The corpus is the specification's vectors in this form. Each call of the decoder sees its data right before
 * an unmapped page.
 */
#include "tests/splitter_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t limits[8] = {0, 1, 2, 3, 100, 1000, 9000, UINT64_MAX};
static frame_driver whole, pieces;
static splitter_driver splitter;

static void begin(frame_driver *driver, uint8_t options)
{
    driver_init(driver, FUZZ_FRAMING, limits[options & 7], (options & 8) != 0);
    driver->decoder.takes_times = (options & 16) != 0;
}

/* Piece sizes that depend on the input, so that a failure is found again. */
static size_t next_piece(uint32_t *state, size_t longest)
{
    *state = *state * 1664525u + 1013904223u;
    return 1 + (*state >> 8) % longest;
}

static void check_pieces(uint8_t options, const uint8_t *stream, size_t size,
                         size_t longest, bool keeps_skipped)
{
    uint32_t state = (uint32_t)size * 2654435761u + options;
    begin(&pieces, options);
    pieces.keeps_skipped = keeps_skipped;
    splitter_begin(&splitter, FUZZ_FRAMING, limits[options & 7], (options & 8) != 0);
    splitter.splitter.decoder.takes_times = (options & 16) != 0;
    splitter.uses_runs = !keeps_skipped;
    for (size_t at = 0; at < size;) {
        size_t piece = next_piece(&state, longest);
        piece = piece < size - at ? piece : size - at;
        driver_feed(&pieces, stream + at, piece);
        splitter_feed(&splitter, stream + at, piece);
        at += piece;
    }
    driver_end(&pieces);
    splitter_end(&splitter);
    CHECK(logs_equal(&pieces.log, &whole.log));
    CHECK(logs_equal(&splitter.log, &whole.log));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > GUARDED_SIZE)
        return 0;
    begin(&whole, data[0]);
    driver_feed(&whole, data + 1, size - 1);
    driver_end(&whole);
    /* byte by byte costs the square of the size here, because the driver moves what it holds */
    if (size < 1000)
        check_pieces(data[0], data + 1, size - 1, 1, false);
    check_pieces(data[0], data + 1, size - 1, 7 + size / 50, false);
    check_pieces(data[0], data + 1, size - 1, 7 + size / 4, true);
    return 0;
}
