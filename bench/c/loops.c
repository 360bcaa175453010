/* SPDX-License-Identifier: MIT
 * The loops of loops.h.
 */
#include "loops.h"

#include <stdlib.h>
#include <string.h>

#include "ipcf/clock.h"

/* The same figures as in bench/work.py. */
#define BATCH_BYTES ((size_t)64 << 10)
#define DISTINCT ((size_t)1024)
#define DISTINCT_BYTES ((size_t)4 << 20)
#define KEPT_BYTES ((size_t)4096)
#define WARM_UP_COUNT ((size_t)4)

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void *zeroed(size_t count, size_t size)
{
    void *memory = malloc(count * size + 1);
    if (memory == NULL)
        fail("malloc", IPCF_NO_MEMORY);
    /* calloc would leave the first touch to the loop */
    memset(memory, 0, count * size + 1);
    return memory;
}

size_t loop_batch(const loop_job *job)
{
    return job->size < BATCH_BYTES ? BATCH_BYTES / job->size : 1;
}

static void fill(uint8_t *body, size_t size, uint64_t number)
{
    size_t whole = size / sizeof number * sizeof number;
    for (size_t at = 0; at < whole; at += sizeof number)
        memcpy(body + at, &number, sizeof number);
    memset(body + whole, '.', size - whole);
}

/* A batch begins at any of the distinct messages, so the pieces go one batch further than these. */
static ipcf_piece *pieces_of(const loop_room *room, const loop_job *job)
{
    size_t count = room->distinct + loop_batch(job);
    ipcf_piece *pieces = zeroed(count, sizeof *pieces);
    for (size_t index = 0; index < count; index++)
        pieces[index] =
            (ipcf_piece){room->sent + index % room->distinct * job->size, job->size};
    return pieces;
}

void loop_prepare(loop_room *room, const loop_job *job)
{
    bool is_kept = job->work != WORK_ROUND_TRIP || job->size <= KEPT_BYTES ||
                   job->count <= WARM_UP_COUNT;
    size_t fitting = smaller(DISTINCT, DISTINCT_BYTES / job->size);
    room->distinct = smaller(job->count, fitting > 0 ? fitting : 1);
    room->kept = is_kept ? job->count : 1;
    room->sent = zeroed(room->distinct, job->size);
    room->received = zeroed(room->kept, job->size);
    for (size_t number = 0; number < room->distinct; number++)
        fill(room->sent + number * job->size, job->size, number);
    room->pieces = job->work == WORK_BATCHES ? pieces_of(room, job) : NULL;
}

void loop_free(loop_room *room)
{
    free(room->sent);
    free(room->received);
    free(room->pieces);
}

static const uint8_t *sent(const loop_room *room, const loop_job *job, size_t number)
{
    return room->sent + number % room->distinct * job->size;
}

/* The message at `*at`, and one step further; no division on the clock. */
static const uint8_t *next(const loop_room *room, const loop_job *job, size_t *at)
{
    const uint8_t *body = room->sent + *at * job->size;
    *at = *at + 1 < room->distinct ? *at + 1 : 0;
    return body;
}

static bool is_intact(const loop_room *room, const loop_job *job, size_t number)
{
    size_t place = room->kept > 1 ? number : 0;
    return memcmp(room->received + place * job->size, sent(room, job, number),
                  job->size) == 0;
}

size_t loop_intact(const loop_room *room, const loop_job *job)
{
    size_t intact = job->count - room->kept;
    for (size_t number = intact; number < job->count; number++)
        intact += is_intact(room, job, number);
    return intact;
}

static void timed_round_trips(ipcf_channel *channel, const loop_job *job,
                              loop_room *room, uint64_t *samples_ns)
{
    for (size_t number = 0; number < job->count; number++) {
        const uint8_t *body = sent(room, job, number);
        uint64_t started = ipcf_clock_ns();
        end_send(channel, body, job->size);
        end_receive(channel, room->received, job->size);
        samples_ns[number] = ipcf_clock_ns() - started;
        if (memcmp(room->received, body, job->size) != 0)
            fail("a message came back altered", IPCF_OK);
    }
}

void loop_round_trips(ipcf_channel *channel, const loop_job *job, loop_room *room,
                      uint64_t *samples_ns)
{
    if (samples_ns != NULL) {
        timed_round_trips(channel, job, room, samples_ns);
        return;
    }
    size_t step = room->kept > 1 ? job->size : 0, at = 0;
    uint8_t *returned = room->received;
    for (size_t number = 0; number < job->count; number++, returned += step) {
        end_send(channel, next(room, job, &at), job->size);
        end_receive(channel, returned, job->size);
    }
}

void loop_pour(ipcf_channel *channel, const loop_job *job, const loop_room *room)
{
    if (job->work == WORK_ONE_WAY) {
        for (size_t number = 0, at = 0; number < job->count; number++)
            end_send(channel, next(room, job, &at), job->size);
        return;
    }
    for (size_t number = 0; number < job->count;) {
        size_t count = smaller(job->count - number, loop_batch(job));
        end_send_many(channel, room->pieces + number % room->distinct, count);
        number += count;
    }
}

void loop_echo(ipcf_channel *channel, const loop_job *job, loop_room *room)
{
    for (size_t number = 0; number < job->count; number++) {
        end_receive(channel, room->received, job->size);
        end_send(channel, room->received, job->size);
    }
}

void loop_collect(ipcf_channel *channel, const loop_job *job, loop_room *room)
{
    size_t most = loop_batch(job);
    for (size_t number = 0; number < job->count;) {
        uint8_t *dest = room->received + number * job->size;
        if (job->work == WORK_BATCHES) {
            size_t left = job->count - number;
            number += end_receive_many(channel, dest, job->size, smaller(left, most));
        } else {
            end_receive(channel, dest, job->size);
            number++;
        }
    }
}
