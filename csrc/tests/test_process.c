/* SPDX-License-Identifier: MIT
 * Child processes: what they get, what cannot be started, how their end is told. Trees
 * of them are in test_process_tree.c.
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "tests/children.h"

/* ---- roles ----------------------------------------------------------------------- */

/* What is open, and what of the signals differs from a fresh start. */
static int tell_state(void)
{
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            printf("%s ", entry->d_name);
    closedir(directory);
    sigset_t blocked;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0);
    for (int number = 1; number < 32; ++number) {
        struct sigaction action;
        CHECK(sigaction(number, NULL, &action) == 0);
        if (sigismember(&blocked, number) == 1 || action.sa_handler == SIG_IGN)
            printf("signal %d ", number);
    }
    return 0;
}

static int run_role(const char *role)
{
    if (strcmp(role, "state") == 0)
        return tell_state();
    CHECK(strcmp(role, "stay") == 0);
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0,
                0); /* where Yama asks for it */
    stay();
    return 0;
}

/* ---- what a child gets ----------------------------------------------------------- */

static void program_arguments_environment_and_directory(void)
{
    const char *const arguments[] = {
        "sh", "-c",  "printf '%s|%s|%s|%s' \"$1\" \"$2\" \"$X\" \"$PWD\"; exit 7",
        "0",  "a b", "",
        NULL};
    const char *const environment[] = {"X=1=2", NULL};
    char text[100];
    made child = child_of(shell, arguments);
    child.options.environment = environment;
    child.options.directory = "/usr";
    start(&child);
    CHECK(finish(&child, text, sizeof text) == 7);
    CHECK(strcmp(text, "a b||1=2|/usr") == 0);
}

static bool is_blocked(int number)
{
    sigset_t blocked;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0);
    return sigismember(&blocked, number) == 1;
}

static void the_environment_is_ours_unless_given(void)
{
    CHECK(!is_blocked(SIGUSR1)); /* after a start, too */
    const char *const arguments[] = {"sh", "-c", "printf %s \"$IPCF_OURS\"", NULL};
    char text[100];
    CHECK(setenv("IPCF_OURS", "yes", 1) == 0);
    made child = child_of(shell, arguments);
    start(&child);
    CHECK(finish(&child, text, sizeof text) == 0 && strcmp(text, "yes") == 0);
    CHECK(unsetenv("IPCF_OURS") == 0);
}

static void standard_handles_cross_over(void)
{
    /* each of the child's comes from a number that another one goes to */
    const char *const arguments[] = {"sh", "-c", "cat; cat >&2; echo to 2 >&2", NULL};
    int first[2], second[2], kept[3];
    char text[100];
    fflush(NULL);
    for (int i = 0; i < 3; ++i)
        kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
    CHECK(pipe2(first, O_CLOEXEC) == 0 && pipe2(second, O_CLOEXEC) == 0);
    CHECK(write(first[1], "in", 2) == 2 && close(first[1]) == 0);
    CHECK(dup2(first[0], 2) == 2 && dup2(second[1], 0) == 0);
    made child = child_of(shell, arguments);
    child.options.standard[0] =
        (ipcf_standard){.kind = IPCF_STANDARD_GIVEN, .handle = 2};
    child.options.standard[1] =
        (ipcf_standard){.kind = IPCF_STANDARD_GIVEN, .handle = 0};
    child.options.standard[2] =
        (ipcf_standard){.kind = IPCF_STANDARD_GIVEN, .handle = 0};
    ipcf_status status = try_start(&child, NULL);
    for (int i = 0; i < 3; ++i)
        CHECK(dup2(kept[i], i) == i && close(kept[i]) == 0);
    CHECK_OK(status);
    CHECK(close(first[0]) == 0 && close(second[1]) == 0);
    child.output = second[0];
    CHECK(finish(&child, text, sizeof text) == 0);
    CHECK(strcmp(text, "into 2\n") == 0);
}

static void the_null_device_is_empty(void)
{
    const char *const arguments[] = {"sh", "-c", "cat; echo lost >&2", NULL};
    char text[100];
    made child = child_of(shell, arguments);
    child.options.standard[0].kind = IPCF_STANDARD_NULL;
    child.options.standard[2].kind = IPCF_STANDARD_NULL;
    start(&child);
    CHECK(finish(&child, text, sizeof text) == 0 && text[0] == '\0');
}

