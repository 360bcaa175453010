/* SPDX-License-Identifier: MIT
 * The in-process queue: order, capacity, kinds, waiting, the end, and the handle.
 */
#include "tests/queue_users.h"

/* ---- one thread ------------------------------------------------------------------ */

static void items_come_out_as_they_went_in(void)
{
    const uint64_t capacities[] = {1, 2, 3, 7, 64, 1000};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        ipcf_queue *queue = make_queue(capacities[i]);
        uintptr_t pushed = 0, taken = 0;
        for (int lap = 0; lap < 5; lap++) {
            while (try_push(queue, pushed + 1) == IPCF_OK)
                pushed++;
            CHECK(pushed - taken == capacities[i]);
            CHECK(ipcf_queue_length(queue) == capacities[i]);
            CHECK_STATUS(try_push(queue, 0), IPCF_AGAIN);
            /* all but one, so that the laps do not begin at the same slot */
            while (pushed - taken > 1)
                CHECK(popped(queue) == ++taken);
        }
        while (taken < pushed)
            CHECK(popped(queue) == ++taken);
        ipcf_queue_item item;
        CHECK_STATUS(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item),
                     IPCF_AGAIN);
        CHECK(ipcf_queue_length(queue) == 0);
        CHECK(ipcf_queue_peak(queue) == capacities[i]);
        drop_queue(queue);
    }
}

static void the_peak_is_the_most_there_ever_were(void)
{
    ipcf_queue *queue = make_queue(100);
    CHECK(ipcf_queue_peak(queue) == 0);
    for (uintptr_t most = 1; most <= 100; most += 9) {
        for (int round = 0; round < 40; round++) {
            for (uintptr_t i = 0; i < most; i++)
                CHECK_OK(try_push(queue, i));
            for (uintptr_t i = 0; i < most; i++)
                CHECK(popped(queue) == i);
        }
        CHECK(ipcf_queue_peak(queue) == most);
    }
    drop_queue(queue);
}

static void what_is_not_wanted_stays(void)
{
    ipcf_queue *queue = make_queue(4);
    ipcf_queue_item in = {queue, 500, 2, 0}, out;
    CHECK_OK(ipcf_queue_try_push(queue, &in));
    CHECK_STATUS(ipcf_queue_try_pop(queue, 1, UINT64_MAX, &out), IPCF_INVALID);
    CHECK(out.kind == 2);
    CHECK_STATUS(ipcf_queue_try_pop(queue, 2, 499, &out), IPCF_TOO_LARGE);
    CHECK(out.size == 500);
    CHECK_STATUS(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, 0, &out),
                 IPCF_TOO_LARGE);
    CHECK(ipcf_queue_length(queue) == 1);
    CHECK_OK(ipcf_queue_try_pop(queue, 2, 500, &out));
    CHECK(out.pointer == queue && out.size == 500 && out.kind == 2);
    in = (ipcf_queue_item){NULL, IPCF_QUEUE_SIZE_MAX, UINT8_MAX - 1, 0};
    CHECK_OK(ipcf_queue_try_push(queue, &in));
    CHECK_OK(ipcf_queue_try_pop(queue, UINT8_MAX - 1, IPCF_QUEUE_SIZE_MAX, &out));
    CHECK(out.size == IPCF_QUEUE_SIZE_MAX && out.kind == UINT8_MAX - 1);
    drop_queue(queue);
}

static void a_closed_queue_gives_what_is_in_it(void)
{
    ipcf_queue *queue = make_queue(10);
    ipcf_queue_item item;
    for (uintptr_t i = 1; i <= 5; i++)
        CHECK_OK(try_push(queue, i));
    CHECK(!ipcf_queue_is_closed(queue));
    ipcf_queue_close(queue);
    ipcf_queue_close(queue);
    CHECK(ipcf_queue_is_closed(queue));
    CHECK_STATUS(try_push(queue, 6), IPCF_DISCONNECTED);
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ITEM, IPCF_NEVER));
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ROOM, IPCF_NEVER));
    CHECK(ipcf_queue_length(queue) == 5);
    for (uintptr_t i = 1; i <= 5; i++)
        CHECK(popped(queue) == i);
    CHECK_STATUS(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item),
                 IPCF_DISCONNECTED);
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ITEM, IPCF_NO_WAIT));
    drop_queue(queue);
}

