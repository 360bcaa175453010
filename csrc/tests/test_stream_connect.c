/* SPDX-License-Identifier: MIT
 * Connecting streams: every answer an address can give, and other users' servers.
 */
#include "ipcf/stream.h"
#include "tests/processes.h"
#include "tests/sockets.h"

static char directory[64];

static const char *path_of(const char *name)
{
    static char path[128];
    CHECK((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) < sizeof path);
    return path;
}

static ipcf_status connect_to(const char *path, int *os_error)
{
    ipcf_stream stream;
    ipcf_error error = {0};
    ipcf_status status = ipcf_stream_connect(path, true, &stream, &error);
    CHECK((stream.handle != IPCF_NO_HANDLE) == (status == IPCF_OK));
    CHECK(status == IPCF_OK || error.what != NULL);
    *os_error = error.os_error;
    ipcf_stream_close(&stream);
    return status;
}

static void nobody_at_an_address_is_said_so(void)
{
    int os_error;
    CHECK_STATUS(connect_to(path_of("absent"), &os_error), IPCF_ADDRESS_NOT_FOUND);
    CHECK(os_error == ENOENT);
    CHECK_STATUS(connect_to(path_of("absent/x"), &os_error), IPCF_ADDRESS_NOT_FOUND);
    CHECK(close(listen_at(path_of("stale"), SOCK_STREAM, 1)) == 0);
    CHECK_STATUS(connect_to(path_of("stale"), &os_error), IPCF_ADDRESS_NOT_FOUND);
    CHECK(os_error == ECONNREFUSED);
    CHECK_STATUS(connect_to(path_of("stale/x"), &os_error), IPCF_ADDRESS_NOT_FOUND);
    int plain = open(path_of("plain"), O_WRONLY | O_CREAT, 0600);
    CHECK(plain >= 0 && close(plain) == 0);
    CHECK_STATUS(connect_to(path_of("plain"), &os_error), IPCF_ADDRESS_NOT_FOUND);
    int datagram = listen_at(path_of("datagram"), SOCK_DGRAM, 0);
    CHECK_STATUS(connect_to(path_of("datagram"), &os_error), IPCF_OS_ERROR);
    CHECK(close(datagram) == 0);
    CHECK(unlink(path_of("stale")) == 0 && unlink(path_of("plain")) == 0 &&
          unlink(path_of("datagram")) == 0);
}

static void paths_that_cannot_be_are_invalid(void)
{
    char path[300];
    ipcf_stream stream;
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_stream_connect("", false, &stream, &error), IPCF_INVALID);
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    CHECK_STATUS(ipcf_stream_connect(path, false, &stream, &error), IPCF_INVALID);
    CHECK(error.expected == 107 && error.found == 299);
    path[108] = '\0';
    CHECK_STATUS(ipcf_stream_connect(path, false, &stream, &error), IPCF_INVALID);
    path[107] = '\0';
    CHECK_STATUS(ipcf_stream_connect(path, false, &stream, &error),
                 IPCF_ADDRESS_NOT_FOUND);
}

static void a_full_backlog_means_again(void)
{
    int os_error;
    ipcf_stream waiting[8];
    int server = listen_at(path_of("busy"), SOCK_STREAM, 2);
    size_t count = 0;
    ipcf_status status;
    while ((status = ipcf_stream_connect(path_of("busy"), true, &waiting[count],
                                         NULL)) == IPCF_OK) {
        ++count;
        CHECK(count < sizeof waiting / sizeof waiting[0]);
    }
    CHECK_STATUS(status, IPCF_AGAIN);
    CHECK(count > 0);
    int accepted = accept(server, NULL, NULL);
    CHECK(accepted >= 0);
    CHECK_OK(connect_to(path_of("busy"), &os_error));
    CHECK(close(accepted) == 0 && close(server) == 0);
    for (size_t i = 0; i < count; ++i)
        ipcf_stream_close(&waiting[i]);
    CHECK(unlink(path_of("busy")) == 0);
}

typedef struct other_user {
    char path[128];
    int up[2], done[2];
} other_user;

static void serve_as_nobody(void *argument)
{
    other_user *server = argument;
    CHECK(become_nobody());
    int handle = listen_at(server->path, SOCK_STREAM, 4);
    CHECK(chmod(server->path, 0777) == 0);
    tell(server->up[1]);
    hear(server->done[0]);
    CHECK(close(handle) == 0);
}

