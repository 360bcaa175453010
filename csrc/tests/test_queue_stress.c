/* SPDX-License-Identifier: MIT
 * The in-process queue under several senders and receivers: everything arrives once, in
 * the order of each sender, and the end loses nothing. Meaningful under TSan: the cells
 * are plain memory.
 */
#include <poll.h>

#include "tests/queue_users.h"

#define SENDERS 4
#define RECEIVERS 3
#define EACH 60000
/* The pointers point at these, so that a sanitizer sees who may touch what, when. */
static uint32_t cells[SENDERS][EACH];
static unsigned taken[SENDERS][EACH];

typedef struct traffic {
    ipcf_queue *queue;
    unsigned sender;
    ipcf_handle handle; /* of receivers that wait for it; IPCF_NO_HANDLE */
} traffic;

static ipcf_status push_cell(traffic *mine, uint32_t number)
{
    uint32_t *cell = &cells[mine->sender][number];
    *cell = number + 1;
    ipcf_queue_item item = {cell, number, (uint8_t)mine->sender, 0};
    ipcf_status status;
    uint64_t deadline = hang_bound();
    while ((status = ipcf_queue_try_push(mine->queue, &item)) == IPCF_AGAIN)
        CHECK_OK(wait_once(mine->queue, IPCF_QUEUE_FOR_ROOM, deadline));
    return status;
}

static void *send_cells(void *argument)
{
    for (uint32_t number = 0; number < EACH; number++)
        CHECK_OK(push_cell(argument, number));
    return NULL;
}

/* Pop the next one of any kind, or of the kind that is there. */
static ipcf_status pop_cell(traffic *mine, unsigned turn, ipcf_queue_item *item)
{
    uint8_t kind = IPCF_QUEUE_ANY_KIND;
    for (;;) {
        ipcf_status status = ipcf_queue_try_pop(mine->queue, kind, UINT64_MAX, item);
        if (status == IPCF_OK || status == IPCF_DISCONNECTED)
            return status;
        if (status == IPCF_INVALID)
            kind = item->kind; /* it may be gone by now */
        else if (mine->handle != IPCF_NO_HANDLE && turn % 2 != 0) {
            struct pollfd polled = {.fd = (int)mine->handle, .events = POLLIN};
            CHECK(poll(&polled, 1, 20000) == 1);
        } else
            CHECK_OK(wait_once(mine->queue, IPCF_QUEUE_FOR_ITEM, hang_bound()));
        if (status == IPCF_AGAIN)
            kind = turn % 5 == 0 ? (uint8_t)(turn % SENDERS) : IPCF_QUEUE_ANY_KIND;
    }
}

static void *receive_cells(void *argument)
{
    int64_t last[SENDERS];
    ipcf_queue_item item;
    memset(last, -1, sizeof last);
    for (unsigned turn = 0; pop_cell(argument, turn, &item) == IPCF_OK; turn++) {
        uint32_t number = (uint32_t)item.size;
        CHECK(item.kind < SENDERS && (int64_t)number > last[item.kind]);
        CHECK(item.pointer == &cells[item.kind][number]);
        CHECK(cells[item.kind][number] == number + 1);
        cells[item.kind][number] = 0;
        taken[item.kind][number]++;
        last[item.kind] = number;
    }
    return NULL;
}

static void everything_arrives_once(uint64_t capacity, bool with_handle)
{
    ipcf_queue *queue = make_queue(capacity);
    traffic roles[SENDERS + RECEIVERS];
    pthread_t threads[SENDERS + RECEIVERS];
    ipcf_handle handle = IPCF_NO_HANDLE;
    if (with_handle)
        CHECK_OK(ipcf_queue_ready_handle(queue, &handle, NULL));
    memset(taken, 0, sizeof taken);
    for (unsigned i = 0; i < SENDERS + RECEIVERS; i++) {
        roles[i] = (traffic){queue, i, handle};
        threads[i] = start(i < SENDERS ? send_cells : receive_cells, &roles[i]);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        result_of(threads[i]);
    ipcf_queue_close(queue);
    for (unsigned i = SENDERS; i < SENDERS + RECEIVERS; i++)
        result_of(threads[i]);
    for (unsigned sender = 0; sender < SENDERS; sender++)
        for (unsigned number = 0; number < EACH; number++)
            CHECK(taken[sender][number] == 1);
    CHECK(ipcf_queue_peak(queue) > 0 && ipcf_queue_peak(queue) <= capacity);
    CHECK(ipcf_queue_length(queue) == 0);
    drop_queue(queue);
}

static void several_senders_and_receivers_share_a_queue(void)
{
    everything_arrives_once(1, false);
    everything_arrives_once(7, false);
    everything_arrives_once(1000, false);
}

static void receivers_may_wait_for_the_handle(void)
{
    everything_arrives_once(3, true);
    everything_arrives_once(500, true);
}

#define FEW 50

static void *push_few(void *argument)
{
    for (uintptr_t number = 0; number < FEW; number++)
        CHECK_OK(push(argument, number, hang_bound()));
    return NULL;
}

static void *pop_few(void *argument)
{
    uintptr_t number;
    for (int count = 0; count < FEW; count++)
        CHECK_OK(pop(argument, &number, hang_bound()));
    return NULL;
}

/* Whoever rings and whoever hushes last: the handle tells what is there. */
static void the_handle_is_right_in_the_end(void)
{
    ipcf_queue *queue = make_queue(5);
    ipcf_handle handle;
    CHECK_OK(ipcf_queue_ready_handle(queue, &handle, NULL));
    for (unsigned round = 0; round < 300; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            threads[i] = start(i % 2 ? push_few : pop_few, queue);
        for (int i = 0; i < 4; i++)
            result_of(threads[i]);
        CHECK(!is_ready(handle));
        CHECK_OK(try_push(queue, 1));
        CHECK(is_ready(handle) && popped(queue) == 1);
    }
    drop_queue(queue);
}

/* Pushes until the end; says how many were taken by the queue. */
static void *push_until_the_end(void *argument)
{
    uintptr_t count = 0;
    ipcf_status status;
    while ((status = push(argument, 1, hang_bound())) == IPCF_OK)
        count++;
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    return (void *)count;
}

static void *pop_until_the_end(void *argument)
{
    uintptr_t count = 0, number;
    ipcf_status status;
    while ((status = pop(argument, &number, hang_bound())) == IPCF_OK)
        count++;
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    return (void *)count;
}

/* What the queue took before it was closed comes out, and nothing else. */
static void the_end_loses_nothing(void)
{
    for (unsigned round = 0; round < 200; round++) {
        ipcf_queue *queue = make_queue(1 + round % 30);
        pthread_t threads[6];
        uintptr_t pushed = 0, popped_count = 0;
        for (int i = 0; i < 6; i++)
            threads[i] = start(i < 3 ? push_until_the_end : pop_until_the_end, queue);
        usleep(round % 5 * 200);
        ipcf_queue_close(queue);
        for (int i = 0; i < 6; i++)
            *(i < 3 ? &pushed : &popped_count) += result_of(threads[i]);
        CHECK(pushed == popped_count);
        drop_queue(queue);
    }
}

int main(void)
{
    alarm(250);
    RUN(several_senders_and_receivers_share_a_queue);
    RUN(receivers_may_wait_for_the_handle);
    RUN(the_handle_is_right_in_the_end);
    RUN(the_end_loses_nothing);
    return 0;
}