static void what_cannot_be_made_is_refused(void)
{
    ipcf_queue queue = {0};
    ipcf_error error;
    CHECK_STATUS(ipcf_queue_init(&queue, 0, 0, NULL, &error), IPCF_INVALID);
    CHECK(strcmp(error.what, "capacity") == 0);
    CHECK_STATUS(ipcf_queue_init(&queue, IPCF_QUEUE_CAPACITY_MAX + 1, 0, NULL, &error),
                 IPCF_INVALID);
    ipcf_queue_destroy(&queue);
}

typedef struct visited {
    size_t count, stop_after;
    void *pointers[8];
} visited;

static int note(void *pointer, void *argument)
{
    visited *seen = argument;
    seen->pointers[seen->count++] = pointer;
    return seen->count == seen->stop_after ? 7 : 0;
}

static void every_item_can_be_visited(void)
{
    ipcf_queue *queue = make_queue(4);
    for (uintptr_t i = 0; i < 6; i++) {
        CHECK_OK(try_push(queue, i));
        if (i < 3)
            CHECK(popped(queue) == i);
    }
    visited seen = {0};
    CHECK(ipcf_queue_visit(queue, note, &seen) == 0);
    CHECK(seen.count == 3);
    for (uintptr_t i = 0; i < 3; i++)
        CHECK(seen.pointers[i] == (void *)(i + 3));
    seen = (visited){.stop_after = 2};
    CHECK(ipcf_queue_visit(queue, note, &seen) == 7);
    CHECK(seen.count == 2 && ipcf_queue_length(queue) == 3);
    drop_queue(queue);
}

/* ---- waiting --------------------------------------------------------------------- */

static void no_timeout_is_early(void)
{
    ipcf_queue *queue = make_queue(1);
    for (int is_full = 0; is_full < 2; is_full++) {
        ipcf_queue_direction direction =
            is_full ? IPCF_QUEUE_FOR_ROOM : IPCF_QUEUE_FOR_ITEM;
        const uint64_t spans[] = {0, 1, 5000, 300000, 5000000, 120000000};
        for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
            uint64_t deadline = ipcf_clock_ns() + spans[i];
            CHECK_STATUS(wait_once(queue, direction, deadline), IPCF_TIMEOUT);
            CHECK(ipcf_clock_ns() >= deadline);
        }
        CHECK_STATUS(wait_once(queue, direction, IPCF_NO_WAIT), IPCF_TIMEOUT);
        if (!is_full)
            CHECK_OK(try_push(queue, 1));
    }
    drop_queue(queue);
}

static void a_long_wait_comes_in_naps(void)
{
    ipcf_queue *queue = make_queue(1);
    ipcf_queue_wait wait;
    uint64_t started = ipcf_clock_ns();
    ipcf_queue_wait_begin(&wait, queue, IPCF_QUEUE_FOR_ITEM, IPCF_NEVER, NAP_NS / 10);
    for (uint64_t i = 1; i <= 3; i++) {
        CHECK_STATUS(ipcf_queue_wait_on(&wait), IPCF_INTERRUPTED);
        CHECK(ipcf_clock_ns() - started >= i * (NAP_NS / 10));
    }
    CHECK_OK(try_push(queue, 1));
    CHECK_OK(ipcf_queue_wait_on(&wait));
    ipcf_queue_wait_end(&wait, false);
    CHECK_STATUS(ipcf_queue_drain(queue, IPCF_QUEUE_FOR_ITEM, IPCF_NO_WAIT, NAP_NS),
                 IPCF_OK);
    drop_queue(queue);
}

static void any_room_is_enough_in_the_end(void)
{
    ipcf_queue *queue = make_queue(100);
    for (uintptr_t i = 0; i < 100; i++)
        CHECK_OK(try_push(queue, i));
    CHECK(popped(queue) == 0);
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ROOM, hang_bound()));
    /* also when the time for patience is longer than the whole wait */
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ROOM, ipcf_clock_ns() + 100000));
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ROOM, IPCF_NO_WAIT));
    CHECK_OK(try_push(queue, 100));
    CHECK_STATUS(wait_once(queue, IPCF_QUEUE_FOR_ROOM, IPCF_NO_WAIT), IPCF_TIMEOUT);
    drop_queue(queue);
}

