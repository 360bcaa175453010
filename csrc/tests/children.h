/* SPDX-License-Identifier: MIT
 * Children for the tests of processes: made from options, read from, waited for.
 *
 * A test program starts itself: with a role as its first argument it is the child. Who
 * still lives is told by a pipe whose other end all of a tree hold: it ends with the
 * last of them.
 */
#ifndef IPCF_TESTS_CHILDREN_H
#define IPCF_TESTS_CHILDREN_H

#include <sys/socket.h>

#include "ipcf/process.h"
#include "ipcf/stream.h"
#include "tests/processes.h"

static const char *const self[] = {"/proc/self/exe", NULL};

/* A child in the making: options to be changed before `start`, and its standard output. */
typedef struct made {
    ipcf_process_options options;
    ipcf_process process;
    int output;
} made;

static inline ipcf_status try_start(made *child, ipcf_error *error)
{
    int ends[2] = {-1, -1};
    if (child->options.standard[1].kind == IPCF_STANDARD_INHERIT) {
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        child->options.standard[1] =
            (ipcf_standard){.kind = IPCF_STANDARD_GIVEN, .handle = ends[1]};
    }
    ipcf_status status = ipcf_process_start(&child->options, &child->process, error);
    if (ends[1] >= 0)
        CHECK(close(ends[1]) == 0);
    child->output = ends[0];
    return status;
}

static inline void start(made *child)
{
    ipcf_error error = {0};
    ipcf_status status = try_start(child, &error);
    if (status != IPCF_OK)
        fprintf(stderr, "%s: %s\n", error.what, strerror(error.os_error));
    CHECK_OK(status);
}

static inline made child_of(const char *const *programs, const char *const *arguments)
{
    return (made){.options = {.programs = programs,
                              .arguments = arguments,
                              .new_session = true,
                              .dies_with_parent = true},
                  .process = IPCF_PROCESS_NONE,
                  .output = -1};
}

/* Until everybody who holds the other end has closed it. */
static inline size_t read_to_end(int handle, char *text, size_t room)
{
    size_t got = 0;
    for (;;) {
        wait_until_ready(handle);
        ssize_t more = read(handle, text + got, room - 1 - got);
        CHECK(more >= 0);
        got += (size_t)more;
        CHECK(got < room - 1);
        if (more == 0)
            break;
    }
    text[got] = '\0';
    return got;
}

static inline int32_t end_of(ipcf_process *process)
{
    CHECK_OK(ipcf_process_await(process, hang_bound(), NULL));
    CHECK_OK(ipcf_process_collect(process, NULL));
    CHECK_OK(ipcf_process_collect(process, NULL)); /* again */
    ipcf_process_close(process);
    ipcf_process_close(process);
    return process->exit_code;
}

static inline int32_t finish(made *child, char *text, size_t room)
{
    (void)read_to_end(child->output, text, room);
    CHECK(close(child->output) == 0);
    return end_of(&child->process);
}

static const char *const shell[] = {"/nowhere/sh", "/dev/null/sh", "/bin/sh", NULL};

/* Stay, whatever happens but SIGKILL; say that it is there. */
static inline void stay(void)
{
    alarm(100); /* should the test fail while this one waits for it */
    CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
    CHECK(write(1, ".", 1) == 1);
    for (;;)
        pause();
}

static inline made start_staying(void)
{
    static const char *const arguments[] = {"stay", "stay", NULL};
    made child = child_of(self, arguments);
    start(&child);
    hear(child.output);
    return child;
}

/* Somebody who is no child of ours, in a session of its own; `leads`: as its leader, else
 * its leader has ended. Answers on the line. Returns the number of the session. */
static inline pid_t start_stranger(int *line, bool leads)
{
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    fflush(NULL);
    pid_t between = fork();
    if (between == 0) {
        CHECK(leads || setsid() > 0);
        if (fork() != 0)
            _exit(0);
        alarm(100);
        CHECK(!leads || setsid() > 0);
        CHECK(close(ends[0]) == 0);
        pid_t session = getsid(0);
        CHECK(write(ends[1], &session, sizeof session) == sizeof session);
        char byte;
        while (read(ends[1], &byte, 1) == 1)
            CHECK(write(ends[1], &byte, 1) == 1);
        _exit(0);
    }
    CHECK(close(ends[1]) == 0);
    pid_t session;
    CHECK(read(ends[0], &session, sizeof session) == sizeof session);
    CHECK(waitpid(between, NULL, 0) == between);
    *line = ends[0];
    return session;
}

static inline void check_that_it_lives(int line)
{
    tell(line);
    wait_until_ready(line);
    hear(line);
}

static inline int32_t kill_and_wait(made *child)
{
    char text[10];
    CHECK_OK(ipcf_process_signal(&child->process, SIGKILL, NULL));
    return finish(child, text, sizeof text);
}

#endif
