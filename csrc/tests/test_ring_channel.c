/* SPDX-License-Identifier: MIT
 * Tests of the ring channel: two ends in one process, in threads, and in two processes that are killed.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ipcf/ring_channel.h"
#include "ipcf/wait.h"

#define CAPACITY UINT64_C(65536)
#define SECOND UINT64_C(1000000000)
#define LONG_WAIT (ipcf_clock_ns() + 20 * SECOND)

/* ---- a connected pair ---------------------------------------------------------------------------------------------- */

typedef struct pair {
    ipcf_ring_channel creator, adopter;
} pair;

static ipcf_channel_options options = {.framing = IPCF_FRAMING_LENGTH,
                                       .message_limit = UINT64_C(64) << 20,
                                       .read_ahead_limit = UINT64_C(128) << 20,
                                       .spin_ns = IPCF_SPIN_DEFAULT_NS};

static void open_pair(pair *both)
{
    ipcf_stream streams[2];
    ipcf_ring_segment made, taken;
    ipcf_error error = {0};
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], &error));
    CHECK_OK(ipcf_ring_segment_create(&made, CAPACITY, CAPACITY, &error));
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    size_t count = ipcf_ring_segment_handles(&made, handles);
    for (size_t i = 0; i < count; i++)
        handles[i] = dup((int)handles[i]);
    CHECK_OK(
        ipcf_ring_segment_adopt(&taken, handles, count, CAPACITY, CAPACITY, &error));
    CHECK_OK(
        ipcf_ring_channel_init(&both->creator, &streams[0], &made, &options, &error));
    CHECK_OK(
        ipcf_ring_channel_init(&both->adopter, &streams[1], &taken, &options, &error));
}

static void close_pair(pair *both)
{
    ipcf_channel_close(&both->creator.base);
    ipcf_channel_close(&both->adopter.base);
}

static void fill(uint8_t *data, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        data[i] = (uint8_t)(seed >> 56);
    }
}

static ipcf_status send(ipcf_channel *channel, const void *body, size_t size,
                        uint64_t deadline_ns)
{
    ipcf_error error = {0};
    bool begun = false;
    for (;;) {
        ipcf_status status =
            begun ? ipcf_channel_flush(channel, deadline_ns, &error)
                  : ipcf_channel_send(channel, IPCF_KIND_BYTES, body, size,
                                           deadline_ns, &error);
        if (status != IPCF_INTERRUPTED)
            return status;
        begun = begun || (error.what != NULL && strcmp(error.what, "begun") == 0);
    }
}

/* Receive one message whole; the caller frees *body. */
static ipcf_status receive(ipcf_channel *channel, uint8_t **body, size_t *size,
                           uint64_t deadline_ns)
{
    ipcf_message message;
    ipcf_error error = {0};
    ipcf_status status;
    do {
        status = ipcf_channel_begin(channel, deadline_ns, &message, &error);
    } while (status == IPCF_INTERRUPTED);
    if (status != IPCF_OK)
        return status;
    *size = (size_t)message.size;
    *body = malloc(message.size + 1);
    if (message.data != NULL) {
        memcpy(*body, message.data, message.size);
    } else {
        size_t at = 0, got;
        while (at < message.size) {
            status = ipcf_channel_read_body(channel, *body + at, message.size - at,
                                                 &got, deadline_ns, &error);
            at += got;
            if (status != IPCF_OK && status != IPCF_INTERRUPTED) {
                ipcf_channel_leave(channel);
                free(*body);
                return status;
            }
        }
    }
    ipcf_channel_finish(channel);
    return IPCF_OK;
}

static void expect(ipcf_channel *channel, const void *due, size_t size)
{
    uint8_t *body;
    size_t got;
    CHECK_OK(receive(channel, &body, &got, LONG_WAIT));
    CHECK(got == size);
    CHECK(memcmp(body, due, size) == 0);
    free(body);
}

/* ---- one thread ---------------------------------------------------------------------------------------------------- */

static void sizes_that_fit_arrive_as_sent(void)
{
    pair both;
    open_pair(&both);
    uint8_t data[CAPACITY / 2];
    size_t most = ipcf_ring_record_max(CAPACITY);
    size_t sizes[] = {0, 1, 7, 8, 9, most - 1, most, most + 1, 2 * most};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill(data, sizes[i], i);
        CHECK_OK(send(&both.creator.base, data, sizes[i], LONG_WAIT));
        expect(&both.adopter.base, data, sizes[i]);
        CHECK_OK(send(&both.adopter.base, data, sizes[i], LONG_WAIT));
        expect(&both.creator.base, data, sizes[i]);
    }
    close_pair(&both);
}

