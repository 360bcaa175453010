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
    int orders, answers; /* the parent writes loop_job and reads loop_report */
} two_processes;

_Noreturn void fail(const char *what, ipcf_status status)
{
    fprintf(stderr, "limit: %s: %s\n", what, ipcf_status_text(status));
    exit(1);
}

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

static void serve(const two_processes *here)
{
    loop_job job;
    while (take(here->orders, &job, sizeof job)) {
        loop_report report = {0, 0};
        put(here->answers, &report, sizeof report);
        if (is_place(job.work))
            settle(&job);
        else if (job.work == WORK_ROUND_TRIP)
            loop_echo(here->channel, &job);
        else
            report = loop_collect(here->channel, &job);
        put(here->answers, &report, sizeof report);
    }
}

static void finish(const two_processes *here, loop_report *report)
{
    if (!take(here->answers, report, sizeof *report))
        fail("the other process has gone", IPCF_DISCONNECTED);
}

static uint64_t run(const two_processes *here, const loop_job *job,
                    uint64_t *samples_ns)
{
    loop_report report;
    put(here->orders, job, sizeof *job);
    finish(here, &report);
    uint64_t started = ipcf_clock_ns();
    if (job->work == WORK_ROUND_TRIP)
        loop_round_trips(here->channel, job, samples_ns);
    else if (!is_place(job->work))
        loop_pour(here->channel, job);
    uint64_t round_trips_ended = ipcf_clock_ns();
    finish(here, &report);
    if (job->work == WORK_ROUND_TRIP || is_place(job->work))
        return round_trips_ended - started;
    uint64_t elapsed = ipcf_clock_ns() - started;
    loop_report due = loop_due(job);
    if (report.count != due.count || report.checksum != due.checksum)
        fail("messages were lost, altered or out of order", IPCF_OK);
    return elapsed;
}

static void answer(const two_processes *here, const char *work, size_t first,
                   size_t second)
{
    loop_job job = {WORK_ROUND_TRIP, first, second};
    uint64_t *samples = NULL;
    if (strcmp(work, "place") == 0 || strcmp(work, "estrange") == 0) {
        job = (loop_job){*work == 'p' ? WORK_PLACE : WORK_ESTRANGE, second, 0};
        pin(first);
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
