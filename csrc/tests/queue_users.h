/* SPDX-License-Identifier: MIT
 * Queues for tests, and what a user makes of try_push, try_pop and waiting.
 */
#ifndef IPCF_TESTS_QUEUE_USERS_H
#define IPCF_TESTS_QUEUE_USERS_H

#include <pthread.h>

#include "ipcf/queue.h"
#include "tests/processes.h"

#define NAP_NS UINT64_C(50000000)
#define SPIN_NS UINT64_C(20000)

static inline ipcf_queue *make_queue(uint64_t capacity)
{
    ipcf_queue *queue = calloc(1, sizeof *queue);
    CHECK(queue != NULL);
    CHECK_OK(ipcf_queue_init(queue, capacity, SPIN_NS, NULL, NULL));
    return queue;
}

static inline void drop_queue(ipcf_queue *queue)
{
    ipcf_queue_destroy(queue);
    ipcf_queue_destroy(queue);
    free(queue);
}

static inline ipcf_queue_item item_of(uintptr_t number)
{
    return (ipcf_queue_item){(void *)number, number % 1000, (uint8_t)(number % 3), 0};
}

static inline ipcf_status try_push(ipcf_queue *queue, uintptr_t number)
{
    ipcf_queue_item item = item_of(number);
    return ipcf_queue_try_push(queue, &item);
}

/* Pop what must be there. */
static inline uintptr_t popped(ipcf_queue *queue)
{
    ipcf_queue_item item;
    CHECK_OK(ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item));
    uintptr_t number = (uintptr_t)item.pointer;
    CHECK(item.size == number % 1000 && item.kind == number % 3);
    return number;
}

static inline ipcf_status wait_once(ipcf_queue *queue, ipcf_queue_direction direction,
                                    uint64_t deadline)
{
    ipcf_queue_wait wait;
    ipcf_status status;
    ipcf_queue_wait_begin(&wait, queue, direction, deadline, NAP_NS);
    while ((status = ipcf_queue_wait_on(&wait)) == IPCF_INTERRUPTED)
        continue;
    ipcf_queue_wait_end(&wait, false);
    return status;
}

/* What a user makes of try_push and of try_pop. */
static inline ipcf_status push(ipcf_queue *queue, uintptr_t number, uint64_t deadline)
{
    ipcf_queue_wait wait;
    ipcf_status status = try_push(queue, number);
    if (status != IPCF_AGAIN)
        return status;
    ipcf_queue_wait_begin(&wait, queue, IPCF_QUEUE_FOR_ROOM, deadline, NAP_NS);
    while (status == IPCF_AGAIN || status == IPCF_INTERRUPTED) {
        status = ipcf_queue_wait_on(&wait);
        if (status == IPCF_OK)
            status = try_push(queue, number);
    }
    ipcf_queue_wait_end(&wait, false);
    return status;
}

static inline ipcf_status pop(ipcf_queue *queue, uintptr_t *number, uint64_t deadline)
{
    ipcf_queue_wait wait;
    ipcf_queue_item item = {0};
    ipcf_status status = IPCF_AGAIN;
    ipcf_queue_wait_begin(&wait, queue, IPCF_QUEUE_FOR_ITEM, deadline, NAP_NS);
    for (;;) {
        status = ipcf_queue_try_pop(queue, IPCF_QUEUE_ANY_KIND, UINT64_MAX, &item);
        if (status != IPCF_AGAIN)
            break;
        while ((status = ipcf_queue_wait_on(&wait)) == IPCF_INTERRUPTED)
            continue;
        if (status != IPCF_OK)
            break;
    }
    ipcf_queue_wait_end(&wait, status == IPCF_OK);
    *number = (uintptr_t)item.pointer;
    return status;
}

static inline pthread_t start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static inline void until_asleep(ipcf_park *park, uint32_t due)
{
    uint64_t deadline = hang_bound();
    while (ipcf_load_seq_cst(&park->sleepers) != due) {
        CHECK(ipcf_clock_ns() < deadline);
        ipcf_thread_yield();
    }
}

static inline uintptr_t result_of(pthread_t thread)
{
    void *result;
    CHECK(pthread_join(thread, &result) == 0);
    return (uintptr_t)result;
}

#endif
