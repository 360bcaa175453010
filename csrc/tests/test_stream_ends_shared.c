/* SPDX-License-Identifier: MIT
 * Streams over two descriptors that others have too: nothing changes for them, and what
 * they do does not make us block.
 */
#include "ipcf/testing.h"
#include "tests/stream_ends.h"

static void talk_over_a_terminal(void *argument)
{
    int master, slave;
    ipcf_stream program, user;
    (void)argument;
    open_terminal(&master, &slave);
    int shell = duplicate(slave); /* of the same open file, as a shell's is */
    int user_too = duplicate(master);
    CHECK_OK(ipcf_stream_adopt_pair(slave, duplicate(slave), &program, NULL));
    CHECK_OK(ipcf_stream_adopt_pair(master, duplicate(master), &user, NULL));
    talk(&program, &user);
    ipcf_stream_close(&program);
    CHECK(is_blocking(shell));
    ipcf_stream_close(&user);
    CHECK(is_blocking(user_too));
    CHECK(close(shell) == 0 && close(user_too) == 0);
}

/* What would block does so in a process that has an end. */
static void a_terminal_is_left_as_it_was(void)
{
    run_process(talk_over_a_terminal, NULL);
}

/* A grandchild that inherited our standard streams: it expects to block, and its
 * blocking must not become ours. */
static void read_a_byte(void *argument)
{
    int handle = *(int *)argument;
    char byte;
    CHECK(read(handle, &byte, 1) == 1 && byte == 'b');
}

static void a_pipe_that_is_shared_with_a_child_keeps_blocking_there(void)
{
    ipcf_stream stream;
    int in[2], out[2];
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    int shared = duplicate(in[0]);
    CHECK_OK(ipcf_stream_adopt_pair(in[0], out[1], &stream, NULL));
    CHECK_STATUS(read_status(&stream), IPCF_AGAIN);
    CHECK(is_blocking(shared));
    ipcf_stream_close(&stream);
    CHECK(is_blocking(shared));
    pid_t child = start_process(read_a_byte, &shared);
    CHECK(write(in[1], "b", 1) == 1);
    finish_process(child);
    CHECK(close(shared) == 0 && close(in[1]) == 0 && close(out[0]) == 0);
}

static void talk_over_shared_pipes(void *argument)
{
    ipcf_stream stream;
    int in[2], out[2];
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    int shared_in = duplicate(in[0]), shared_out = duplicate(out[1]);
    ipcf_test_fail_at("reopen", *(unsigned *)argument, ENOENT);
    CHECK_OK(ipcf_stream_adopt_pair(in[0], out[1], &stream, NULL));
    CHECK(!ipcf_test_fault_is_due());
    CHECK_STATUS(read_status(&stream), IPCF_AGAIN);
    CHECK(write(in[1], "x", 1) == 1);
    expect_text(&stream, "x");
    CHECK_STATUS(read_status(&stream), IPCF_AGAIN);
    fill_up(&stream);
    CHECK(!can_be_written(&stream));
    CHECK(is_blocking(shared_in) && is_blocking(shared_out));
    CHECK(close(in[1]) == 0 && close(out[0]) == 0);
    CHECK_STATUS(read_status(&stream), IPCF_DISCONNECTED);
    CHECK_STATUS(write_text(&stream, "xx"), IPCF_DISCONNECTED);
    ipcf_stream_close(&stream);
}

/* Without /proc, say, or where the pipes are another user's. */
static void where_nothing_can_be_opened_twice_nothing_blocks_or_changes(void)
{
    for (unsigned nth = 1; nth <= 2; nth++) /* for reading, for writing */
        run_process(talk_over_shared_pipes, &nth);
}

static void fill_up_a_terminal(void *argument)
{
    int master, slave;
    ipcf_stream user;
    (void)argument;
    open_terminal(&master, &slave);
    int shared = duplicate(master);
    CHECK_OK(ipcf_stream_adopt_pair(master, duplicate(master), &user, NULL));
    fill_up(&user);
    CHECK_STATUS(read_status(&user), IPCF_AGAIN);
    CHECK(is_blocking(shared));
    ipcf_stream_close(&user);
}

/* The master's side: nothing but a call that never blocks tells that it is full. */
static void a_full_terminal_does_not_block_us(void)
{
    run_process(fill_up_a_terminal, NULL);
}

static void other_devices_are_not_opened_twice(void)
{
    ipcf_stream stream;
    int ends[2], device = open("/dev/random", O_RDONLY);
    CHECK(device >= 0 && pipe(ends) == 0);
    CHECK_OK(ipcf_stream_adopt_pair(device, ends[1], &stream, NULL));
    CHECK(stream.handle == device);
    CHECK_OK(read_status(&stream));
    ipcf_stream_close(&stream);
    CHECK(close(ends[0]) == 0);
}

static void a_full_pipe_that_is_shared_does_not_block_us(void)
{
    ipcf_stream stream;
    int there[2], back[2];
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    int shared = duplicate(there[1]);
    CHECK_OK(ipcf_stream_adopt_pair(back[0], there[1], &stream, NULL));
    CHECK(fcntl(shared, F_SETFL, 0) == 0); /* as another process may do at any time */
    fill_up(&stream);
    CHECK(!can_be_written(&stream));
    ipcf_stream_close(&stream);
    CHECK(is_blocking(shared));
    CHECK(close(shared) == 0 && close(there[0]) == 0 && close(back[1]) == 0);
}

static void close_in_child(void *argument)
{
    ipcf_stream *stream = argument;
    ipcf_stream_close(stream);
}

static void a_forked_child_may_close(void)
{
    ipcf_stream one, other;
    open_over_pipes(&one, &other);
    run_process(close_in_child, &one);
    talk(&one, &other);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(a_terminal_is_left_as_it_was);
    RUN(a_pipe_that_is_shared_with_a_child_keeps_blocking_there);
    RUN(a_full_pipe_that_is_shared_does_not_block_us);
    RUN(where_nothing_can_be_opened_twice_nothing_blocks_or_changes);
    RUN(a_full_terminal_does_not_block_us);
    RUN(other_devices_are_not_opened_twice);
    RUN(a_forked_child_may_close);
    CHECK(open_descriptors() == before);
    return 0;
}