static void *pop_one(void *argument)
{
    uintptr_t number;
    ipcf_status status = pop(argument, &number, hang_bound());
    CHECK(status == IPCF_OK || status == IPCF_DISCONNECTED);
    return (void *)(status == IPCF_OK ? number : 0);
}

static void *push_one(void *argument)
{
    ipcf_status status = push(argument, 77, hang_bound());
    CHECK(status == IPCF_OK || status == IPCF_DISCONNECTED);
    return (void *)(uintptr_t)(status == IPCF_OK);
}

static void the_end_wakes_everybody(void)
{
    ipcf_queue *empty = make_queue(1), *full = make_queue(1);
    pthread_t threads[6];
    CHECK_OK(try_push(full, 1));
    for (int i = 0; i < 6; i++)
        threads[i] = i < 3 ? start(pop_one, empty) : start(push_one, full);
    until_asleep(&empty->receivers.park, 3);
    until_asleep(&full->senders.park, 3);
    ipcf_queue_close(empty);
    ipcf_queue_close(full);
    for (int i = 0; i < 6; i++)
        CHECK(result_of(threads[i]) == 0);
    CHECK(popped(full) == 1);
    drop_queue(empty);
    drop_queue(full);
}

/* A receiver that only looks must not use up the wake-up of one that would take. */
static void *look(void *argument)
{
    CHECK_OK(wait_once(argument, IPCF_QUEUE_FOR_ITEM, hang_bound()));
    return NULL;
}

static void who_leaves_an_item_wakes_the_next(void)
{
    for (int round = 0; round < 20; round++) {
        ipcf_queue *queue = make_queue(4);
        pthread_t looking[3];
        for (int i = 0; i < 3; i++)
            looking[i] = start(look, queue);
        until_asleep(&queue->receivers.park, 3);
        pthread_t taking = start(pop_one, queue);
        until_asleep(&queue->receivers.park, 4);
        CHECK_OK(try_push(queue, 5));
        /* far sooner than the end of a nap, or the test would not tell */
        CHECK(result_of(taking) == 5);
        ipcf_queue_close(queue);
        for (int i = 0; i < 3; i++)
            result_of(looking[i]);
        drop_queue(queue);
    }
}

static void *drain(void *argument)
{
    ipcf_status status;
    uint64_t deadline = hang_bound();
    while ((status = ipcf_queue_drain(argument, IPCF_QUEUE_FOR_ITEM, deadline,
                                      NAP_NS)) == IPCF_INTERRUPTED)
        continue;
    CHECK_OK(status);
    return NULL;
}

static void draining_waits_for_those_who_wait(void)
{
    ipcf_queue *queue = make_queue(1);
    pthread_t waiting = start(pop_one, queue);
    until_asleep(&queue->receivers.park, 1);
    uint64_t deadline = ipcf_clock_ns() + 5000000;
    CHECK_STATUS(ipcf_queue_drain(queue, IPCF_QUEUE_FOR_ITEM, deadline, NAP_NS),
                 IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    CHECK_STATUS(ipcf_queue_drain(queue, IPCF_QUEUE_FOR_ITEM, IPCF_NO_WAIT, NAP_NS),
                 IPCF_TIMEOUT);
    CHECK_STATUS(ipcf_queue_drain(queue, IPCF_QUEUE_FOR_ITEM, IPCF_NEVER, 1000),
                 IPCF_INTERRUPTED);
    CHECK_OK(ipcf_queue_drain(queue, IPCF_QUEUE_FOR_ROOM, IPCF_NO_WAIT, NAP_NS));
    pthread_t draining = start(drain, queue);
    until_asleep(&queue->idle, 1);
    CHECK_OK(try_push(queue, 3));
    CHECK(result_of(waiting) == 3);
    result_of(draining);
    drop_queue(queue);
}

/* ---- the baton ------------------------------------------------------------------- */

static void the_baton_is_waited_for_but_not_for_long(void)
{
    ipcf_baton baton = {0};
    ipcf_queue *queue = calloc(1, sizeof *queue);
    CHECK(queue != NULL);
    CHECK_OK(ipcf_queue_init(queue, 4, SPIN_NS, &baton, NULL));
    CHECK(!ipcf_baton_try_take(&baton));
    ipcf_baton_give(&baton);
    CHECK_OK(try_push(queue, 1)); /* whoever pushes has the lock */
    CHECK(!ipcf_baton_try_take(&baton));
    uint64_t started = ipcf_clock_ns();
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ITEM, hang_bound()));
    CHECK(ipcf_clock_ns() - started >= 20000);
    ipcf_baton_give(&baton);
    CHECK_OK(wait_once(queue, IPCF_QUEUE_FOR_ITEM, hang_bound()));
    CHECK(!ipcf_baton_try_take(&baton)); /* the wait has taken it */
    ipcf_baton_give(&baton);
    CHECK(popped(queue) == 1);
    CHECK(!ipcf_baton_try_take(&baton));
    ipcf_baton_give(&baton);
    ipcf_baton_keep(&baton);
    CHECK(!ipcf_baton_try_take(&baton));
    drop_queue(queue);
}