/* Also where the kernel cannot close a range. */
static void nothing_else_is_inherited(void)
{
    const char *const arguments[] = {"state", "state", NULL};
    for (unsigned nth = 0; nth < 2; ++nth) {
        int many[100];
        char text[300], due[100];
        for (size_t i = 0; i < 100; ++i)
            CHECK((many[i] = dup(0)) > 2); /* neither CLOEXEC nor anything */
        ipcf_handle inherited[] = {many[50], many[7]};
        made child = child_of(self, arguments);
        child.options.inherited = inherited;
        child.options.inherited_count = 2;
        struct sigaction before, ignore = {.sa_handler = SIG_IGN};
        sigset_t all, unblocked;
        CHECK(sigaction(SIGPIPE, &ignore, &before) == 0);
        CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR &&
              signal(SIGHUP, SIG_IGN) != SIG_ERR);
        sigfillset(&all);
        CHECK(sigprocmask(SIG_SETMASK, &all, &unblocked) == 0);
        if (nth != 0)
            ipcf_test_fail_at("close_range", nth, ENOSYS);
        start(&child);
        sigset_t after;
        CHECK(sigprocmask(SIG_SETMASK, &unblocked, &after) == 0);
        CHECK(sigismember(&after, SIGUSR1) == 1); /* ours is as it was */
        CHECK(sigaction(SIGPIPE, &before, NULL) == 0);
        CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR &&
              signal(SIGHUP, SIG_DFL) != SIG_ERR);
        CHECK(finish(&child, text, sizeof text) == 0);
        CHECK(snprintf(due, sizeof due, "0 1 2 %d %d signal %d ", many[7], many[50],
                       SIGHUP) > 0); /* which nohup wants to be kept */
        CHECK(strcmp(text, due) == 0);
        for (size_t i = 0; i < 100; ++i)
            CHECK(close(many[i]) == 0);
    }
    ipcf_test_fail_at(NULL, 0, 0);
}

/* Nor where the kernel cannot close a range, and nothing is left to open /proc with. */
static void nothing_else_is_inherited_without_a_list(void)
{
    const char *const arguments[] = {"state", "state", NULL};
    int many[20], output[2];
    char text[300];
    for (size_t i = 0; i < 20; ++i)
        CHECK((many[i] = dup(0)) > 2);
    CHECK(pipe2(output, O_CLOEXEC) == 0);
    made child = child_of(self, arguments);
    child.options.standard[1] =
        (ipcf_standard){.kind = IPCF_STANDARD_GIVEN, .handle = output[1]};
    ipcf_test_fail_at("close_range", 1, ENOSYS);
    rlim_t before = limit_descriptors(2); /* the pipe that the child reports by */
    ipcf_status status = try_start(&child, NULL);
    allow_descriptors(before);
    CHECK_OK(status);
    CHECK(!ipcf_test_fault_is_due() || IPCF_THREAD_SANITIZER);
    child.output = output[0];
    CHECK(close(output[1]) == 0);
    CHECK(finish(&child, text, sizeof text) == 0);
    CHECK(strcmp(text, "0 1 2 ") == 0);
    for (size_t i = 0; i < 20; ++i)
        CHECK(close(many[i]) == 0);
    ipcf_test_fail_at(NULL, 0, 0);
}

static void close_standard_and_start(void *argument)
{
    const char *const arguments[] = {"state", "state", NULL};
    char text[100];
    (void)argument;
    for (int i = 0; i < 3; ++i)
        CHECK(close(i) == 0);
    made child = child_of(self, arguments);
    CHECK_OK(try_start(&child, NULL));
    CHECK(child.output == 0); /* and what the child got was 1 */
    CHECK(finish(&child, text, sizeof text) == 0);
    CHECK(strcmp(text, "0 1 2 ") == 0);
    /* nor may what the child reports by be in the way */
    const char *const nothing[] = {"/nowhere/x", NULL};
    child = child_of(nothing, arguments);
    for (int i = 0; i < 3; ++i)
        child.options.standard[i].kind = IPCF_STANDARD_NULL;
    CHECK(try_start(&child, NULL) != IPCF_OK);
}

static void ours_may_be_closed(void) { run_process(close_standard_and_start, NULL); }

/* What landed on the numbers of ours, and is private, is no standard handle of a child:
 * here the two ends of a pipe, which end only when nobody else holds the writing one. */
static void keep_private_and_start(void *argument)
{
    const char *const arguments[] = {
        "sh", "-c", "cat; echo lost; test ! -p /dev/fd/0 && test ! -p /dev/fd/1", NULL};
    int ends[2];
    char byte;
    (void)argument;
    CHECK(close(0) == 0 && close(1) == 0);
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && ends[0] == 0 && ends[1] == 1);
    CHECK(write(1, "x", 1) == 1);
    made child = child_of(shell, arguments);
    CHECK_OK(ipcf_process_start(&child.options, &child.process, NULL));
    CHECK(end_of(&child.process) == 0);
    CHECK((fcntl(1, F_GETFD) & FD_CLOEXEC) != 0 && close(1) == 0);
    CHECK(read(0, &byte, 1) == 1 && byte == 'x' && read(0, &byte, 1) == 0);
}

