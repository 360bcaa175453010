/* SPDX-License-Identifier: MIT
 * Tests of the ring channel: two ends in one thread, in several threads, and in two
 * processes.
 */
#include "tests/ring_channel_ends.h"

#define SECOND (1000 * MS)

/* ---- one thread ------------------------------------------------------------------ */

static void sizes_that_fit_arrive_as_sent(void)
{
    pair both;
    open_pair(&both);
    uint8_t data[CAPACITY / 2];
    size_t most = ipcf_ring_record_max(CAPACITY);
    size_t sizes[] = {0, 1, 7, 8, 9, most - 1, most, most + 1, 2 * most};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill(data, sizes[i], i);
        CHECK_OK(send_until(&both.creator.base, data, sizes[i], hang_bound()));
        expect(&both.adopter.base, data, sizes[i]);
        CHECK_OK(send_until(&both.adopter.base, data, sizes[i], hang_bound()));
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
    CHECK_OK(ipcf_channel_begin(&both.adopter.base, hang_bound(), &message, &error));
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
                ipcf_channel_begin(&both.adopter.base, hang_bound(), &message, &error));
            CHECK(message.received == at);
        }
    }
    ipcf_channel_finish(&both.adopter.base);
    CHECK(memcmp(copy, data, size) == 0);
    CHECK_OK(send_until(&both.creator.base, "next", 4, hang_bound()));
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
        CHECK_OK(send_until(&both.creator.base, data, sizes[i], hang_bound()));
        CHECK_OK(send_until(&both.creator.base, "small", 5, hang_bound()));
        CHECK_STATUS(
            ipcf_channel_begin(&both.adopter.base, hang_bound(), &message, &error),
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
    CHECK_STATUS(receive_until(&both.adopter.base, &body, &size, deadline),
                 IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    while (send_until(&both.creator.base, data, sizeof data, IPCF_NO_WAIT) == IPCF_OK)
        continue;
    deadline = ipcf_clock_ns() + SECOND / 20;
    CHECK_STATUS(send_until(&both.creator.base, data, sizeof data, deadline),
                 IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    close_pair(&both);
}

static void the_ready_handle_is_level_triggered(void)
{
    pair both;
    open_pair(&both);
    ipcf_handle handle;
    CHECK_OK(send_until(&both.creator.base, "early", 5, hang_bound()));
    CHECK_OK(ipcf_channel_ready_handle(&both.adopter.base, &handle, NULL));
    CHECK(is_ready(handle));
    expect(&both.adopter.base, "early", 5);
    for (int round = 0; round < 3; round++) {
        CHECK(!is_ready(handle));
        CHECK_OK(send_until(&both.creator.base, "one", 3, hang_bound()));
        CHECK_OK(send_until(&both.creator.base, "two", 3, hang_bound()));
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
    CHECK_OK(send_until(&both.creator.base, "last", 4, hang_bound()));
    ipcf_channel_shut_down(&both.creator.base);
    CHECK_STATUS(send_until(&both.creator.base, "no", 2, hang_bound()), IPCF_SHUT_DOWN);
    CHECK_STATUS(receive_until(&both.creator.base, &body, &size, hang_bound()),
                 IPCF_SHUT_DOWN);
    CHECK_STATUS(send_until(&both.adopter.base, "no", 2, hang_bound()),
                 IPCF_DISCONNECTED);
    expect(&both.adopter.base, "last", 4);
    CHECK_STATUS(receive_until(&both.adopter.base, &body, &size, hang_bound()),
                 IPCF_DISCONNECTED);
    CHECK(ipcf_load_acquire(&both.adopter.base.ending) == IPCF_ENDING_GOODBYE);
    ipcf_channel_close(&both.creator.base);
    CHECK_STATUS(send_until(&both.creator.base, "no", 2, hang_bound()), IPCF_CLOSED);
    close_pair(&both);
}

/* ---- threads --------------------------------------------------------------------- */

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
    CHECK_OK(send_until(work->channel, data, work->size, hang_bound()));
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
    work->result = receive_until(work->channel, &body, &size, hang_bound());
    return NULL;
}

static void *block_in_send(void *argument)
{
    job *work = argument;
    uint8_t data[1024] = {0};
    do {
        work->result = send_until(work->channel, data, sizeof data, hang_bound());
    } while (work->result == IPCF_OK);
    return NULL;
}

static void interrupt_blocked(void *(*blocked)(void *), void (*end)(ipcf_channel *),
                              bool local, ipcf_status due)
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
        interrupt_blocked(blocked[i], ipcf_channel_shut_down, true, IPCF_SHUT_DOWN);
        interrupt_blocked(blocked[i], ipcf_channel_close, false, IPCF_DISCONNECTED);
        interrupt_blocked(blocked[i], ipcf_channel_shut_down, false, IPCF_DISCONNECTED);
    }
}

#define SENDERS 4
#define MESSAGES_EACH 20000u

static void *send_numbered(void *argument)
{
    job *work = argument;
    for (uint64_t i = 0; i < MESSAGES_EACH; i++) {
        uint64_t body[8] = {work->count, i, i * 7};
        CHECK_OK(send_until(work->channel, body, sizeof body, hang_bound()));
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
        CHECK_OK(
            receive_until(&both.adopter.base, (uint8_t **)&body, &size, hang_bound()));
        CHECK(size == 64 && body[0] < SENDERS && body[1] == next[body[0]]++ &&
              body[2] == body[1] * 7);
        free(body);
    }
    for (int i = 0; i < SENDERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close_pair(&both);
}

/* ---- processes ------------------------------------------------------------------- */

#define NUMBERED 200000u

static void echo(ipcf_ring_channel *adopter)
{
    ipcf_channel *channel = &adopter->base;
    uint8_t *body;
    size_t size;
    while (receive_until(channel, &body, &size, hang_bound()) == IPCF_OK) {
        CHECK_OK(send_until(channel, body, size, hang_bound()));
        free(body);
    }
}

static void another_process_echoes(void)
{
    ipcf_ring_channel creator;
    pid_t process = fork_peer(&creator, CAPACITY, echo, true);
    uint64_t sent = 0, received = 0;
    while (received < NUMBERED) {
        if (sent < NUMBERED && sent - received < 64) {
            CHECK_OK(send_until(&creator.base, &sent, sizeof sent, hang_bound()));
            sent++;
        } else {
            expect(&creator.base, &received, sizeof received);
            received++;
        }
    }
    ipcf_channel_destroy(&creator.base);
    finish_process(process);
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
    return 0;
}
