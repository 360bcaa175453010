/* SPDX-License-Identifier: MIT
 * Streams over named pipes: contents, order and sleeping. test_stream_ending.c has the
 * endings, test_listener.c two processes.
 */
#include "ipcf/doorbell.h"
#include "tests/win32/traffic.h"

static traffic outbound, inbound, outbound_there, inbound_there;

/* ---- moving bytes ---------------------------------------------------------------- */

static void test_both_ends(void)
{
    ipcf_stream one, other;
    ipcf_peer peer;
    ipcf_handle process;
    open_pair(&one, &other);
    expect_nothing(&one);
    expect_nothing(&other);
    write_text(&one, "there");
    write_text(&other, "back");
    expect_text(&other, "there");
    expect_text(&one, "back");
    CHECK_OK(ipcf_stream_peer(&one, &peer, NULL));
    CHECK(peer.pid == (int64_t)GetCurrentProcessId() && peer.uid == 0);
    CHECK_OK(ipcf_stream_peer(&other, &peer, NULL));
    CHECK(peer.pid == (int64_t)GetCurrentProcessId() && peer.uid == 0);
    CHECK_STATUS(ipcf_stream_watch_peer(&one, &process, NULL), IPCF_INVALID);
    ipcf_stream_close(&one);
    ipcf_stream_close(&one);
    CHECK(one.handle == IPCF_NO_HANDLE && one.overlapped == NULL);
    expect_end(&other);
    ipcf_stream_close(&other);
}

static void test_arguments(void)
{
    ipcf_stream one, other;
    ipcf_error error;
    ipcf_handle handle = 1;
    size_t count = 1, moved = 1;
    char byte = 'x';
    ipcf_piece pieces[IPCF_STREAM_MAX_PIECES + 1] = {{&byte, 1}};
    open_pair(&one, &other);
    CHECK_STATUS(ipcf_stream_try_read(&one, &byte, 0, &moved, &error), IPCF_INVALID);
    CHECK(moved == 0 && error.what != NULL);
    CHECK_STATUS(
        ipcf_stream_try_write(&one, pieces, IPCF_STREAM_MAX_PIECES + 1, &moved, &error),
        IPCF_INVALID);
    CHECK(error.expected == IPCF_STREAM_MAX_PIECES);
    CHECK_OK(ipcf_stream_try_write(&one, NULL, 0, &moved, NULL));
    CHECK_STATUS(
        ipcf_stream_try_write_handles(&one, &byte, 1, &handle, 1, &moved, NULL),
        IPCF_UNSUPPORTED);
    expect_nothing(&other);
    CHECK_OK(ipcf_stream_try_write_handles(&one, &byte, 1, NULL, 0, &moved, NULL));
    CHECK_OK(
        ipcf_stream_try_read_handles(&other, &byte, 1, &moved, &handle, &count, NULL));
    CHECK(moved == 1 && count == 0);
    ipcf_stream_close(&one);
    CHECK_STATUS(ipcf_stream_try_read(&one, &byte, 1, &moved, NULL), IPCF_CLOSED);
    CHECK_STATUS(ipcf_stream_try_write(&one, pieces, 1, &moved, NULL), IPCF_CLOSED);
    ipcf_stream_close(&other);
}

