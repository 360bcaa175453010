/* SPDX-License-Identifier: MIT
 * The monotonic clock and deadlines.
 */
#include <math.h>
#include <time.h>

#include "ipcf/clock.h"
#include "tests/check.h"

static void time_never_goes_back(void)
{
    uint64_t last = ipcf_clock_ns();
    for (int i = 0; i < 200000; ++i) {
        uint64_t now = ipcf_clock_ns();
        CHECK(now >= last);
        last = now;
    }
}

static void the_unit_is_a_nanosecond(void)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint64_t now = ipcf_clock_ns();
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK(now >= (uint64_t)before.tv_sec * 1000000000u + (uint64_t)before.tv_nsec);
    CHECK(now <= (uint64_t)after.tv_sec * 1000000000u + (uint64_t)after.tv_nsec);
}

static void a_deadline_lies_as_far_ahead_as_asked(void)
{
    const double seconds[] = {1.5, 0.1, 1e-9, 3.25e-7, 3600.0, 1e6};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; ++i) {
        uint64_t before = ipcf_clock_ns();
        uint64_t deadline = ipcf_deadline_in(seconds[i]);
        uint64_t after = ipcf_clock_ns();
        CHECK(deadline >= before + (uint64_t)(seconds[i] * 1e9));
        CHECK(deadline <= after + (uint64_t)(seconds[i] * 1e9) + 1);
    }
}

static void less_than_a_nanosecond_is_rounded_up(void)
{
    uint64_t before = ipcf_clock_ns();
    CHECK(ipcf_deadline_in(1e-12) > before);
}

static void nothing_negative_or_nan_waits(void)
{
    CHECK(ipcf_deadline_in(-1.0) == IPCF_NO_WAIT);
    CHECK(ipcf_deadline_in(-HUGE_VAL) == IPCF_NO_WAIT);
    CHECK(ipcf_deadline_in((double)NAN) == IPCF_NO_WAIT);
    CHECK(ipcf_deadline_in(0.0) == IPCF_NO_WAIT);
    CHECK(ipcf_deadline_in(-0.0) == IPCF_NO_WAIT);
}

static void what_does_not_fit_is_never(void)
{
    CHECK(ipcf_deadline_in(HUGE_VAL) == IPCF_NEVER);
    CHECK(ipcf_deadline_in(1e300) == IPCF_NEVER);
    CHECK(ipcf_deadline_in(18446744073.709551615) == IPCF_NEVER);
    uint64_t far = ipcf_deadline_in(1.8e10);
    CHECK(far > ipcf_clock_ns());
}

int main(void)
{
    RUN(time_never_goes_back);
    RUN(the_unit_is_a_nanosecond);
    RUN(a_deadline_lies_as_far_ahead_as_asked);
    RUN(less_than_a_nanosecond_is_rounded_up);
    RUN(nothing_negative_or_nan_waits);
    RUN(what_does_not_fit_is_never);
    return 0;
}
