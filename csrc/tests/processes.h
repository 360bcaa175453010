/* SPDX-License-Identifier: MIT
 * What the tests of posix/ need beside CHECK: second processes, counts of descriptors,
 * and directories of their own.
 */
#ifndef IPCF_TESTS_PROCESSES_H
#define IPCF_TESTS_PROCESSES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipcf/clock.h"
#include "ipcf/wait.h"
#include "tests/check.h"

/* No wait of a test that works comes near it; one that does not ends here instead of
 * hanging. */
static inline uint64_t hang_bound(void) { return ipcf_deadline_in(20.0); }

/* Entries of a directory, other than . and .., whose names start so. */
static inline size_t entries_starting(const char *path, const char *start)
{
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strncmp(entry->d_name, start, strlen(start)) == 0;
    closedir(directory);
    return count;
}

static inline size_t entries_of(const char *path) { return entries_starting(path, ""); }

/* One more than are open (the one that looks), which is no matter for comparing. */
static inline size_t open_descriptors(void) { return entries_of("/proc/self/fd"); }

/* Run body in a second process; its end without a failed CHECK is exit status 0. */
static inline pid_t start_process(void (*body)(void *), void *argument)
{
    fflush(NULL);
    pid_t process = fork();
    CHECK(process >= 0);
    if (process != 0)
        return process;
    alarm(100); /* should the test fail while this one waits for it */
    body(argument);
    fflush(NULL);
    _exit(0);
}

/* How it ended, as waitpid says. */
static inline int end_of_process(pid_t process)
{
    int ending = 0;
    while (waitpid(process, &ending, 0) < 0)
        CHECK(errno == EINTR);
    return ending;
}

static inline void finish_process(pid_t process)
{
    int ending = end_of_process(process);
    CHECK(WIFEXITED(ending) && WEXITSTATUS(ending) == 0);
}

static inline void run_process(void (*body)(void *), void *argument)
{
    finish_process(start_process(body, argument));
}

/* Become somebody else. False where we are not root and cannot. */
static inline bool become_nobody(void)
{
    return geteuid() == 0 && setgid(65534) == 0 && setuid(65534) == 0;
}

static inline void wait_until_ready(ipcf_handle handle)
{
    ipcf_wait_item item = {.handle = handle, .for_writing = false, .is_ready = false};
    CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
    CHECK(item.is_ready);
}

static inline bool is_ready(ipcf_handle handle)
{
    ipcf_wait_item item = {.handle = handle, .for_writing = false, .is_ready = false};
    return ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL) == IPCF_OK;
}

/* One byte through a pipe: "I am there", "go on". */
static inline void tell(int handle) { CHECK(write(handle, "", 1) == 1); }

static inline void hear(int handle)
{
    char byte;
    CHECK(read(handle, &byte, 1) == 1);
}

static inline void make_directory(char *path, size_t room)
{
    CHECK((size_t)snprintf(path, room, "/tmp/ipcf-test-XXXXXX") < room);
    CHECK(mkdtemp(path) != NULL);
}

static inline void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            CHECK(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
    closedir(directory);
    CHECK(rmdir(path) == 0);
}

/* Let this process open only as many descriptors as it has, and `more`. Returns what to
 * give to allow_descriptors. */
static inline rlim_t limit_descriptors(rlim_t more)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    int next = dup(
        0); /* descriptors are given out from below, so this is the lowest that is free */
    CHECK(next >= 0 && close(next) == 0);
    limit.rlim_cur = (rlim_t)next + more;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return before;
}

static inline void allow_descriptors(rlim_t before)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = before;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

#endif
