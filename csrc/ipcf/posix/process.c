/* SPDX-License-Identifier: MIT
 * Child processes on POSIX: starting, waiting, signals. The child's own part is in
 * process_child.c, the tree in process_tree.c, what differs between systems in
 * process_linux.c and process_macos.c.
 */
#include "ipcf/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/process_system.h"
#include "ipcf/wait.h"
#include IPCF_SYSTEM_HEADER

extern char **environ;

/* Between two looks at a child that the system gives no handle for. */
#define NAP_FIRST_NS UINT64_C(500000)
#define NAP_LONGEST_NS UINT64_C(20000000)

/* ---- starting -------------------------------------------------------------------- */

/* The lowest numbers belong to the child's standard handles, also where this process
 * has closed its own. */
static int above_standard(int handle)
{
    if (handle < 0 || handle > 2)
        return handle;
    int moved = fcntl(handle, F_DUPFD_CLOEXEC, 3);
    int os_error = errno;
    (void)close(handle);
    errno = os_error;
    return moved;
}

static int open_null(void)
{
    if (IPCF_TEST_FAILS("open"))
        return -1;
    int handle;
    do
        handle = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (handle < 0 && errno == EINTR);
    return above_standard(handle);
}

/* Whether the child cannot take this standard handle for its own: it is closed, so that
 * the child's next descriptor would land there, or has been opened for other ends. */
static bool is_private(int handle)
{
    int flags = fcntl(handle, F_GETFD);
    return flags < 0 || (flags & FD_CLOEXEC) != 0;
}

