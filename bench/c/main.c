/* SPDX-License-Identifier: MIT
 * Two C processes with a channel between them, driven by lines on stdin: the limit that
 * Python is measured against.
 *
 * `limit ring` or `limit stream`, then on stdin any number of
 *     place HERE PEER            pin the two processes to these CPUs
 *     estrange HERE PEER         the same, and give the other one a session of its own
 *     round_trip SIZE COUNT      one_way SIZE COUNT      batches SIZE COUNT
 *     timed SIZE COUNT           round trips, each with its own time
 * and for each a line on stdout with the nanoseconds of the whole, and for `timed` those of
 * each after it.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipcf/clock.h"
#include "ipcf/wait.h"
#include "loops.h"

typedef struct two_processes {
    ipcf_channel *channel;
    int orders,
        answers; /* the parent writes loop_job; for each the child answers three times */
} two_processes;

static void pin(size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fail("sched_setaffinity", IPCF_OS_ERROR);
}

/* Whole structs are far below PIPE_BUF: they are never split. */
static bool take(int pipe_end, void *data, size_t size)
{
    return read(pipe_end, data, size) == (ssize_t)size;
}

static void put(int pipe_end, const void *data, size_t size)
{
    if (write(pipe_end, data, size) != (ssize_t)size)
        fail("the other process has gone", IPCF_DISCONNECTED);
}

static bool is_place(loop_work work)
{
    return work == WORK_PLACE || work == WORK_ESTRANGE;
}

static void settle(const loop_job *job)
{
    pin(job->size);
    if (job->work == WORK_ESTRANGE && getsid(0) != getpid() && setsid() < 0)
        fail("setsid", IPCF_OS_ERROR);
}

/* The child's part of a job: answers when it is ready, when it is done, and with what arrived whole and in order. */
static void serve_job(const two_processes *here, const loop_job *job)
{
    bool is_echo = job->work == WORK_ROUND_TRIP;
    size_t intact = 0;
    loop_room room;
    /* an echo keeps nothing */
    loop_job prepared = {job->work, job->size, is_echo ? 1 : job->count};
    loop_prepare(&room, &prepared);
    put(here->answers, &intact, sizeof intact);
    if (is_echo)
        loop_echo(here->channel, job, &room);
    else
        loop_collect(here->channel, job, &room);
    put(here->answers, &intact, sizeof intact);
    intact = is_echo ? job->count : loop_intact(&room, job);
    put(here->answers, &intact, sizeof intact);
    loop_free(&room);
}

static void serve(const two_processes *here)
{
    loop_job job;
    while (take(here->orders, &job, sizeof job)) {
        if (!is_place(job.work)) {
            serve_job(here, &job);
            continue;
        }
        settle(&job);
        put(here->answers, &job.count, sizeof job.count);
    }
}

static size_t answered(const two_processes *here)
{
    size_t answer;
    if (!take(here->answers, &answer, sizeof answer))
        fail("the other process has gone", IPCF_DISCONNECTED);
    return answer;
}

static void place(const two_processes *here, const loop_job *job)
{
    put(here->orders, job, sizeof *job);
    answered(here);
}

/* The nanoseconds of a job. Round trips have ended when the last one is back, one-way traffic when the child says so. */
static uint64_t run(const two_processes *here, const loop_job *job,
                    uint64_t *samples_ns)
{
    bool returns = job->work == WORK_ROUND_TRIP;
    loop_room room;
    loop_prepare(&room, job);
    put(here->orders, job, sizeof *job);
    answered(here);
    uint64_t started = ipcf_clock_ns();
    if (returns)
        loop_round_trips(here->channel, job, &room, samples_ns);
    else
        loop_pour(here->channel, job, &room);
    uint64_t ended = ipcf_clock_ns();
    answered(here);
    ended = returns ? ended : ipcf_clock_ns();
    size_t intact = answered(here);
    /* those with samples were compared one by one */
    if (returns && samples_ns == NULL)
        intact = loop_intact(&room, job);
    if (intact != job->count)
        fail("messages were lost, altered or out of order", IPCF_OK);
    loop_free(&room);
    return ended - started;
}

