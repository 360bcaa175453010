/* SPDX-License-Identifier: MIT
 * Streams over Unix sockets: bytes, ends, adoption. Handles: test_stream_handles.c;
 * connecting: test_stream_connect.c.
 */
#include <sys/socket.h>

#include "ipcf/stream.h"
#include "tests/processes.h"

static ipcf_status write_text(ipcf_stream *stream, const char *text, ipcf_error *error)
{
    size_t put;
    ipcf_piece piece = {text, strlen(text)};
    ipcf_status status = ipcf_stream_try_write(stream, &piece, 1, &put, error);
    CHECK(put == (status == IPCF_OK ? strlen(text) : 0));
    return status;
}

static void expect_text(ipcf_stream *stream, const char *text)
{
    char data[256];
    size_t got;
    wait_until_ready(ipcf_stream_arm_read(stream));
    CHECK_OK(ipcf_stream_try_read(stream, data, sizeof data, &got, NULL));
    CHECK(got == strlen(text) && memcmp(data, text, got) == 0);
}

static ipcf_status read_some(ipcf_stream *stream, ipcf_error *error)
{
    char data[64];
    size_t got = 1;
    ipcf_status status = ipcf_stream_try_read(stream, data, sizeof data, &got, error);
    CHECK((got > 0) == (status == IPCF_OK));
    return status;
}

