/* SPDX-License-Identifier: MIT
 * latency.h: which messages are timed, how exact the histogram is, and what it makes of
 * times that cannot be.
 */
#include <pthread.h>

#include "ipcf/latency.h"
#include "tests/check.h"

static ipcf_latency latency; /* larger than a stack likes */

static ipcf_latency_summary read_again(void)
{
    ipcf_latency_summary summary;
    ipcf_latency_read(&latency, &summary);
    return summary;
}

static void start_anew(void) { memset(&latency, 0, sizeof latency); }

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- which ----------------------------------------------------------------------- */

static void one_of_64_is_timed_without_a_pattern(void)
{
    uint64_t count = 0, last = 0, gaps[3] = {0}, first_of_batch = 0;
    const uint64_t all = UINT64_C(1) << 20;
    CHECK(ipcf_latency_is_sampled(0)); /* a channel with few messages has one too */
    for (uint64_t number = 1; number < all; number++) {
        if (!ipcf_latency_is_sampled(number))
            continue;
        uint64_t gap = number - last;
        CHECK(gap == 34 || gap == 55 || gap == 89);
        gaps[gap == 34 ? 0 : gap == 55 ? 1 : 2]++;
        last = number;
        count++;
        first_of_batch += number % 64 == 0;
    }
    CHECK(count >= all / 64 - 2 && count <= all / 64 + 2);
    CHECK(gaps[0] > 1000 && gaps[1] > 1000 && gaps[2] > 1000);
    CHECK(first_of_batch <= count / 50);
}

/* ---- the histogram --------------------------------------------------------------- */

static void nothing_noted_is_nothing_read(void)
{
    start_anew();
    ipcf_latency_summary found = read_again();
    CHECK(found.count == 0 && found.sum_ns == 0);
    CHECK(found.p50_ns == 0 && found.p90_ns == 0 && found.p99_ns == 0);
}

static void check_alone(uint64_t ns, uint64_t due)
{
    start_anew();
    ipcf_latency_note(&latency, ns);
    ipcf_latency_summary found = read_again();
    uint64_t value = found.p50_ns, error = value > due ? value - due : due - value;
    CHECK(found.count == 1 && found.sum_ns == due);
    CHECK(value == found.p90_ns && value == found.p99_ns);
    CHECK(error <= due / 32);
}

static void a_value_is_read_to_one_part_in_32(void)
{
    uint64_t random = 7;
    for (uint64_t ns = 0; ns < 5000; ns++)
        check_alone(ns, ns);
    for (unsigned shift = 0; shift < 40; shift++)
        for (int turn = 0; turn < 500; turn++) {
            uint64_t ns =
                (UINT64_C(1) << shift) + next_random(&random) % (UINT64_C(1) << shift);
            check_alone(ns, ns);
        }
}

static void what_is_too_long_counts_as_the_longest(void)
{
    const uint64_t most = IPCF_LATENCY_LIMIT_NS - 1;
    check_alone(most, most);
    check_alone(most + 1, most);
    check_alone(UINT64_MAX, most);
}

static int by_value(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;
    return (left > right) - (left < right);
}

static bool is_near(uint64_t found, uint64_t due)
{
    return (found > due ? found - due : due - found) <= due / 32;
}

/* Against the nearest rank, from a sorted list. */
static void check_percentiles(uint64_t *values, size_t count)
{
    uint64_t sum = 0;
    start_anew();
    for (size_t i = 0; i < count; i++) {
        ipcf_latency_note(&latency, values[i]);
        sum += values[i];
    }
    qsort(values, count, sizeof *values, by_value);
    ipcf_latency_summary found = read_again();
    CHECK(found.count == count && found.sum_ns == sum);
    CHECK(is_near(found.p50_ns, values[(count * 50 + 99) / 100 - 1]));
    CHECK(is_near(found.p90_ns, values[(count * 90 + 99) / 100 - 1]));
    CHECK(is_near(found.p99_ns, values[(count * 99 + 99) / 100 - 1]));
}

static void percentiles_are_those_of_a_sorted_list(void)
{
    static uint64_t values[20000];
    uint64_t random = 3;
    for (size_t count = 1; count <= 20000; count = count * 3 / 2 + 1)
        for (unsigned spread = 4; spread <= 36; spread += 8) {
            for (size_t i = 0; i < count; i++)
                values[i] = next_random(&random) % (UINT64_C(1) << spread);
            check_percentiles(values, count);
        }
    for (size_t i = 0; i < 1000; i++) /* a few that are much slower */
        values[i] = i % 50 == 0 ? 3000000 : 1500;
    check_percentiles(values, 1000);
}

/* ---- times ----------------------------------------------------------------------- */

static void a_time_that_has_passed_is_noted(void)
{
    start_anew();
    uint64_t sent = ipcf_clock_ns();
    while (ipcf_clock_ns() - sent < 2000000)
        continue;
    uint64_t before = ipcf_clock_ns() - sent;
    ipcf_latency_note_since(&latency, sent);
    uint64_t after = ipcf_clock_ns() - sent;
    ipcf_latency_summary found = read_again();
    CHECK(found.count == 1 && found.sum_ns >= before && found.sum_ns <= after);
}

static void a_time_that_cannot_be_does_no_harm(void)
{
    start_anew();
    ipcf_latency_note_since(&latency, UINT64_MAX);
    ipcf_latency_note_since(&latency, ipcf_clock_ns() + UINT64_C(1000000000));
    CHECK(read_again().count == 0);
    ipcf_latency_note_since(&latency, 1); /* the machine's start, or long before */
    ipcf_latency_summary found = read_again();
    CHECK(found.count == 1 && found.sum_ns < IPCF_LATENCY_LIMIT_NS);
}

/* ---- threads --------------------------------------------------------------------- */

#define NOTES 50000u

static void *note_many(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < NOTES; i++)
        ipcf_latency_note(&latency, i % 1000);
    return NULL;
}

static void notes_of_several_threads_are_all_counted(void)
{
    pthread_t threads[3];
    uint64_t before = 0;
    start_anew();
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, note_many, NULL) == 0);
    for (uint64_t now = 0; now < 3 * NOTES; before = now) {
        now = read_again().count;
        CHECK(now >= before);
    }
    for (size_t i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    ipcf_latency_summary found = read_again();
    CHECK(found.count == 3 * NOTES && found.sum_ns == 3 * UINT64_C(24975000));
}

int main(void)
{
    RUN(one_of_64_is_timed_without_a_pattern);
    RUN(nothing_noted_is_nothing_read);
    RUN(a_value_is_read_to_one_part_in_32);
    RUN(what_is_too_long_counts_as_the_longest);
    RUN(percentiles_are_those_of_a_sorted_list);
    RUN(a_time_that_has_passed_is_noted);
    RUN(a_time_that_cannot_be_does_no_harm);
    RUN(notes_of_several_threads_are_all_counted);
    return 0;
}
