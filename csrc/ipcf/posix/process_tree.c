/* SPDX-License-Identifier: MIT
 * A process and all that it started: finding them in the system's table, asking them to
 * end, ending them.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/process_system.h"
#include "ipcf/wait.h"

/* Looks for processes that were started while the others were being stopped. */
#define STOP_ROUNDS 8
/* Between two looks at a process that the system gives no handle for. */
#define NAP_NS UINT64_C(5000000)

/* ---- whose number is it ---------------------------------------------------------- */

static bool exists(int64_t pid) { return kill((pid_t)pid, 0) == 0 || errno == EPERM; }

/* The number names the session as long as anybody is in it, and is not given to a process
 * meanwhile. So once the leader has been collected, a process of that number says that
 * the session is another one; and so does it when nobody in it is as old as that. */
static bool owns_session(const ipcf_process *process, bool holds_number,
                         const ipcf_process_entry *entries, size_t count)
{
    if (!process->leads_session || holds_number)
        return process->leads_session;
    if (exists(process->pid))
        return false;
    if (!process->has_ended)
        return true; /* somebody else has collected it, and nobody knows when */
    for (size_t i = 0; i < count; ++i)
        if (entries[i].session == process->pid && entries[i].started <= process->ended)
            return true;
    return false;
}

static bool has_ended(const ipcf_process_tree_member *member)
{
    ipcf_wait_item item = {.handle = member->handle};
    ipcf_process_entry entry;
    if (member->handle != IPCF_NO_HANDLE)
        return ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL) == IPCF_OK;
    return !ipcf_process_look_up(member->pid, &entry) || entry.is_dead ||
           entry.started != member->started;
}

/* ---- finding --------------------------------------------------------------------- */

static const ipcf_process_tree_member *known(const ipcf_process_tree *tree,
                                             const ipcf_process_entry *entry)
{
    for (size_t i = 0; i < tree->count; ++i)
        if (tree->members[i].pid == entry->pid &&
            tree->members[i].started == entry->started)
            return &tree->members[i];
    return NULL;
}

static ipcf_status remember(ipcf_process_tree *tree, const ipcf_process_entry *entry,
                            ipcf_error *error)
{
    if (tree->count == tree->room) {
        size_t room = tree->room == 0 ? 16 : 2 * tree->room;
        ipcf_process_tree_member *grown = realloc(tree->members, room * sizeof *grown);
        if (grown == NULL)
            return ipcf_fail(error, IPCF_NO_MEMORY, "processes of a tree", room, 0);
        tree->members = grown;
        tree->room = room;
    }
    ipcf_process_tree_member member = {
        .pid = entry->pid,
        .started = entry->started,
        .handle = ipcf_process_end_handle(entry->pid),
    };
    /* the number may have changed hands before the handle was made */
    ipcf_process_entry again;
    if (ipcf_process_look_up(entry->pid, &again) && again.started == entry->started)
        tree->members[tree->count++] = member;
    else
        ipcf_handle_close(&member.handle);
    return IPCF_OK;
}

/* Mark everybody who descends from a marked one. queue has room for all. */
static void mark_descendants(ipcf_process_entry *entries, size_t count, size_t *queue,
                             size_t marked)
{
    for (size_t done = 0; done < marked; ++done)
        for (size_t i = 0; i < count; ++i)
            if (!entries[i].is_member &&
                entries[i].parent == entries[queue[done]].pid) {
                entries[i].is_member = true;
                queue[marked++] = i;
            }
}

static ipcf_status mark_all(const ipcf_process *process, const ipcf_process_tree *tree,
                            bool holds_number, ipcf_process_entry *entries,
                            size_t count, ipcf_error *error)
{
    size_t marked = 0;
    size_t *queue = malloc((count + 1) * sizeof *queue);
    if (queue == NULL)
        return ipcf_fail(error, IPCF_NO_MEMORY, "processes of a tree", count, 0);
    bool by_session = owns_session(process, holds_number, entries, count);
    for (size_t i = 0; i < count; ++i) {
        bool is_root = holds_number && entries[i].pid == process->pid;
        if (is_root || known(tree, &entries[i]) != NULL ||
            (by_session && entries[i].session == process->pid)) {
            entries[i].is_member = true;
            queue[marked++] = i;
        }
    }
    mark_descendants(entries, count, queue, marked);
    free(queue);
    return IPCF_OK;
}

ipcf_status ipcf_process_tree_find(const ipcf_process *process, ipcf_process_tree *tree,
                                   ipcf_error *error)
{
    ipcf_process_entry *entries;
    size_t count;
    if (process->pid < 0)
        return IPCF_OK;
    ipcf_status status = ipcf_process_list(&entries, &count, error);
    /* asked after the list was made: whoever has the number there has it by right */
    bool holds_number = ipcf_process_holds_number(process);
    if (status == IPCF_OK)
        status = mark_all(process, tree, holds_number, entries, count, error);
    for (size_t i = 0; i < count && status == IPCF_OK; ++i)
        if (entries[i].is_member && !entries[i].is_dead &&
            !(holds_number && entries[i].pid == process->pid) &&
            known(tree, &entries[i]) == NULL)
            status = remember(tree, &entries[i], error);
    free(entries);
    return status;
}