static void what_is_private_stays_so(void)
{
    run_process(keep_private_and_start, NULL);
}

/* ---- what fails ------------------------------------------------------------------ */

static void failing(const char *program, const char *directory, const char *what,
                    int os_error)
{
    const char *const programs[] = {program, NULL};
    const char *const arguments[] = {"x", NULL};
    ipcf_error error = {0};
    made child = child_of(programs, arguments);
    child.options.directory = directory;
    CHECK(try_start(&child, &error) != IPCF_OK);
    CHECK(close(child.output) == 0);
    CHECK(child.process.pid == -1 && child.process.handle == IPCF_NO_HANDLE);
    CHECK(strcmp(error.what, what) == 0 && error.os_error == os_error);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD); /* no zombie */
}

static void the_step_that_failed_is_told(void)
{
    failing("/nowhere/at/all", NULL, "exec", ENOENT);
    failing("/", NULL, "exec", EACCES);
    failing("/etc/passwd", NULL, "exec", EACCES);
    failing("/bin/sh/x", NULL, "exec", ENOTDIR);
    failing("/bin/true", "/nowhere", "chdir", ENOENT);
    failing("/bin/true", "/etc/passwd", "chdir", ENOTDIR);
    failing(NULL, NULL, "exec", ENOENT);
}

/* What is not there says less than what cannot be executed. */
static void the_first_real_reason_counts(void)
{
    static const struct {
        const char *programs[4];
        int os_error;
    } tries[] = {
        {{"/bin/sh/x", "/nowhere/x", NULL}, ENOENT},
        {{"/nowhere/x", "/etc/passwd", "/nowhere/y", NULL}, EACCES},
        {{"/etc/passwd", "/bin/sh/x", NULL}, EACCES},
    };
    const char *const arguments[] = {"x", NULL};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; ++i) {
        ipcf_error error = {0};
        made child = child_of(tries[i].programs, arguments);
        CHECK(try_start(&child, &error) != IPCF_OK);
        CHECK(error.os_error == tries[i].os_error);
        CHECK(close(child.output) == 0);
    }
}

static void what_this_process_lacks_is_told(void)
{
    static const struct {
        const char *call, *what;
    } steps[] = {{"pipe", "pipe"}, {"open", "the null device"}, {"fork", "fork"}};
    const char *const arguments[] = {"stay", "stay", NULL};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i) {
        ipcf_error error = {0};
        made child = child_of(self, arguments);
        child.options.standard[0].kind = IPCF_STANDARD_NULL;
        ipcf_test_fail_at(steps[i].call, 1, EMFILE);
        CHECK_STATUS(try_start(&child, &error), IPCF_OS_ERROR);
        CHECK(strcmp(error.what, steps[i].what) == 0 && error.os_error == EMFILE);
        CHECK(child.process.pid == -1);
        CHECK(close(child.output) == 0);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    }
    ipcf_test_fail_at(NULL, 0, 0);
}

/* It runs by then. */
static void a_child_needs_no_handle(void)
{
    ipcf_test_fail_at("pidfd_open", 1, EMFILE);
    made child = start_staying();
    CHECK(child.process.handle == IPCF_NO_HANDLE);
    CHECK(kill_and_wait(&child) == -SIGKILL);
    CHECK(!ipcf_test_fault_is_due());
}

static void a_child_whose_parent_has_ended_does_not_begin(void)
{
    static const struct {
        int parent;
        int32_t exit_code;
    } parents[] = {
        {1, 127}, /* somebody else has taken it over */
        {0, 0}};  /* it cannot see its parent, which is in another namespace */
    const char *const arguments[] = {"state", "state", NULL};
    for (size_t i = 0; i < sizeof parents / sizeof *parents; ++i) {
        char text[100];
        made child = child_of(self, arguments);
        ipcf_test_fail_at("getppid", 1, parents[i].parent);
        start(&child);
        CHECK(finish(&child, text, sizeof text) == parents[i].exit_code);
        ipcf_test_fail_at(NULL, 0, 0);
    }
}

