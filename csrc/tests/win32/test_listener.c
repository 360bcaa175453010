/* SPDX-License-Identifier: MIT
 * Listening and connecting on named pipes, between this process and others: this
 * program, started again.
 */
#include "tests/win32/traffic.h"

#define PATH "\\\\.\\pipe\\ipcf_test_listener"

static traffic outbound, inbound;

static void open_listener(ipcf_listener *listener, int backlog)
{
    CHECK_OK(ipcf_listener_open(PATH, backlog, listener, NULL));
    CHECK(strcmp(listener->path, PATH) == 0);
}

static void accept_one(ipcf_listener *listener, ipcf_stream *stream)
{
    ipcf_status status;
    while ((status = ipcf_listener_try_accept(listener, true, stream, NULL)) ==
           IPCF_AGAIN)
        await_handle(ipcf_listener_arm(listener));
    CHECK_OK(status);
}

static void expect_nobody(ipcf_listener *listener)
{
    ipcf_stream stream;
    CHECK_STATUS(ipcf_listener_try_accept(listener, true, &stream, NULL), IPCF_AGAIN);
    CHECK(stream.handle == IPCF_NO_HANDLE && stream.overlapped == NULL);
}

static void say(ipcf_stream *stream, uint8_t word)
{
    ipcf_piece piece = {&word, 1};
    size_t put;
    CHECK_OK(ipcf_stream_try_write(stream, &piece, 1, &put, NULL));
    CHECK(put == 1);
}

static uint8_t hear(ipcf_stream *stream)
{
    uint8_t word;
    size_t got;
    ipcf_status status;
    while ((status = ipcf_stream_try_read(stream, &word, 1, &got, NULL)) == IPCF_AGAIN)
        await_handle(ipcf_stream_arm_read(stream));
    CHECK_OK(status);
    return word;
}

/* ---- the other process ----------------------------------------------------------- */

static int child_exchange(void)
{
    ipcf_stream stream;
    CHECK_OK(ipcf_stream_connect(PATH, true, &stream, NULL));
    exchange(aim(&outbound, &stream, 2, 16 * MIB), aim(&inbound, &stream, 1, 16 * MIB));
    ipcf_stream_close(&stream);
    return 0;
}

/* Write much, tell how much, and wait to be killed. */
static int child_victim(void)
{
    ipcf_stream stream;
    CHECK_OK(ipcf_stream_connect(PATH, true, &stream, NULL));
    send_all(aim(&outbound, &stream, 3, 60000));
    (void)hear(&stream);
    return 1; /* never */
}

/* Write, and be gone without closing anything. */
static int child_runaway(void)
{
    ipcf_stream stream;
    CHECK_OK(ipcf_stream_connect(PATH, true, &stream, NULL));
    send_all(aim(&outbound, &stream, 4, 300000));
    ExitProcess(7);
}

/* The first argument says which side this process is to be. */
static int run_child(const char *mode)
{
    if (strcmp(mode, "exchange") == 0)
        return child_exchange();
    if (strcmp(mode, "victim") == 0)
        return child_victim();
    if (strcmp(mode, "runaway") == 0)
        return child_runaway();
    return 2;
}

/* ---- two processes --------------------------------------------------------------- */

static void test_16_mib_both_ways_between_processes(void)
{
    ipcf_listener listener;
    ipcf_stream stream;
    ipcf_peer peer;
    open_listener(&listener, 4);
    HANDLE child = start_self("exchange", "");
    accept_one(&listener, &stream);
    CHECK_OK(ipcf_stream_peer(&stream, &peer, NULL));
    CHECK(peer.pid == (int64_t)GetProcessId(child) && peer.uid == 0);
    exchange(aim(&outbound, &stream, 1, 16 * MIB), aim(&inbound, &stream, 2, 16 * MIB));
    expect_end(&stream);
    join_process(child, 0);
    ipcf_stream_close(&stream);
    ipcf_listener_close(&listener);
}

/* What the peer wrote before it was killed is still read; then the end comes, also to a
 * sleeper, and the process handle tells. */
