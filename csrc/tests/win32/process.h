/* SPDX-License-Identifier: MIT
 * What the Windows tests need of processes and threads: this program started again,
 * threads, and a count of open handles.
 */
#ifndef IPCF_TESTS_WIN32_PROCESS_H
#define IPCF_TESTS_WIN32_PROCESS_H

#include "ipcf/clock.h"
#include "ipcf/win32/native.h"
#include "tests/check.h"

#define SECONDS(n) ((n) * UINT64_C(1000000000))
/* Ten times what a test could need; a test that hangs fails here. */
#define HANG_NS SECONDS(20)

/* This program again, with these arguments. Returns its process; the caller closes it. */
static inline HANDLE start_self(const char *mode, const char *argument)
{
    char program[MAX_PATH];
    char line[2 * MAX_PATH];
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION started;
    CHECK(GetModuleFileNameA(NULL, program, sizeof program) < sizeof program);
    (void)snprintf(line, sizeof line, "\"%s\" %s %s", program, mode, argument);
    CHECK(CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &startup,
                         &started));
    CHECK(CloseHandle(started.hThread));
    return started.hProcess;
}

static inline void join_process(HANDLE process, DWORD due)
{
    DWORD code;
    CHECK(WaitForSingleObject(process, 20000) == WAIT_OBJECT_0);
    CHECK(GetExitCodeProcess(process, &code));
    CHECK(code == due);
    CHECK(CloseHandle(process));
}

static inline HANDLE start_thread(LPTHREAD_START_ROUTINE routine, void *context)
{
    HANDLE thread = CreateThread(NULL, 0, routine, context, 0, NULL);
    CHECK(thread != NULL);
    return thread;
}

static inline void join_thread(HANDLE thread)
{
    CHECK(WaitForSingleObject(thread, 20000) == WAIT_OBJECT_0);
    CHECK(CloseHandle(thread));
}

static inline void run_in_thread(LPTHREAD_START_ROUTINE routine, void *context)
{
    join_thread(start_thread(routine, context));
}

/* ---- open handles ---------------------------------------------------------------- */

enum { EXTENDED_HANDLE_INFORMATION = 64 };

typedef struct handle_entry {
    void *object;
    ULONG_PTR pid;
    ULONG_PTR handle;
    ULONG access;
    USHORT trace;
    USHORT type;
    ULONG attributes;
    ULONG reserved;
} handle_entry;

typedef struct handle_table {
    ULONG_PTR count;
    ULONG_PTR reserved;
    handle_entry entries[];
} handle_table;

LONG NTAPI NtQuerySystemInformation(int information_class, void *information,
                                    ULONG size, ULONG *got);

/* From the system's table of all handles. */
static inline size_t count_in_table(void)
{
    const LONG too_small = (LONG)0xC0000004;
    ULONG size = 1u << 16;
    for (;;) {
        handle_table *table = malloc(size);
        ULONG got = 0;
        size_t count = 0;
        CHECK(table != NULL);
        LONG status =
            NtQuerySystemInformation(EXTENDED_HANDLE_INFORMATION, table, size, &got);
        CHECK(status >= 0 || status == too_small);
        for (ULONG_PTR i = 0; status >= 0 && i < table->count; ++i)
            count += table->entries[i].pid == GetCurrentProcessId();
        free(table);
        if (status >= 0)
            return count;
        size *= 2;
    }
}

/* wine's GetProcessHandleCount always says 0. */
static inline size_t open_handles(void)
{
    DWORD count = 0;
    CHECK(GetProcessHandleCount(GetCurrentProcess(), &count));
    return count != 0 ? count : count_in_table();
}

/* Wait until no more handles than these are open. What ends in the background (a
 * lingering write, the system's pool) has no event that could be waited for from
 * outside, so this looks again and again. */
static inline void expect_handles(size_t due)
{
    uint64_t deadline = ipcf_clock_ns() + HANG_NS;
    size_t found = open_handles();
    while (found > due && ipcf_clock_ns() < deadline) {
        Sleep(5);
        found = open_handles();
    }
    if (found > due)
        fprintf(stderr, "%zu handles are open, %zu were\n", found, due);
    CHECK(found <= due);
}

/* RUN, twice: the first run makes what the system keeps (its thread pool), the second
 * must leave nothing. */
#define RUN_COUNTED(test)                                                              \
    do {                                                                               \
        test();                                                                        \
        size_t handles_before = open_handles();                                        \
        RUN(test);                                                                     \
        expect_handles(handles_before);                                                \
    } while (0)

#endif