static void handles_that_cannot_be_inherited(void)
{
    const char *const arguments[] = {"x", NULL};
    ipcf_handle handles[IPCF_PROCESS_MAX_INHERITED + 1] = {2};
    made child = child_of(shell, arguments);
    child.options.inherited = handles;
    child.options.inherited_count = 1;
    CHECK_STATUS(try_start(&child, NULL), IPCF_INVALID);
    CHECK(close(child.output) == 0);
    child.options.standard[1].kind = IPCF_STANDARD_NULL;
    child.options.inherited_count = IPCF_PROCESS_MAX_INHERITED + 1;
    CHECK_STATUS(try_start(&child, NULL), IPCF_INVALID);
    ipcf_error error = {0};
    handles[0] = 1000000;
    child.options.inherited_count = 1;
    CHECK(try_start(&child, &error) != IPCF_OK);
    CHECK(strcmp(error.what, "inherited handles") == 0 && error.os_error == EBADF);
    child.options.inherited_count = 0;
    child.options.standard[2] =
        (ipcf_standard){.kind = IPCF_STANDARD_GIVEN, .handle = 1000000};
    CHECK(try_start(&child, &error) != IPCF_OK);
    CHECK(strcmp(error.what, "standard handles") == 0 && error.os_error == EBADF);
}

/* Another thread may fork at any time: what it forks holds the pipe by which a child
 * reports for as long as it lives, and nobody waits for that. */
static pid_t holder;

static void hold_everything(const char *step)
{
    if (strcmp(step, "process report open") != 0)
        return;
    holder = fork();
    CHECK(holder >= 0);
    if (holder == 0) {
        alarm(100);
        for (;;)
            pause();
    }
}

static void a_fork_meanwhile_does_not_hold_up_the_start(void)
{
    if (IPCF_THREAD_SANITIZER)
        return; /* which makes a fork of vfork: then the pipe has to be waited for */
    const char *const arguments[] = {"state", "state", NULL};
    made child = child_of(self, arguments);
    child.options.standard[1].kind = IPCF_STANDARD_NULL;
    ipcf_test_on_step(hold_everything);
    start(&child);
    ipcf_test_on_step(NULL);
    CHECK(waitpid(holder, NULL, WNOHANG) == 0);
    CHECK(end_of(&child.process) == 0);
    CHECK(kill(holder, SIGKILL) == 0 && WIFSIGNALED(end_of_process(holder)));
}

/* ---- ends ------------------------------------------------------------------------ */