static void bytes_go_both_ways(void)
{
    ipcf_stream one, other;
    ipcf_error error = {0};
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    CHECK((fcntl((int)one.handle, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl((int)other.handle, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_STATUS(read_some(&one, &error), IPCF_AGAIN);
    CHECK_OK(write_text(&one, "there", NULL));
    CHECK_OK(write_text(&other, "back", NULL));
    expect_text(&other, "there");
    expect_text(&one, "back");
    CHECK_STATUS(ipcf_stream_try_read(&one, &error, 0, &(size_t){0}, NULL), IPCF_AGAIN);
    ipcf_stream_close(&one);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
    CHECK(one.handle == IPCF_NO_HANDLE);
}

static void pieces_are_gathered_in_order(void)
{
    ipcf_stream one, other;
    ipcf_error error = {0};
    char letters[IPCF_STREAM_MAX_PIECES + 1];
    ipcf_piece pieces[IPCF_STREAM_MAX_PIECES + 1];
    for (size_t i = 0; i <= IPCF_STREAM_MAX_PIECES; ++i) {
        letters[i] = (char)('0' + i);
        pieces[i] = (ipcf_piece){&letters[i], i % 3 == 2 ? 0 : 1}; /* empty ones too */
    }
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    size_t put;
    CHECK_STATUS(
        ipcf_stream_try_write(&one, pieces, IPCF_STREAM_MAX_PIECES + 1, &put, &error),
        IPCF_INVALID);
    CHECK(put == 0 && error.found == IPCF_STREAM_MAX_PIECES + 1);
    CHECK_OK(ipcf_stream_try_write(&one, pieces, IPCF_STREAM_MAX_PIECES, &put, NULL));
    char data[128];
    size_t got;
    CHECK_OK(ipcf_stream_try_read(&other, data, sizeof data, &got, NULL));
    CHECK(got == put && got == IPCF_STREAM_MAX_PIECES - IPCF_STREAM_MAX_PIECES / 3);
    size_t at = 0;
    for (size_t i = 0; i < IPCF_STREAM_MAX_PIECES; ++i)
        if (i % 3 != 2)
            CHECK(data[at++] == letters[i]);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

#define LARGE ((size_t)8 << 20)

static void take_in_all(void *argument)
{
    ipcf_stream *stream = argument;
    unsigned char *data = malloc(1 << 16);
    CHECK(data != NULL);
    size_t at = 0;
    for (;;) {
        size_t got;
        ipcf_status status = ipcf_stream_try_read(stream, data, 1 << 16, &got, NULL);
        if (status == IPCF_AGAIN) {
            wait_until_ready(ipcf_stream_arm_read(stream));
            continue;
        }
        if (status == IPCF_DISCONNECTED)
            break;
        CHECK_OK(status);
        for (size_t i = 0; i < got; ++i, ++at)
            CHECK(data[i] == (unsigned char)(at * 31 + at / 65536));
    }
    CHECK(at == LARGE);
    free(data);
}

static void large_writes_are_partial_and_lose_nothing(void)
{
    ipcf_stream one, other;
    unsigned char *data = malloc(LARGE);
    CHECK(data != NULL);
    for (size_t i = 0; i < LARGE; ++i)
        data[i] = (unsigned char)(i * 31 + i / 65536);
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    size_t at = 0;
    bool was_full = false;
    pid_t process = 0;
    while (at < LARGE) {
        size_t put, half = (LARGE - at) / 2;
        const ipcf_piece pieces[] = {{data + at, half},
                                     {data + at + half, LARGE - at - half}};
        ipcf_status status = ipcf_stream_try_write(&one, pieces, 2, &put, NULL);
        if (status == IPCF_AGAIN && process == 0) {
            was_full = true; /* nobody reads yet: it must stop, and not block */
            CHECK(at > 0 && at < LARGE);
            process = start_process(take_in_all, &other);
            ipcf_stream_close(&other);
        } else if (status == IPCF_AGAIN) {
            ipcf_wait_item item = {ipcf_stream_arm_write(&one), true, false};
            CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
        } else {
            CHECK_OK(status);
            CHECK(put > 0);
            at += put;
        }
    }
    CHECK(was_full);
    ipcf_stream_shut_down(&one);
    finish_process(process);
    ipcf_stream_close(&one);
    free(data);
}

static void what_was_written_is_read_before_the_end(void)
{
    ipcf_stream one, other;
    ipcf_error error = {0};
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    CHECK_OK(write_text(&one, "last words", NULL));
    ipcf_stream_close(&one);
    expect_text(&other, "last words");
    CHECK_STATUS(read_some(&other, &error), IPCF_DISCONNECTED);
    CHECK(error.what != NULL);
    CHECK_STATUS(read_some(&other, NULL), IPCF_DISCONNECTED);
    ipcf_stream_close(&other);
}

static void an_end_with_unread_bytes_is_an_end(void)
{
    ipcf_stream one, other;
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    CHECK_OK(write_text(&one, "from one", NULL));
    CHECK_OK(write_text(&other, "never read", NULL));
    ipcf_stream_close(&one); /* the kernel makes this a reset */
    expect_text(&other, "from one");
    CHECK_STATUS(read_some(&other, NULL), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&other, "x", NULL), IPCF_DISCONNECTED);
    CHECK_STATUS(read_some(&other, NULL), IPCF_DISCONNECTED);
    ipcf_stream_close(&other);
}

static void shutting_down_ends_both_directions(void)
{
    ipcf_stream one, other;
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    CHECK_OK(write_text(&one, "still read", NULL));
    ipcf_stream_shut_down(&one);
    ipcf_stream_shut_down(&one);
    CHECK(one.handle != IPCF_NO_HANDLE);
    CHECK(is_ready(ipcf_stream_arm_read(&one)) &&
          is_ready(ipcf_stream_arm_read(&other)));
    CHECK_STATUS(read_some(&one, NULL), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&one, "x", NULL), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&other, "x", NULL), IPCF_DISCONNECTED);
    expect_text(&other, "still read");
    CHECK_STATUS(read_some(&other, NULL), IPCF_DISCONNECTED);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
    ipcf_stream_shut_down(&other);
}

static void write_to_the_gone(void *argument)
{
    ipcf_stream one, other;
    (void)argument;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR); /* it would end this process */
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    ipcf_stream_close(&other);
    size_t put;
    ipcf_piece pieces[] = {{"a", 1}, {"b", 1}};
    CHECK_STATUS(write_text(&one, "x", NULL), IPCF_DISCONNECTED);
    CHECK_STATUS(ipcf_stream_try_write(&one, pieces, 2, &put, NULL), IPCF_DISCONNECTED);
    CHECK_STATUS(
        ipcf_stream_try_write_handles(&one, "x", 1, &one.handle, 1, &put, NULL),
        IPCF_DISCONNECTED);
    ipcf_stream_close(&one);
}

static void sigpipe_is_never_raised(void) { run_process(write_to_the_gone, NULL); }

static void a_shared_blocking_description_does_not_block_us(void)
{
    ipcf_stream one, other;
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    /* what another process that has the same socket may do at any time */
    CHECK(fcntl((int)one.handle, F_SETFL, 0) == 0);
    CHECK_STATUS(read_some(&one, NULL), IPCF_AGAIN);
    char block[4096] = {0};
    ipcf_piece piece = {block, sizeof block};
    size_t put;
    ipcf_status status;
    while ((status = ipcf_stream_try_write(&one, &piece, 1, &put, NULL)) == IPCF_OK)
        continue;
    CHECK_STATUS(status, IPCF_AGAIN);
    ipcf_handle none;
    CHECK_STATUS(
        ipcf_stream_try_read_handles(&one, block, 1, &put, &none, &(size_t){1}, NULL),
        IPCF_AGAIN);
    CHECK_STATUS(
        ipcf_stream_try_write_handles(&one, "x", 1, &one.handle, 1, &put, NULL),
        IPCF_AGAIN);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void adopted_sockets_are_made_fit(void)
{
    ipcf_stream one, other;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK_OK(ipcf_stream_adopt(ends[0], &one, NULL));
    CHECK_OK(ipcf_stream_adopt(ends[1], &other, NULL));
    CHECK((fcntl(ends[0], F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
    CHECK_OK(write_text(&one, "adopted", NULL));
    expect_text(&other, "adopted");
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void other_descriptors_are_not_adopted(void)
{
    ipcf_stream stream;
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK_STATUS(ipcf_stream_adopt(ends[0], &stream, NULL), IPCF_INVALID);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    CHECK_STATUS(ipcf_stream_adopt(ends[0], &stream, NULL), IPCF_INVALID);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    CHECK_STATUS(ipcf_stream_adopt(ends[0], &stream, NULL), IPCF_OS_ERROR);
    CHECK(stream.handle == IPCF_NO_HANDLE);
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(bytes_go_both_ways);
    RUN(pieces_are_gathered_in_order);
    RUN(large_writes_are_partial_and_lose_nothing);
    RUN(what_was_written_is_read_before_the_end);
    RUN(an_end_with_unread_bytes_is_an_end);
    RUN(shutting_down_ends_both_directions);
    RUN(sigpipe_is_never_raised);
    RUN(a_shared_blocking_description_does_not_block_us);
    RUN(adopted_sockets_are_made_fit);
    RUN(other_descriptors_are_not_adopted);
    CHECK(open_descriptors() == before);
    return 0;
}