static void test_peer_is_killed(void)
{
    ipcf_listener listener;
    ipcf_stream stream;
    ipcf_handle process;
    open_listener(&listener, 1);
    HANDLE child = start_self("victim", "");
    accept_one(&listener, &stream);
    CHECK_OK(ipcf_stream_watch_peer(&stream, &process, NULL));
    ipcf_wait_item item = {.handle = process};
    CHECK_STATUS(ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
    receive_all(aim(&inbound, &stream, 3, 50000));
    CHECK(TerminateProcess(child, 9));
    join_process(child, 9);
    await_handle(process);
    inbound.total = 60000;
    receive_all(&inbound);
    expect_end(&stream);
    CHECK_STATUS(ipcf_stream_watch_peer(&stream, &(ipcf_handle){0}, NULL),
                 IPCF_DISCONNECTED);
    ipcf_handle_close(&process);
    CHECK(process == IPCF_NO_HANDLE);
    ipcf_stream_close(&stream);

    child = start_self("victim", "");
    accept_one(&listener, &stream);
    receive_all(aim(&inbound, &stream, 3, 60000));
    ipcf_handle armed = ipcf_stream_arm_read(&stream);
    CHECK_STATUS(ipcf_wait(&(ipcf_wait_item){.handle = armed}, 1, IPCF_NO_WAIT, NULL),
                 IPCF_TIMEOUT);
    CHECK(TerminateProcess(child, 9));
    await_handle(armed);
    expect_end(&stream);
    join_process(child, 9);
    ipcf_stream_close(&stream);
    ipcf_listener_close(&listener);
}

/* After an empty write said OK the pipe has everything, and the end of the process
 * takes nothing away. */
static void test_peer_exits_after_an_empty_write(void)
{
    ipcf_listener listener;
    ipcf_stream stream;
    open_listener(&listener, 1);
    HANDLE child = start_self("runaway", "");
    accept_one(&listener, &stream);
    /* what is left fits into the pipe */
    receive_all(aim(&inbound, &stream, 4, 240000));
    join_process(child, 7);
    inbound.total = 300000;
    receive_all(&inbound);
    expect_end(&stream);
    ipcf_stream_close(&stream);
    ipcf_listener_close(&listener);
}

/* ---- addresses ------------------------------------------------------------------- */

static void test_names(void)
{
    char too_long[400];
    ipcf_stream stream;
    ipcf_listener listener;
    const char *bad[] = {"",
                         "name",
                         "\\\\.\\pipe\\",
                         "\\\\.\\pipe\\a\\b",
                         "\\\\server\\pipe\\a",
                         "C:\\file",
                         "\\\\.\\pipe\\\xff\xfe",
                         too_long};
    memset(too_long, 'x', sizeof too_long);
    memcpy(too_long, "\\\\.\\pipe\\", 9);
    too_long[sizeof too_long - 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        CHECK_STATUS(ipcf_stream_connect(bad[i], true, &stream, NULL), IPCF_INVALID);
        CHECK_STATUS(ipcf_listener_open(bad[i], 1, &listener, NULL), IPCF_INVALID);
    }
    too_long[256] = '\0';
    CHECK_OK(ipcf_listener_open(too_long, 1, &listener, NULL));
    ipcf_listener_close(&listener);
    CHECK_OK(ipcf_listener_open("\\\\.\\pipe\\ipcf_\xc3\xa4\xe2\x82\xac", 1, &listener,
                                NULL));
    CHECK_OK(ipcf_stream_connect("\\\\.\\pipe\\ipcf_\xc3\xa4\xe2\x82\xac", true,
                                 &stream, NULL));
    ipcf_stream_close(&stream);
    ipcf_listener_close(&listener);
}

static void test_nobody_listens(void)
{
    ipcf_stream stream;
    ipcf_error error;
    ipcf_listener listener;
    CHECK_STATUS(ipcf_stream_connect(PATH, true, &stream, &error),
                 IPCF_ADDRESS_NOT_FOUND);
    CHECK(error.os_error == ERROR_FILE_NOT_FOUND && stream.overlapped == NULL);
    open_listener(&listener, 3);
    ipcf_listener_close(&listener);
    ipcf_listener_close(&listener);
    CHECK_STATUS(ipcf_stream_connect(PATH, true, &stream, NULL),
                 IPCF_ADDRESS_NOT_FOUND);
    CHECK_STATUS(ipcf_listener_try_accept(&listener, true, &stream, NULL), IPCF_CLOSED);
    open_listener(&listener, 3); /* free again at once */
    ipcf_listener_close(&listener);
}

/* The second listener fails and leaves the first untouched, whether or not that one has
 * clients. */
static void test_second_listener(void)
{
    ipcf_listener first, second;
    ipcf_stream client, server;
    open_listener(&first, 2);
    for (int i = 0; i < 3; ++i) {
        CHECK_STATUS(ipcf_listener_open(PATH, 2, &second, NULL), IPCF_ADDRESS_IN_USE);
        CHECK(second.handle == IPCF_NO_HANDLE && second.overlapped == NULL);
        expect_nobody(&first);
    }
    CHECK_OK(ipcf_stream_connect(PATH, true, &client, NULL));
    CHECK_STATUS(ipcf_listener_open(PATH, 2, &second, NULL), IPCF_ADDRESS_IN_USE);
    accept_one(&first, &server);
    say(&client, 42);
    CHECK(hear(&server) == 42);
    expect_nobody(&first);
    ipcf_stream_close(&client);
    ipcf_stream_close(&server);
    ipcf_listener_close(&first);
}

/* As many clients as instances wait may come before the first accept; each gets a
 * stream of its own. */
static void test_backlog(void)
{
    ipcf_listener listener;
    ipcf_stream clients[4], servers[4], surplus;
    bool is_seen[4] = {false};
    open_listener(&listener, 4);
    for (uint8_t i = 0; i < 4; ++i) {
        CHECK_OK(ipcf_stream_connect(PATH, true, &clients[i], NULL));
        say(&clients[i], i);
    }
    CHECK_STATUS(ipcf_stream_connect(PATH, true, &surplus, NULL), IPCF_AGAIN);
    await_handle(ipcf_listener_arm(&listener));
    for (size_t i = 0; i < 4; ++i) {
        await_handle(ipcf_listener_arm(&listener));
        accept_one(&listener, &servers[i]);
        uint8_t client = hear(&servers[i]);
        CHECK(client < 4 && !is_seen[client]);
        is_seen[client] = true;
        say(&servers[i], client);
    }
    expect_nobody(&listener);
    for (uint8_t i = 0; i < 4; ++i) {
        CHECK(hear(&clients[i]) == i);
        ipcf_stream_close(&clients[i]);
        expect_end(&servers[i]);
        ipcf_stream_close(&servers[i]);
    }
    CHECK_OK(ipcf_stream_connect(PATH, true, &surplus, NULL));
    ipcf_stream_close(&surplus);
    ipcf_listener_close(&listener);
}

static DWORD WINAPI arm_and_end(void *context)
{
    (void)ipcf_listener_arm(context);
    return 0;
}

static DWORD WINAPI open_and_end(void *context)
{
    open_listener(context, 3);
    return 0;
}

/* The system cancels the waiting of instances whose thread has ended. */
static void test_listener_survives_its_thread(void)
{
    ipcf_listener listener;
    ipcf_stream client, server;
    run_in_thread(open_and_end, &listener);
    for (int i = 0; i < 8; ++i) {
        run_in_thread(arm_and_end, &listener);
        CHECK_OK(ipcf_stream_connect(PATH, true, &client, NULL));
        accept_one(&listener, &server);
        say(&server, 1);
        CHECK(hear(&client) == 1);
        ipcf_stream_close(&client);
        ipcf_stream_close(&server);
    }
    ipcf_listener_close(&listener);
}

/* A client that has hung up is passed over; but one that has left bytes is not. */
static void test_clients_that_hang_up(void)
{
    ipcf_listener listener;
    ipcf_stream client, server;
    open_listener(&listener, 1);
    for (int i = 0; i < 5; ++i) {
        CHECK_OK(ipcf_stream_connect(PATH, true, &client, NULL));
        ipcf_stream_close(&client);
        await_handle(ipcf_listener_arm(&listener));
        expect_nobody(&listener);
    }
    CHECK_OK(ipcf_stream_connect(PATH, true, &client, NULL));
    say(&client, 5);
    ipcf_stream_close(&client);
    accept_one(&listener, &server);
    CHECK(hear(&server) == 5);
    expect_end(&server);
    ipcf_stream_close(&server);
    ipcf_listener_close(&listener);
}

int main(int count, char **arguments)
{
    if (count > 1)
        return run_child(arguments[1]);
    RUN_COUNTED(test_names);
    RUN_COUNTED(test_nobody_listens);
    RUN_COUNTED(test_second_listener);
    RUN_COUNTED(test_backlog);
    RUN_COUNTED(test_listener_survives_its_thread);
    RUN_COUNTED(test_clients_that_hang_up);
    RUN_COUNTED(test_16_mib_both_ways_between_processes);
    RUN_COUNTED(test_peer_is_killed);
    RUN_COUNTED(test_peer_exits_after_an_empty_write);
    return 0;
}
