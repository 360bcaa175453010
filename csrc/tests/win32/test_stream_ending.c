/* SPDX-License-Identifier: MIT
 * Every way in which a stream over a named pipe ends: what was written arrives, and
 * then the end.
 */
#include "tests/win32/traffic.h"

static traffic outbound, inbound;

static DWORD WINAPI fill_and_end(void *context)
{
    send_until_full(context);
    return 0;
}

/* Everything that was taken arrives, though the pipe is full and a write under way when
 * this end goes. */
static void end_with_a_full_pipe(void (*end)(ipcf_stream *), bool in_thread,
                                 bool from_client)
{
    ipcf_stream one, other;
    if (from_client)
        open_pair(&other, &one);
    else
        open_pair(&one, &other);
    (void)aim(&outbound, &one, 6, 0);
    if (in_thread)
        run_in_thread(fill_and_end, &outbound);
    else
        send_until_full(&outbound);
    end(&one);
    receive_all(aim(&inbound, &other, 6, outbound.done));
    expect_end(&other);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void test_shut_down_keeps_what_was_written(void)
{
    end_with_a_full_pipe(ipcf_stream_shut_down, false, false);
    end_with_a_full_pipe(ipcf_stream_shut_down, false, true);
    end_with_a_full_pipe(ipcf_stream_shut_down, true, false);
}

static void test_close_keeps_what_was_written(void)
{
    end_with_a_full_pipe(ipcf_stream_close, false, false);
    end_with_a_full_pipe(ipcf_stream_close, false, true);
    end_with_a_full_pipe(ipcf_stream_close, true, true);
}

/* Shut down: both directions have ended here, and the end is ready to be seen. */
static void test_shut_down_ends_both_directions(void)
{
    ipcf_stream one, other;
    ipcf_piece piece = {"x", 1};
    size_t put;
    open_pair(&one, &other);
    write_text(&one, "last");
    ipcf_handle armed = ipcf_stream_arm_read(&one);
    ipcf_stream_shut_down(&one);
    ipcf_stream_shut_down(&one);
    CHECK(one.handle != IPCF_NO_HANDLE);
    await_handle(armed);
    expect_end(&one);
    await_handle(ipcf_stream_arm_write(&one));
    CHECK_STATUS(ipcf_stream_try_write(&one, &piece, 1, &put, NULL), IPCF_DISCONNECTED);
    CHECK(put == 0);
    expect_text(&other, "last");
    expect_end(&other);
    CHECK_STATUS(ipcf_stream_try_write(&other, &piece, 1, &put, NULL),
                 IPCF_DISCONNECTED);
    ipcf_stream_close(&other);
    ipcf_stream_close(&one);
}

/* The peer goes while a write is under way that it will never read. */
static void test_peer_goes_while_a_write_waits(void)
{
    ipcf_stream one, other;
    ipcf_piece piece = {"x", 1};
    size_t put;
    open_pair(&one, &other);
    send_until_full(aim(&outbound, &one, 7, 0));
    ipcf_stream_close(&other);
    await_handle(ipcf_stream_arm_write(&one));
    CHECK_STATUS(ipcf_stream_try_write(&one, &piece, 1, &put, NULL), IPCF_DISCONNECTED);
    expect_end(&one);
    ipcf_stream_close(&one);

    open_pair(&one, &other);
    send_until_full(aim(&outbound, &one, 7, 0));
    ipcf_stream_close(&one); /* lingers, and ends with the peer */
    ipcf_stream_close(&other);
}

static DWORD WINAPI shut_down_there(void *context)
{
    ipcf_stream_shut_down(context);
    return 0;
}

static void test_shut_down_wakes_a_sleeping_reader(void)
{
    for (int side = 0; side < 2; ++side) {
        ipcf_stream one, other;
        open_pair(&one, &other);
        ipcf_handle armed = ipcf_stream_arm_read(&one);
        HANDLE thread = start_thread(shut_down_there, side == 0 ? &one : &other);
        await_handle(armed);
        expect_end(&one);
        join_thread(thread);
        ipcf_stream_close(&one);
        ipcf_stream_close(&other);
    }
}

int main(void)
{
    RUN_COUNTED(test_shut_down_keeps_what_was_written);
    RUN_COUNTED(test_close_keeps_what_was_written);
    RUN_COUNTED(test_shut_down_ends_both_directions);
    RUN_COUNTED(test_peer_goes_while_a_write_waits);
    RUN_COUNTED(test_shut_down_wakes_a_sleeping_reader);
    return 0;
}
