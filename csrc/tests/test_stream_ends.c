/* SPDX-License-Identifier: MIT
 * Streams over two descriptors: pipes, FIFOs, sockets, terminals and files.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "ipcf/ready_set.h"
#include "ipcf/testing.h"
#include "tests/stream_ends.h"

/* ---- bytes ----------------------------------------------------------------------- */

static void bytes_go_both_ways_over_pipes(void)
{
    ipcf_stream one, other;
    ipcf_peer peer;
    ipcf_handle process;
    open_over_pipes(&one, &other);
    talk(&one, &other);
    CHECK((fcntl((int)one.handle, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl((int)ipcf_stream_arm_write(&one), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_OK(ipcf_stream_peer(&one, &peer, NULL));
    CHECK(peer.pid == -1 && peer.uid == -1);
    CHECK_STATUS(ipcf_stream_watch_peer(&one, &process, NULL), IPCF_UNSUPPORTED);
    CHECK(process == IPCF_NO_HANDLE);
    ipcf_stream_close(&one);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
    CHECK(one.handle == IPCF_NO_HANDLE && one.ends == NULL);
}

static void handles_cannot_travel(void)
{
    ipcf_stream one, other;
    ipcf_handle handle = 0;
    char byte;
    size_t moved, count = 1;
    open_over_pipes(&one, &other);
    CHECK_STATUS(ipcf_stream_try_write_handles(&one, "x", 1, &handle, 1, &moved, NULL),
                 IPCF_UNSUPPORTED);
    CHECK_OK(ipcf_stream_try_write_handles(&one, "x", 1, &handle, 0, &moved, NULL));
    CHECK_OK(
        ipcf_stream_try_read_handles(&other, &byte, 1, &moved, &handle, &count, NULL));
    CHECK(moved == 1 && byte == 'x' && count == 0);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

#define LARGE ((size_t)8 << 20)

static unsigned char large_byte(size_t at)
{
    return (unsigned char)(at * 31 + at / 65536);
}

static void take_in_all(void *argument)
{
    ipcf_stream *stream = argument;
    ipcf_stream_close(stream + 1); /* the parent's end */
    static unsigned char data[1 << 16];
    size_t at = 0, got;
    ipcf_status status;
    while ((status = ipcf_stream_try_read(stream, data, sizeof data, &got, NULL)) !=
           IPCF_DISCONNECTED) {
        if (status == IPCF_AGAIN) {
            wait_until_ready(ipcf_stream_arm_read(stream));
            continue;
        }
        CHECK_OK(status);
        for (size_t i = 0; i < got; ++i, ++at)
            CHECK(data[i] == large_byte(at));
    }
    CHECK(at == LARGE);
}

static void large_writes_are_partial_and_lose_nothing(void)
{
    ipcf_stream streams[2], *other = &streams[0], *one = &streams[1];
    unsigned char *data = malloc(LARGE);
    CHECK(data != NULL);
    for (size_t i = 0; i < LARGE; ++i)
        data[i] = large_byte(i);
    open_over_pipes(one, other);
    size_t at = 0, put;
    pid_t process = 0;
    while (at < LARGE) {
        size_t half = (LARGE - at) / 2;
        const ipcf_piece pieces[] = {{data + at, half},
                                     {data + at + half, LARGE - at - half}};
        ipcf_status status = ipcf_stream_try_write(one, pieces, 2, &put, NULL);
        at += put;
        if (status == IPCF_OK)
            continue;
        CHECK_STATUS(status, IPCF_AGAIN);
        if (process == 0) { /* nobody reads yet: it must stop, and not block */
            process = start_process(take_in_all, other);
            ipcf_stream_close(other);
        }
        ipcf_wait_item item = {ipcf_stream_arm_write(one), true, false};
        CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
    }
    CHECK(process != 0);
    ipcf_stream_shut_down(one);
    finish_process(process);
    ipcf_stream_close(one);
    free(data);
}

static void gathered_writes_may_be_short(void)
{
    static const char text[] = "a text that goes out in several parts";
    ipcf_stream one, other;
    unsigned writes = 0;
    size_t put, size = strlen(text);
    open_over_pipes(&one, &other);
    ipcf_test_shorten(7);
    for (size_t at = 0; at < size; at += put, ++writes) {
        size_t half = (size - at) / 2;
        const ipcf_piece pieces[] = {{text + at, half},
                                     {text + at + half, size - at - half}};
        CHECK_OK(ipcf_stream_try_write(&one, pieces, 2, &put, NULL));
        CHECK(put > 0 && put <= size - at);
    }
    ipcf_test_shorten(0);
    CHECK(writes > 1);
    expect_text(&other, text);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

/* ---- kinds of descriptors -------------------------------------------------------- */

static void a_fifo_carries_bytes(void)
{
    char directory[64], path[80];
    ipcf_stream one, other;
    make_directory(directory, sizeof directory);
    CHECK((size_t)snprintf(path, sizeof path, "%s/fifo", directory) < sizeof path);
    CHECK(mkfifo(path, 0600) == 0);
    int reading = open(path, O_RDONLY | O_NONBLOCK);
    int writing = open(path, O_WRONLY);
    int back[2];
    CHECK(reading >= 0 && writing >= 0 && pipe(back) == 0);
    CHECK(fcntl(reading, F_SETFL, 0) == 0);
    CHECK_OK(ipcf_stream_adopt_pair(back[0], writing, &one, NULL));
    CHECK_OK(ipcf_stream_adopt_pair(reading, back[1], &other, NULL));
    talk(&one, &other);
    ipcf_stream_close(&one);
    CHECK_STATUS(read_status(&other), IPCF_DISCONNECTED);
    ipcf_stream_close(&other);
    remove_directory(directory);
}

/* Also what inetd and Node.js give: one socket under two numbers. */
static void sockets_keep_their_flags(void)
{
    ipcf_stream one, other;
    int ends[2], kept;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    kept = duplicate(ends[0]);
    CHECK_OK(ipcf_stream_adopt_pair(ends[0], duplicate(ends[0]), &one, NULL));
    CHECK_OK(ipcf_stream_adopt_pair(ends[1], duplicate(ends[1]), &other, NULL));
    talk(&one, &other);
    fill_up(&one);
    CHECK(is_blocking(kept));
    ipcf_stream_close(&other);
    CHECK_STATUS(write_text(&one, "xx"), IPCF_DISCONNECTED);
    ipcf_stream_close(&one);
    CHECK(close(kept) == 0);
}

static void a_file_is_always_ready(void)
{
    char directory[64], path[80], written[16] = {0};
    ipcf_stream stream;
    ipcf_handle set;
    make_directory(directory, sizeof directory);
    CHECK((size_t)snprintf(path, sizeof path, "%s/in", directory) < sizeof path);
    int in = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(in >= 0 && write(in, "one\ntwo\n", 8) == 8 && lseek(in, 0, SEEK_SET) == 0);
    CHECK((size_t)snprintf(path, sizeof path, "%s/out", directory) < sizeof path);
    int out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), kept = duplicate(out);
    CHECK(out >= 0 && write(out, "before ", 7) == 7);
    CHECK_OK(ipcf_stream_adopt_pair(in, out, &stream, NULL));
    CHECK(is_ready(ipcf_stream_arm_read(&stream)) && can_be_written(&stream));
    CHECK_OK(ipcf_ready_set_create(&stream.handle, 1, &set, NULL));
    CHECK(is_ready(set));
    ipcf_handle_close(&set);
    expect_text(&stream, "one\ntwo\n");
    CHECK_STATUS(read_status(&stream), IPCF_DISCONNECTED);
    CHECK_OK(write_text(&stream, "after"));
    CHECK(is_blocking(kept));
    ipcf_stream_close(&stream);
    /* the offset is shared, as a shell's redirection needs it */
    CHECK(write(kept, ".", 1) == 1);
    CHECK(pread(kept, written, sizeof written, 0) == 13);
    CHECK(strcmp(written, "before after.") == 0 && close(kept) == 0);
    remove_directory(directory);
}

static void the_null_device_has_ended_and_takes_all(void)
{
    ipcf_stream stream;
    int in = open("/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);
    CHECK(in >= 0 && out >= 0);
    CHECK_OK(ipcf_stream_adopt_pair(in, out, &stream, NULL));
    CHECK(is_ready(ipcf_stream_arm_read(&stream)) && can_be_written(&stream));
    CHECK_STATUS(read_status(&stream), IPCF_DISCONNECTED);
    CHECK_OK(write_text(&stream, "gone"));
    ipcf_stream_close(&stream);
}

static void a_terminals_hang_up_is_an_end(void)
{
    int master, slave;
    ipcf_stream program, user;
    open_terminal(&master, &slave);
    CHECK_OK(ipcf_stream_adopt_pair(master, duplicate(master), &user, NULL));
    CHECK(close(slave) == 0);
    CHECK_STATUS(read_status(&user), IPCF_DISCONNECTED);
    ipcf_stream_close(&user);
    open_terminal(&master, &slave);
    CHECK_OK(ipcf_stream_adopt_pair(slave, duplicate(slave), &program, NULL));
    CHECK(close(master) == 0);
    CHECK_STATUS(read_status(&program), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&program, "xx"), IPCF_DISCONNECTED);
    ipcf_stream_close(&program);
}

static void interruptions_and_refusals_are_told_apart(void)
{
    ipcf_stream one, other;
    open_over_pipes(&one, &other);
    ipcf_test_fail_at("write", 1, EINTR);
    CHECK_OK(write_text(&one, "tried again"));
    ipcf_test_fail_at("read", 1, EINTR);
    expect_text(&other, "tried again");
    ipcf_test_fail_at("read", 1, EIO); /* no terminal */
    CHECK_STATUS(read_status(&other), IPCF_OS_ERROR);
    ipcf_test_fail_at("write", 1, ENOSPC);
    CHECK_STATUS(write_text(&one, "xx"), IPCF_OS_ERROR);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

/* ---- ends ------------------------------------------------------------------------ */

static void shutting_down_ends_both_directions(void)
{
    ipcf_stream one, other;
    open_over_pipes(&one, &other);
    CHECK_OK(write_text(&one, "still read"));
    CHECK_OK(write_text(&other, "never read"));
    ipcf_stream_shut_down(&one);
    ipcf_stream_shut_down(&one);
    CHECK(is_ready(ipcf_stream_arm_read(&one)) && can_be_written(&one));
    CHECK_STATUS(read_status(&one), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&one, "xx"), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&other, "xx"), IPCF_DISCONNECTED);
    expect_text(&other, "still read");
    CHECK_STATUS(read_status(&other), IPCF_DISCONNECTED);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
    ipcf_stream_shut_down(&other);
}

static void an_end_before_we_came_is_noticed(void)
{
    ipcf_stream stream;
    int in[2], out[2];
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    CHECK(write(in[1], "last", 4) == 4 && close(in[1]) == 0 && close(out[0]) == 0);
    CHECK_OK(ipcf_stream_adopt_pair(in[0], out[1], &stream, NULL));
    expect_text(&stream, "last");
    CHECK(is_ready(ipcf_stream_arm_read(&stream)));
    CHECK_STATUS(read_status(&stream), IPCF_DISCONNECTED);
    CHECK(can_be_written(&stream));
    CHECK_STATUS(write_text(&stream, "xx"), IPCF_DISCONNECTED);
    ipcf_stream_close(&stream);
}

static atomic_int pipe_signals;

static void count_pipe_signal(int number)
{
    (void)number;
    pipe_signals++;
}

static void write_to_the_gone(void *argument)
{
    ipcf_stream one, other;
    sigset_t pipe_signal, pending;
    (void)argument;
    CHECK(signal(SIGPIPE, count_pipe_signal) != SIG_ERR);
    open_over_pipes(&one, &other);
    ipcf_stream_close(&other);
    CHECK_STATUS(write_text(&one, "xx"), IPCF_DISCONNECTED);
    CHECK(pipe_signals == 0);
    /* one that is not of our making is kept */
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    CHECK(pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL) == 0);
    CHECK_STATUS(write_text(&one, "xx"), IPCF_DISCONNECTED);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0);
    CHECK(pthread_kill(pthread_self(), SIGPIPE) == 0);
    CHECK_STATUS(write_text(&one, "xx"), IPCF_DISCONNECTED);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &pipe_signal, NULL) == 0);
    CHECK(pipe_signals == 1);
    ipcf_stream_close(&one);
}