static void a_begun_send_is_finished_by_the_next(void)
{
    pair both;
    open_pair(&both);
    size_t size = 3 * CAPACITY;
    uint8_t *data = malloc(size);
    fill(data, size, 1);
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_channel_send(&both.creator.base, IPCF_KIND_BYTES, data, size,
                                        IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK(strcmp(error.what, "begun") == 0);
    ipcf_message message;
    size_t at = 0, got;
    CHECK_OK(ipcf_channel_begin(&both.adopter.base, LONG_WAIT, &message, &error));
    CHECK(message.size == size && message.data == NULL && message.received == 0);
    uint8_t *copy = malloc(size);
    while (at < size) {
        ipcf_status status = ipcf_channel_read_body(
            &both.adopter.base, copy + at, size - at, &got, IPCF_NO_WAIT, &error);
        at += got;
        if (status == IPCF_TIMEOUT) {
            ipcf_channel_leave(&both.adopter.base);
            status = ipcf_channel_flush(&both.creator.base, IPCF_NO_WAIT, &error);
            CHECK(status == IPCF_OK || status == IPCF_TIMEOUT);
            CHECK_OK(
                ipcf_channel_begin(&both.adopter.base, LONG_WAIT, &message, &error));
            CHECK(message.received == at);
        }
    }
    ipcf_channel_finish(&both.adopter.base);
    CHECK(memcmp(copy, data, size) == 0);
    CHECK_OK(send(&both.creator.base, "next", 4, LONG_WAIT));
    expect(&both.adopter.base, "next", 4);
    free(copy);
    free(data);
    close_pair(&both);
}

static void an_oversized_message_is_skipped(void)
{
    pair both;
    open_pair(&both);
    both.adopter.base.message_limit = 1000;
    uint8_t data[CAPACITY / 2] = {0};
    ipcf_message message;
    ipcf_error error = {0};
    size_t sizes[] = {1001, CAPACITY / 2};
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(send(&both.creator.base, data, sizes[i], LONG_WAIT));
        CHECK_OK(send(&both.creator.base, "small", 5, LONG_WAIT));
        CHECK_STATUS(
            ipcf_channel_begin(&both.adopter.base, LONG_WAIT, &message, &error),
            IPCF_TOO_LARGE);
        CHECK(error.expected == 1000 && error.found == sizes[i]);
        expect(&both.adopter.base, "small", 5);
    }
    close_pair(&both);
}

