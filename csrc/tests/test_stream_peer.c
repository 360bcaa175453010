/* SPDX-License-Identifier: MIT
 * Who is at the other end, and noticing that it has died while somebody else keeps its
 * socket.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "ipcf/stream_channel.h"
#include "tests/processes.h"
#include "tests/sockets.h"

/* A peer: connects, forks a child that keeps the socket, and ends when told to. */
typedef struct peer_process {
    char directory[64], path[128];
    int go[2], ready[2], keep[2];
    pid_t process;
    int listening;
    ipcf_stream stream;
} peer_process;

static void keep_socket(void *argument)
{
    const peer_process *peer = argument;
    CHECK(close(peer->keep[1]) == 0);
    char byte;
    CHECK(read(peer->keep[0], &byte, 1) == 0); /* until the test closes the other end */
}

static void connect_and_wait(void *argument)
{
    peer_process *peer = argument;
    int handle = connect_plainly(peer->path);
    (void)start_process(keep_socket, peer);
    tell(peer->ready[1]);
    hear(peer->go[0]);
    CHECK(handle >= 0);
}

static void start_peer_as(peer_process *peer, void (*body)(void *))
{
    make_directory(peer->directory, sizeof peer->directory);
    CHECK(snprintf(peer->path, sizeof peer->path, "%s/s", peer->directory) > 0);
    CHECK(pipe(peer->go) == 0 && pipe(peer->ready) == 0 && pipe(peer->keep) == 0);
    peer->listening = listen_at(peer->path, SOCK_STREAM, 4);
    peer->process = start_process(body, peer);
    int accepted = accept(peer->listening, NULL, NULL);
    CHECK(accepted >= 0);
    CHECK_OK(ipcf_stream_adopt(accepted, &peer->stream, NULL));
    hear(peer->ready[0]);
}

static void start_peer(peer_process *peer) { start_peer_as(peer, connect_and_wait); }

static void end_peer(peer_process *peer)
{
    for (int i = 0; i < 2; ++i)
        CHECK(close(peer->go[i]) == 0 && close(peer->ready[i]) == 0 &&
              close(peer->keep[i]) == 0);
    ipcf_stream_close(&peer->stream);
    CHECK(close(peer->listening) == 0);
    remove_directory(peer->directory);
}

static bool is_hung_up(ipcf_stream *stream)
{
    char byte;
    size_t got;
    return ipcf_stream_try_read(stream, &byte, 1, &got, NULL) == IPCF_DISCONNECTED;
}