static void sigpipe_is_never_raised(void) { run_process(write_to_the_gone, NULL); }

typedef struct reader {
    ipcf_stream *stream;
    atomic_bool waits;
} reader;

static void *read_until_the_end(void *argument)
{
    reader *reading = argument;
    ipcf_status status;
    while ((status = read_status(reading->stream)) != IPCF_DISCONNECTED) {
        CHECK_STATUS(status, IPCF_AGAIN);
        reading->waits = true;
        ipcf_wait_item item = {.handle = ipcf_stream_arm_read(reading->stream)};
        ipcf_status waited = ipcf_wait(&item, 1, ipcf_deadline_in(0.01), NULL);
        CHECK(waited == IPCF_OK || waited == IPCF_TIMEOUT);
    }
    return NULL;
}

static void shut_down_may_come_from_any_thread(void)
{
    ipcf_stream one, other;
    pthread_t thread;
    open_over_pipes(&one, &other);
    reader reading = {.stream = &one};
    CHECK(pthread_create(&thread, NULL, read_until_the_end, &reading) == 0);
    while (!reading.waits)
        sched_yield();
    ipcf_stream_shut_down(&one);
    CHECK(pthread_join(thread, NULL) == 0);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

/* ---- refusals -------------------------------------------------------------------- */

static void what_does_not_fit_is_refused(void)
{
    ipcf_stream stream;
    int ends[2], datagrams[2], directory = open("/", O_RDONLY);
    CHECK(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
    CHECK_STATUS(ipcf_stream_adopt_pair(ends[0], ends[0], &stream, NULL), IPCF_INVALID);
    CHECK_STATUS(ipcf_stream_adopt_pair(ends[1], ends[0], &stream, NULL), IPCF_INVALID);
    CHECK_STATUS(ipcf_stream_adopt_pair(directory, ends[1], &stream, NULL),
                 IPCF_INVALID);
    CHECK_STATUS(ipcf_stream_adopt_pair(datagrams[0], ends[1], &stream, NULL),
                 IPCF_INVALID);
    CHECK(close(directory) == 0 && close(datagrams[0]) == 0 &&
          close(datagrams[1]) == 0);
    CHECK_STATUS(ipcf_stream_adopt_pair(directory, ends[1], &stream, NULL),
                 IPCF_OS_ERROR);
    rlim_t before = limit_descriptors(0);
    CHECK_STATUS(ipcf_stream_adopt_pair(ends[0], ends[1], &stream, NULL),
                 IPCF_OS_ERROR);
    allow_descriptors(before);
    CHECK(stream.handle == IPCF_NO_HANDLE && stream.ends == NULL);
    CHECK(is_blocking(ends[0]) && is_blocking(ends[1])); /* still the caller's */
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* As macOS says of a socket that has been shut down. */
static void a_socket_that_has_ended_can_still_be_read(void)
{
    ipcf_stream stream;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(write(ends[1], "last", 4) == 4 && close(ends[1]) == 0);
    ipcf_test_fail_at("silence", 1, EINVAL);
    CHECK_OK(ipcf_stream_adopt_pair(ends[0], duplicate(ends[0]), &stream, NULL));
    expect_text(&stream, "last");
    CHECK_STATUS(read_status(&stream), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&stream, "xx"), IPCF_DISCONNECTED);
    ipcf_stream_shut_down(&stream);
    ipcf_stream_close(&stream);
}

static void a_refusal_at_the_very_end_leaves_nothing(void)
{
    ipcf_stream stream;
    int ends[2];
    CHECK(pipe(ends) == 0);
    size_t before = open_descriptors();
    ipcf_test_fail_at("silence", 1, ENOTSUP);
    CHECK_STATUS(ipcf_stream_adopt_pair(ends[0], ends[1], &stream, NULL),
                 IPCF_OS_ERROR);
    CHECK(open_descriptors() == before && stream.ends == NULL);
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(bytes_go_both_ways_over_pipes);
    RUN(handles_cannot_travel);
    RUN(large_writes_are_partial_and_lose_nothing);
    RUN(gathered_writes_may_be_short);
    RUN(a_fifo_carries_bytes);
    RUN(sockets_keep_their_flags);
    RUN(a_file_is_always_ready);
    RUN(the_null_device_has_ended_and_takes_all);
    RUN(a_terminals_hang_up_is_an_end);
    RUN(interruptions_and_refusals_are_told_apart);
    RUN(shutting_down_ends_both_directions);
    RUN(an_end_before_we_came_is_noticed);
    RUN(sigpipe_is_never_raised);
    RUN(shut_down_may_come_from_any_thread);
    RUN(what_does_not_fit_is_refused);
    RUN(a_socket_that_has_ended_can_still_be_read);
    RUN(a_refusal_at_the_very_end_leaves_nothing);
    CHECK(open_descriptors() == before);
    return 0;
}
