/* SPDX-License-Identifier: MIT
 * What a listener must not touch: other files, other users' files, links that lead
 * elsewhere; and paths that cannot be.
 */
#include "ipcf/stream.h"
#include "tests/processes.h"
#include "tests/sockets.h"

#define NOBODY 65534

static char directory[64], path[128], lock_path[160], target[128];

static void expect(ipcf_status due)
{
    ipcf_listener listener;
    ipcf_error error = {0};
    size_t before = open_descriptors();
    CHECK_STATUS(ipcf_listener_open(path, 8, &listener, &error), due);
    CHECK(error.what != NULL && error.what[0] != '\0');
    CHECK(listener.handle == IPCF_NO_HANDLE && listener.path == NULL);
    CHECK(open_descriptors() == before);
}

static void is_untouched(const char *name, const struct stat *before)
{
    struct stat after;
    CHECK(lstat(name, &after) == 0);
    CHECK(after.st_ino == before->st_ino && after.st_mode == before->st_mode);
    CHECK(after.st_uid == before->st_uid && after.st_size == before->st_size);
}

/* It stands at name; nobody gets the address, and it stays as it was. */
static void refuse_beside(const char *name, ipcf_status due)
{
    struct stat before;
    CHECK(lstat(name, &before) == 0);
    expect(due);
    is_untouched(name, &before);
    CHECK((S_ISDIR(before.st_mode) ? rmdir(name) : unlink(name)) == 0);
    (void)unlink(lock_path);
    CHECK(entries_of(directory) == 0);
}

static void make_file(const char *name)
{
    int handle = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(handle >= 0 && write(handle, "precious", 8) == 8 && close(handle) == 0);
}

static void things_that_are_no_socket_are_left_alone(void)
{
    make_file(path);
    refuse_beside(path, IPCF_ADDRESS_IN_USE);
    CHECK(mkdir(path, 0700) == 0);
    refuse_beside(path, IPCF_ADDRESS_IN_USE);
    CHECK(mkfifo(path, 0600) == 0);
    refuse_beside(path, IPCF_ADDRESS_IN_USE);
    CHECK(symlink(target, path) == 0); /* leads nowhere */
    refuse_beside(path, IPCF_ADDRESS_IN_USE);
}

static void a_link_to_a_socket_is_no_socket(void)
{
    char elsewhere[64], stale[96];
    make_directory(elsewhere, sizeof elsewhere);
    CHECK(snprintf(stale, sizeof stale, "%s/stale", elsewhere) > 0);
    CHECK(close(listen_at(stale, SOCK_STREAM, 1)) == 0);
    CHECK(symlink(stale, path) == 0);
    refuse_beside(path, IPCF_ADDRESS_IN_USE);
    CHECK(entries_of(elsewhere) == 1);
    remove_directory(elsewhere);
}

static void things_that_are_no_lock_file_are_left_alone(void)
{
    CHECK(mkdir(lock_path, 0700) == 0);
    refuse_beside(lock_path, IPCF_ADDRESS_IN_USE);
    CHECK(mkfifo(lock_path, 0600) == 0);
    refuse_beside(lock_path, IPCF_ADDRESS_IN_USE);
    CHECK(close(listen_at(lock_path, SOCK_STREAM, 1)) == 0);
    refuse_beside(lock_path, IPCF_ADDRESS_IN_USE);
    CHECK(symlink(target, lock_path) == 0);
    refuse_beside(lock_path, IPCF_ADDRESS_IN_USE);
    CHECK(access(target, F_OK) != 0); /* the link was not followed to make a file */
}

static void a_stranger_under_the_temporary_name_is_left_alone(void)
{
    char temporary[128];
    struct stat lock, before;
    ipcf_listener listener;
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
    ipcf_listener_close(&listener);
    CHECK(lstat(lock_path, &lock) == 0);
    CHECK(snprintf(temporary, sizeof temporary, "%s/~%llx", directory,
                   (unsigned long long)lock.st_ino) > 0);
    make_file(temporary);
    CHECK(lstat(temporary, &before) == 0);
    expect(IPCF_ADDRESS_IN_USE);
    is_untouched(temporary, &before);
    CHECK(unlink(temporary) == 0);
    int server = listen_at(temporary, SOCK_STREAM, 1);
    expect(IPCF_ADDRESS_IN_USE);
    CHECK(close(connect_plainly(temporary)) == 0 && close(server) == 0);
    CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL)); /* dead: cleared away */
    ipcf_listener_close(&listener);
    CHECK(entries_of(directory) == 1 && unlink(lock_path) == 0);
}