static void answer(const two_processes *here, const char *work, size_t first,
                   size_t second)
{
    loop_job job = {WORK_ROUND_TRIP, first, second};
    uint64_t *samples = NULL;
    if (strcmp(work, "place") == 0 || strcmp(work, "estrange") == 0) {
        job = (loop_job){*work == 'p' ? WORK_PLACE : WORK_ESTRANGE, second, 0};
        pin(first);
        place(here, &job);
        printf("0\n");
        fflush(stdout);
        return;
    } else if (strcmp(work, "one_way") == 0) {
        job.work = WORK_ONE_WAY;
    } else if (strcmp(work, "batches") == 0) {
        job.work = WORK_BATCHES;
    } else if (strcmp(work, "timed") == 0) {
        samples = calloc(second, sizeof *samples);
        if (samples == NULL)
            fail("calloc", IPCF_NO_MEMORY);
    } else if (strcmp(work, "round_trip") != 0) {
        fail(work, IPCF_INVALID);
    }
    printf("%" PRIu64, run(here, &job, samples));
    for (size_t index = 0; samples != NULL && index < second; index++)
        printf(" %" PRIu64, samples[index]);
    printf("\n");
    fflush(stdout);
    free(samples);
}

static void accept_child(ipcf_listener *listener, ipcf_stream *stream)
{
    ipcf_error error;
    ipcf_status status;
    uint64_t deadline = ipcf_deadline_in(10.0);
    while ((status = ipcf_listener_try_accept(listener, true, stream, &error)) ==
           IPCF_AGAIN) {
        ipcf_wait_item item = {ipcf_listener_arm(listener), false, false};
        status = ipcf_wait(&item, 1, deadline, &error);
        if (status != IPCF_OK)
            fail("accept", status);
    }
    if (status != IPCF_OK)
        fail("accept", status);
}

static void tidy_up(char *path, char *directory)
{
    char lock[64];
    snprintf(lock, sizeof lock, "%s.lock", path);
    unlink(lock);
    rmdir(directory);
}

/* A real connection, not a pair made before the fork: the kernel must know who sits at each
 * end. */
static void start(two_processes *here, bool is_ring, pid_t *child)
{
    ipcf_error error;
    ipcf_listener listener;
    ipcf_ring_segment segment;
    ipcf_stream stream;
    char directory[] = "/tmp/ipcf-limit-XXXXXX", path[sizeof directory + 8];
    int orders[2], answers[2];
    if (mkdtemp(directory) == NULL || pipe(orders) != 0 || pipe(answers) != 0)
        fail("mkdtemp or pipe", IPCF_OS_ERROR);
    snprintf(path, sizeof path, "%s/s", directory);
    ipcf_status status = ipcf_listener_open(path, 4, &listener, &error);
    if (status != IPCF_OK)
        fail("listen", status);
    if (is_ring)
        prepare_ring(&segment);
    *child = fork();
    bool is_parent = *child != 0;
    here->orders = orders[is_parent];
    here->answers = answers[!is_parent];
    close(orders[!is_parent]);
    close(answers[is_parent]);
    if (is_parent) {
        accept_child(&listener, &stream);
        ipcf_listener_close(&listener);
        tidy_up(path, directory);
    } else {
        ipcf_listener_abandon(&listener);
        status = ipcf_stream_connect(path, true, &stream, &error);
        if (status != IPCF_OK)
            fail("connect", status);
    }
    here->channel =
        is_ring ? end_of_ring(&stream, &segment, is_parent) : end_of_stream(&stream);
}

int main(int count, char **arguments)
{
    two_processes here;
    bool is_ring = count == 2 && strcmp(arguments[1], "ring") == 0;
    if (count != 2 || (!is_ring && strcmp(arguments[1], "stream") != 0))
        fail("usage: limit ring|stream", IPCF_INVALID);
    pid_t child;
    start(&here, is_ring, &child);
    if (child == 0) {
        serve(&here);
        return 0;
    }
    char work[16];
    size_t first, second;
    while (scanf("%15s %zu %zu", work, &first, &second) == 3)
        answer(&here, work, first, second);
    close(here.orders);
    waitpid(child, NULL, 0);
    ipcf_channel_close(here.channel);
    return 0;
}
