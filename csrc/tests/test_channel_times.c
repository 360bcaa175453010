/* SPDX-License-Identifier: MIT
 * Messages that tell when they were sent, on both kinds of channel: which ones do, what
 * is counted of it, and peers that lie about it.
 */
#include <sys/socket.h>

#include "tests/both_kinds.h"

static ipcf_metrics read_of(const ipcf_channel *channel)
{
    ipcf_metrics metrics;
    ipcf_channel_read_metrics(channel, &metrics);
    return metrics;
}

static void use_times(both_ends *ends)
{
    if (ends->ours == &ends->stream[0].base) {
        ipcf_stream_channel_use_times(&ends->stream[0]);
        ipcf_stream_channel_use_times(&ends->stream[1]);
    } else {
        ipcf_ring_channel_use_times(&ends->ring.creator);
        ipcf_ring_channel_use_times(&ends->ring.adopter);
    }
}

static void for_both_kinds(void (*test)(both_ends *))
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        both_ends ends;
        openers[kind](&ends);
        test(&ends);
        destroy_both(&ends);
    }
}

static uint64_t sampled_of(uint64_t count)
{
    uint64_t sampled = 0;
    for (uint64_t number = 0; number < count; number++)
        sampled += ipcf_latency_is_sampled(number);
    return sampled;
}

/* ---- which, and what they carry -------------------------------------------------- */

/* Short and long, in one record and in several, at the limits of one. */
static const size_t sizes[] = {0,     1,     64,    16368, 16376, 16377,
                               16384, 40000, 70000, 5,     200001};
#define SIZES (sizeof sizes / sizeof *sizes)
#define COUNT 1000u

static void *send_all(void *argument)
{
    static uint8_t body[200001];
    for (size_t i = 0; i < COUNT; i++) {
        fill(body, sizes[i % SIZES], i);
        CHECK_OK(send_until(argument, body, sizes[i % SIZES], hang_bound()));
    }
    return NULL;
}

static void receive_all(ipcf_channel *channel)
{
    static uint8_t due[200001];
    for (size_t i = 0; i < COUNT; i++) {
        fill(due, sizes[i % SIZES], i);
        expect(channel, due, sizes[i % SIZES]);
    }
}

static void sampled_messages(both_ends *ends)
{
    use_times(ends);
    pthread_t sender = start_thread(send_all, ends->ours);
    receive_all(ends->theirs);
    join(sender);
    ipcf_metrics found = read_of(ends->theirs);
    uint64_t due = sampled_of(COUNT), unfit = 0;
    /* what fills a record of a ring to the end has no room for its time */
    for (size_t i = 0; i < COUNT; i++)
        unfit += ipcf_latency_is_sampled(i) && sizes[i % SIZES] == 16376;
    CHECK(unfit != 0);
    CHECK(found.timed == due ||
          (ends->theirs == &ends->ring.adopter.base && found.timed == due - unfit));
    CHECK(found.latency_sum_ns != 0 && found.latency_p50_ns <= found.latency_p90_ns);
    CHECK(found.latency_p90_ns <= found.latency_p99_ns);
    CHECK(found.messages_received == COUNT && found.errors == 0);
    CHECK(read_of(ends->ours).timed == 0);
}

static void one_message_of_64_tells_its_time(void) { for_both_kinds(sampled_messages); }

static void in_batches(both_ends *ends)
{
    ipcf_piece pieces[500];
    ipcf_message message;
    uint8_t body[100] = {1, 2, 3};
    use_times(ends);
    for (size_t i = 0; i < 500; i++)
        pieces[i] = (ipcf_piece){body, i % 100};
    for (size_t at = 0, sent; at < 500; at += sent)
        CHECK_OK(ipcf_channel_send_many(ends->ours, IPCF_KIND_BYTES, pieces + at,
                                        500 - at, &sent, hang_bound(), NULL));
    CHECK_OK(begin_until(ends->theirs, hang_bound(), &message, NULL));
    ipcf_status status = IPCF_OK;
    for (size_t i = 0; i < 500; i++) {
        CHECK_OK(status); /* no message ends a batch because it is timed */
        CHECK(message.size == i % 100 &&
              memcmp(message.data, body, (size_t)message.size) == 0);
        status = ipcf_channel_next(ends->theirs, &message);
    }
    CHECK_STATUS(status, IPCF_AGAIN);
    CHECK(read_of(ends->theirs).timed == sampled_of(500));
}

