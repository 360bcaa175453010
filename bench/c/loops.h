/* SPDX-License-Identifier: MIT
 * The loops that set the limit: what the Python benches do (bench/work.py), without Python.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "ends.h"

typedef enum loop_work {
    WORK_ROUND_TRIP,
    WORK_ONE_WAY,
    WORK_BATCHES,
    WORK_PLACE,
    WORK_ESTRANGE
} loop_work;

typedef struct loop_job {
    loop_work work;
    size_t size; /* bytes of each message; WORK_PLACE: the CPU */
    size_t count;
} loop_job;

/* The messages of a job, and room for what arrives: made and touched before the clock starts, compared after it has
 * stopped, as in Python. */
typedef struct loop_room {
    uint8_t *sent; /* `distinct` messages; then they repeat */
    uint8_t *received;
    ipcf_piece *pieces; /* the sent ones, for batches */
    size_t distinct;
    size_t
        kept; /* 1: each received message overwrites the one before it; else the job's count */
} loop_room;

/* How many messages one call of a batch takes. */
size_t loop_batch(const loop_job *job);
void loop_prepare(loop_room *room, const loop_job *job);
void loop_free(loop_room *room);
/* How many messages arrived as they were sent; of those that were not kept, only the last is compared. */
size_t loop_intact(const loop_room *room, const loop_job *job);

/* The parent's side. samples_ns: NULL, or room for the time of each round trip; each message is then compared at once,
 * between the samples. */
void loop_round_trips(ipcf_channel *channel, const loop_job *job, loop_room *room,
                      uint64_t *samples_ns);
void loop_pour(ipcf_channel *channel, const loop_job *job, const loop_room *room);

/* The child's side. */
void loop_echo(ipcf_channel *channel, const loop_job *job, loop_room *room);
void loop_collect(ipcf_channel *channel, const loop_job *job, loop_room *room);

#endif
