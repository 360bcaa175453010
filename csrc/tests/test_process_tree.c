/* SPDX-License-Identifier: MIT
 * Processes and what they have started: dying with the parent, and ending whole trees.
 */
#include "ipcf/posix/process_system.h"
#include "tests/children.h"

/* ---- roles ----------------------------------------------------------------------- */

/* A family whose members all ignore SIGTERM: a child in our group, and a grandchild in
 * a session of its own. Each says "." once it is there. */
static void found_family(void)
{
    if (fork() != 0)
        return;
    if (fork() == 0)
        CHECK(setsid() > 0);
    stay();
}

/* And a daemon: it has left our group, not our session, and its parent has ended. */
static void leave_daemon(void)
{
    pid_t between = fork();
    if (between != 0) {
        CHECK(waitpid(between, NULL, 0) == between);
        return;
    }
    if (fork() == 0) {
        CHECK(setpgid(0, 0) == 0);
        stay();
    }
    _exit(0);
}

/* Start a child that stays, and say its number; then end by a signal that comes from
 * outside. */
static int be_parent(bool dies_with_parent)
{
    const char *const arguments[] = {"stays", "stay", NULL};
    ipcf_process process;
    ipcf_process_options options = {.programs = self,
                                    .arguments = arguments,
                                    .new_session = true,
                                    .dies_with_parent = dies_with_parent};
    CHECK_OK(ipcf_process_start(&options, &process, NULL));
    alarm(100);
    for (;;)
        pause();
}

/* Start one that ends, and do not collect it. */
static void have_zombie(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t ended;
    CHECK(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT) == 0);
    stay();
}

static int run_role(const char *role)
{
    if (strcmp(role, "zombie") == 0)
        have_zombie();
    if (strcmp(role, "tree") == 0 || strcmp(role, "family") == 0) {
        found_family();
        if (strcmp(role, "tree") == 0)
            leave_daemon();
        stay();
    }
    if (strcmp(role, "parent") == 0 || strcmp(role, "careless parent") == 0)
        return be_parent(strcmp(role, "parent") == 0);
    CHECK(strcmp(role, "stay") == 0);
    stay();
    return 0;
}

/* ---- dying with the parent -------------------------------------------------------- */

static void it_dies_with_its_parent(void)
{
    const char *const arguments[] = {"parent", "parent", NULL};
    made parent = child_of(self, arguments);
    start(&parent);
    hear(parent.output);                       /* from the child of the child */
    CHECK(kill_and_wait(&parent) == -SIGKILL); /* reads until both are gone */
}

static void or_lives_on_where_that_was_asked(void)
{
    const char *const arguments[] = {"parent", "careless parent", NULL};
    made parent = child_of(self, arguments);
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    start(&parent);
    hear(parent.output);
    CHECK_OK(ipcf_process_tree_find(&parent.process, &tree, NULL));
    CHECK(tree.count == 1);
    CHECK_OK(ipcf_process_signal(&parent.process, SIGKILL, NULL));
    CHECK_OK(ipcf_process_await(&parent.process, hang_bound(), NULL));
    CHECK_OK(ipcf_process_collect(&parent.process, NULL));
    CHECK(!is_ready(tree.members[0].handle));
    CHECK_OK(ipcf_process_tree_kill(&parent.process, &tree, NULL));
    ipcf_process_tree_close(&tree);
    char text[10];
    CHECK(finish(&parent, text, sizeof text) == -SIGKILL);
}

/* ---- trees ----------------------------------------------------------------------- */

static made start_tree(const char *role, bool new_session, int members)
{
    const char *const arguments[] = {"tree", role, NULL};
    made root = child_of(self, arguments);
    root.options.new_session = new_session;
    start(&root);
    for (int i = 0; i < members; ++i)
        hear(root.output);
    return root;
}

static void a_whole_tree_ends(void)
{
    for (unsigned without_handles = 0; without_handles < 2; ++without_handles) {
        made root = start_tree("tree", true, 4);
        ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
        if (without_handles)
            ipcf_test_fail_at("pidfd_open", 1, ENOSYS);
        CHECK_OK(ipcf_process_tree_terminate(&root.process, &tree, NULL));
        CHECK(tree.count == 3);
        /* the one who knows where the grandchild is, ends */
        CHECK_OK(ipcf_process_signal(&root.process, SIGKILL, NULL));
        CHECK_OK(ipcf_process_await(&root.process, hang_bound(), NULL));
        CHECK_STATUS(ipcf_process_tree_await(&root.process, &tree, IPCF_NO_WAIT, NULL),
                     IPCF_INVALID);
        CHECK_OK(ipcf_process_collect(&root.process, NULL));
        CHECK_STATUS(
            ipcf_process_tree_await(&root.process, &tree, ipcf_deadline_in(0.02), NULL),
            IPCF_TIMEOUT);
        CHECK_OK(ipcf_process_tree_kill(&root.process, &tree, NULL));
        CHECK_OK(ipcf_process_tree_await(&root.process, &tree, hang_bound(), NULL));
        char text[10];
        CHECK(finish(&root, text, sizeof text) == -SIGKILL && text[0] == '\0');
        ipcf_process_tree_close(&tree);
        ipcf_process_tree_close(&tree);
    }
    ipcf_test_fail_at(NULL, 0, 0);
}