static void timeouts_are_not_early(void)
{
    pair both;
    open_pair(&both);
    uint8_t *body, data[4096] = {0};
    size_t size;
    uint64_t deadline = ipcf_clock_ns() + SECOND / 20;
    CHECK_STATUS(receive(&both.adopter.base, &body, &size, deadline), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    while (send(&both.creator.base, data, sizeof data, IPCF_NO_WAIT) == IPCF_OK)
        continue;
    deadline = ipcf_clock_ns() + SECOND / 20;
    CHECK_STATUS(send(&both.creator.base, data, sizeof data, deadline), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    close_pair(&both);
}

static bool is_ready(ipcf_handle handle)
{
    ipcf_wait_item item = {.handle = handle};
    ipcf_status status = ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL);
    CHECK(status == IPCF_OK || status == IPCF_TIMEOUT);
    return item.is_ready;
}

static void the_ready_handle_is_level_triggered(void)
{
    pair both;
    open_pair(&both);
    ipcf_handle handle;
    CHECK_OK(send(&both.creator.base, "early", 5, LONG_WAIT));
    CHECK_OK(ipcf_channel_ready_handle(&both.adopter.base, &handle, NULL));
    CHECK(is_ready(handle));
    expect(&both.adopter.base, "early", 5);
    for (int round = 0; round < 3; round++) {
        CHECK(!is_ready(handle));
        CHECK_OK(send(&both.creator.base, "one", 3, LONG_WAIT));
        CHECK_OK(send(&both.creator.base, "two", 3, LONG_WAIT));
        CHECK(is_ready(handle));
        expect(&both.adopter.base, "one", 3);
        CHECK(is_ready(handle));
        expect(&both.adopter.base, "two", 3);
    }
    ipcf_channel_shut_down(&both.creator.base);
    CHECK(is_ready(handle));
    close_pair(&both);
}

static void goodbye_comes_after_everything_sent(void)
{
    pair both;
    open_pair(&both);
    uint8_t *body;
    size_t size;
    CHECK_OK(send(&both.creator.base, "last", 4, LONG_WAIT));
    ipcf_channel_shut_down(&both.creator.base);
    CHECK_STATUS(send(&both.creator.base, "no", 2, LONG_WAIT), IPCF_SHUT_DOWN);
    CHECK_STATUS(receive(&both.creator.base, &body, &size, LONG_WAIT), IPCF_SHUT_DOWN);
    CHECK_STATUS(send(&both.adopter.base, "no", 2, LONG_WAIT), IPCF_DISCONNECTED);
    expect(&both.adopter.base, "last", 4);
    CHECK_STATUS(receive(&both.adopter.base, &body, &size, LONG_WAIT), IPCF_DISCONNECTED);
    CHECK(ipcf_load_acquire(&both.adopter.base.ending) == IPCF_ENDING_GOODBYE);
    ipcf_channel_close(&both.creator.base);
    CHECK_STATUS(send(&both.creator.base, "no", 2, LONG_WAIT), IPCF_CLOSED);
    close_pair(&both);
}

/* ---- threads -------------------------------------------------------------------------------------------------------- */

typedef struct job {
    ipcf_channel *channel;
    size_t size;
    uint64_t count;
    ipcf_status result;
} job;

static void *send_and_receive_large(void *argument)
{
    job *work = argument;
    uint8_t *data = malloc(work->size);
    fill(data, work->size, work->size);
    CHECK_OK(send(work->channel, data, work->size, LONG_WAIT));
    expect(work->channel, data, work->size);
    free(data);
    return NULL;
}

static void both_sides_send_large_messages_first(void)
{
    pair both;
    open_pair(&both);
    job jobs[2] = {{.channel = &both.creator.base, .size = 10 << 20},
                   {.channel = &both.adopter.base, .size = 10 << 20}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, send_and_receive_large, &jobs[i]) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close_pair(&both);
}

static void *block_in_receive(void *argument)
{
    job *work = argument;
    uint8_t *body;
    size_t size;
    work->result = receive(work->channel, &body, &size, LONG_WAIT);
    return NULL;
}

static void *block_in_send(void *argument)
{
    job *work = argument;
    uint8_t data[1024] = {0};
    do {
        work->result = send(work->channel, data, sizeof data, LONG_WAIT);
    } while (work->result == IPCF_OK);
    return NULL;
}

static void interrupt_blocked(void *(*blocked)(void *),
                              void (*end)(ipcf_channel *), bool local,
                              ipcf_status due)
{
    pair both;
    open_pair(&both);
    job work = {.channel = &both.creator.base};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, blocked, &work) == 0);
    usleep(
        20000); /* either way the result is the same; the interesting case is that it sleeps by now */
    end(local ? &both.creator.base : &both.adopter.base);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(work.result, due);
    close_pair(&both);
}

static void ending_interrupts_blocked_calls(void)
{
    void *(*blocked[])(void *) = {block_in_receive, block_in_send};
    for (int i = 0; i < 2; i++) {
        interrupt_blocked(blocked[i], ipcf_channel_close, true, IPCF_CLOSED);
        interrupt_blocked(blocked[i], ipcf_channel_shut_down, true,
                          IPCF_SHUT_DOWN);
        interrupt_blocked(blocked[i], ipcf_channel_close, false,
                          IPCF_DISCONNECTED);
        interrupt_blocked(blocked[i], ipcf_channel_shut_down, false,
                          IPCF_DISCONNECTED);
    }
}

#define SENDERS 4
#define MESSAGES_EACH 20000u

static void *send_numbered(void *argument)
{
    job *work = argument;
    for (uint64_t i = 0; i < MESSAGES_EACH; i++) {
        uint64_t body[8] = {work->count, i, i * 7};
        CHECK_OK(send(work->channel, body, sizeof body, LONG_WAIT));
    }
    return NULL;
}