/* Only an overlapped pipe can be taken over; a pseudo handle or another object never. */
static void test_adopt(void)
{
    const char *path = "\\\\.\\pipe\\ipcf_test_adopt";
    HANDLE ends[2];
    ipcf_stream stream, accepted;
    ipcf_listener listener;
    ipcf_handle event = (ipcf_handle)CreateEventW(NULL, TRUE, FALSE, NULL);
    CHECK_STATUS(ipcf_stream_adopt(event, &stream, NULL), IPCF_INVALID);
    CHECK_STATUS(ipcf_stream_adopt((ipcf_handle)GetCurrentProcess(), &stream, NULL),
                 IPCF_INVALID);
    ipcf_handle_close(&event);
    CHECK(CreatePipe(&ends[0], &ends[1], NULL, 0));
    CHECK_STATUS(ipcf_stream_adopt((ipcf_handle)ends[0], &stream, NULL), IPCF_INVALID);
    CHECK(CloseHandle(ends[0]) && CloseHandle(ends[1]));

    SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited,
                                     .bInheritHandle = TRUE};
    CHECK_OK(ipcf_listener_open(path, 1, &listener, NULL));
    HANDLE client = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, &inherited,
                                OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    CHECK(client != INVALID_HANDLE_VALUE);
    await_handle(ipcf_listener_arm(&listener));
    CHECK_OK(ipcf_listener_try_accept(&listener, true, &accepted, NULL));
    CHECK_OK(ipcf_stream_adopt((ipcf_handle)client, &stream, NULL));
    DWORD flags;
    CHECK(GetHandleInformation(client, &flags) && (flags & HANDLE_FLAG_INHERIT) == 0);
    write_text(&accepted, "adopted");
    expect_text(&stream, "adopted");
    ipcf_stream_close(&stream);
    expect_end(&accepted);
    ipcf_stream_close(&accepted);
    ipcf_listener_close(&listener);
}

static DWORD WINAPI exchange_there(void *context)
{
    (void)context;
    exchange(&outbound_there, &inbound_there);
    return 0;
}