static void killing_alone_finds_them_too(void)
{
    made root = start_tree("tree", true, 4);
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    CHECK_OK(ipcf_process_tree_kill(&root.process, &tree, NULL));
    char text[10];
    CHECK(finish(&root, text, sizeof text) == -SIGKILL);
    CHECK_OK(ipcf_process_tree_await(&root.process, &tree, hang_bound(), NULL));
    ipcf_process_tree_close(&tree);
}

/* The session outlives its leader. */
static void who_is_left_of_a_session_is_found(void)
{
    made root = start_tree("tree", true, 4);
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    CHECK_OK(ipcf_process_signal(&root.process, SIGKILL, NULL));
    CHECK_OK(ipcf_process_await(&root.process, hang_bound(), NULL));
    CHECK_OK(ipcf_process_collect(&root.process, NULL));
    CHECK_OK(ipcf_process_tree_kill(&root.process, &tree, NULL));
    CHECK(tree.count == 3); /* the one with its own session by its parent */
    char text[10];
    CHECK(finish(&root, text, sizeof text) == -SIGKILL);
    ipcf_process_tree_close(&tree);
}

/* The number of a process that somebody else has collected can be anybody's. */
static void who_is_given_the_number_is_left_alone(void)
{
    for (unsigned without_handle = 0; without_handle < 2; ++without_handle) {
        int line;
        pid_t stranger = start_stranger(&line, true);
        CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR); /* the system collects */
        made child = start_staying();
        ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
        CHECK_OK(ipcf_process_signal(&child.process, SIGKILL, NULL));
        wait_until_ready(child.process.handle);
        child.process.pid = stranger;
        if (without_handle)
            ipcf_handle_close(&child.process.handle);
        CHECK_OK(ipcf_process_tree_terminate(&child.process, &tree, NULL));
        CHECK_OK(ipcf_process_tree_kill(&child.process, &tree, NULL));
        CHECK(tree.count == 0);
        check_that_it_lives(line);
        char text[10];
        CHECK(finish(&child, text, sizeof text) == IPCF_EXIT_UNKNOWN);
        CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
        CHECK(close(line) == 0); /* which ends it */
        ipcf_process_tree_close(&tree);
    }
}

/* So can the number of a session that has ended, and then its leader may be gone, too. */
static void a_later_session_is_somebody_elses(void)
{
    int line;
    pid_t session = start_stranger(&line, false);
    ipcf_process process = IPCF_PROCESS_NONE;
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    process.pid = session;
    process.leads_session = process.has_ended = true;
    process.ended = 1; /* long before */
    CHECK_OK(ipcf_process_tree_kill(&process, &tree, NULL));
    CHECK(tree.count == 0);
    check_that_it_lives(line);
    process.ended = ipcf_process_now();
    CHECK_OK(ipcf_process_tree_kill(&process, &tree, NULL));
    CHECK(tree.count == 1);
    wait_until_ready(line);
    char byte;
    CHECK(read(line, &byte, 1) <= 0 && close(line) == 0);
    ipcf_process_tree_close(&tree);
}

/* Without a session of its own only descendants can be found, and we are not among
 * them. */
static void a_tree_within_our_session_is_its_descendants(void)
{
    made root = start_tree("family", false, 3);
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    CHECK(getsid((pid_t)root.process.pid) == getsid(0));
    CHECK_OK(ipcf_process_tree_kill(&root.process, &tree, NULL));
    CHECK(tree.count == 2);
    char text[10];
    CHECK(finish(&root, text, sizeof text) == -SIGKILL);
    CHECK_OK(ipcf_process_tree_await(&root.process, &tree, hang_bound(), NULL));
    ipcf_process_tree_close(&tree);
}

static void the_dead_are_nobodys_family(void)
{
    const char *const arguments[] = {"zombie", "zombie", NULL};
    made root = child_of(self, arguments);
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    start(&root);
    hear(root.output);
    CHECK_OK(ipcf_process_tree_find(&root.process, &tree, NULL));
    CHECK(tree.count == 0);
    CHECK(kill_and_wait(&root) == -SIGKILL);
    ipcf_process_tree_close(&tree);
}

static void the_stopped_hear_of_it(void)
{
    const char *const arguments[] = {"sh", "-c", "echo; exec sleep 100", NULL};
    made child = child_of(shell, arguments);
    ipcf_process_tree tree = IPCF_PROCESS_TREE_NONE;
    start(&child);
    hear(child.output);
    CHECK_OK(ipcf_process_signal(&child.process, SIGSTOP, NULL));
    siginfo_t stopped;
    CHECK(waitid(P_PID, (id_t)child.process.pid, &stopped, WSTOPPED | WNOWAIT) == 0);
    CHECK_OK(ipcf_process_tree_terminate(&child.process, &tree, NULL));
    char text[10];
    CHECK(finish(&child, text, sizeof text) == -SIGTERM);
    ipcf_process_tree_close(&tree);
}

int main(int count, char **arguments)
{
    if (count > 1)
        return run_role(arguments[1]);
    size_t before = open_descriptors();
    RUN(it_dies_with_its_parent);
    RUN(or_lives_on_where_that_was_asked);
    RUN(a_whole_tree_ends);
    RUN(killing_alone_finds_them_too);
    RUN(who_is_left_of_a_session_is_found);
    RUN(who_is_given_the_number_is_left_alone);
    RUN(a_later_session_is_somebody_elses);
    RUN(a_tree_within_our_session_is_its_descendants);
    RUN(the_dead_are_nobodys_family);
    RUN(the_stopped_hear_of_it);
    CHECK(open_descriptors() == before);
    return 0;
}
