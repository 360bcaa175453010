/* SPDX-License-Identifier: MIT
 * Tests of the buffer: against a plain model over random operations, its growth, and
 * running out of memory.
 */
#include "ipcf/buffer.h"
#include "tests/check.h"

#define MODEL_SIZE ((size_t)1 << 20)

static uint64_t random_state = 1;

static size_t random_below(size_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1;
    return (size_t)(random_state >> 33) % limit;
}

/* Bytes number `from` on of a sequence that never repeats within a test. */
static void make_bytes(uint8_t *data, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)((from + i) * 31 + ((from + i) >> 8));
}

static void check_holds(const ipcf_buffer *buffer, size_t from, size_t size)
{
    static uint8_t due[MODEL_SIZE];
    CHECK(size <= sizeof due && ipcf_buffer_size(buffer) == size);
    CHECK(buffer->start <= buffer->end && buffer->end <= buffer->capacity);
    make_bytes(due, from, size);
    CHECK(size == 0 || memcmp(buffer->data + buffer->start, due, size) == 0);
}

static void it_is_first_in_first_out(void)
{
    static uint8_t data[50000];
    for (unsigned round = 0; round < 30; round++) {
        ipcf_buffer buffer = {0};
        size_t put = 0, taken = 0, largest = round % 3 == 0 ? 100 : 50000;
        for (unsigned step = 0; step < 300; step++) {
            size_t size = random_below(largest);
            if (random_below(2) == 0 && put - taken + size < MODEL_SIZE) {
                make_bytes(data, put, size);
                CHECK_OK(ipcf_buffer_append(&buffer, data, size, NULL));
                put += size;
            } else {
                size_t held = put - taken, some = size < held ? size : held;
                ipcf_buffer_consume(&buffer, some);
                taken += some;
            }
            check_holds(&buffer, taken, put - taken);
        }
        ipcf_buffer_free(&buffer);
        CHECK(buffer.data == NULL && buffer.capacity == 0);
    }
}

static void room_is_where_reserve_says(void)
{
    ipcf_buffer buffer = {0};
    size_t put = 0, taken = 0;
    for (size_t i = 1; i < 200; i++) {
        CHECK_OK(ipcf_buffer_reserve(&buffer, 100 * i, NULL));
        CHECK(buffer.capacity - buffer.end >= 100 * i);
        make_bytes(buffer.data + buffer.end, put, 100 * i);
        buffer.end += 100 * i;
        put += 100 * i;
        ipcf_buffer_consume(&buffer, 90 * i);
        taken += 90 * i;
        check_holds(&buffer, taken, put - taken);
    }
    ipcf_buffer_free(&buffer);
}

static void what_flows_through_does_not_make_it_grow(void)
{
    ipcf_buffer buffer = {0};
    uint8_t data[1000] = {0};
    for (size_t i = 0; i < 100000; i++) {
        CHECK_OK(ipcf_buffer_append(&buffer, data, sizeof data, NULL));
        if (i >= 10)
            ipcf_buffer_consume(&buffer, sizeof data);
    }
    CHECK(ipcf_buffer_size(&buffer) == 10 * sizeof data);
    CHECK(buffer.capacity <= 65536);
    ipcf_buffer_free(&buffer);
}

/* A reader asks for room that it seldom fills, and stays behind by any amount. */
static void no_byte_is_moved_often(void)
{
    for (size_t behind = 0; behind < 200000; behind += 4999) {
        ipcf_buffer buffer = {0};
        size_t put = 0, moved = 0;
        while (put < 4000000) {
            size_t start = buffer.start, capacity = buffer.capacity;
            CHECK_OK(ipcf_buffer_reserve(&buffer, 4096, NULL));
            if (buffer.start != start || buffer.capacity != capacity)
                moved += ipcf_buffer_size(&buffer);
            buffer.end += 100;
            put += 100;
            if (ipcf_buffer_size(&buffer) > behind)
                ipcf_buffer_consume(&buffer, 100);
        }
        CHECK(moved <= 3 * put);
        CHECK(buffer.capacity <= 4 * (behind + 8192));
        ipcf_buffer_free(&buffer);
    }
}

static void shrinking_gives_back_what_is_empty_and_large(void)
{
    ipcf_buffer buffer = {0};
    uint8_t data[10000] = {0};
    ipcf_buffer_shrink(&buffer, 0);
    CHECK_OK(ipcf_buffer_append(&buffer, data, sizeof data, NULL));
    ipcf_buffer_shrink(&buffer, 0);
    CHECK(ipcf_buffer_size(&buffer) == sizeof data); /* held bytes stay */
    ipcf_buffer_consume(&buffer, sizeof data);
    CHECK(buffer.start == 0 && buffer.end == 0);
    ipcf_buffer_shrink(&buffer, buffer.capacity);
    CHECK(buffer.data != NULL);
    ipcf_buffer_shrink(&buffer, buffer.capacity - 1);
    CHECK(buffer.data == NULL && buffer.capacity == 0);
    CHECK_OK(ipcf_buffer_append(&buffer, data, 0, NULL));
    CHECK(ipcf_buffer_size(&buffer) == 0);
    ipcf_buffer_free(&buffer);
}

static void sizes_that_cannot_be_change_nothing(void)
{
    const size_t impossible[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2,
                                 SIZE_MAX / 2 - 99, SIZE_MAX / 4};
    ipcf_buffer buffer = {0};
    uint8_t data[300];
    make_bytes(data, 0, sizeof data);
    CHECK_OK(ipcf_buffer_append(&buffer, data, sizeof data, NULL));
    for (size_t held = sizeof data; held > 0; held -= 100) {
        for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
            ipcf_error error = {0};
            CHECK_STATUS(ipcf_buffer_reserve(&buffer, impossible[i], &error),
                         IPCF_NO_MEMORY);
            CHECK(error.what != NULL && error.expected != 0);
            check_holds(&buffer, sizeof data - held, held);
        }
        ipcf_buffer_consume(&buffer, 100);
    }
    ipcf_buffer_free(&buffer);
}

int main(void)
{
    RUN(it_is_first_in_first_out);
    RUN(room_is_where_reserve_says);
    RUN(what_flows_through_does_not_make_it_grow);
    RUN(no_byte_is_moved_often);
    RUN(shrinking_gives_back_what_is_empty_and_large);
    RUN(sizes_that_cannot_be_change_nothing);
    return 0;
}

/* The sizes above are asked of malloc in earnest; under AddressSanitizer that must be
 * an answer, not an abort. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }
