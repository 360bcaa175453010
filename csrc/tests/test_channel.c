/* SPDX-License-Identifier: MIT
 * Tests of what every channel has in common: its life cycle, raced by several threads,
 * broken, and forked.
 */
#include <sys/mman.h>

#include "tests/both_kinds.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- several threads end it, others use it --------------------------------------- */

static void *close_it(void *argument)
{
    ipcf_channel_close(argument);
    return NULL;
}

static void *shut_it_down(void *argument)
{
    ipcf_channel_shut_down(argument);
    return NULL;
}

static bool is_end(ipcf_status status)
{
    return status == IPCF_CLOSED || status == IPCF_SHUT_DOWN ||
           status == IPCF_DISCONNECTED;
}

static void *send_until_the_end(void *argument)
{
    uint8_t body[40000] = {0};
    ipcf_status status = IPCF_OK;
    for (size_t i = 0; status == IPCF_OK; i++)
        status = send_until(argument, body, i % 3 == 0 ? sizeof body : i % 300,
                            hang_bound());
    CHECK(is_end(status));
    return NULL;
}

static void *receive_until_the_end(void *argument)
{
    uint8_t *body;
    size_t size;
    ipcf_status status = IPCF_OK;
    while (status == IPCF_OK) {
        status = receive_until(argument, &body, &size, hang_bound());
        if (status == IPCF_OK)
            free(body);
    }
    CHECK(is_end(status));
    return NULL;
}

static void *ask_until_the_end(void *argument)
{
    ipcf_handle handle;
    ipcf_status status = IPCF_OK;
    while (status == IPCF_OK || status == IPCF_TIMEOUT || status == IPCF_INTERRUPTED) {
        status = ipcf_channel_ready_handle(argument, &handle, NULL);
        if (status == IPCF_OK || status == IPCF_INTERRUPTED)
            status = ipcf_channel_poll(argument, IPCF_NO_WAIT, NULL);
        ipcf_thread_yield();
    }
    CHECK(is_end(status));
    return NULL;
}

static void race_the_end(void (*open)(both_ends *), unsigned round)
{
    static void *(*const users[])(void *) = {send_until_the_end, receive_until_the_end,
                                             ask_until_the_end};
    both_ends ends;
    pthread_t threads[2 * COUNT(users) + 2];
    size_t count = 0;
    open(&ends);
    for (size_t i = 0; i < COUNT(users); i++) {
        threads[count++] = start_thread(users[i], ends.ours);
        if (i != 2)
            threads[count++] = start_thread(users[i], ends.theirs);
    }
    if (round % 4 == 0)
        usleep(round % 3 * 1000); /* so that some rounds find the threads asleep */
    threads[count++] =
        start_thread(round % 2 == 0 ? close_it : shut_it_down, ends.ours);
    threads[count++] =
        start_thread(round % 3 == 0 ? close_it : shut_it_down, ends.ours);
    while (count > 0)
        join(threads[--count]);
    destroy_both(&ends);
}

static void ending_races_with_everything(void)
{
    size_t before = open_descriptors();
    for (unsigned round = 0; round < 120; round++)
        race_the_end(openers[round % 2], round / 2);
    CHECK(open_descriptors() == before);
}

static void wait_for_state(ipcf_channel *channel, ipcf_channel_state due)
{
    while (ipcf_load_acquire(&channel->state) != (uint32_t)due)
        ipcf_thread_yield();
}

static void whoever_ends_it_the_goodbye_is_said(void)
{
    for (unsigned round = 0; round < 200; round++) {
        both_ends ends;
        ipcf_message message;
        openers[round % 2](&ends);
        /* What a goodbye needs is kept from both, so that either may come first. */
        ipcf_channel_take(&ends.ours->send_lock);
        pthread_t one = start_thread(shut_it_down, ends.ours);
        wait_for_state(ends.ours, IPCF_STATE_SHUT_DOWN);
        pthread_t other = start_thread(close_it, ends.ours);
        wait_for_state(ends.ours, IPCF_STATE_CLOSED);
        ipcf_lock_release(&ends.ours->send_lock);
        CHECK_STATUS(begin_until(ends.theirs, hang_bound(), &message, NULL),
                     IPCF_DISCONNECTED);
        CHECK(how_it_ended(ends.theirs) == IPCF_ENDING_GOODBYE);
        join(one);
        join(other);
        destroy_both(&ends);
    }
}