/* ---- other users ----------------------------------------------------------------- */

static void files_of_another_user_are_left_alone(void)
{
    CHECK(close(listen_at(path, SOCK_STREAM, 1)) == 0);
    CHECK(chown(path, NOBODY, NOBODY) == 0);
    refuse_beside(path, IPCF_PERMISSION_DENIED);
    int handle = open(lock_path, O_RDWR | O_CREAT | O_EXCL, 0666);
    CHECK(handle >= 0 && fchown(handle, NOBODY, NOBODY) == 0 && close(handle) == 0);
    refuse_beside(lock_path, IPCF_PERMISSION_DENIED);
}

static void attack_as_nobody(void *argument)
{
    (void)argument;
    (void)umask(0);
    CHECK(become_nobody());
    expect(IPCF_PERMISSION_DENIED);
    CHECK(unlink(path) != 0 && unlink(lock_path) != 0 && rename(path, target) != 0);
    ipcf_stream stream;
    CHECK_STATUS(ipcf_stream_connect(path, false, &stream, NULL),
                 IPCF_PERMISSION_DENIED);
}

static void another_user_takes_no_name_of_ours(void)
{
    const mode_t modes[] = {0755, 01777}; /* ours to write; everybody's, like /tmp */
    for (size_t i = 0; i < 2; ++i) {
        ipcf_listener listener;
        CHECK(chmod(directory, modes[i]) == 0);
        CHECK_OK(ipcf_listener_open(path, 8, &listener, NULL));
        run_process(attack_as_nobody, NULL);
        int client = connect_plainly(path);
        CHECK(client >= 0 && close(client) == 0);
        ipcf_listener_close(&listener);
        CHECK(entries_of(directory) == 1 && unlink(lock_path) == 0);
    }
    CHECK(chmod(directory, 0700) == 0);
}

/* Not root: what can be tried is a directory in which we may not write. */
static void a_directory_without_permission_is_told(void)
{
    CHECK(chmod(directory, 0500) == 0);
    expect(IPCF_PERMISSION_DENIED);
    CHECK(chmod(directory, 0700) == 0);
}

static void without_permission_as_nobody(void *argument)
{
    (void)argument;
    CHECK(become_nobody());
    expect(IPCF_PERMISSION_DENIED);
}

static void another_user_is_refused_in_our_directory(void)
{
    CHECK(chmod(directory, 0755) == 0);
    run_process(without_permission_as_nobody, NULL);
    CHECK(chmod(directory, 0700) == 0);
    CHECK(entries_of(directory) == 0);
}

/* ---- paths ----------------------------------------------------------------------- */

static void paths_that_cannot_be_are_invalid(void)
{
    ipcf_listener listener;
    ipcf_error error = {0};
    char kept[sizeof path], tilde[128], longer[400];
    memcpy(kept, path, sizeof path);
    CHECK_STATUS(ipcf_listener_open("", 8, &listener, &error), IPCF_INVALID);
    CHECK(snprintf(tilde, sizeof tilde, "%s/~name", directory) > 0);
    CHECK_STATUS(ipcf_listener_open(tilde, 8, &listener, &error), IPCF_INVALID);
    memset(longer, 'x', sizeof longer);
    memcpy(longer, directory, strlen(directory));
    longer[strlen(directory)] = '/';
    longer[108] = '\0';
    CHECK_STATUS(ipcf_listener_open(longer, 8, &listener, &error), IPCF_INVALID);
    CHECK(error.expected == 107 && error.found == 108);
    CHECK(snprintf(path, sizeof path, "%s/absent/name", directory) > 0);
    expect(IPCF_OS_ERROR);
    memcpy(path, kept, sizeof path);
}