static void batches_are_timed_likewise(void) { for_both_kinds(in_batches); }

static void untimed(both_ends *ends)
{
    for (unsigned i = 0; i < 200; i++) {
        send_text(ends->ours, "x");
        expect_text(ends->theirs, "x");
    }
    CHECK(read_of(ends->theirs).timed == 0);
    CHECK(read_of(ends->theirs).latency_p99_ns == 0);
}

static void nothing_is_timed_unless_agreed_on(void) { for_both_kinds(untimed); }

/* ---- how long -------------------------------------------------------------------- */

static void pass(uint64_t ns)
{
    uint64_t until = ipcf_clock_ns() + ns;
    while (ipcf_clock_ns() < until)
        continue;
}

static void time_on_the_way(both_ends *ends)
{
    use_times(ends);
    uint64_t before = ipcf_clock_ns();
    send_text(ends->ours, "x");
    uint64_t sent = ipcf_clock_ns();
    pass(3000000);
    uint64_t receives = ipcf_clock_ns();
    expect_text(ends->theirs, "x");
    uint64_t took = read_of(ends->theirs).latency_sum_ns;
    CHECK(took >= receives - sent && took <= ipcf_clock_ns() - before);
}

static void latency_is_from_the_send_to_the_receive(void)
{
    for_both_kinds(time_on_the_way);
}

static void left_at_the_head(both_ends *ends)
{
    ipcf_message message;
    use_times(ends);
    send_text(ends->ours, "x");
    CHECK_OK(begin_until(ends->theirs, hang_bound(), &message, NULL));
    ipcf_channel_leave(ends->theirs);
    CHECK_OK(ipcf_channel_poll(ends->theirs, hang_bound(), NULL));
    CHECK(read_of(ends->theirs).timed == 0);
    pass(1000000);
    expect_text(ends->theirs, "x");
    send_text(ends->ours, "y");
    expect_text(ends->theirs, "y");
    CHECK(read_of(ends->theirs).timed == 1);
    CHECK(read_of(ends->theirs).latency_sum_ns >= 1000000);
}

static void a_message_counts_once_and_when_it_is_done_with(void)
{
    for_both_kinds(left_at_the_head);
}

/* As if so many had been sent. */
static void count_as(ipcf_channel *channel, uint64_t messages)
{
    ipcf_store_relaxed(&channel->sent.messages, messages);
}

#define TIMED_ONE UINT64_C(34)  /* the number of a message that is timed */
#define QUARTER ((size_t)15000) /* of a ring, nearly */
static const uint8_t quarter[QUARTER];

static void *send_quarter(void *argument)
{
    CHECK_OK(send_until(argument, quarter, QUARTER, hang_bound()));
    return NULL;
}

static void the_wait_for_room_is_part_of_it(void)
{
    both_ends ends;
    open_ring(&ends);
    use_times(&ends);
    count_as(ends.ours, 1);
    for (unsigned i = 0; i < 4; i++)
        CHECK_OK(send_until(ends.ours, quarter, QUARTER, hang_bound()));
    count_as(ends.ours, TIMED_ONE);
    pthread_t sender = start_thread(send_quarter, ends.ours);
    while (read_of(ends.ours).waits == 0)
        ipcf_thread_yield();
    pass(3000000);
    for (unsigned i = 0; i < 5; i++)
        expect(ends.theirs, quarter, QUARTER);
    join(sender);
    ipcf_metrics found = read_of(ends.theirs);
    CHECK(found.timed == 1 && found.latency_sum_ns >= 3000000);
    destroy_both(&ends);
}

