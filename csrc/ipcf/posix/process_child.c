/* SPDX-License-Identifier: MIT
 * What a child does between fork and exec: session, signals, descriptors, directory,
 * program. It may run in its parent's memory, so it only makes system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ipcf/posix/process_system.h"

static _Noreturn void fail(const ipcf_child_plan *plan, ipcf_child_step step)
{
    ipcf_child_report report = {.os_error = errno, .step = (int32_t)step};
    /* a few bytes into an empty pipe that nobody else writes to: all or nothing */
    ssize_t put = write(plan->report, &report, sizeof report);
    (void)put;
    _exit(127);
}

/* The parent's handlers would run in its memory. What it ignores stays ignored, as after
 * any fork and exec, but for what Python ignores for its own sake, and SIGCHLD, without
 * which the child would learn nothing of its own children's ends. */
static void reset_signals(void)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_DFL)
            continue;
        if (action.sa_handler != SIG_IGN || number == SIGPIPE || number == SIGXFSZ ||
            number == SIGCHLD)
            (void)sigaction(number, &by_default, NULL);
    }
}

static void unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void let_inherit(const ipcf_child_plan *plan, int handle, ipcf_child_step step)
{
    if (fcntl(handle, F_SETFD, 0) != 0)
        fail(plan, step);
}

/* Put the standard handles in place. One that lies where another one goes is moved out
 * of the way first. */
static void place_standard(const ipcf_child_plan *plan)
{
    int sources[3];
    for (int i = 0; i < 3; ++i) {
        sources[i] = plan->standard[i];
        if (sources[i] >= 0 && sources[i] < 3 && sources[i] != i)
            sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, 3);
        if (plan->standard[i] >= 0 && sources[i] < 0)
            fail(plan, IPCF_CHILD_STANDARD);
    }
    for (int i = 0; i < 3; ++i) {
        if (sources[i] == i)
            let_inherit(plan, i, IPCF_CHILD_STANDARD);
        else if (sources[i] >= 0 && dup2(sources[i], i) < 0)
            fail(plan, IPCF_CHILD_STANDARD);
    }
}

/* Keep what is to be inherited, and the report until exec. */
static void close_others(const ipcf_child_plan *plan)
{
    int first = 3;
    for (size_t i = 0; i < plan->kept_count; ++i) {
        int kept = plan->kept[i];
        if (kept != plan->report)
            let_inherit(plan, kept, IPCF_CHILD_INHERITED);
        if (kept > first)
            ipcf_child_close_range(first, kept - 1);
        first = kept + 1;
    }
    ipcf_child_close_range(first, -1);
}

/* As a shell looks through PATH: go on where there is nothing, remember what else went
 * wrong. */
static void execute(const ipcf_child_plan *plan)
{
    const ipcf_process_options *options = plan->options;
    int first_error = 0;
    for (const char *const *program = options->programs; *program != NULL; ++program) {
        /* execve's arguments are not const, and it does not write */
        union {
            const char *const *given;
            char *const *taken;
        } arguments = {.given = options->arguments};
        (void)execve(*program, arguments.taken, plan->environment);
        if (first_error == 0 && errno != ENOENT && errno != ENOTDIR)
            first_error = errno;
    }
    if (first_error != 0)
        errno = first_error;
}

/* Whether the parent ended before it could take this process along. It is 0 to a child
 * in a namespace of its own, as after the parent's unshare(CLONE_NEWPID). */
static bool is_orphan(const ipcf_child_plan *plan)
{
    pid_t parent = IPCF_TEST_FAILS("getppid") ? (pid_t)errno : getppid();
    return parent != plan->parent && parent != 0;
}

_Noreturn void ipcf_child_run(const ipcf_child_plan *plan)
{
    const ipcf_process_options *options = plan->options;
    if (options->dies_with_parent) {
        ipcf_child_die_with_parent();
        if (is_orphan(plan))
            _exit(127);
    }
    if (options->new_session && setsid() < 0)
        fail(plan, IPCF_CHILD_SESSION);
    reset_signals();
    place_standard(plan);
    close_others(plan);
    if (options->directory != NULL && chdir(options->directory) != 0)
        fail(plan, IPCF_CHILD_CHDIR);
    unblock_signals();
    errno = ENOENT; /* an empty list of programs */
    execute(plan);
    fail(plan, IPCF_CHILD_EXEC);
}