/* ---- ending ---------------------------------------------------------------------- */

/* The process, and its group where it has one of its own: true. Once it has been
 * collected the number may be another group's, and the members are signalled one by
 * one. */
static bool signal_root(const ipcf_process *process, int number)
{
    bool has_group = process->leads_session && ipcf_process_holds_number(process);
    if (has_group)
        (void)kill(-(pid_t)process->pid, number);
    else
        (void)!ipcf_process_signal(process, number, NULL);
    return has_group;
}

static void signal_member(const ipcf_process_tree_member *member, int number)
{
    if (!has_ended(member))
        (void)ipcf_process_send(member->handle, member->pid, number);
}

/* Those that signal_root has not reached. */
static void signal_outsiders(const ipcf_process *process, const ipcf_process_tree *tree,
                             bool has_group, int number)
{
    for (size_t i = 0; i < tree->count; ++i) {
        ipcf_process_entry entry;
        if (!has_group || !ipcf_process_look_up(tree->members[i].pid, &entry) ||
            entry.group != process->pid)
            signal_member(&tree->members[i], number);
    }
}

ipcf_status ipcf_process_tree_terminate(const ipcf_process *process,
                                        ipcf_process_tree *tree, ipcf_error *error)
{
    ipcf_status status = ipcf_process_tree_find(process, tree, error);
    static const int numbers[] = {SIGTERM, SIGCONT};
    for (size_t i = 0; i < 2 && process->pid >= 0; ++i) {
        bool has_group = signal_root(process, numbers[i]);
        signal_outsiders(process, tree, has_group, numbers[i]);
    }
    return status;
}

/* Whether there was one that was not stopped yet. */
static bool stop_members(ipcf_process_tree *tree)
{
    bool any = false;
    for (size_t i = 0; i < tree->count; ++i)
        if (!tree->members[i].is_stopped) {
            signal_member(&tree->members[i], SIGSTOP);
            tree->members[i].is_stopped = true;
            any = true;
        }
    return any;
}

ipcf_status ipcf_process_tree_kill(const ipcf_process *process, ipcf_process_tree *tree,
                                   ipcf_error *error)
{
    ipcf_status status = IPCF_OK;
    if (process->pid < 0)
        return IPCF_OK;
    (void)signal_root(process, SIGSTOP);
    for (int round = 0; round < STOP_ROUNDS && status == IPCF_OK; ++round) {
        status = ipcf_process_tree_find(process, tree, error);
        if (!stop_members(tree))
            break;
    }
    /* also when not all could be found */
    for (size_t i = 0; i < tree->count; ++i)
        signal_member(&tree->members[i], SIGKILL);
    (void)signal_root(process, SIGKILL);
    return status;
}

static ipcf_status await_member(const ipcf_process_tree_member *member,
                                uint64_t deadline_ns, ipcf_error *error)
{
    ipcf_wait_item item = {.handle = member->handle};
    if (member->handle != IPCF_NO_HANDLE)
        return ipcf_wait(&item, 1, deadline_ns, error);
    while (!has_ended(member)) {
        uint64_t until = ipcf_clock_ns() + NAP_NS;
        bool is_last = until >= deadline_ns;
        ipcf_status status = ipcf_wait(NULL, 0, is_last ? deadline_ns : until, error);
        if (status != IPCF_TIMEOUT || is_last)
            return status;
    }
    return IPCF_OK;
}

ipcf_status ipcf_process_tree_await(const ipcf_process *process,
                                    ipcf_process_tree *tree, uint64_t deadline_ns,
                                    ipcf_error *error)
{
    size_t awaited = 0;
    if (process->pid >= 0 && !process->has_ended)
        return ipcf_fail(error, IPCF_INVALID, "a process that was not collected", 0, 0);
    do {
        for (; awaited < tree->count; ++awaited) {
            ipcf_status status =
                await_member(&tree->members[awaited], deadline_ns, error);
            if (status != IPCF_OK)
                return status;
        }
        /* members of the session that were nobody's descendants any more */
        ipcf_status status = ipcf_process_tree_find(process, tree, error);
        if (status != IPCF_OK)
            return status;
    } while (awaited < tree->count);
    return IPCF_OK;
}

void ipcf_process_tree_close(ipcf_process_tree *tree)
{
    for (size_t i = 0; i < tree->count; ++i)
        ipcf_handle_close(&tree->members[i].handle);
    free(tree->members);
    *tree = IPCF_PROCESS_TREE_NONE;
}
