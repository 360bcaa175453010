/* SPDX-License-Identifier: MIT
 * The loops that set the limit: what the Python benches do, without Python.
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

/* What arrived: how many, and a checksum over their order, their first and their last bytes. */
typedef struct loop_report {
    uint64_t count;
    uint64_t checksum;
} loop_report;

/* Message number `number`, as every message of a job is made. */
void loop_fill(uint8_t *body, size_t size, uint64_t number);
loop_report loop_due(const loop_job *job);

/* The parent's side. samples_ns: NULL, or room for the time of each round trip. Ends the program when a message came back
 * altered. */
void loop_round_trips(ipcf_channel *channel, const loop_job *job, uint64_t *samples_ns);
void loop_pour(ipcf_channel *channel, const loop_job *job);

/* The child's side. */
void loop_echo(ipcf_channel *channel, const loop_job *job);
loop_report loop_collect(ipcf_channel *channel, const loop_job *job);

#endif
