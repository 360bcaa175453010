/* SPDX-License-Identifier: MIT
 * Doorbells as events: one bit, never blocking, between threads and between processes.
 */
#include "ipcf/doorbell.h"
#include "ipcf/stream.h"
#include "ipcf/wait.h"
#include "tests/win32/process.h"

#define TURNS 2000

typedef struct bells {
    ipcf_doorbell there, back;
} bells;

static bool is_rung(const ipcf_doorbell *bell)
{
    ipcf_wait_item item = {.handle = ipcf_doorbell_arm(bell)};
    ipcf_status status = ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL);
    CHECK(status == IPCF_OK || status == IPCF_TIMEOUT);
    CHECK(item.is_ready == (status == IPCF_OK));
    return item.is_ready;
}

static void await(const ipcf_doorbell *bell)
{
    ipcf_wait_item item = {.handle = ipcf_doorbell_arm(bell)};
    CHECK_OK(ipcf_wait(&item, 1, ipcf_clock_ns() + HANG_NS, NULL));
    CHECK(item.is_ready);
}

static void test_one_bit(void)
{
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    CHECK(!is_rung(&bell) && !ipcf_doorbell_clear(&bell));
    for (int i = 0; i < 1000; ++i)
        ipcf_doorbell_ring(&bell);
    CHECK(is_rung(&bell) && is_rung(&bell)); /* looking does not change it */
    CHECK(ipcf_doorbell_clear(&bell));
    CHECK(!ipcf_doorbell_clear(&bell) && !is_rung(&bell));
    ipcf_doorbell_close(&bell);
    ipcf_doorbell_close(&bell);
    CHECK(bell.wait_end == IPCF_NO_HANDLE && bell.ring_end == IPCF_NO_HANDLE);
    ipcf_doorbell_ring(&bell); /* silently not */
}

static void test_timeouts_are_never_early(void)
{
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    for (uint64_t i = 0; i < 40; ++i) {
        ipcf_wait_item item = {.handle = ipcf_doorbell_arm(&bell), .is_ready = true};
        uint64_t deadline = ipcf_clock_ns() + i * UINT64_C(250001);
        CHECK_STATUS(ipcf_wait(&item, 1, deadline, NULL), IPCF_TIMEOUT);
        CHECK(!item.is_ready && ipcf_clock_ns() >= deadline);
    }
    CHECK(ipcf_deadline_in(-1.0) == IPCF_NO_WAIT &&
          ipcf_deadline_in(0.0 / 0.0) == IPCF_NO_WAIT);
    CHECK(ipcf_deadline_in(1e300) == IPCF_NEVER);
    ipcf_doorbell_close(&bell);
}

/* A ring for every clear: none is lost, none is invented. */
static void answer(const bells *pair)
{
    for (int i = 0; i < TURNS; ++i) {
        await(&pair->there);
        CHECK(ipcf_doorbell_clear(&pair->there));
        ipcf_doorbell_ring(&pair->back);
    }
}

static void ask(const bells *pair)
{
    for (int i = 0; i < TURNS; ++i) {
        CHECK(!is_rung(&pair->back));
        ipcf_doorbell_ring(&pair->there);
        await(&pair->back);
        CHECK(ipcf_doorbell_clear(&pair->back));
    }
    CHECK(!is_rung(&pair->there) && !is_rung(&pair->back));
}

static void open_bells(bells *pair)
{
    CHECK_OK(ipcf_doorbell_create(&pair->there, NULL));
    CHECK_OK(ipcf_doorbell_create(&pair->back, NULL));
}

static void close_bells(bells *pair)
{
    ipcf_doorbell_close(&pair->there);
    ipcf_doorbell_close(&pair->back);
}

static DWORD WINAPI answer_there(void *context)
{
    answer(context);
    return 0;
}

static void test_between_threads(void)
{
    bells pair;
    open_bells(&pair);
    HANDLE thread = start_thread(answer_there, &pair);
    ask(&pair);
    join_thread(thread);
    close_bells(&pair);
}

/* The child fetches the handles from its parent: "<pid>:<there>:<back>". */
static int child_answer(const char *argument)
{
    unsigned long pid;
    unsigned long long numbers[2];
    ipcf_doorbell *ends[2];
    bells pair;
    CHECK(sscanf(argument, "%lu:%llu:%llu", &pid, &numbers[0], &numbers[1]) == 3);
    HANDLE parent = OpenProcess(PROCESS_DUP_HANDLE, FALSE, pid);
    CHECK(parent != NULL);
    ends[0] = &pair.there;
    ends[1] = &pair.back;
    for (int i = 0; i < 2; ++i) {
        HANDLE copy;
        CHECK(DuplicateHandle(parent, (HANDLE)(uintptr_t)numbers[i],
                              GetCurrentProcess(), &copy, 0, FALSE,
                              DUPLICATE_SAME_ACCESS));
        ipcf_handle handle = (ipcf_handle)copy;
        CHECK_OK(ipcf_doorbell_adopt(ends[i], &handle, NULL));
    }
    CHECK(CloseHandle(parent));
    answer(&pair);
    close_bells(&pair);
    return 0;
}

static void test_between_processes(void)
{
    bells pair;
    char argument[96];
    ipcf_handle there, back;
    open_bells(&pair);
    CHECK(ipcf_doorbell_handle_count == 1);
    ipcf_doorbell_handles(&pair.there, &there);
    ipcf_doorbell_handles(&pair.back, &back);
    (void)snprintf(argument, sizeof argument, "%lu:%llu:%llu",
                   (unsigned long)GetCurrentProcessId(), (unsigned long long)there,
                   (unsigned long long)back);
    HANDLE child = start_self("answer", argument);
    ask(&pair);
    join_process(child, 0);
    close_bells(&pair);
}

static void test_adopt_refuses_what_is_no_bell(void)
{
    ipcf_doorbell bell;
    ipcf_handle process = (ipcf_handle)GetCurrentProcess();
    ipcf_handle none = 0;
    ipcf_handle automatic = (ipcf_handle)CreateEventW(NULL, FALSE, FALSE, NULL);
    ipcf_handle mutex = (ipcf_handle)CreateMutexW(NULL, FALSE, NULL);
    ipcf_handle gone = (ipcf_handle)CreateEventW(NULL, TRUE, FALSE, NULL);
    CHECK(CloseHandle((HANDLE)gone));
    CHECK_STATUS(ipcf_doorbell_adopt(&bell, &process, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_doorbell_adopt(&bell, &none, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_doorbell_adopt(&bell, &automatic, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_doorbell_adopt(&bell, &mutex, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_doorbell_adopt(&bell, &gone, NULL), IPCF_BAD_FRAME);
    CHECK(bell.wait_end == IPCF_NO_HANDLE);
    ipcf_handle_close(&automatic); /* they stayed ours */
    ipcf_handle_close(&mutex);
}

int main(int count, char **arguments)
{
    if (count > 2 && strcmp(arguments[1], "answer") == 0)
        return child_answer(arguments[2]);
    RUN_COUNTED(test_one_bit);
    RUN_COUNTED(test_timeouts_are_never_early);
    RUN_COUNTED(test_between_threads);
    RUN_COUNTED(test_between_processes);
    RUN_COUNTED(test_adopt_refuses_what_is_no_bell);
    return 0;
}
