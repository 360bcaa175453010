/* SPDX-License-Identifier: MIT
 * The loops of loops.h.
 */
#include "loops.h"

#include <stdlib.h>
#include <string.h>

#include "ipcf/clock.h"

#define BATCH_BYTES ((size_t)64 << 10)

static uint8_t *room(size_t size)
{
    uint8_t *memory = malloc(size + 8);
    if (memory == NULL)
        fail("malloc", IPCF_NO_MEMORY);
    /* touched here, so that no loop pays for the first touch */
    memset(memory, '.', size + 8);
    return memory;
}

/* Only the ends change from message to message: filling all of a large one would be
 * measured too. */
void loop_fill(uint8_t *body, size_t size, uint64_t number)
{
    size_t part = size < sizeof number ? size : sizeof number;
    memcpy(body, &number, part);
    memcpy(body + size - part, &number, part);
}

static uint64_t mixed(uint64_t checksum, const uint8_t *body, size_t size)
{
    uint64_t first = 0, last = 0;
    size_t part = size < sizeof first ? size : sizeof first;
    memcpy(&first, body, part);
    memcpy(&last, body + size - part, part);
    return (checksum ^ first ^ (last << 1)) * UINT64_C(0x100000001b3);
}

loop_report loop_due(const loop_job *job)
{
    loop_report due = {job->count, 0};
    uint8_t *body = room(job->size);
    for (size_t number = 0; number < job->count; number++) {
        loop_fill(body, job->size, number);
        due.checksum = mixed(due.checksum, body, job->size);
    }
    free(body);
    return due;
}

void loop_round_trips(ipcf_channel *channel, const loop_job *job, uint64_t *samples_ns)
{
    uint8_t *body = room(job->size), *returned = room(job->size);
    size_t part = job->size < 64 ? job->size : 64;
    for (size_t number = 0; number < job->count; number++) {
        uint64_t started = samples_ns != NULL ? ipcf_clock_ns() : 0;
        loop_fill(body, job->size, number);
        end_send(channel, body, job->size);
        end_receive(channel, returned, job->size);
        if (samples_ns != NULL)
            samples_ns[number] = ipcf_clock_ns() - started;
        if (memcmp(returned, body, part) != 0)
            fail("a message came back altered", IPCF_OK);
    }
    if (memcmp(returned, body, job->size) != 0)
        fail("a message came back altered", IPCF_OK);
    free(body);
    free(returned);
}

static void pour_batches(ipcf_channel *channel, const loop_job *job)
{
    size_t most = job->size < BATCH_BYTES ? BATCH_BYTES / job->size : 1;
    uint8_t *bodies = room(most * job->size);
    ipcf_piece *pieces = calloc(most, sizeof *pieces);
    if (pieces == NULL)
        fail("calloc", IPCF_NO_MEMORY);
    for (size_t index = 0; index < most; index++)
        pieces[index] = (ipcf_piece){bodies + index * job->size, job->size};
    for (size_t number = 0; number < job->count;) {
        size_t count = job->count - number < most ? job->count - number : most;
        for (size_t index = 0; index < count; index++)
            loop_fill(bodies + index * job->size, job->size, number + index);
        end_send_many(channel, pieces, count);
        number += count;
    }
    free(pieces);
    free(bodies);
}

void loop_pour(ipcf_channel *channel, const loop_job *job)
{
    if (job->work == WORK_BATCHES) {
        pour_batches(channel, job);
        return;
    }
    uint8_t *body = room(job->size);
    for (size_t number = 0; number < job->count; number++) {
        loop_fill(body, job->size, number);
        end_send(channel, body, job->size);
    }
    free(body);
}

void loop_echo(ipcf_channel *channel, const loop_job *job)
{
    uint8_t *body = room(job->size);
    for (size_t number = 0; number < job->count; number++) {
        end_receive(channel, body, job->size);
        end_send(channel, body, job->size);
    }
    free(body);
}

loop_report loop_collect(ipcf_channel *channel, const loop_job *job)
{
    loop_report found = {0, 0};
    size_t most = 1;
    if (job->work == WORK_BATCHES && job->size < BATCH_BYTES)
        most = BATCH_BYTES / job->size;
    uint8_t *bodies = room(most * job->size);
    while (found.count < job->count) {
        size_t left = job->count - found.count, count = 1;
        if (job->work == WORK_BATCHES)
            count =
                end_receive_many(channel, bodies, job->size, left < most ? left : most);
        else
            end_receive(channel, bodies, job->size);
        for (size_t index = 0; index < count; index++)
            found.checksum =
                mixed(found.checksum, bodies + index * job->size, job->size);
        found.count += count;
    }
    free(bodies);
    return found;
}