static void several_senders_never_interleave(void)
{
    pair both;
    open_pair(&both);
    job jobs[SENDERS];
    pthread_t threads[SENDERS];
    uint64_t next[SENDERS] = {0};
    for (uint64_t i = 0; i < SENDERS; i++) {
        jobs[i] = (job){.channel = &both.creator.base, .count = i};
        CHECK(pthread_create(&threads[i], NULL, send_numbered, &jobs[i]) == 0);
    }
    for (uint64_t i = 0; i < SENDERS * MESSAGES_EACH; i++) {
        uint64_t *body;
        size_t size;
        CHECK_OK(receive(&both.adopter.base, (uint8_t **)&body, &size, LONG_WAIT));
        CHECK(size == 64 && body[0] < SENDERS && body[1] == next[body[0]]++ &&
              body[2] == body[1] * 7);
        free(body);
    }
    for (int i = 0; i < SENDERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close_pair(&both);
}

/* ---- processes ------------------------------------------------------------------------------------------------------ */

/* Fork a child that owns the adopter's end; the parent keeps the creator's. */
static pid_t fork_peer(pair *both, void (*run)(ipcf_channel *))
{
    ipcf_stream streams[2];
    ipcf_ring_segment made, taken;
    ipcf_error error = {0};
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], &error));
    CHECK_OK(ipcf_ring_segment_create(&made, CAPACITY, CAPACITY, &error));
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    size_t count = ipcf_ring_segment_handles(&made, handles);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        for (size_t i = 0; i < count; i++)
            handles[i] = dup((int)handles[i]);
        ipcf_ring_segment_close(&made);
        ipcf_stream_close(&streams[0]);
        CHECK_OK(ipcf_ring_segment_adopt(&taken, handles, count, CAPACITY, CAPACITY,
                                         &error));
        CHECK_OK(ipcf_ring_channel_init(&both->adopter, &streams[1], &taken, &options,
                                        &error));
        run(&both->adopter.base);
        _exit(0);
    }
    ipcf_stream_close(&streams[1]);
    CHECK_OK(
        ipcf_ring_channel_init(&both->creator, &streams[0], &made, &options, &error));
    /* A socket pair names its maker as the peer of both ends. */
    ipcf_handle_close(&both->creator.base.peer_process);
    both->creator.base.peer_is_here = false;
    return pid;
}

#define NUMBERED 200000u

static void echo(ipcf_channel *channel)
{
    uint8_t *body;
    size_t size;
    while (receive(channel, &body, &size, LONG_WAIT) == IPCF_OK) {
        CHECK_OK(send(channel, body, size, LONG_WAIT));
        free(body);
    }
}

static void another_process_echoes(void)
{
    pair both;
    pid_t pid = fork_peer(&both, echo);
    uint64_t sent = 0, received = 0;
    while (received < NUMBERED) {
        if (sent < NUMBERED && sent - received < 64) {
            CHECK_OK(send(&both.creator.base, &sent, sizeof sent, LONG_WAIT));
            sent++;
        } else {
            expect(&both.creator.base, &received, sizeof received);
            received++;
        }
    }
    ipcf_channel_close(&both.creator.base);
    int how;
    CHECK(waitpid(pid, &how, 0) == pid && how == 0);
}

static void count_up(ipcf_channel *channel)
{
    for (uint64_t i = 0;; i++)
        CHECK_OK(send(channel, &i, sizeof i, LONG_WAIT));
}

static void a_killed_sender_leaves_an_intact_prefix(void)
{
    for (unsigned round = 0; round < 20; round++) {
        pair both;
        pid_t pid = fork_peer(&both, count_up);
        uint64_t next = 0, stop = 100 + round * 977;
        uint8_t *body;
        size_t size;
        ipcf_status status;
        for (;;) {
            status = receive(&both.creator.base, &body, &size, LONG_WAIT);
            if (status != IPCF_OK)
                break;
            CHECK(size == sizeof next && memcmp(body, &next, size) == 0);
            free(body);
            if (++next == stop)
                CHECK(kill(pid, SIGKILL) == 0);
        }
        CHECK_STATUS(status, IPCF_DISCONNECTED);
        CHECK(ipcf_load_acquire(&both.creator.base.ending) == IPCF_ENDING_DIED);
        CHECK(next >= stop);
        CHECK(waitpid(pid, NULL, 0) == pid);
        ipcf_channel_close(&both.creator.base);
    }
}

static void sleep_for_ever(ipcf_channel *channel)
{
    (void)channel;
    for (;;)
        pause();
}

static void a_killed_receiver_ends_a_blocked_send(void)
{
    pair both;
    pid_t pid = fork_peer(&both, sleep_for_ever);
    job work = {.channel = &both.creator.base};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, block_in_send, &work) == 0);
    usleep(20000);
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(work.result, IPCF_DISCONNECTED);
    CHECK(waitpid(pid, NULL, 0) == pid);
    ipcf_channel_close(&both.creator.base);
}

int main(void)
{
    alarm(250);
    RUN(sizes_that_fit_arrive_as_sent);
    RUN(a_begun_send_is_finished_by_the_next);
    RUN(an_oversized_message_is_skipped);
    RUN(timeouts_are_not_early);
    RUN(the_ready_handle_is_level_triggered);
    RUN(goodbye_comes_after_everything_sent);
    RUN(both_sides_send_large_messages_first);
    RUN(ending_interrupts_blocked_calls);
    RUN(several_senders_never_interleave);
    RUN(another_process_echoes);
    RUN(a_killed_sender_leaves_an_intact_prefix);
    RUN(a_killed_receiver_ends_a_blocked_send);
    return 0;
}
