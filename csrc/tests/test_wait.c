/* SPDX-License-Identifier: MIT
 * ipcf_wait: readiness, deadlines that are never early, signals, and how many items
 * fit.
 */
#include <sys/time.h>

#include "ipcf/stream.h"
#include "tests/processes.h"

static ipcf_wait_item reading(ipcf_handle handle)
{
    return (ipcf_wait_item){.handle = handle, .for_writing = false, .is_ready = true};
}

static void the_ready_items_are_told(void)
{
    int ends[2], idle[2];
    CHECK(pipe(ends) == 0 && pipe(idle) == 0);
    tell(ends[1]);
    ipcf_wait_item items[] = {
        reading(idle[0]),
        reading(ends[0]),
        reading(IPCF_NO_HANDLE),
        {.handle = ends[1], .for_writing = true, .is_ready = false}};
    CHECK_OK(ipcf_wait(items, 4, IPCF_NEVER, NULL));
    CHECK(!items[0].is_ready && items[1].is_ready && !items[2].is_ready &&
          items[3].is_ready);
    CHECK_OK(ipcf_wait(items, 2, IPCF_NO_WAIT, NULL));
    CHECK(!items[0].is_ready && items[1].is_ready);
    for (int i = 0; i < 2; ++i)
        CHECK(close(ends[i]) == 0 && close(idle[i]) == 0);
}

static void a_full_pipe_has_no_room(void)
{
    int ends[2];
    char block[4096] = {0};
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
    while (write(ends[1], block, sizeof block) > 0)
        continue;
    ipcf_wait_item item = {.handle = ends[1], .for_writing = true, .is_ready = true};
    CHECK_STATUS(ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
    CHECK(!item.is_ready);
    CHECK(read(ends[0], block, sizeof block) == sizeof block);
    CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
    CHECK(item.is_ready);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void hang_ups_and_bad_descriptors_are_ready(void)
{
    ipcf_stream one, other;
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    ipcf_wait_item item = reading(one.handle);
    CHECK_STATUS(ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
    ipcf_stream_close(&other);
    CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
    CHECK(item.is_ready);
    int closed = (int)one.handle;
    ipcf_stream_close(&one);
    item = reading(closed);
    CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
    CHECK(item.is_ready);
}

static void a_timeout_is_never_early(void)
{
    const uint64_t spans[] = {0, 1, 999, 50000, 1000000, 1000001, 20000000};
    int ends[2];
    CHECK(pipe(ends) == 0);
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; ++i) {
        ipcf_wait_item item = reading(ends[0]);
        ipcf_error error = {0};
        uint64_t deadline = ipcf_clock_ns() + spans[i];
        CHECK_STATUS(ipcf_wait(&item, 1, deadline, &error), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        CHECK(!item.is_ready && error.what != NULL);
    }
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void nothing_to_wait_for_is_a_sleep(void)
{
    ipcf_wait_item ignored = reading(IPCF_NO_HANDLE);
    uint64_t deadline = ipcf_deadline_in(0.005);
    CHECK_STATUS(ipcf_wait(NULL, 0, deadline, NULL), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    deadline = ipcf_deadline_in(0.005);
    CHECK_STATUS(ipcf_wait(&ignored, 1, deadline, NULL), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline && !ignored.is_ready);
}

static void sixty_four_items_fit_and_no_more(void)
{
    int ends[IPCF_WAIT_MAX + 1][2];
    ipcf_wait_item items[IPCF_WAIT_MAX + 1];
    for (int i = 0; i <= IPCF_WAIT_MAX; ++i) {
        CHECK(pipe(ends[i]) == 0);
        items[i] = reading(ends[i][0]);
    }
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_wait(items, IPCF_WAIT_MAX + 1, IPCF_NO_WAIT, &error),
                 IPCF_INVALID);
    CHECK(error.expected == IPCF_WAIT_MAX && error.found == IPCF_WAIT_MAX + 1);
    CHECK_STATUS(ipcf_wait(items, IPCF_WAIT_MAX, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
    tell(ends[IPCF_WAIT_MAX - 1][1]);
    CHECK_OK(ipcf_wait(items, IPCF_WAIT_MAX, IPCF_NEVER, NULL));
    for (int i = 0; i < IPCF_WAIT_MAX; ++i)
        CHECK(items[i].is_ready == (i == IPCF_WAIT_MAX - 1));
    for (int i = 0; i <= IPCF_WAIT_MAX; ++i)
        CHECK(close(ends[i][0]) == 0 && close(ends[i][1]) == 0);
}

static volatile sig_atomic_t signals_seen;

static void see_signal(int number)
{
    (void)number;
    ++signals_seen;
}

static void interrupt_after(int microseconds)
{
    struct itimerval timer = {.it_value = {.tv_sec = 0, .tv_usec = microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void a_signal_interrupts_whether_or_not_it_restarts(void)
{
    const int flags[] = {0, SA_RESTART};
    int ends[2];
    CHECK(pipe(ends) == 0);
    for (size_t i = 0; i < 2; ++i) {
        struct sigaction action = {.sa_handler = see_signal, .sa_flags = flags[i]};
        CHECK(sigaction(SIGALRM, &action, NULL) == 0);
        ipcf_wait_item item = reading(ends[0]);
        signals_seen = 0;
        interrupt_after(2000);
        ipcf_status status;
        /* the signal may come before the sleep: then the next one interrupts it */
        while ((status = ipcf_wait(&item, 1, ipcf_deadline_in(0.5), NULL)) ==
               IPCF_TIMEOUT)
            interrupt_after(2000);
        CHECK_STATUS(status, IPCF_INTERRUPTED);
        CHECK(signals_seen > 0 && !item.is_ready);
    }
    CHECK(signal(SIGALRM, SIG_DFL) != SIG_ERR);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void tell_when_parent_waits(void *argument)
{
    const int *ends = argument;
    tell(ends[1]);
}

static void another_process_ends_the_wait(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t process = start_process(tell_when_parent_waits, ends);
    ipcf_wait_item item = reading(ends[0]);
    CHECK_OK(ipcf_wait(&item, 1, hang_bound(), NULL));
    CHECK(item.is_ready);
    finish_process(process);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(the_ready_items_are_told);
    RUN(a_full_pipe_has_no_room);
    RUN(hang_ups_and_bad_descriptors_are_ready);
    RUN(a_timeout_is_never_early);
    RUN(nothing_to_wait_for_is_a_sleep);
    RUN(sixty_four_items_fit_and_no_more);
    RUN(a_signal_interrupts_whether_or_not_it_restarts);
    RUN(another_process_ends_the_wait);
    CHECK(open_descriptors() == before);
    return 0;
}