static ipcf_status open_report(int ends[2], ipcf_error *error)
{
    if (IPCF_TEST_FAILS("pipe") || ipcf_os_pipe(ends) != 0)
        return ipcf_fail_os(error, "pipe");
    for (int i = 0; i < 2; ++i)
        ends[i] = above_standard(ends[i]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return IPCF_OK;
    ipcf_status status = ipcf_fail_os(error, "pipe");
    for (int i = 0; i < 2; ++i)
        if (ends[i] >= 0)
            (void)close(ends[i]);
    return status;
}

static int compare_handles(const void *one, const void *other)
{
    const int *left = one, *right = other;
    return (*left > *right) - (*left < *right);
}

static ipcf_status plan_handles(ipcf_child_plan *plan, ipcf_error *error)
{
    const ipcf_process_options *options = plan->options;
    if (options->inherited_count > IPCF_PROCESS_MAX_INHERITED)
        return ipcf_fail(error, IPCF_INVALID, "inherited handles",
                         IPCF_PROCESS_MAX_INHERITED, options->inherited_count);
    for (size_t i = 0; i < options->inherited_count; ++i) {
        if (options->inherited[i] < 3)
            return ipcf_fail(error, IPCF_INVALID, "an inherited handle", 3,
                             (uint64_t)options->inherited[i]);
        plan->kept[plan->kept_count++] = (int)options->inherited[i];
    }
    plan->kept[plan->kept_count++] = plan->report;
    qsort(plan->kept, plan->kept_count, sizeof *plan->kept, compare_handles);
    return IPCF_OK;
}

static ipcf_status plan_standard(ipcf_child_plan *plan, int *null, ipcf_error *error)
{
    for (int i = 0; i < 3; ++i) {
        const ipcf_standard *standard = &plan->options->standard[i];
        plan->standard[i] = -1;
        if (standard->kind == IPCF_STANDARD_GIVEN) {
            plan->standard[i] = (int)standard->handle;
        } else if (standard->kind == IPCF_STANDARD_NULL || is_private(i)) {
            if (*null < 0 && (*null = open_null()) < 0)
                return ipcf_fail_os(error, "the null device");
            plan->standard[i] = *null;
        }
    }
    return IPCF_OK;
}

/* True: the child has failed. is_final: it has come to its program or failed by now;
 * otherwise that shows when the pipe is closed or written to. */
static bool has_reported(int handle, bool is_final, ipcf_child_report *report)
{
    for (;;) {
        ssize_t got = read(handle, report, sizeof *report);
        if (got == (ssize_t)sizeof *report)
            return true;
        if (got >= 0)
            return false;
        if (errno == EAGAIN && is_final)
            return false; /* another thread has forked meanwhile and holds the pipe */
        ipcf_wait_item item = {.handle = handle};
        if (errno == EAGAIN)
            (void)!ipcf_wait(&item, 1, IPCF_NEVER, NULL);
        else if (errno != EINTR)
            return false;
    }
}

static ipcf_status explain(const ipcf_child_report *report, ipcf_error *error)
{
    static const char *const steps[] = {
        [IPCF_CHILD_EXEC] = "exec",
        [IPCF_CHILD_CHDIR] = "chdir",
        [IPCF_CHILD_SESSION] = "setsid",
        [IPCF_CHILD_STANDARD] = "standard handles",
        [IPCF_CHILD_INHERITED] = "inherited handles",
    };
    errno = report->os_error;
    return ipcf_fail_os(error, steps[report->step]);
}

static void wait_for_end(pid_t pid)
{
    int ending;
    while (waitpid(pid, &ending, 0) < 0 && errno == EINTR)
        continue;
}

/* With all signals blocked, so that no handler runs in the child. */
static ipcf_status launch(const ipcf_child_plan *plan, int reports,
                          ipcf_process *process, ipcf_error *error)
{
    sigset_t all, before;
    bool is_final;
    ipcf_child_report report;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = IPCF_TEST_FAILS("fork") ? -1 : ipcf_child_fork(plan, &is_final);
    int os_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(plan->report);
    errno = os_error;
    if (pid < 0)
        return ipcf_fail_os(error, "fork");
    if (has_reported(reports, is_final, &report)) {
        wait_for_end(pid);
        return explain(&report, error);
    }
    process->pid = pid;
    process->leads_session = plan->options->new_session;
    process->handle = ipcf_process_end_handle(pid);
    if (!ipcf_process_holds_number(process))
        ipcf_handle_close(&process->handle); /* it may be of whoever is called so now */
    return IPCF_OK;
}

ipcf_status ipcf_process_start(const ipcf_process_options *options,
                               ipcf_process *process, ipcf_error *error)
{
    /* the environment as it is, not a copy: the child only reads it */
    union {
        const char *const *given;
        char *const *taken;
    } environment = {.given = options->environment};
    ipcf_child_plan plan = {
        .options = options,
        .environment = environment.given != NULL ? environment.taken : environ,
        .parent = getpid(),
    };
    int report[2], null = -1;
    *process = IPCF_PROCESS_NONE;
    ipcf_status status = open_report(report, error);
    if (status != IPCF_OK)
        return status;
    IPCF_TEST_STEP("process report open");
    plan.report = report[1];
    status = plan_handles(&plan, error);
    if (status == IPCF_OK)
        status = plan_standard(&plan, &null, error);
    if (status == IPCF_OK)
        status = launch(&plan, report[0], process, error);
    else
        (void)close(report[1]);
    (void)close(report[0]);
    if (null >= 0)
        (void)close(null);
    return status;
}

/* ---- waiting and ending ---------------------------------------------------------- */

static void note_end(ipcf_process *process, int32_t exit_code)
{
    process->has_ended = true;
    process->exit_code = exit_code;
    process->ended = ipcf_process_now();
}

static ipcf_status note_unknown_end(ipcf_process *process)
{
    note_end(process, IPCF_EXIT_UNKNOWN);
    return IPCF_OK;
}

/* What the system says of the number without collecting anything: -1 and ECHILD when it
 * is not (any more) a child of ours. *has_ended: it can be collected. */
static int look_at(const ipcf_process *process, bool *has_ended)
{
    siginfo_t information = {.si_pid = 0};
    int result =
        waitid(P_PID, (id_t)process->pid, &information, WEXITED | WNOHANG | WNOWAIT);
    *has_ended = information.si_pid != 0;
    return result;
}

bool ipcf_process_holds_number(const ipcf_process *process)
{
    bool has_ended;
    if (process->pid < 0 || process->has_ended)
        return false;
    /* a handle knows it also where another child of ours has been given the number */
    if (ipcf_process_send(process->handle, process->pid, 0) != 0 && errno == ESRCH)
        return false;
    return look_at(process, &has_ended) == 0 || errno != ECHILD;
}

ipcf_status ipcf_process_collect(ipcf_process *process, ipcf_error *error)
{
    int ending;
    pid_t got;
    if (process->has_ended)
        return IPCF_OK;
    if (!ipcf_process_holds_number(process))
        return note_unknown_end(process);
    do
        got = waitpid((pid_t)process->pid, &ending, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return ipcf_fail(error, IPCF_AGAIN, "waitpid", 0, 0);
    if (got < 0)
        return errno == ECHILD ? note_unknown_end(process)
                               : ipcf_fail_os(error, "waitpid");
    note_end(process, WIFSIGNALED(ending) ? -WTERMSIG(ending) : WEXITSTATUS(ending));
    return IPCF_OK;
}

/* Whether it can be collected, or has been. */
static bool can_be_collected(const ipcf_process *process)
{
    bool has_ended;
    return !ipcf_process_holds_number(process) ||
           (look_at(process, &has_ended) == 0 && has_ended);
}

ipcf_status ipcf_process_await(const ipcf_process *process, uint64_t deadline_ns,
                               ipcf_error *error)
{
    ipcf_wait_item item = {.handle = process->handle};
    if (process->has_ended)
        return IPCF_OK;
    if (process->handle != IPCF_NO_HANDLE) {
        ipcf_status status = ipcf_wait(&item, 1, deadline_ns, error);
        if (status != IPCF_OK || can_be_collected(process))
            return status;
        /* whoever traces it learns of the end first, and hands it over then */
    }
    for (uint64_t nap = NAP_FIRST_NS;; nap = 2 * nap) {
        if (can_be_collected(process))
            return IPCF_OK;
        uint64_t until =
            ipcf_clock_ns() + (nap < NAP_LONGEST_NS ? nap : NAP_LONGEST_NS);
        bool is_last = until >= deadline_ns;
        ipcf_status status = ipcf_wait(NULL, 0, is_last ? deadline_ns : until, error);
        if (status != IPCF_TIMEOUT || is_last)
            return status == IPCF_TIMEOUT && can_be_collected(process) ? IPCF_OK
                                                                       : status;
    }
}

ipcf_status ipcf_process_watch(const ipcf_process *process, ipcf_handle *handle,
                               ipcf_error *error)
{
    *handle = IPCF_NO_HANDLE;
    if (process->handle == IPCF_NO_HANDLE)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "handles of processes", 0, 0);
    *handle = ipcf_process_end_handle_again(process->handle, process->pid);
    return *handle == IPCF_NO_HANDLE ? ipcf_fail_os(error, "a handle of the child")
                                     : IPCF_OK;
}

ipcf_status ipcf_process_signal(const ipcf_process *process, int number,
                                ipcf_error *error)
{
    if (!ipcf_process_holds_number(process) ||
        ipcf_process_send(process->handle, process->pid, number) == 0 || errno == ESRCH)
        return IPCF_OK;
    if (errno == EINVAL)
        return ipcf_fail(error, IPCF_INVALID, "number of the signal", NSIG - 1,
                         (uint64_t)number);
    return ipcf_fail_os(error, "kill");
}

void ipcf_process_close(ipcf_process *process) { ipcf_handle_close(&process->handle); }