static void death_is_noticed_behind_a_kept_socket(void)
{
    peer_process peer;
    ipcf_peer credentials;
    ipcf_handle watch;
    start_peer(&peer);
    CHECK_OK(ipcf_stream_peer(&peer.stream, &credentials, NULL));
    CHECK(credentials.pid == peer.process && credentials.uid == (int64_t)geteuid());
    CHECK_OK(ipcf_stream_watch_peer(&peer.stream, &watch, NULL));
    CHECK((fcntl((int)watch, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(!is_ready(watch));
    CHECK(kill(peer.process, SIGKILL) == 0);
    wait_until_ready(watch); /* not yet reaped: its end alone must do */
    CHECK(!is_hung_up(&peer.stream));
    CHECK(WIFSIGNALED(end_of_process(peer.process)));
    CHECK(is_ready(watch));
    ipcf_handle_close(&watch);
    CHECK(watch == IPCF_NO_HANDLE);
    ipcf_handle_close(&watch);
    end_peer(&peer);
}

static void an_orderly_end_is_noticed_too(void)
{
    peer_process peer;
    ipcf_handle watch;
    start_peer(&peer);
    CHECK_OK(ipcf_stream_watch_peer(&peer.stream, &watch, NULL));
    tell(peer.go[1]);
    finish_process(peer.process);
    wait_until_ready(watch);
    CHECK(!is_hung_up(&peer.stream));
    ipcf_handle_close(&watch);
    end_peer(&peer);
}

/* A stream channel asks where its peer is, to know how to spin. */
static void nothing_is_opened_to_know_whether_the_peer_is_here(void)
{
    peer_process peer;
    ipcf_stream pair[2];
    ipcf_stream_channel channel;
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    CHECK_OK(ipcf_stream_pair(&pair[0], &pair[1], NULL));
    CHECK(ipcf_stream_peer_is_here(&pair[0]) && ipcf_stream_peer_is_here(&pair[1]));
    start_peer(&peer);
    CHECK(!ipcf_stream_peer_is_here(&peer.stream));
    ipcf_test_fail_at("SO_PEERPIDFD", 1, EIO);
    CHECK_OK(ipcf_stream_channel_init(&channel, &peer.stream, &options, NULL));
    CHECK(!channel.base.peer_is_here);
    CHECK(ipcf_test_fault_is_due());
    ipcf_test_fail_at(NULL, 0, 0);
    ipcf_channel_destroy(&channel.base);
    CHECK_OK(ipcf_stream_channel_init(&channel, &pair[0], &options, NULL));
    CHECK(channel.base.peer_is_here);
    ipcf_channel_destroy(&channel.base);
    ipcf_stream_close(&pair[1]);
    tell(peer.go[1]);
    finish_process(peer.process);
    end_peer(&peer);
}

/* Kernels before 6.5 have no SO_PEERPIDFD. */
static void older_kernels_watch_by_number(void)
{
    peer_process peer;
    ipcf_handle watch;
    start_peer(&peer);
    ipcf_test_fail_at("SO_PEERPIDFD", 1, ENOPROTOOPT);
    CHECK_OK(ipcf_stream_watch_peer(&peer.stream, &watch, NULL));
    CHECK(!is_ready(watch));
    tell(peer.go[1]);
    finish_process(peer.process);
    wait_until_ready(watch);
    ipcf_handle_close(&watch);
    end_peer(&peer);
}

/* A number whose process is gone, or may be another's: nothing is watched that is not
 * the peer. */
static void the_dead_are_not_watched_by_number(void)
{
    peer_process peer;
    ipcf_handle watch;
    start_peer(&peer);
    tell(peer.go[1]);
    finish_process(peer.process);
    ipcf_test_fail_at("SO_PEERPIDFD", 1, ENOPROTOOPT);
    CHECK_STATUS(ipcf_stream_watch_peer(&peer.stream, &watch, NULL), IPCF_DISCONNECTED);
    CHECK(watch == IPCF_NO_HANDLE);
    end_peer(&peer);
}

static void a_peer_that_is_gone_already_is_told_or_ready(void)
{
    peer_process peer;
    ipcf_handle watch;
    start_peer(&peer);
    tell(peer.go[1]);
    finish_process(peer.process);
    ipcf_status status = ipcf_stream_watch_peer(&peer.stream, &watch, NULL);
    /* depends on how long the kernel remembers a reaped process; both say that it has
     * ended */
    CHECK(status == IPCF_DISCONNECTED || (status == IPCF_OK && is_ready(watch)));
    ipcf_handle_close(&watch);
    end_peer(&peer);
}

/* Alive, but without a socket: its number alone could be anybody's. */
static void connect_and_hang_up(void *argument)
{
    peer_process *peer = argument;
    CHECK(close(connect_plainly(peer->path)) == 0);
    tell(peer->ready[1]);
    hear(peer->go[0]);
}

static void without_a_connection_the_number_says_nothing(void)
{
    peer_process peer;
    ipcf_handle watch;
    start_peer_as(&peer, connect_and_hang_up);
    ipcf_test_fail_at("SO_PEERPIDFD", 1, ENOPROTOOPT);
    CHECK_STATUS(ipcf_stream_watch_peer(&peer.stream, &watch, NULL), IPCF_DISCONNECTED);
    CHECK(watch == IPCF_NO_HANDLE);
    tell(peer.go[1]);
    finish_process(peer.process);
    end_peer(&peer);
}

static void watch_parent(void *argument)
{
    ipcf_stream *stream = argument;
    ipcf_handle watch;
    ipcf_peer peer;
    CHECK_OK(ipcf_stream_peer(stream, &peer, NULL));
    CHECK(peer.pid == getppid());
    CHECK_OK(ipcf_stream_watch_peer(stream, &watch, NULL));
    CHECK(!is_ready(watch));
    ipcf_handle_close(&watch);
}

static void this_process_is_not_watched(void)
{
    ipcf_stream one, other;
    ipcf_peer peer;
    ipcf_handle watch;
    ipcf_error error = {0};
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    CHECK_OK(ipcf_stream_peer(&one, &peer, NULL));
    CHECK(peer.pid == getpid() && peer.uid == (int64_t)geteuid());
    CHECK_STATUS(ipcf_stream_watch_peer(&one, &watch, &error), IPCF_INVALID);
    CHECK(watch == IPCF_NO_HANDLE && error.what != NULL);
    run_process(watch_parent,
                &other); /* in a child the same pair leads to the parent */
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void a_network_peer_is_nobody(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0),
        client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(server >= 0 && client >= 0);
    CHECK(bind(server, (struct sockaddr *)&address, size) == 0 &&
          listen(server, 1) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
    CHECK(connect(client, (struct sockaddr *)&address, size) == 0);
    ipcf_stream stream;
    ipcf_peer peer;
    ipcf_handle watch;
    CHECK_OK(ipcf_stream_adopt(client, &stream, NULL));
    CHECK_OK(ipcf_stream_peer(&stream, &peer, NULL));
    CHECK(peer.pid == -1 && peer.uid == -1);
    CHECK_STATUS(ipcf_stream_watch_peer(&stream, &watch, NULL), IPCF_UNSUPPORTED);
    CHECK(watch == IPCF_NO_HANDLE);
    ipcf_stream_close(&stream);
    CHECK(close(server) == 0);
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(death_is_noticed_behind_a_kept_socket);
    RUN(an_orderly_end_is_noticed_too);
    RUN(nothing_is_opened_to_know_whether_the_peer_is_here);
    RUN(older_kernels_watch_by_number);
    RUN(the_dead_are_not_watched_by_number);
    RUN(a_peer_that_is_gone_already_is_told_or_ready);
    RUN(without_a_connection_the_number_says_nothing);
    RUN(this_process_is_not_watched);
    RUN(a_network_peer_is_nobody);
    CHECK(open_descriptors() == before);
    return 0;
}
