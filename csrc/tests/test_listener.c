/* SPDX-License-Identifier: MIT
 * Owning a name: taken over from the dead at whatever step they died, never from the
 * living. Hostile files in the way: test_listener_refusals.c; accepting: test_accept.c.
 */
#include "ipcf/stream.h"
#include "tests/processes.h"
#include "tests/sockets.h"

static char directory[64], path[128], lock_path[160];

static void open_directory(void)
{
    make_directory(directory, sizeof directory);
    CHECK(snprintf(path, sizeof path, "%s/name", directory) > 0);
    CHECK(snprintf(lock_path, sizeof lock_path, "%s.lock", path) > 0);
}

static void only_the_lock_is_left(void)
{
    struct stat status;
    CHECK(entries_of(directory) == 1);
    CHECK(lstat(lock_path, &status) == 0);
    CHECK(S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0600 &&
          status.st_size == 0);
}

/* Somebody answers at path, and it is this listener. */
static void serves(ipcf_listener *listener)
{
    ipcf_stream client, server;
    char byte;
    size_t got, put;
    CHECK_OK(ipcf_stream_connect(path, true, &client, NULL));
    wait_until_ready(ipcf_listener_arm(listener));
    CHECK_OK(ipcf_listener_try_accept(listener, true, &server, NULL));
    ipcf_piece piece = {"!", 1};
    CHECK_OK(ipcf_stream_try_write(&server, &piece, 1, &put, NULL));
    wait_until_ready(ipcf_stream_arm_read(&client));
    CHECK_OK(ipcf_stream_try_read(&client, &byte, 1, &got, NULL));
    CHECK(byte == '!');
    ipcf_stream_close(&client);
    ipcf_stream_close(&server);
}

