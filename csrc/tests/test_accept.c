/* SPDX-License-Identifier: MIT
 * Accepting: who comes in, who is passed over, and what happens when descriptors have
 * run out.
 */
#include "ipcf/stream.h"
#include "tests/processes.h"
#include "tests/sockets.h"

static char directory[64], path[128];
static ipcf_listener listener;

static ipcf_status accept_one(ipcf_stream *stream, ipcf_error *error)
{
    ipcf_status status = ipcf_listener_try_accept(&listener, true, stream, error);
    CHECK((stream->handle != IPCF_NO_HANDLE) == (status == IPCF_OK));
    return status;
}

static void expect_nobody(void)
{
    ipcf_stream stream;
    CHECK_STATUS(accept_one(&stream, NULL), IPCF_AGAIN);
    CHECK(!is_ready(ipcf_listener_arm(&listener)));
}

/* Take in one client that has said this. */
static void expect_client(const char *text)
{
    ipcf_stream stream;
    char data[32];
    size_t got;
    CHECK(is_ready(ipcf_listener_arm(&listener)));
    CHECK_OK(accept_one(&stream, NULL));
    CHECK((fcntl((int)stream.handle, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl((int)stream.handle, F_GETFL) & O_NONBLOCK) != 0);
    CHECK_OK(ipcf_stream_try_read(&stream, data, sizeof data, &got, NULL));
    CHECK(got == strlen(text) && memcmp(data, text, got) == 0);
    ipcf_stream_close(&stream);
}

static int come_and_say(const char *text)
{
    int client = connect_plainly(path);
    CHECK(send(client, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    return client;
}

static void clients_come_in_order(void)
{
    expect_nobody();
    int first = come_and_say("first"), second = come_and_say("second");
    expect_client("first");
    expect_client("second");
    expect_nobody();
    CHECK(close(first) == 0 && close(second) == 0);
}

static void those_who_left_without_a_word_are_passed_over(void)
{
    CHECK(close(connect_plainly(path)) == 0);
    expect_nobody();
    CHECK(close(connect_plainly(path)) == 0);
    int client = come_and_say("here");
    CHECK(close(connect_plainly(path)) == 0);
    expect_client("here");
    expect_nobody();
    CHECK(close(client) == 0);
}

static void those_who_left_a_word_are_heard(void)
{
    CHECK(close(come_and_say("farewell")) == 0);
    expect_client("farewell");
    expect_nobody();
}

static void those_who_only_listen_are_let_in(void)
{
    ipcf_stream stream;
    char byte;
    size_t put;
    int client = connect_plainly(path);
    CHECK(shutdown(client, SHUT_WR) == 0);
    CHECK_OK(accept_one(&stream, NULL));
    CHECK_OK(ipcf_stream_try_write(&stream, &(ipcf_piece){"!", 1}, 1, &put, NULL));
    CHECK(read(client, &byte, 1) == 1 && byte == '!');
    ipcf_stream_close(&stream);
    CHECK(close(client) == 0);
}

/* ---- descriptors ----------------------------------------------------------------- */

static void without_descriptors_the_client_sees_an_end(void)
{
    ipcf_stream stream;
    ipcf_error error = {0};
    char byte;
    int client = connect_plainly(path);
    size_t open_before = open_descriptors();
    rlim_t before = limit_descriptors(0);
    ipcf_status status = accept_one(&stream, &error);
    bool is_idle = !is_ready(ipcf_listener_arm(&listener));
    allow_descriptors(before);
    CHECK_STATUS(status, IPCF_OS_ERROR);
    CHECK(error.os_error == EMFILE);
    CHECK(is_idle); /* no busy loop over a client that cannot be let in */
    CHECK(read(client, &byte, 1) == 0);
    CHECK(open_descriptors() == open_before);
    CHECK(listener.spare != IPCF_NO_HANDLE);
    CHECK(close(client) == 0);
    client = come_and_say("later");
    expect_client("later");
    CHECK(close(client) == 0);
}

static void a_lost_spare_is_found_again(void)
{
    ipcf_stream stream;
    ipcf_handle_close(&listener.spare);
    int client = come_and_say("patient");
    rlim_t before = limit_descriptors(0);
    ipcf_status status = accept_one(&stream, NULL);
    allow_descriptors(before);
    CHECK_STATUS(
        status,
        IPCF_OS_ERROR); /* without the spare it cannot be turned away: it waits */
    CHECK(listener.spare == IPCF_NO_HANDLE);
    expect_client("patient");
    CHECK(listener.spare != IPCF_NO_HANDLE);
    CHECK(close(client) == 0);
}

/* It must not look like one client of another user, after whom accepting goes on at
 * once. */
static void a_policy_against_accepting_is_no_strangers_fault(void)
{
    const int refusals[] = {EPERM, EACCES};
    int client = come_and_say("waiting");
    for (size_t i = 0; i < 2; ++i) {
        ipcf_stream stream;
        ipcf_error error = {0};
        ipcf_test_fail_at("accept", 1, refusals[i]);
        CHECK_STATUS(accept_one(&stream, &error), IPCF_OS_ERROR);
        CHECK(error.os_error == refusals[i]);
    }
    expect_client("waiting");
    CHECK(close(client) == 0);
}

static void thousands_of_clients_leave_nothing(void)
{
    size_t before = open_descriptors();
    for (int i = 0; i < 3000; ++i) {
        int client = come_and_say("x");
        if (i % 3 == 0)
            CHECK(close(client) == 0);
        expect_client("x");
        if (i % 3 != 0)
            CHECK(close(client) == 0);
    }
    CHECK(open_descriptors() == before);
}

/* ---- other users ----------------------------------------------------------------- */

typedef struct stranger {
    bool is_nobody;
    int said[2], heard[2];
} stranger;

static void come_as_nobody(void *argument)
{
    const stranger *self = argument;
    CHECK(!self->is_nobody || become_nobody());
    int client = come_and_say("mine");
    tell(self->said[1]);
    hear(self->heard[0]);
    CHECK(close(client) == 0);
}

static void accept_stranger(bool require_same_user, ipcf_status due)
{
    stranger self = {.is_nobody = geteuid() == 0};
    ipcf_stream stream;
    ipcf_error error = {0};
    CHECK(pipe(self.said) == 0 && pipe(self.heard) == 0);
    pid_t process = start_process(come_as_nobody, &self);
    hear(self.said[0]);
    CHECK_STATUS(
        ipcf_listener_try_accept(&listener, require_same_user, &stream, &error), due);
    if (due == IPCF_OK) {
        ipcf_peer peer;
        CHECK_OK(ipcf_stream_peer(&stream, &peer, NULL));
        CHECK(peer.pid == process &&
              peer.uid == (self.is_nobody ? 65534 : (int64_t)geteuid()));
    } else {
        CHECK(error.expected == (uint64_t)geteuid() && error.found == 65534);
        CHECK(stream.handle == IPCF_NO_HANDLE);
    }
    ipcf_stream_close(&stream);
    tell(self.heard[1]);
    finish_process(process);
    for (int i = 0; i < 2; ++i)
        CHECK(close(self.said[i]) == 0 && close(self.heard[i]) == 0);
}

static void another_user_is_turned_away_where_asked(void)
{
    size_t before = open_descriptors();
    /* opened up by somebody's carelessness: the credentials still tell */
    CHECK(chmod(directory, 0755) == 0 && chmod(path, 0777) == 0);
    accept_stranger(true, geteuid() == 0 ? IPCF_PERMISSION_DENIED : IPCF_OK);
    accept_stranger(false, IPCF_OK);
    CHECK(open_descriptors() == before);
    int client = come_and_say("ours");
    expect_client("ours");
    CHECK(close(client) == 0);
    CHECK(chmod(directory, 0700) == 0);
}

int main(void)
{
    size_t before = open_descriptors();
    make_directory(directory, sizeof directory);
    CHECK(snprintf(path, sizeof path, "%s/name", directory) > 0);
    CHECK_OK(ipcf_listener_open(path, 16, &listener, NULL));
    RUN(clients_come_in_order);
    RUN(those_who_left_without_a_word_are_passed_over);
    RUN(those_who_left_a_word_are_heard);
    RUN(those_who_only_listen_are_let_in);
    RUN(without_descriptors_the_client_sees_an_end);
    RUN(a_lost_spare_is_found_again);
    RUN(a_policy_against_accepting_is_no_strangers_fault);
    RUN(thousands_of_clients_leave_nothing);
    if (geteuid() != 0)
        printf("  (not root: the stranger is ourselves, and is let in)\n");
    RUN(another_user_is_turned_away_where_asked);
    ipcf_listener_close(&listener);
    remove_directory(directory);
    CHECK(open_descriptors() == before);
    return 0;
}
