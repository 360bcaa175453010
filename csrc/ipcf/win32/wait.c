/* SPDX-License-Identifier: MIT
 * Waiting on Windows: WaitForMultipleObjects over the armed handles, until the
 * performance counter reaches the deadline.
 */
#include "ipcf/wait.h"
#include "ipcf/win32/timeout.h"

_Static_assert(IPCF_WAIT_MAX <= MAXIMUM_WAIT_OBJECTS, "one call must do");

/* The handles in one array, each once: the system refuses repetitions. */
typedef struct wait_set {
    HANDLE handles[IPCF_WAIT_MAX];
    bool is_ready[IPCF_WAIT_MAX];
    DWORD count;
    DWORD slot_of[IPCF_WAIT_MAX]; /* item to handle; IPCF_WAIT_MAX: ignored */
} wait_set;

static DWORD slot_for(wait_set *set, HANDLE handle)
{
    DWORD slot = 0;
    while (slot < set->count && set->handles[slot] != handle)
        ++slot;
    if (slot == set->count) {
        set->handles[slot] = handle;
        set->is_ready[slot] = false;
        ++set->count;
    }
    return slot;
}

static void describe(const ipcf_wait_item *items, size_t count, wait_set *set)
{
    set->count = 0;
    for (size_t i = 0; i < count; ++i)
        set->slot_of[i] = items[i].handle == IPCF_NO_HANDLE
                              ? IPCF_WAIT_MAX
                              : slot_for(set, (HANDLE)items[i].handle);
}

static DWORD wait_once(const wait_set *set, DWORD timeout_ms)
{
    if (set->count > 0)
        return WaitForMultipleObjects(set->count, set->handles, FALSE, timeout_ms);
    Sleep(timeout_ms);
    return WAIT_TIMEOUT;
}

/* The call names the first handle only: the ones behind it are asked one by one. */
static void find_ready(wait_set *set, DWORD first)
{
    set->is_ready[first] = true;
    for (DWORD slot = first + 1; slot < set->count; ++slot)
        set->is_ready[slot] =
            WaitForSingleObject(set->handles[slot], 0) == WAIT_OBJECT_0;
}

static void report(const wait_set *set, ipcf_wait_item *items, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        items[i].is_ready =
            set->slot_of[i] < IPCF_WAIT_MAX && set->is_ready[set->slot_of[i]];
}

ipcf_status ipcf_wait(ipcf_wait_item *items, size_t count, uint64_t deadline_ns,
                      ipcf_error *error)
{
    wait_set set;
    if (count > IPCF_WAIT_MAX)
        return ipcf_fail(error, IPCF_INVALID, "items to wait for", IPCF_WAIT_MAX,
                         count);
    describe(items, count, &set);
    for (;;) {
        DWORD result = wait_once(&set, ipcf_timeout_ms(deadline_ns));
        if (result < WAIT_OBJECT_0 + set.count) {
            find_ready(&set, result - WAIT_OBJECT_0);
            report(&set, items, count);
            return IPCF_OK;
        }
        if (result != WAIT_TIMEOUT)
            return ipcf_fail_os(error, "WaitForMultipleObjects");
        /* the timer's ticks and the performance counter differ: a timeout is never
         * early */
        if (ipcf_deadline_has_passed(deadline_ns)) {
            report(&set, items, count);
            return ipcf_fail(error, IPCF_TIMEOUT, "WaitForMultipleObjects", 0, 0);
        }
    }
}