static void a_name_is_bound_used_and_given_back(void)
{
    size_t before = open_descriptors();
    for (int i = 0; i < 3; ++i) {
        ipcf_listener listener;
        struct stat status;
        CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
        CHECK(entries_of(directory) == 2);
        CHECK(lstat(path, &status) == 0);
        CHECK(S_ISSOCK(status.st_mode) && (status.st_mode & 07777) == 0600);
        CHECK(strcmp(listener.path, path) == 0);
        CHECK((fcntl((int)listener.handle, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((fcntl((int)listener.lock, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((fcntl((int)listener.spare, F_GETFD) & FD_CLOEXEC) != 0);
        serves(&listener);
        ipcf_listener_close(&listener);
        CHECK(listener.handle == IPCF_NO_HANDLE && listener.path == NULL);
        ipcf_listener_close(&listener);
        only_the_lock_is_left();
        CHECK(open_descriptors() == before);
    }
}

static void the_mode_does_not_depend_on_the_umask(void)
{
    const mode_t masks[] = {0, 0777, 0177};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; ++i) {
        ipcf_listener listener;
        struct stat status;
        mode_t before = umask(masks[i]);
        ipcf_status opened = ipcf_listener_open(path, 8, &listener, NULL);
        CHECK(umask(before) == masks[i]); /* and it was left alone */
        CHECK_OK(opened);
        CHECK(lstat(path, &status) == 0 && (status.st_mode & 07777) == 0600);
        serves(&listener);
        ipcf_listener_close(&listener);
        only_the_lock_is_left();
    }
}

static void expect_in_use(void)
{
    ipcf_listener second;
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_listener_open(path, 8, &second, &error), IPCF_ADDRESS_IN_USE);
    CHECK(error.what != NULL);
    CHECK(second.handle == IPCF_NO_HANDLE && second.lock == IPCF_NO_HANDLE);
    CHECK(second.spare == IPCF_NO_HANDLE && second.path == NULL);
}

static void open_second(void *argument)
{
    (void)argument;
    expect_in_use();
}

static void a_live_name_is_never_displaced(void)
{
    ipcf_listener listener;
    struct stat first, later;
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    CHECK(lstat(path, &first) == 0);
    size_t before = open_descriptors();
    expect_in_use();
    CHECK(open_descriptors() == before);
    run_process(open_second, NULL);
    CHECK(lstat(path, &later) == 0 && later.st_ino == first.st_ino);
    CHECK(entries_of(directory) == 2);
    serves(&listener);
    ipcf_listener_close(&listener);
    only_the_lock_is_left();
}

/* A server that knows nothing of our lock files, alive, dead, and too busy to answer. */
static void foreign_servers_are_probed(void)
{
    ipcf_listener listener;
    int server = listen_at(path, SOCK_STREAM, 1);
    expect_in_use();
    int probed = accept(server, NULL, NULL); /* what the probe left behind */
    CHECK(probed >= 0 && close(probed) == 0);
    int clients[2] = {connect_plainly(path), connect_plainly(path)};
    expect_in_use(); /* its backlog is full */
    CHECK(close(clients[0]) == 0 && close(clients[1]) == 0 && close(server) == 0);
    CHECK(entries_of(directory) == 2);
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    serves(&listener);
    ipcf_listener_close(&listener);
    int datagram = listen_at(path, SOCK_DGRAM, 0);
    expect_in_use();
    CHECK(close(datagram) == 0);
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    ipcf_listener_close(&listener);
    only_the_lock_is_left();
}

/* ---- a server that does not know the lock, and comes in the middle ---------------- */

static const char *stranger_step;
static char stranger_path[160];
static int stranger;

static void come_at_step(const char *step)
{
    if (strcmp(step, stranger_step) == 0)
        stranger = listen_at(stranger_path, SOCK_STREAM, 1);
}

/* It listens at stranger_path from this step on; it still does so afterwards, under the
 * same name, and we have nothing. */
static void stranger_keeps_its_name(const char *step)
{
    struct stat after;
    stranger_step = step;
    stranger = -1;
    ipcf_test_on_step(come_at_step);
    expect_in_use();
    ipcf_test_on_step(NULL);
    CHECK(stranger >= 0);
    CHECK(entries_of(directory) == 2);
    CHECK(lstat(stranger_path, &after) == 0 && S_ISSOCK(after.st_mode));
    CHECK(close(connect_plainly(stranger_path)) == 0);
    CHECK(close(stranger) == 0 && unlink(stranger_path) == 0);
    only_the_lock_is_left();
}

static void a_server_that_comes_while_we_look_keeps_the_name(void)
{
    memcpy(stranger_path, path, sizeof path);
    stranger_keeps_its_name("listener probed");
    stranger_keeps_its_name("listener bound");
    stranger_keeps_its_name("listener listens");
}

static void whoever_takes_the_temporary_name_keeps_it(void)
{
    struct stat lock;
    CHECK(lstat(lock_path, &lock) == 0);
    CHECK(snprintf(stranger_path, sizeof stranger_path, "%s/~%llx", directory,
                   (unsigned long long)lock.st_ino) > 0);
    stranger_keeps_its_name("listener cleared");
}

static void without_hard_links_the_name_is_taken_all_the_same(void)
{
    const int refusals[] = {EPERM, EOPNOTSUPP};
    for (size_t i = 0; i < 2; ++i) {
        ipcf_listener listener;
        ipcf_test_fail_at("link", 1, refusals[i]);
        CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
        CHECK(entries_of(directory) == 2);
        serves(&listener);
        ipcf_listener_close(&listener);
        only_the_lock_is_left();
    }
}

/* The lock file was cleaned away (by a job that empties /tmp): the probe still keeps
 * the name. */
static void a_lost_lock_file_does_not_lose_the_name(void)
{
    ipcf_listener listener;
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    CHECK(unlink(lock_path) == 0);
    expect_in_use();
    CHECK_STATUS(ipcf_listener_try_accept(&listener, true, &(ipcf_stream){0}, NULL),
                 IPCF_AGAIN);
    serves(&listener);
    ipcf_listener_close(&listener);
    only_the_lock_is_left(); /* the one that the second made */
}

static void only_our_own_socket_is_unlinked(void)
{
    ipcf_listener listener;
    struct stat before, after;
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    CHECK(unlink(path) == 0);
    int server = listen_at(path, SOCK_STREAM, 1); /* somebody else has it now */
    CHECK(lstat(path, &before) == 0);
    ipcf_listener_close(&listener);
    CHECK(lstat(path, &after) == 0 && after.st_ino == before.st_ino);
    CHECK(close(connect_plainly(path)) == 0);
    CHECK(close(server) == 0 && unlink(path) == 0);
    only_the_lock_is_left();
}

/* ---- death at every step --------------------------------------------------------- */

static const char *last_step;
static int steps_seen;

static void die_at_last_step(const char *step)
{
    if (strcmp(step, last_step) == 0)
        (void)kill(getpid(), SIGKILL);
}

static void open_serve_close(void *argument)
{
    ipcf_listener listener;
    last_step = argument;
    ipcf_test_on_step(die_at_last_step);
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    ipcf_listener_close(&listener);
}

static const char *const steps[] = {
    "listener locked", "listener probed",   "listener cleared",
    "listener bound",  "listener listens",  "listener linked",
    "listener named",  "listener unlinked", "listener closed"};
#define STEPS (sizeof steps / sizeof steps[0])

static void die_at(const char *step)
{
    char name[32];
    CHECK(snprintf(name, sizeof name, "%s", step) > 0);
    int ending = end_of_process(start_process(open_serve_close, name));
    CHECK(WIFSIGNALED(ending) && WTERMSIG(ending) == SIGKILL);
}

static void the_next_owner_takes_over(void)
{
    ipcf_listener listener;
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    CHECK(entries_of(directory) == 2);
    serves(&listener);
    ipcf_listener_close(&listener);
    only_the_lock_is_left();
}

static void count_step(const char *step)
{
    CHECK((size_t)steps_seen < STEPS && strcmp(steps[steps_seen], step) == 0);
    ++steps_seen;
}

static void the_steps_are_all_there(void)
{
    ipcf_listener listener;
    steps_seen = 0;
    ipcf_test_on_step(count_step);
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    ipcf_listener_close(&listener);
    ipcf_test_on_step(NULL);
    CHECK((size_t)steps_seen == STEPS);
}

static void a_death_at_any_step_leaves_a_name_that_binds_again(void)
{
    for (size_t i = 0; i < STEPS; ++i) {
        die_at(steps[i]);
        the_next_owner_takes_over();
        /* on top of a socket that another dead owner has left under the name itself */
        die_at("listener named");
        if (strcmp(steps[i], "listener linked") != 0) /* it is renamed over, then */
            die_at(steps[i]);
        the_next_owner_takes_over();
    }
}

static void a_death_before_chmod_is_cleared_by_anybody(void *argument)
{
    (void)argument;
    if (geteuid() == 0)
        CHECK(become_nobody());
    (void)umask(0777);
    die_at("listener bound"); /* its temporary name has no permissions at all */
    (void)umask(0077);
    the_next_owner_takes_over();
}

static void a_temporary_name_without_permissions_is_cleared(void)
{
    char kept[sizeof directory];
    memcpy(kept, directory, sizeof kept);
    CHECK(unlink(lock_path) == 0);
    CHECK(geteuid() != 0 || chown(directory, 65534, 65534) == 0);
    run_process(a_death_before_chmod_is_cleared_by_anybody, NULL);
    CHECK(geteuid() != 0 || chown(directory, 0, 0) == 0);
    CHECK(unlink(lock_path) == 0);
    the_next_owner_takes_over();
}

/* ---- fork ------------------------------------------------------------------------ */

typedef struct heir {
    ipcf_listener listener;
    int go[2];
} heir;

static void abandon_it(void *argument)
{
    heir *self = argument;
    size_t before = open_descriptors();
    ipcf_listener_abandon(&self->listener);
    CHECK(open_descriptors() == before - 3);
    CHECK(self->listener.handle == IPCF_NO_HANDLE && self->listener.path == NULL);
    ipcf_listener_abandon(&self->listener);
    ipcf_listener_close(&self->listener);
}

static void abandoning_in_a_child_takes_nothing_from_the_parent(void)
{
    heir self;
    CHECK_OK(ipcf_listener_open(path, 8, &self.listener, NULL));
    run_process(abandon_it, &self);
    run_process(open_second, NULL); /* the lock is still held */
    serves(&self.listener);
    ipcf_listener_close(&self.listener);
    only_the_lock_is_left();
}

static void hold_until_told(void *argument)
{
    heir *self = argument;
    hear(self->go[0]);
}

static void closing_frees_the_name_though_a_child_has_the_descriptors(void)
{
    heir self;
    CHECK(pipe(self.go) == 0);
    CHECK_OK(ipcf_listener_open(path, 8, &self.listener, NULL));
    pid_t process = start_process(hold_until_told, &self);
    ipcf_listener_close(&self.listener);
    the_next_owner_takes_over();
    tell(self.go[1]);
    finish_process(process);
    CHECK(close(self.go[0]) == 0 && close(self.go[1]) == 0);
}

/* ---- races ----------------------------------------------------------------------- */

#define RIVALS 6
#define TURNS 150

static void contend(void *argument)
{
    const int *held =
        argument; /* a pipe that holds one byte: whoever has the name has the byte */
    for (int turns = 0; turns < TURNS;) {
        ipcf_listener listener;
        ipcf_status status = ipcf_listener_open(path, 8, &listener, NULL);
        if (status != IPCF_OK) {
            CHECK_STATUS(status, IPCF_ADDRESS_IN_USE);
            ipcf_thread_yield();
            continue;
        }
        char byte;
        CHECK(read(held[0], &byte, 1) ==
              1); /* non-blocking: fails if another has the name too */
        serves(&listener);
        CHECK(write(held[1], &byte, 1) == 1);
        ipcf_listener_close(&listener);
        ++turns;
    }
}

static void rivals_never_own_it_together(void)
{
    int held[2];
    pid_t processes[RIVALS];
    CHECK(pipe2(held, O_NONBLOCK) == 0);
    tell(held[1]);
    for (int i = 0; i < RIVALS; ++i)
        processes[i] = start_process(contend, held);
    for (int i = 0; i < RIVALS; ++i)
        finish_process(processes[i]);
    CHECK(close(held[0]) == 0 && close(held[1]) == 0);
    only_the_lock_is_left();
}

int main(void)
{
    size_t before = open_descriptors();
    open_directory();
    RUN(a_name_is_bound_used_and_given_back);
    RUN(the_mode_does_not_depend_on_the_umask);
    RUN(a_live_name_is_never_displaced);
    RUN(foreign_servers_are_probed);
    RUN(a_server_that_comes_while_we_look_keeps_the_name);
    RUN(whoever_takes_the_temporary_name_keeps_it);
    RUN(without_hard_links_the_name_is_taken_all_the_same);
    RUN(a_lost_lock_file_does_not_lose_the_name);
    RUN(only_our_own_socket_is_unlinked);
    RUN(the_steps_are_all_there);
    RUN(a_death_at_any_step_leaves_a_name_that_binds_again);
    RUN(a_temporary_name_without_permissions_is_cleared);
    RUN(abandoning_in_a_child_takes_nothing_from_the_parent);
    RUN(closing_frees_the_name_though_a_child_has_the_descriptors);
    RUN(rivals_never_own_it_together);
    remove_directory(directory);
    CHECK(open_descriptors() == before);
    return 0;
}