/* A send that could not be done leaves no time behind for the next one. */
static void sends_in_vain(both_ends *ends)
{
    static const uint8_t small[900];
    ipcf_status status;
    uint64_t sent = 0;
    use_times(ends);
    do {
        count_as(ends->ours, 1); /* not timed */
        status = ipcf_channel_try_send(ends->ours, IPCF_KIND_BYTES, small, sizeof small,
                                       &(ipcf_error){0});
        sent += status == IPCF_OK;
    } while (status == IPCF_OK);
    for (unsigned i = 0; i < 5; i++) {
        count_as(ends->ours, TIMED_ONE);
        status = ipcf_channel_try_send(ends->ours, IPCF_KIND_BYTES, small, sizeof small,
                                       &(ipcf_error){0});
        CHECK(status != IPCF_OK);
    }
    bool is_begun = ipcf_buffer_size(&ends->ours->unsent) != 0; /* of a stream */
    pass(2000000);
    for (uint64_t i = 0; i < sent; i++)
        expect(ends->theirs, small, sizeof small);
    uint64_t begun_before = read_of(ends->theirs).timed;
    CHECK(begun_before == 0);
    if (is_begun) {
        CHECK_OK(ipcf_channel_flush(ends->ours, hang_bound(), NULL));
        expect(ends->theirs, small, sizeof small);
    }
    ipcf_metrics before = read_of(ends->theirs);
    uint64_t start = ipcf_clock_ns();
    count_as(ends->ours, TIMED_ONE);
    send_text(ends->ours, "x");
    expect_text(ends->theirs, "x");
    ipcf_metrics found = read_of(ends->theirs);
    CHECK(found.timed == before.timed + 1);
    CHECK(found.latency_sum_ns - before.latency_sum_ns <= ipcf_clock_ns() - start);
}

static void a_send_in_vain_leaves_no_time_behind(void)
{
    for_both_kinds(sends_in_vain);
}

static void over_the_limit(both_ends *ends)
{
    static const uint8_t body[40000]; /* of several records in a ring */
    const size_t too_large[] = {5000, sizeof body};
    use_times(ends);
    ends->theirs->message_limit = ends->stream[1].decoder.body_limit = 4096;
    for (size_t i = 0; i < 2; i++) {
        count_as(ends->ours, TIMED_ONE);
        CHECK_OK(send_until(ends->ours, body, too_large[i], hang_bound()));
        CHECK_STATUS(receive_status(ends->theirs, hang_bound()), IPCF_TOO_LARGE);
        send_text(ends->ours, "x"); /* which is not timed */
        expect_text(ends->theirs, "x");
    }
    CHECK(read_of(ends->theirs).timed == 0);
}

static void the_time_of_a_skipped_message_is_not_the_next_ones(void)
{
    for_both_kinds(over_the_limit);
}

/* ---- peers that lie -------------------------------------------------------------- */

static void say_timed(int raw, uint8_t flags, uint64_t sent_ns, const char *body)
{
    uint8_t header[IPCF_FRAME_HEADER_MAX];
    ipcf_status status;
    size_t size = ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_BYTES, 0,
                                    strlen(body), header, &status);
    CHECK_OK(status);
    size = ipcf_frame_add_time(header, sent_ns);
    header[4] = flags;
    CHECK(send(raw, header, size, MSG_NOSIGNAL) == (ssize_t)size);
    CHECK(send(raw, body, strlen(body), MSG_NOSIGNAL) == (ssize_t)strlen(body));
}

static int open_raw_stream(ipcf_stream_channel *channel)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_stream stream;
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    CHECK_OK(ipcf_stream_adopt(sockets[0], &stream, NULL));
    CHECK_OK(ipcf_stream_channel_init(channel, &stream, &options, NULL));
    return sockets[1];
}