static void a_server_of_another_user_is_refused(void)
{
    if (geteuid() != 0) {
        printf("  (not root: cannot be somebody else; only our own server is tried)\n");
        int os_error, server = listen_at(path_of("own"), SOCK_STREAM, 4);
        CHECK_OK(connect_to(path_of("own"), &os_error));
        CHECK(close(server) == 0 && unlink(path_of("own")) == 0);
        return;
    }
    other_user server;
    ipcf_stream stream;
    ipcf_error error = {0};
    CHECK(pipe(server.up) == 0 && pipe(server.done) == 0);
    CHECK(snprintf(server.path, sizeof server.path, "%s", path_of("nobody")) > 0);
    CHECK(chmod(directory, 0777) == 0);
    pid_t process = start_process(serve_as_nobody, &server);
    hear(server.up[0]);
    CHECK_STATUS(ipcf_stream_connect(server.path, true, &stream, &error),
                 IPCF_PERMISSION_DENIED);
    CHECK(error.expected == 0 && error.found == 65534 &&
          stream.handle == IPCF_NO_HANDLE);
    CHECK_OK(ipcf_stream_connect(server.path, false, &stream, &error));
    ipcf_peer peer;
    CHECK_OK(ipcf_stream_peer(&stream, &peer, NULL));
    CHECK(peer.uid == 65534 && peer.pid == process);
    ipcf_stream_close(&stream);
    tell(server.done[1]);
    finish_process(process);
    CHECK(unlink(server.path) == 0 && chmod(directory, 0700) == 0);
    for (int i = 0; i < 2; ++i)
        CHECK(close(server.up[i]) == 0 && close(server.done[i]) == 0);
}

static void connect_as_nobody(void *argument)
{
    const char *path = argument;
    int os_error;
    CHECK(become_nobody());
    CHECK_STATUS(connect_to(path, &os_error), IPCF_PERMISSION_DENIED);
    CHECK(os_error == EACCES);
}

static void a_socket_without_permission_is_refused(void)
{
    if (geteuid() != 0) {
        printf("  (not root: a socket of our own without permissions is tried)\n");
        int os_error, server = listen_at(path_of("shut"), SOCK_STREAM, 4);
        CHECK(chmod(path_of("shut"), 0) == 0);
        CHECK_STATUS(connect_to(path_of("shut"), &os_error), IPCF_PERMISSION_DENIED);
        CHECK(close(server) == 0 && unlink(path_of("shut")) == 0);
        return;
    }
    char path[128];
    CHECK(snprintf(path, sizeof path, "%s", path_of("shut")) > 0);
    int server = listen_at(path, SOCK_STREAM, 4);
    CHECK(chmod(path, 0600) == 0 && chmod(directory, 0755) == 0);
    run_process(connect_as_nobody, path);
    CHECK(close(server) == 0 && unlink(path) == 0 && chmod(directory, 0700) == 0);
}

static void without_descriptors_there_is_an_error(void)
{
    ipcf_stream one, other;
    ipcf_error error = {0};
    int os_error;
    for (rlim_t more = 0; more < 2; ++more) {
        rlim_t before = limit_descriptors(more);
        ipcf_status status = ipcf_stream_pair(&one, &other, &error);
        ipcf_status connecting =
            more == 0 ? connect_to(path_of("x"), &os_error) : IPCF_OS_ERROR;
        allow_descriptors(before);
        CHECK_STATUS(status, IPCF_OS_ERROR);
        CHECK_STATUS(connecting, IPCF_OS_ERROR);
        CHECK(error.os_error == EMFILE);
        CHECK(one.handle == IPCF_NO_HANDLE && other.handle == IPCF_NO_HANDLE);
    }
    CHECK(os_error == EMFILE);
}

int main(void)
{
    size_t before = open_descriptors();
    make_directory(directory, sizeof directory);
    RUN(nobody_at_an_address_is_said_so);
    RUN(paths_that_cannot_be_are_invalid);
    RUN(a_full_backlog_means_again);
    RUN(a_server_of_another_user_is_refused);
    RUN(a_socket_without_permission_is_refused);
    RUN(without_descriptors_there_is_an_error);
    remove_directory(directory);
    CHECK(open_descriptors() == before);
    return 0;
}