static void its_end_is_waited_for(void)
{
    for (unsigned without_handle = 0; without_handle < 2; ++without_handle) {
        if (without_handle)
            ipcf_test_fail_at("pidfd_open", 1, ENOSYS);
        made child = start_staying();
        ipcf_process *process = &child.process;
        ipcf_handle other;
        CHECK((process->handle == IPCF_NO_HANDLE) == (without_handle != 0));
        CHECK(ipcf_process_arm(process) == process->handle);
        CHECK_STATUS(ipcf_process_collect(process, NULL), IPCF_AGAIN);
        uint64_t deadline = ipcf_deadline_in(0.03);
        CHECK_STATUS(ipcf_process_await(process, deadline, NULL), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        CHECK_STATUS(ipcf_process_watch(process, &other, NULL),
                     without_handle ? IPCF_UNSUPPORTED : IPCF_OK);
        CHECK_OK(ipcf_process_signal(process, SIGTERM, NULL)); /* ignored */
        CHECK_STATUS(ipcf_process_signal(process, 1000, NULL), IPCF_INVALID);
        CHECK_OK(ipcf_process_signal(process, SIGKILL, NULL));
        if (!without_handle) {
            wait_until_ready(other);
            CHECK((fcntl((int)other, F_GETFD) & FD_CLOEXEC) != 0);
            ipcf_handle_close(&other);
        }
        char text[10];
        CHECK(finish(&child, text, sizeof text) == -SIGKILL);
        CHECK_OK(ipcf_process_signal(process, SIGKILL, NULL)); /* nobody is there */
        CHECK_OK(ipcf_process_await(process, IPCF_NO_WAIT, NULL));
    }
    ipcf_test_fail_at(NULL, 0, 0);
}

static void an_end_that_somebody_else_collected_is_unknown(void)
{
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    for (unsigned without_handle = 0; without_handle < 2; ++without_handle) {
        if (without_handle)
            ipcf_test_fail_at("pidfd_open", 1, ENOSYS);
        made child = start_staying();
        char text[10];
        CHECK_OK(ipcf_process_signal(&child.process, SIGKILL, NULL));
        CHECK(finish(&child, text, sizeof text) == IPCF_EXIT_UNKNOWN);
    }
    /* the child itself can wait for children of its own */
    const char *const arguments[] = {"state", "state", NULL};
    made child = child_of(self, arguments);
    char text[100];
    start(&child);
    CHECK(finish(&child, text, sizeof text) == IPCF_EXIT_UNKNOWN);
    CHECK(strcmp(text, "0 1 2 ") == 0);
    CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    ipcf_test_fail_at(NULL, 0, 0);
}

/* A signal is for the child alone, not for whoever has been given its number since. */
static void a_number_that_is_free_again_is_not_signalled(void)
{
    for (unsigned without_handle = 0; without_handle < 2; ++without_handle) {
        made child = start_staying(), brother = start_staying();
        int line;
        pid_t stranger = start_stranger(&line, true), pid = (pid_t)child.process.pid;
        CHECK(kill(pid, SIGKILL) == 0 && WIFSIGNALED(end_of_process(pid)));
        /* only a handle can tell it from another child of ours */
        child.process.pid = without_handle ? stranger : brother.process.pid;
        if (without_handle)
            ipcf_handle_close(&child.process.handle);
        CHECK_OK(ipcf_process_signal(&child.process, SIGKILL, NULL));
        char text[10];
        CHECK(finish(&child, text, sizeof text) == IPCF_EXIT_UNKNOWN);
        CHECK_STATUS(ipcf_process_collect(&brother.process, NULL), IPCF_AGAIN);
        check_that_it_lives(line);
        CHECK(kill_and_wait(&brother) == -SIGKILL);
        CHECK(close(line) == 0); /* which ends it */
    }
}

/* Trace a process until told to leave it: its end is told to this one first. */
static void trace(void *argument)
{
    const int *handles = argument;
    pid_t pid;
    char text[10];
    CHECK(read(handles[0], &pid, sizeof pid) == sizeof pid);
    CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
    tell(handles[1]);
    CHECK(read(handles[0], text, sizeof text) == 1);
}

static void an_end_that_a_debugger_holds_back_is_waited_for(void)
{
    int to[2], from[2];
    CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    int handles[] = {to[0], from[1]};
    pid_t debugger = start_process(trace, handles);
    made child = start_staying();
    pid_t pid = (pid_t)child.process.pid;
    CHECK(write(to[1], &pid, sizeof pid) == sizeof pid);
    hear(from[0]);
    CHECK_OK(ipcf_process_signal(&child.process, SIGKILL, NULL));
    wait_until_ready(child.process.handle);
    CHECK_STATUS(ipcf_process_await(&child.process, ipcf_deadline_in(0.02), NULL),
                 IPCF_TIMEOUT);
    CHECK_STATUS(ipcf_process_collect(&child.process, NULL), IPCF_AGAIN);
    tell(to[1]);
    char text[10];
    CHECK(finish(&child, text, sizeof text) == -SIGKILL);
    finish_process(debugger);
    for (int i = 0; i < 2; ++i)
        CHECK(close(to[i]) == 0 && close(from[i]) == 0);
}

static void it_leads_a_session_only_if_told(void)
{
    const char *const arguments[] = {"stay", "stay", NULL};
    for (int lead = 0; lead < 2; ++lead) {
        made child = child_of(self, arguments);
        child.options.new_session = lead == 1;
        start(&child);
        hear(child.output);
        pid_t pid = (pid_t)child.process.pid;
        CHECK(getsid(pid) == (lead ? pid : getsid(0)));
        CHECK(getpgid(pid) == (lead ? pid : getpgid(0)));
        CHECK(kill_and_wait(&child) == -SIGKILL);
    }
}

int main(int count, char **arguments)
{
    if (count > 1)
        return run_role(arguments[1]);
    size_t before = open_descriptors();
    RUN(program_arguments_environment_and_directory);
    RUN(the_environment_is_ours_unless_given);
    RUN(standard_handles_cross_over);
    RUN(the_null_device_is_empty);
    RUN(nothing_else_is_inherited);
    RUN(nothing_else_is_inherited_without_a_list);
    RUN(ours_may_be_closed);
    RUN(what_is_private_stays_so);
    RUN(the_step_that_failed_is_told);
    RUN(the_first_real_reason_counts);
    RUN(what_this_process_lacks_is_told);
    RUN(a_child_needs_no_handle);
    RUN(a_child_whose_parent_has_ended_does_not_begin);
    RUN(handles_that_cannot_be_inherited);
    RUN(a_fork_meanwhile_does_not_hold_up_the_start);
    RUN(its_end_is_waited_for);
    RUN(an_end_that_somebody_else_collected_is_unknown);
    RUN(a_number_that_is_free_again_is_not_signalled);
    RUN(an_end_that_a_debugger_holds_back_is_waited_for);
    RUN(it_leads_a_session_only_if_told);
    CHECK(open_descriptors() == before);
    return 0;
}