static void a_stream_takes_any_time(void)
{
    static ipcf_stream_channel channel;
    int raw = open_raw_stream(&channel);
    ipcf_stream_channel_use_times(&channel);
    /* 0 is as good as none; then the future, long ago, and now */
    const uint64_t times[] = {0, UINT64_MAX, ipcf_clock_ns() + 1000000000, 1,
                              ipcf_clock_ns()};
    const uint64_t due[] = {0, 0, 0, 1, 2};
    for (size_t i = 0; i < 5; i++) {
        say_timed(raw, IPCF_FRAME_TIMED, times[i], "body");
        expect_text(&channel.base, "body");
        CHECK(read_of(&channel.base).timed == due[i]);
    }
    CHECK(read_of(&channel.base).errors == 0);
    say_timed(raw, 3, ipcf_clock_ns(), "body");
    CHECK_STATUS(receive_status(&channel.base, hang_bound()), IPCF_BAD_FRAME);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

static void a_stream_refuses_a_time_that_was_not_agreed_on(void)
{
    static ipcf_stream_channel channel;
    int raw = open_raw_stream(&channel);
    say_timed(raw, IPCF_FRAME_TIMED, ipcf_clock_ns(), "body");
    CHECK_STATUS(receive_status(&channel.base, hang_bound()), IPCF_BAD_FRAME);
    close(raw);
    ipcf_channel_destroy(&channel.base);
}

/* A send that fails looks for it among what has come. */
static void a_goodbye_behind_a_timed_message_is_found(void)
{
    both_ends ends;
    open_stream(&ends);
    use_times(&ends);
    send_text(ends.theirs, "timed");
    ipcf_channel_close(ends.theirs);
    ipcf_status status;
    do
        status = send_until(ends.ours, "x", 1, hang_bound());
    while (status == IPCF_OK);
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    CHECK(how_it_ended(ends.ours) == IPCF_ENDING_GOODBYE);
    expect_text(ends.ours, "timed");
    CHECK(read_of(ends.ours).timed == 1);
    destroy_both(&ends);
}

/* One record, as a peer writes it that holds the ring; what the receive says. */
static ipcf_status ring_says(bool is_agreed, uint8_t flags, const void *payload,
                             uint32_t size, ipcf_metrics *found)
{
    static ipcf_ring_channel victim;
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_ring_producer producer;
    ipcf_message message;
    raw_peer peer;
    uint8_t *at;
    open_raw_peer(&victim, &peer, CAPACITY, &options);
    if (is_agreed)
        ipcf_ring_channel_use_times(&victim);
    CHECK_OK(ipcf_ring_attach_producer(&producer, peer.memory, CAPACITY, NULL));
    CHECK_OK(ipcf_ring_claim(&producer, size, &at, NULL));
    memcpy(at, payload, size);
    ipcf_ring_commit(&producer, IPCF_KIND_BYTES, flags);
    (void)ipcf_ring_publish(&producer);
    ipcf_status status = begin_until(&victim.base, hang_bound(), &message, NULL);
    if (status == IPCF_OK) {
        CHECK(message.size == size - 8 && memcmp(message.data, at + 8, size - 8) == 0);
        ipcf_channel_finish(&victim.base);
    }
    *found = read_of(&victim.base);
    ipcf_channel_destroy(&victim.base);
    ipcf_ring_segment_close(&peer.segment);
    ipcf_stream_close(&peer.control);
    return status;
}

static void a_ring_takes_any_time_but_only_where_one_may_stand(void)
{
    ipcf_metrics found;
    uint64_t payload[2] = {0, 7};
    const uint64_t times[] = {0, UINT64_MAX, ipcf_clock_ns() + 1000000000, 1};
    for (size_t i = 0; i < 4; i++) {
        payload[0] = times[i];
        CHECK_OK(ring_says(true, IPCF_RING_TIMED, payload, 16, &found));
        CHECK(found.timed == (i == 3) && found.messages_received == 1);
        CHECK(found.bytes_received == 8);
    }
    CHECK_OK(ring_says(true, IPCF_RING_TIMED, payload, 8, &found));
    CHECK(found.messages_received == 1 && found.bytes_received == 0);
    for (uint32_t size = 0; size < 8; size++)
        CHECK_STATUS(ring_says(true, IPCF_RING_TIMED, payload, size, &found),
                     IPCF_CORRUPT);
    const uint8_t flags[] = {IPCF_RING_TIMED | IPCF_RING_CONTINUED,
                             IPCF_RING_TIMED | IPCF_RING_CONTINUED | IPCF_RING_MORE,
                             IPCF_RING_TIMED | IPCF_RING_MORE, 8, 128};
    for (size_t i = 0; i < sizeof flags; i++)
        CHECK_STATUS(ring_says(true, flags[i], payload, 16, &found), IPCF_CORRUPT);
    CHECK_STATUS(ring_says(false, IPCF_RING_TIMED, payload, 16, &found), IPCF_CORRUPT);
    CHECK(found.timed == 0 && found.errors == 1);
}

int main(void)
{
    RUN(one_message_of_64_tells_its_time);
    RUN(batches_are_timed_likewise);
    RUN(nothing_is_timed_unless_agreed_on);
    RUN(latency_is_from_the_send_to_the_receive);
    RUN(a_message_counts_once_and_when_it_is_done_with);
    RUN(the_wait_for_room_is_part_of_it);
    RUN(a_send_in_vain_leaves_no_time_behind);
    RUN(the_time_of_a_skipped_message_is_not_the_next_ones);
    RUN(a_stream_takes_any_time);
    RUN(a_stream_refuses_a_time_that_was_not_agreed_on);
    RUN(a_goodbye_behind_a_timed_message_is_found);
    RUN(a_ring_takes_any_time_but_only_where_one_may_stand);
    return 0;
}