/* ---- the handle ------------------------------------------------------------------ */

static void the_handle_is_ready_while_something_is_there(void)
{
    size_t before = open_descriptors();
    ipcf_queue *queue = make_queue(4);
    ipcf_queue_item item;
    ipcf_handle handle, again;
    CHECK_OK(try_push(queue, 1));
    CHECK_OK(ipcf_queue_ready_handle(queue, &handle, NULL));
    CHECK_OK(ipcf_queue_ready_handle(queue, &again, NULL));
    CHECK(handle == again && is_ready(handle));
    for (uintptr_t i = 2; i < 5; i++) {
        CHECK(popped(queue) == i - 1);
        CHECK(!is_ready(handle)); /* without a look that finds nothing */
        CHECK_STATUS(ipcf_queue_try_pop(queue, 0, 0, &item), IPCF_AGAIN);
        CHECK_OK(try_push(queue, i));
        CHECK(is_ready(handle));
    }
    CHECK_OK(try_push(queue, 5));
    CHECK(popped(queue) == 4 && is_ready(handle));
    CHECK(popped(queue) == 5 && !is_ready(handle));
    ipcf_queue_close(queue);
    CHECK_STATUS(ipcf_queue_try_pop(queue, 0, 0, &item), IPCF_DISCONNECTED);
    CHECK(is_ready(handle));
    ipcf_queue_close_handle(queue);
    CHECK(open_descriptors() == before);
    drop_queue(queue);
    CHECK(open_descriptors() == before);
}

/* ---- fork ------------------------------------------------------------------------ */

static void abandon(void *argument)
{
    size_t before = open_descriptors();
    ipcf_queue_abandon(argument);
    ipcf_queue_abandon(argument);
    CHECK(open_descriptors() + ipcf_doorbell_handle_count == before);
    drop_queue(argument); /* hangs, if it minds the threads that are not here */
}

static void a_forked_child_abandons_what_threads_of_the_parent_use(void)
{
    ipcf_queue *queue = make_queue(1);
    ipcf_handle handle;
    CHECK_OK(ipcf_queue_ready_handle(queue, &handle, NULL));
    pthread_t waiting[] = {start(pop_one, queue), start(pop_one, queue)};
    until_asleep(&queue->receivers.park, 2);
    run_process(abandon, queue);
    for (int i = 0; i < 2; i++)
        CHECK_OK(push(queue, 9, hang_bound()));
    for (int i = 0; i < 2; i++)
        CHECK(result_of(waiting[i]) == 9);
    drop_queue(queue);
}

int main(void)
{
    alarm(250);
    RUN(items_come_out_as_they_went_in);
    RUN(the_peak_is_the_most_there_ever_were);
    RUN(what_is_not_wanted_stays);
    RUN(a_closed_queue_gives_what_is_in_it);
    RUN(what_cannot_be_made_is_refused);
    RUN(every_item_can_be_visited);
    RUN(no_timeout_is_early);
    RUN(a_long_wait_comes_in_naps);
    RUN(any_room_is_enough_in_the_end);
    RUN(the_end_wakes_everybody);
    RUN(who_leaves_an_item_wakes_the_next);
    RUN(draining_waits_for_those_who_wait);
    RUN(the_baton_is_waited_for_but_not_for_long);
    RUN(the_handle_is_ready_while_something_is_there);
    RUN(a_forked_child_abandons_what_threads_of_the_parent_use);
    return 0;
}