/* ---- close and what is under way ------------------------------------------------- */

static void close_waits_for_a_message_in_use(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        ipcf_message message;
        openers[kind](&ends);
        send_text(ends.theirs, "in use");
        CHECK_OK(begin_until(ends.ours, hang_bound(), &message, NULL));
        pthread_t thread = start_thread(close_it, ends.ours);
        wait_for_state(ends.ours, IPCF_STATE_CLOSED);
        CHECK_STATUS(send_until(ends.ours, "no", 2, hang_bound()), IPCF_CLOSED);
        CHECK(message.size == 6 && memcmp(message.data, "in use", 6) == 0);
        ipcf_channel_finish(ends.ours);
        join(thread);
        destroy_both(&ends);
    }
}

static void *drain_it(void *argument)
{
    ipcf_status status;
    uint64_t deadline = hang_bound();
    while ((status = ipcf_channel_drain(argument, deadline, NULL)) == IPCF_INTERRUPTED)
        continue;
    CHECK_OK(status);
    return NULL;
}

static void draining_waits_for_what_is_under_way(void)
{
    for (size_t kind = 0; kind < COUNT(openers); kind++) {
        both_ends ends;
        ipcf_message message;
        openers[kind](&ends);
        CHECK_OK(ipcf_channel_drain(ends.ours, IPCF_NO_WAIT, NULL));
        send_text(ends.theirs, "in use");
        CHECK_OK(begin_until(ends.ours, hang_bound(), &message, NULL));
        CHECK_STATUS(ipcf_channel_drain(ends.ours, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
        uint64_t deadline = ipcf_clock_ns() + 5000000;
        CHECK_STATUS(ipcf_channel_drain(ends.ours, deadline, NULL), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        pthread_t ender = start_thread(shut_it_down, ends.ours);
        wait_for_state(ends.ours, IPCF_STATE_SHUT_DOWN);
        pthread_t draining = start_thread(drain_it, ends.ours);
        CHECK(memcmp(message.data, "in use", 6) == 0);
        ipcf_channel_finish(ends.ours);
        join(draining);
        join(ender);
        ipcf_channel_close(ends.ours);
        CHECK_OK(ipcf_channel_drain(ends.ours, IPCF_NO_WAIT, NULL));
        ipcf_channel_destroy(ends.ours);
        ipcf_channel_destroy(ends.theirs);
    }
}

#define HUGE_BODY ((size_t)4 << 30)

static void *send_huge(void *argument)
{
    void *body = mmap(NULL, HUGE_BODY, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(body != MAP_FAILED);
    CHECK_STATUS(send_until(argument, body, HUGE_BODY, hang_bound()), IPCF_SHUT_DOWN);
    munmap(body, HUGE_BODY);
    return NULL;
}

/* Read on until `enough` bytes have come, or something else than data. */
static ipcf_status read_bytes(ipcf_channel *channel, size_t enough, size_t *total)
{
    static uint8_t scratch[1 << 20];
    ipcf_status status = IPCF_OK;
    while (*total < enough && (status == IPCF_OK || status == IPCF_INTERRUPTED)) {
        size_t got;
        status = ipcf_channel_read_body(channel, scratch, sizeof scratch, &got,
                                        hang_bound(), NULL);
        *total += got;
    }
    return status;
}

/* As a binding does it between two calls, where nothing is locked. */
static void draining_waits_for_who_will_call_again(void)
{
    for (size_t kind = 0; kind < COUNT(openers); kind++) {
        both_ends ends;
        openers[kind](&ends);
        ipcf_channel_call_begins(ends.ours);
        ipcf_channel_call_begins(ends.ours);
        CHECK_STATUS(ipcf_channel_drain(ends.ours, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
        uint64_t deadline = ipcf_clock_ns() + 5000000;
        CHECK_STATUS(ipcf_channel_drain(ends.ours, deadline, NULL), IPCF_TIMEOUT);
        CHECK(ipcf_clock_ns() >= deadline);
        CHECK_STATUS(ipcf_channel_drain(ends.ours, IPCF_NEVER, NULL), IPCF_INTERRUPTED);
        pthread_t draining = start_thread(drain_it, ends.ours);
        ipcf_channel_call_ends(ends.ours);
        CHECK_STATUS(ipcf_channel_drain(ends.ours, IPCF_NO_WAIT, NULL), IPCF_TIMEOUT);
        ipcf_channel_call_ends(ends.ours);
        join(draining);
        destroy_both(&ends);
    }
}

static void shut_down_does_not_wait_for_a_long_message(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    options.message_limit = HUGE_BODY;
    pair both;
    ipcf_message message;
    size_t total = 0;
    open_pair_with(&both, 1 << 20, &options);
    pthread_t sender = start_thread(send_huge, &both.creator.base);
    CHECK_OK(begin_until(&both.adopter.base, hang_bound(), &message, NULL));
    (void)read_bytes(&both.adopter.base, (size_t)16 << 20, &total);
    pthread_t ender = start_thread(shut_it_down, &both.creator.base);
    CHECK_STATUS(read_bytes(&both.adopter.base, HUGE_BODY, &total), IPCF_DISCONNECTED);
    CHECK(total < HUGE_BODY && ending_of(&both.adopter) == IPCF_ENDING_DIED);
    ipcf_channel_leave(&both.adopter.base);
    join(sender);
    join(ender);
    close_pair(&both);
}

/* ---- failure --------------------------------------------------------------------- */

static void a_broken_channel_keeps_saying_why(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_ring_channel victim;
    raw_peer peer;
    ipcf_error error = {0};
    open_raw_peer(&victim, &peer, CAPACITY, &options);
    peer.memory[128] = 4;
    for (int round = 0; round < 2; round++) {
        CHECK_STATUS(receive_status(&victim.base, hang_bound()), IPCF_CORRUPT);
        CHECK_STATUS(
            ipcf_channel_try_send(&victim.base, IPCF_KIND_BYTES, "", 0, &error),
            IPCF_CORRUPT);
        CHECK(strcmp(error.what, "tail") == 0 && error.found == 4);
        CHECK_OK(ipcf_channel_poll(&victim.base, IPCF_NO_WAIT, NULL));
    }
    CHECK(ending_of(&victim) == IPCF_ENDING_NONE);
    wait_until_ready(peer.control.handle); /* it has hung up */
    ipcf_channel_close(&victim.base);
    CHECK_STATUS(receive_status(&victim.base, hang_bound()), IPCF_CLOSED);
    ipcf_channel_destroy(&victim.base);
    close_raw_peer(&peer);
}

static void what_cannot_be_opened_takes_nothing(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    size_t before = open_descriptors();
    ipcf_stream none = IPCF_STREAM_NONE, control, other;
    ipcf_ring_segment segment;
    ipcf_ring_channel channel;
    CHECK_OK(ipcf_ring_segment_create(&segment, CAPACITY, CAPACITY, NULL));
    CHECK(ipcf_ring_channel_init(&channel, &none, &segment, &options, NULL) != IPCF_OK);
    ipcf_channel_abandon(&channel.base);
    ipcf_channel_close(&channel.base);
    *(uint8_t *)segment.shm.address ^= 1;
    CHECK_OK(ipcf_stream_pair(&control, &other, NULL));
    CHECK_STATUS(ipcf_ring_channel_init(&channel, &control, &segment, &options, NULL),
                 IPCF_CORRUPT);
    ipcf_channel_abandon(&channel.base);
    ipcf_channel_close(&channel.base);
    CHECK(open_descriptors() ==
          before + 2 + ipcf_ring_segment_handle_count()); /* still the caller's */
    ipcf_ring_segment_close(&segment);
    ipcf_stream_close(&control);
    ipcf_stream_close(&other);
    CHECK(open_descriptors() == before);
}

/* ---- fork ------------------------------------------------------------------------ */

typedef struct forked {
    both_ends ends;
    size_t descriptors_before;
} forked;

static void abandon_both(void *argument)
{
    forked *test = argument;
    ipcf_channel *channels[] = {test->ends.ours, test->ends.theirs};
    ipcf_handle handle;
    for (size_t i = 0; i < 2; i++) {
        ipcf_channel *channel = channels[i];
        ipcf_channel_abandon(channel);
        ipcf_channel_abandon(channel);
        CHECK_STATUS(receive_status(channel, hang_bound()), IPCF_FORKED);
        CHECK_STATUS(send_until(channel, "no", 2, hang_bound()), IPCF_FORKED);
        CHECK_STATUS(ipcf_channel_poll(channel, hang_bound(), NULL), IPCF_FORKED);
        CHECK_STATUS(ipcf_channel_ready_handle(channel, &handle, NULL), IPCF_FORKED);
        CHECK_STATUS(ipcf_channel_drain(channel, hang_bound(), NULL), IPCF_FORKED);
        ipcf_channel_shut_down(channel);
        ipcf_channel_close(channel);
        ipcf_channel_destroy(channel);
    }
    CHECK(open_descriptors() == test->descriptors_before);
}

static void a_forked_child_abandons_what_threads_of_the_parent_use(void)
{
    for (unsigned round = 0; round < 20; round++) {
        forked test = {.descriptors_before = open_descriptors()};
        ipcf_message message;
        openers[round % 2](&test.ends);
        pthread_t threads[] = {start_thread(send_until_the_end, test.ends.ours),
                               start_thread(receive_until_the_end, test.ends.ours)};
        /* something has come, and the sender is at work or waits for room */
        CHECK_OK(begin_until(test.ends.theirs, hang_bound(), &message, NULL));
        pid_t child = start_process(abandon_both, &test);
        finish_process(child);
        /* nothing has happened to the parent's channel */
        CHECK(how_it_ended(test.ends.ours) == IPCF_ENDING_NONE);
        ipcf_channel_leave(test.ends.theirs);
        send_text(test.ends.theirs, "still there");
        CHECK(how_it_ended(test.ends.theirs) == IPCF_ENDING_NONE);
        ipcf_channel_close(test.ends.ours);
        join(threads[0]);
        join(threads[1]);
        destroy_both(&test.ends);
        CHECK(open_descriptors() == test.descriptors_before);
    }
}

static void a_forked_child_abandons_what_is_being_closed(void)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        forked test = {.descriptors_before = open_descriptors()};
        ipcf_message message;
        openers[kind](&test.ends);
        send_text(test.ends.theirs, "in use");
        CHECK_OK(begin_until(test.ends.ours, hang_bound(), &message, NULL));
        pthread_t thread = start_thread(close_it, test.ends.ours);
        wait_for_state(test.ends.ours, IPCF_STATE_CLOSED);
        usleep(
            2000); /* so that it waits for the message by now; if not, there is less to test */
        pid_t child = start_process(abandon_both, &test);
        finish_process(child);
        ipcf_channel_finish(test.ends.ours);
        join(thread);
        destroy_both(&test.ends);
    }
}

int main(void)
{
    alarm(250);
    RUN(ending_races_with_everything);
    RUN(whoever_ends_it_the_goodbye_is_said);
    RUN(close_waits_for_a_message_in_use);
    RUN(draining_waits_for_what_is_under_way);
    RUN(draining_waits_for_who_will_call_again);
    RUN(shut_down_does_not_wait_for_a_long_message);
    RUN(a_broken_channel_keeps_saying_why);
    RUN(what_cannot_be_opened_takes_nothing);
    RUN(a_forked_child_abandons_what_threads_of_the_parent_use);
    RUN(a_forked_child_abandons_what_is_being_closed);
    return 0;
}
