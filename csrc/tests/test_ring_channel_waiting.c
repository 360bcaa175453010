/* SPDX-License-Identifier: MIT
 * Tests of the ring channel's waits: deadlines under bells that never stop, event
 * loops, reading ahead, and long skips.
 */
#include <sys/mman.h>
#include <time.h>

#include "tests/ring_channel_ends.h"

/* ---- a peer that never stops ringing --------------------------------------------- */

/* What is always ready and can always be read and written. */
static void make_bell_ring_for_ever(ipcf_doorbell *bell)
{
    int always = open("/dev/zero", O_RDWR | O_CLOEXEC);
    CHECK(always >= 0 && dup3(always, (int)bell->wait_end, O_CLOEXEC) >= 0);
    CHECK(close(always) == 0);
}

static void bells_without_end_hold_up_no_deadline(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    static ipcf_ring_channel victim;
    raw_peer peer;
    ipcf_message message;
    open_raw_peer(&victim, &peer, CAPACITY, &options);
    fill_ring(&victim.base);
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++)
        make_bell_ring_for_ever(&victim.segment.bells[i]);
    for (int round = 0; round < 3; round++) {
        uint64_t deadline = ipcf_clock_ns() + 30 * MS;
        CHECK_STATUS(receive_status(&victim.base, deadline), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        deadline = ipcf_clock_ns() + 30 * MS;
        CHECK_STATUS(send_until(&victim.base, "no", 2, deadline), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        /* and signals are looked for */
        CHECK_STATUS(ipcf_channel_begin(&victim.base, IPCF_NEVER, &message, NULL),
                     IPCF_INTERRUPTED);
        CHECK_STATUS(
            ipcf_channel_send(&victim.base, IPCF_KIND_BYTES, "no", 2, IPCF_NEVER, NULL),
            IPCF_INTERRUPTED);
    }
    ipcf_channel_destroy(&victim.base);
    close_raw_peer(&peer);
}

/* ---- a peer that never ends a message -------------------------------------------- */

typedef struct nuisance {
    raw_peer peer;
    ipcf_atomic_u32 is_over; /* relaxed on both sides: joined afterwards */
} nuisance;

static void *send_one_message_for_ever(void *argument)
{
    nuisance *bad = argument;
    ipcf_ring_producer out;
    uint8_t *payload, flags = IPCF_RING_MORE;
    uint64_t total = UINT64_MAX;
    CHECK_OK(ipcf_ring_attach_producer(&out, bad->peer.memory, CAPACITY, NULL));
    while (ipcf_load_relaxed(&bad->is_over) == 0) {
        if (ipcf_ring_claim(&out, 16, &payload, NULL) != IPCF_OK) {
            ipcf_thread_yield();
            continue;
        }
        memcpy(payload, &total, sizeof total);
        ipcf_ring_commit(&out, IPCF_KIND_BYTES, flags);
        flags = IPCF_RING_MORE | IPCF_RING_CONTINUED;
        if (ipcf_ring_publish(&out))
            ipcf_doorbell_ring(&bad->peer.segment.bells[0]);
    }
    return NULL;
}

static void a_message_that_never_ends_is_skipped_in_steps(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    static ipcf_ring_channel victim;
    static nuisance bad;
    ipcf_message message;
    open_raw_peer(&victim, &bad.peer, CAPACITY, &options);
    pthread_t thread = start_thread(send_one_message_for_ever, &bad);
    CHECK_STATUS(receive_status(&victim.base, hang_bound()), IPCF_TOO_LARGE);
    for (int round = 0; round < 100; round++) {
        ipcf_status status =
            ipcf_channel_try_begin(&victim.base, IPCF_LOOK_BRIEFLY, &message, NULL);
        CHECK(status == IPCF_AGAIN || status == IPCF_INTERRUPTED);
    }
    uint64_t deadline = ipcf_clock_ns() + 30 * MS;
    CHECK_STATUS(receive_status(&victim.base, deadline), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    CHECK_STATUS(ipcf_channel_begin(&victim.base, IPCF_NEVER, &message, NULL),
                 IPCF_INTERRUPTED);
    ipcf_store_relaxed(&bad.is_over, 1u);
    join(thread);
    ipcf_channel_destroy(&victim.base);
    close_raw_peer(&bad.peer);
}

/* ---- event loops ----------------------------------------------------------------- */

static uint64_t cpu_time_ns(void)
{
    struct timespec used;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
    return (uint64_t)used.tv_sec * 1000 * MS + (uint64_t)used.tv_nsec;
}

static void a_waiting_send_sleeps_while_the_ready_handle_is_ready(void)
{
    pair both;
    ipcf_handle handle;
    open_pair(&both);
    CHECK_OK(ipcf_channel_ready_handle(&both.creator.base, &handle, NULL));
    send_text(&both.adopter.base, "taken in by the waiting send");
    fill_ring(&both.creator.base);
    uint64_t used = cpu_time_ns(), deadline = ipcf_clock_ns() + 300 * MS;
    CHECK_STATUS(send_until(&both.creator.base, "no", 2, deadline), IPCF_TIMEOUT);
    CHECK(ipcf_clock_ns() >= deadline);
    CHECK(cpu_time_ns() - used < 100 * MS);
    CHECK(is_ready(handle));
    expect_text(&both.creator.base, "taken in by the waiting send");
    CHECK(!is_ready(handle));
    close_pair(&both);
}

static void half_a_message_is_not_ready(void)
{
    pair both;
    ipcf_handle handle;
    ipcf_message message;
    ipcf_error error = {0};
    size_t got, size = 3 * CAPACITY;
    uint8_t *body = malloc(size), *copy = malloc(size);
    fill(body, size, 5);
    open_pair(&both);
    CHECK_OK(ipcf_channel_ready_handle(&both.adopter.base, &handle, NULL));
    CHECK_STATUS(ipcf_channel_send(&both.creator.base, IPCF_KIND_BYTES, body, size,
                                   IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK(error.what == ipcf_channel_begun);
    CHECK(is_ready(handle));
    CHECK_OK(begin_until(&both.adopter.base, hang_bound(), &message, &error));
    CHECK_STATUS(ipcf_channel_read_body(&both.adopter.base, copy, size, &got,
                                        IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK(got > 0 && got < size && error.what != NULL);
    ipcf_channel_leave(&both.adopter.base);
    CHECK(!is_ready(handle));
    CHECK_STATUS(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK_STATUS(ipcf_channel_flush(&both.creator.base, IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK(is_ready(handle));
    CHECK_OK(begin_until(&both.adopter.base, hang_bound(), &message, &error));
    CHECK(message.received == got);
    CHECK_STATUS(ipcf_channel_read_body(&both.adopter.base, copy + got, size - got,
                                        &got, IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    ipcf_channel_leave(&both.adopter.base);
    while (ipcf_channel_flush(&both.creator.base, IPCF_NO_WAIT, &error) != IPCF_OK) {
        CHECK_OK(begin_until(&both.adopter.base, hang_bound(), &message, &error));
        CHECK_STATUS(ipcf_channel_read_body(&both.adopter.base, copy + message.received,
                                            size - (size_t)message.received, &got,
                                            IPCF_NO_WAIT, &error),
                     IPCF_TIMEOUT);
        ipcf_channel_leave(&both.adopter.base);
    }
    CHECK_OK(begin_until(&both.adopter.base, hang_bound(), &message, &error));
    CHECK_OK(read_until(&both.adopter.base, &message, copy, hang_bound()));
    CHECK(memcmp(copy, body, size) == 0 && !is_ready(handle));
    free(body);
    free(copy);
    close_pair(&both);
}

static void a_body_that_has_been_read_is_ready(void)
{
    pair both;
    ipcf_message message;
    ipcf_error error;
    static uint8_t body[CAPACITY / 2], copy[CAPACITY / 2];
    open_pair(&both);
    CHECK_OK(send_until(&both.creator.base, body, sizeof body, IPCF_NO_WAIT));
    CHECK_OK(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error));
    CHECK_OK(begin_until(&both.adopter.base, hang_bound(), &message, &error));
    size_t got;
    CHECK_OK(ipcf_channel_read_body(&both.adopter.base, copy, sizeof copy, &got,
                                    IPCF_NO_WAIT, &error));
    ipcf_channel_leave(&both.adopter.base);
    CHECK_OK(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error));
    close_pair(&both);
}

static void the_rest_of_an_oversized_message_is_no_news(void)
{
    pair both;
    ipcf_error error = {0};
    static uint8_t body[4 * CAPACITY];
    open_pair(&both);
    both.adopter.base.message_limit = 1000;
    ipcf_status status = ipcf_channel_send(&both.creator.base, IPCF_KIND_BYTES, body,
                                           sizeof body, IPCF_NO_WAIT, &error);
    CHECK(status == IPCF_TIMEOUT && error.what == ipcf_channel_begun);
    for (int again = 0; again < 2; again++) /* it is told once, and by begin */
        CHECK_OK(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error));
    CHECK_STATUS(receive_status(&both.adopter.base, IPCF_NO_WAIT), IPCF_TOO_LARGE);
    while (status == IPCF_TIMEOUT) {
        CHECK_STATUS(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error),
                     IPCF_TIMEOUT);
        status = ipcf_channel_flush(&both.creator.base, IPCF_NO_WAIT, &error);
    }
    CHECK_OK(status);
    CHECK_STATUS(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    send_text(&both.creator.base, "news");
    CHECK_OK(ipcf_channel_poll(&both.adopter.base, IPCF_NO_WAIT, &error));
    expect_text(&both.adopter.base, "news");
    close_pair(&both);
}

/* ---- many at once ---------------------------------------------------------------- */

static void what_is_sent_before_a_long_message_is_visible(void)
{
    pair both;
    static uint8_t body[3000];
    ipcf_piece pieces[] = {{body, 500}, {body, 400}, {body, 300}, {body, 200},
                           {body, 800}, {body, 800}, {body, 800}, {body, sizeof body}};
    size_t count = sizeof pieces / sizeof *pieces, sent;
    ipcf_error error = {0};
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    open_pair_with(&both, IPCF_RING_CAPACITY_MIN, &options);
    CHECK_STATUS(ipcf_channel_send_many(&both.creator.base, IPCF_KIND_BYTES, pieces,
                                        count, &sent, IPCF_NO_WAIT, &error),
                 IPCF_TIMEOUT);
    CHECK(sent == count - 1 && error.what != NULL);
    for (size_t i = 0; i < sent; i++) {
        ipcf_message message;
        CHECK_OK(ipcf_channel_begin(&both.adopter.base, IPCF_NO_WAIT, &message, NULL));
        CHECK(message.size == pieces[i].size);
        ipcf_channel_finish(&both.adopter.base);
    }
    close_pair(&both);
}

static void *receive_to_the_end(void *argument)
{
    uint8_t *body;
    size_t size, *total = argument;
    ipcf_channel *channel = (ipcf_channel *)(void *)total[0];
    total[0] = 0;
    while (receive_until(channel, &body, &size, hang_bound()) == IPCF_OK) {
        total[0] += size;
        free(body);
    }
    return NULL;
}

static void many_messages_go_through_the_smallest_ring(void)
{
    pair both;
    static uint8_t body[9000];
    ipcf_piece pieces[64];
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    open_pair_with(&both, IPCF_RING_CAPACITY_MIN, &options);
    size_t due = 0, total = (size_t)(void *)&both.adopter.base;
    pthread_t thread = start_thread(receive_to_the_end, &total);
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < 64; i++) {
            pieces[i] = (ipcf_piece){body, (i * 37 + round) % 5 == 0 ? 9000 : 11 * i};
            due += pieces[i].size;
        }
        for (size_t done = 0, sent; done < 64; done += sent) {
            ipcf_status status = ipcf_channel_send_many(
                &both.creator.base, IPCF_KIND_BYTES, pieces + done, 64 - done, &sent,
                hang_bound(), NULL);
            CHECK(status == IPCF_OK || status == IPCF_INTERRUPTED);
        }
    }
    CHECK_OK(ipcf_channel_flush(&both.creator.base, hang_bound(), NULL));
    ipcf_channel_shut_down(&both.creator.base);
    join(thread);
    CHECK(total == due);
    close_pair(&both);
}

/* ---- reading ahead --------------------------------------------------------------- */

static void a_waiting_send_stops_taking_in_at_the_limit(void)
{
    pair both;
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    options.read_ahead_limit = 2 * CAPACITY;
    open_pair_with(&both, CAPACITY, &options);
    uint64_t sent = 0, received = 0;
    fill_ring(&both.creator.base);
    for (int round = 0; round < 4; round++) {
        while (ipcf_channel_send(&both.adopter.base, IPCF_KIND_BYTES, &sent,
                                 sizeof sent, IPCF_NO_WAIT, NULL) == IPCF_OK)
            sent++;
        CHECK_STATUS(send_until(&both.creator.base, "no", 2, ipcf_clock_ns() + 50 * MS),
                     IPCF_TIMEOUT);
        CHECK(ipcf_buffer_size(&both.creator.ahead) <= options.read_ahead_limit);
    }
    CHECK(ipcf_buffer_size(&both.creator.ahead) > CAPACITY);
    for (; received < sent; received++)
        expect(&both.creator.base, &received, sizeof received);
    close_pair(&both);
}

static void a_waiting_send_notices_a_corrupt_ring(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_ring_channel victim;
    raw_peer peer;
    open_raw_peer(&victim, &peer, CAPACITY, &options);
    fill_ring(&victim.base);
    peer.memory[128] = 3; /* the tail is a multiple of 8 */
    CHECK_STATUS(send_until(&victim.base, "no", 2, hang_bound()), IPCF_CORRUPT);
    CHECK_STATUS(receive_status(&victim.base, hang_bound()), IPCF_CORRUPT);
    CHECK(ending_of(&victim) == IPCF_ENDING_NONE);
    ipcf_channel_destroy(&victim.base);
    close_raw_peer(&peer);
}

int main(void)
{
    alarm(200);
    RUN(bells_without_end_hold_up_no_deadline);
    RUN(a_message_that_never_ends_is_skipped_in_steps);
    RUN(a_waiting_send_sleeps_while_the_ready_handle_is_ready);
    RUN(half_a_message_is_not_ready);
    RUN(a_body_that_has_been_read_is_ready);
    RUN(the_rest_of_an_oversized_message_is_no_news);
    RUN(what_is_sent_before_a_long_message_is_visible);
    RUN(many_messages_go_through_the_smallest_ring);
    RUN(a_waiting_send_stops_taking_in_at_the_limit);
    RUN(a_waiting_send_notices_a_corrupt_ring);
    return 0;
}