static void the_longest_path_works(void)
{
    ipcf_listener listener;
    char longest[128];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, directory, strlen(directory));
    longest[strlen(directory)] = '/';
    longest[107] = '\0';
    CHECK_OK(ipcf_listener_open(longest, 8, &listener, NULL));
    CHECK(close(connect_plainly(longest)) == 0);
    ipcf_listener_close(&listener);
    CHECK(entries_of(directory) == 1);
    remove_directory(directory);
    CHECK(mkdir(directory, 0700) == 0);
}

static void no_room_for_the_temporary_name_is_invalid(void)
{
    ipcf_listener listener;
    char deep[128], name[128];
    memset(deep, 'd', sizeof deep);
    memcpy(deep, directory, strlen(directory));
    deep[strlen(directory)] = '/';
    deep[105] = '\0';
    CHECK(mkdir(deep, 0700) == 0);
    CHECK((size_t)snprintf(name, sizeof name, "%s/n", deep) == 107);
    CHECK_STATUS(ipcf_listener_open(name, 8, &listener, NULL), IPCF_INVALID);
    remove_directory(deep);
}

static void listen_relatively(void *argument)
{
    ipcf_listener listener;
    (void)argument;
    CHECK(chdir(directory) == 0);
    CHECK_OK(ipcf_listener_open("relative", 8, &listener, NULL));
    CHECK(close(connect_plainly(listener.path)) == 0);
    CHECK(entries_of(directory) == 2);
    ipcf_listener_close(&listener);
    CHECK(unlink("relative.lock") == 0);
}

static void a_relative_path_works(void)
{
    run_process(listen_relatively, NULL);
    CHECK(entries_of(directory) == 0);
}

static void without_descriptors_there_is_an_error_and_nothing_is_left(void)
{
    ipcf_listener listener;
    rlim_t more = 0;
    for (ipcf_status status = IPCF_OS_ERROR; status != IPCF_OK; ++more) {
        ipcf_error error = {0};
        CHECK(close(listen_at(path, SOCK_STREAM, 1)) ==
              0); /* stale, so that probing needs one too */
        rlim_t before = limit_descriptors(more);
        status = ipcf_listener_open(path, 8, &listener, &error);
        allow_descriptors(before);
        if (status != IPCF_OK) {
            CHECK_STATUS(status, IPCF_OS_ERROR);
            CHECK(error.os_error == EMFILE);
            CHECK(unlink(path) == 0); /* the stale one is still there */
            CHECK(entries_of(directory) <= 1);
        }
    }
    CHECK(more == 4); /* lock, spare, socket; it worked with three */
    ipcf_listener_close(&listener);
    CHECK(entries_of(directory) == 1 && unlink(lock_path) == 0);
}

int main(void)
{
    size_t before = open_descriptors();
    make_directory(directory, sizeof directory);
    CHECK(snprintf(path, sizeof path, "%s/name", directory) > 0);
    CHECK(snprintf(lock_path, sizeof lock_path, "%s.lock", path) > 0);
    CHECK(snprintf(target, sizeof target, "%s/target", directory) > 0);
    RUN(things_that_are_no_socket_are_left_alone);
    RUN(a_link_to_a_socket_is_no_socket);
    RUN(things_that_are_no_lock_file_are_left_alone);
    RUN(a_stranger_under_the_temporary_name_is_left_alone);
    if (geteuid() == 0) {
        RUN(files_of_another_user_are_left_alone);
        RUN(another_user_takes_no_name_of_ours);
        RUN(another_user_is_refused_in_our_directory);
    } else {
        printf("  (not root: cannot be two users; a directory without permission "
               "stands in)\n");
        RUN(a_directory_without_permission_is_told);
    }
    RUN(paths_that_cannot_be_are_invalid);
    RUN(the_longest_path_works);
    RUN(no_room_for_the_temporary_name_is_invalid);
    RUN(a_relative_path_works);
    RUN(without_descriptors_there_is_an_error_and_nothing_is_left);
    remove_directory(directory);
    CHECK(open_descriptors() == before);
    return 0;
}