static void test_16_mib_both_ways(void)
{
    ipcf_stream one, other;
    open_pair(&one, &other);
    (void)aim(&outbound_there, &other, 2, 16 * MIB);
    (void)aim(&inbound_there, &other, 1, 16 * MIB);
    HANDLE thread = start_thread(exchange_there, NULL);
    exchange(aim(&outbound, &one, 1, 16 * MIB), aim(&inbound, &one, 2, 16 * MIB));
    join_thread(thread);
    expect_nothing(&one);
    expect_nothing(&other);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static DWORD WINAPI send_there(void *context)
{
    send_all(context);
    return 0;
}

static DWORD WINAPI receive_there(void *context)
{
    receive_all(context);
    return 0;
}

/* Each direction of each end in a thread of its own. */
static void test_four_threads(void)
{
    ipcf_stream one, other;
    open_pair(&one, &other);
    HANDLE threads[] = {
        start_thread(send_there, aim(&outbound, &one, 3, 4 * MIB)),
        start_thread(receive_there, aim(&inbound, &one, 4, 4 * MIB)),
        start_thread(send_there, aim(&outbound_there, &other, 4, 4 * MIB)),
        start_thread(receive_there, aim(&inbound_there, &other, 3, 4 * MIB)),
    };
    for (size_t i = 0; i < 4; ++i)
        join_thread(threads[i]);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

/* ---- sleeping -------------------------------------------------------------------- */

static void test_wait_names_what_is_ready(void)
{
    ipcf_stream one, other;
    ipcf_doorbell bell, wake;
    open_pair(&one, &other);
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    CHECK_OK(ipcf_doorbell_create(&wake, NULL));
    for (unsigned ready = 0; ready < 8; ++ready) {
        ipcf_wait_item items[] = {
            {.handle = ipcf_stream_arm_read(&one)},
            {.handle = IPCF_NO_HANDLE, .is_ready = true},
            {.handle = ipcf_doorbell_arm(&bell)},
            {.handle = ipcf_doorbell_arm(&wake)},
            {.handle = ipcf_doorbell_arm(&bell)}, /* twice */
        };
        if (ready & 1u)
            write_text(&other, "x");
        if (ready & 2u)
            ipcf_doorbell_ring(&bell);
        if (ready & 4u)
            ipcf_doorbell_ring(&wake);
        if (ready & 1u)
            await_handle(items[0].handle);
        uint64_t deadline = ipcf_clock_ns() + UINT64_C(3000000);
        CHECK_STATUS(ipcf_wait(items, 5, deadline, NULL),
                     ready ? IPCF_OK : IPCF_TIMEOUT);
        CHECK(items[0].is_ready == ((ready & 1u) != 0));
        CHECK(!items[1].is_ready);
        CHECK(items[2].is_ready == ((ready & 2u) != 0));
        CHECK(items[3].is_ready == ((ready & 4u) != 0));
        CHECK(items[4].is_ready == items[2].is_ready);
        if (ready & 1u)
            expect_text(&one, "x");
        CHECK(ipcf_doorbell_clear(&bell) == ((ready & 2u) != 0));
        CHECK(ipcf_doorbell_clear(&wake) == ((ready & 4u) != 0));
    }
    ipcf_doorbell_close(&bell);
    ipcf_doorbell_close(&wake);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void test_timeouts_are_never_early(void)
{
    ipcf_stream one, other;
    open_pair(&one, &other);
    for (uint64_t i = 0; i < 60; ++i) {
        ipcf_wait_item item = {.handle = ipcf_stream_arm_read(&one)};
        uint64_t deadline = ipcf_clock_ns() + i * UINT64_C(330001);
        CHECK_STATUS(ipcf_wait(&item, i % 3 ? 1 : 0, deadline, NULL), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
    }
    ipcf_wait_item item = {.handle = ipcf_stream_arm_read(&one)};
    CHECK_STATUS(ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
    CHECK_STATUS(ipcf_wait(&item, IPCF_WAIT_MAX + 1, IPCF_NO_WAIT, NULL), IPCF_INVALID);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

/* A read that was armed, slept on in vain and left alone takes nothing away; nor does
 * arming again. */
static void test_an_armed_read_loses_nothing(void)
{
    ipcf_stream one, other;
    open_pair(&one, &other);
    ipcf_wait_item item = {.handle = ipcf_stream_arm_read(&one)};
    CHECK_STATUS(ipcf_wait(&item, 1, ipcf_clock_ns() + 1000000, NULL), IPCF_TIMEOUT);
    expect_nothing(&one);
    CHECK(ipcf_stream_arm_read(&one) == item.handle);
    write_text(&other, "first");
    CHECK_OK(ipcf_wait(&item, 1, ipcf_clock_ns() + HANG_NS, NULL));
    (void)ipcf_stream_arm_read(&one);
    CHECK_OK(ipcf_wait(&item, 1, ipcf_clock_ns() + HANG_NS, NULL));
    expect_text(&one, "first");
    expect_nothing(&one);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static DWORD WINAPI arm_and_end(void *context)
{
    (void)ipcf_stream_arm_read(context);
    return 0;
}

/* The system cancels what the ending thread has armed. */
static void test_an_armed_read_survives_its_thread(void)
{
    ipcf_stream one, other;
    open_pair(&one, &other);
    run_in_thread(arm_and_end, &one);
    expect_nothing(&one);
    run_in_thread(arm_and_end, &one);
    write_text(&other, "late");
    expect_text(&one, "late");
    run_in_thread(arm_and_end, &one);
    ipcf_wait_item item = {.handle = ipcf_stream_arm_read(&one)};
    CHECK_STATUS(ipcf_wait(&item, 1, ipcf_clock_ns() + 1000000, NULL), IPCF_TIMEOUT);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static DWORD WINAPI fill_and_end(void *context)
{
    send_until_full(context);
    return 0;
}

/* The system cancels the write under way; the next call on that direction starts it
 * again, and no byte goes twice. */
static void test_a_write_survives_its_thread(void)
{
    ipcf_stream one, other;
    open_pair(&one, &other);
    run_in_thread(fill_and_end, aim(&outbound, &one, 5, 0));
    size_t put;
    CHECK_STATUS(ipcf_stream_try_write(&one, NULL, 0, &put, NULL), IPCF_AGAIN);
    receive_all(aim(&inbound, &other, 5, outbound.done));
    flush(&one);
    expect_nothing(&other);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

int main(void)
{
    RUN_COUNTED(test_both_ends);
    RUN_COUNTED(test_arguments);
    RUN_COUNTED(test_adopt);
    RUN_COUNTED(test_16_mib_both_ways);
    RUN_COUNTED(test_four_threads);
    RUN_COUNTED(test_wait_names_what_is_ready);
    RUN_COUNTED(test_timeouts_are_never_early);
    RUN_COUNTED(test_an_armed_read_loses_nothing);
    RUN_COUNTED(test_an_armed_read_survives_its_thread);
    RUN_COUNTED(test_a_write_survives_its_thread);
    return 0;
}
