/* SPDX-License-Identifier: MIT
 * A channel of either kind on a system that refuses: each call of the system fails once
 * with each error, memory runs out, reads and writes are cut short. What is sent arrives
 * once and whole, or the channel has ended and says why.
 */
#include <errno.h>

#include "tests/both_kinds.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TURNS_MAX 200000
#define SHORT_SEEDS 60

/* ---- one thread that sends and receives ------------------------------------------ */

/* What a call may say while the channel lives. */
static void check_passing(ipcf_status status)
{
    CHECK(status == IPCF_OK || status == IPCF_TIMEOUT || status == IPCF_INTERRUPTED ||
          status == IPCF_NO_MEMORY || status == IPCF_OS_ERROR);
}

static bool has_ended(ipcf_channel *channel)
{
    return ipcf_channel_state_status(channel, NULL) != IPCF_OK;
}

/* Half of the turns wait for a moment, so that the sleeping paths are taken too. */
static uint64_t deadline_of(unsigned turn)
{
    CHECK(turn < TURNS_MAX);
    return turn % 2 != 0 ? IPCF_NO_WAIT : ipcf_clock_ns() + 50000;
}

/* One message on its way. */
typedef struct parcel {
    const uint8_t *body;
    size_t size, at;
    uint8_t *copy;
    bool is_begun, is_sent, is_received;
} parcel;

static void send_turn(parcel *one, ipcf_channel *channel, uint64_t deadline_ns)
{
    ipcf_error error = {0};
    ipcf_status status = one->is_begun
                             ? ipcf_channel_flush(channel, deadline_ns, &error)
                             : ipcf_channel_send(channel, IPCF_KIND_BYTES, one->body,
                                                 one->size, deadline_ns, &error);
    check_passing(status);
    CHECK(status == IPCF_OK || error.what != NULL);
    one->is_sent = status == IPCF_OK;
    one->is_begun = one->is_begun || error.what == ipcf_channel_begun;
}

static void receive_turn(parcel *one, ipcf_channel *channel, uint64_t deadline_ns)
{
    ipcf_message message;
    ipcf_error error = {0};
    ipcf_status status = ipcf_channel_begin(channel, deadline_ns, &message, &error);
    check_passing(status);
    if (status != IPCF_OK)
        return;
    CHECK(message.size == one->size);
    if (message.data != NULL) {
        memcpy(one->copy, message.data, one->size);
        one->at = one->size;
    } else {
        size_t got;
        CHECK(message.received == one->at);
        status = ipcf_channel_read_body(channel, one->copy + one->at,
                                        one->size - one->at, &got, deadline_ns, &error);
        check_passing(status);
        one->at += got;
    }
    one->is_received = status == IPCF_OK && one->at == one->size;
    if (one->is_received)
        ipcf_channel_finish(channel);
    else
        ipcf_channel_leave(channel);
}

/* Send and receive in turns. False: one of the two has ended. */
static bool deliver(ipcf_channel *from, ipcf_channel *to, size_t size)
{
    uint8_t *body = malloc(size + 1), *copy = malloc(size + 1);
    CHECK(body != NULL && copy != NULL);
    fill(body, size, size);
    parcel one = {.body = body, .size = size, .copy = copy};
    bool is_alive = true;
    for (unsigned turn = 0; is_alive && !(one.is_sent && one.is_received); turn++) {
        uint64_t deadline = deadline_of(turn);
        if (!one.is_sent)
            send_turn(&one, from, deadline);
        if (!one.is_received && !has_ended(from))
            receive_turn(&one, to, deadline);
        is_alive = !has_ended(from) && !has_ended(to);
    }
    CHECK(!is_alive || memcmp(copy, body, size) == 0);
    free(body);
    free(copy);
    return is_alive;
}

static void send_now(ipcf_channel *channel, const char *text)
{
    CHECK_OK(ipcf_channel_send(channel, IPCF_KIND_BYTES, text, strlen(text),
                               IPCF_NO_WAIT, NULL));
}

/* ---- a call fails ---------------------------------------------------------------- */

typedef struct fault {
    const char *call;
    int os_error;
} fault;

static const size_t sizes[] = {1, 3000, 200000, 1000000};
/* A ring asks for its peer from time to time only. */
#define SMALL_ONES 70

/* Whatever else does, this sleeps. */
static void wait_in_vain(ipcf_channel *channel)
{
    ipcf_message message;
    ipcf_status status =
        ipcf_channel_begin(channel, ipcf_clock_ns() + 1000, &message, NULL);
    CHECK(status != IPCF_OK);
    check_passing(status);
}

/* False: a channel has ended. */
static bool converse(both_ends *ends)
{
    bool is_alive = true;
    wait_in_vain(ends->theirs);
    for (size_t i = 0; is_alive && i < SMALL_ONES; i++)
        is_alive = deliver(ends->ours, ends->theirs, i);
    for (size_t i = 0; is_alive && i < COUNT(sizes); i++)
        is_alive = deliver(ends->ours, ends->theirs, sizes[i]);
    return is_alive && deliver(ends->theirs, ends->ours, 5000);
}

/* Whoever is told that memory ran out in mid-message is told so for ever, and the other
 * side does not take it for an orderly end. */
static void check_end(both_ends *ends)
{
    bool is_ours = has_ended(ends->ours);
    ipcf_channel *ended = is_ours ? ends->ours : ends->theirs,
                 *other = is_ours ? ends->theirs : ends->ours;
    uint8_t *body;
    size_t size;
    CHECK_STATUS(send_until(ended, "no", 2, hang_bound()), IPCF_NO_MEMORY);
    CHECK_STATUS(receive_status(ended, hang_bound()), IPCF_NO_MEMORY);
    ipcf_status status;
    while ((status = receive_until(other, &body, &size, hang_bound())) == IPCF_OK)
        free(body);
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    CHECK(how_it_ended(other) == IPCF_ENDING_DIED);
}

/* n = 1, 2, 3 ... until the run has not so many calls. Returns how many runs ended the
 * channel. */
static unsigned fail_each_call(size_t kind, const fault *present)
{
    unsigned ended = 0, nth = 0;
    bool is_through = false;
    while (!is_through) {
        both_ends ends;
        openers[kind](&ends);
        ipcf_test_fail_at(present->call, ++nth, present->os_error);
        bool is_alive = converse(&ends);
        is_through = ipcf_test_fault_is_due();
        ipcf_test_fail_at(NULL, 0, 0);
        if (is_alive) {
            send_now(ends.ours, "still there");
            expect_text(ends.theirs, "still there");
        } else {
            check_end(&ends);
            ended++;
        }
        destroy_both(&ends);
    }
    CHECK(nth > 1);
    return ended;
}

static void no_failing_call_costs_a_message(void)
{
    static const int errors[] = {EINTR, ENOBUFS, ENOMEM};
    static const char *const calls[KINDS][3] = {{"poll"}, {"poll", "send", "recv"}};
    size_t before = open_descriptors();
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t c = 0; c < 3 && calls[kind][c] != NULL; c++)
            for (size_t e = 0; e < COUNT(errors); e++) {
                fault present = {calls[kind][c], errors[e]};
                CHECK(fail_each_call(kind, &present) == 0);
            }
    CHECK(open_descriptors() == before);
}

/* ---- memory runs out ------------------------------------------------------------- */

static void without_memory_a_message_is_whole_or_the_channel_ends(void)
{
    static const fault present = {"realloc", ENOMEM};
    for (size_t kind = 0; kind < KINDS; kind++)
        CHECK(fail_each_call(kind, &present) > 0); /* keeping the rest is a must */
}

static void without_memory_a_waiting_send_takes_nothing_in(void)
{
    both_ends ends;
    open_ring(&ends);
    send_now(ends.theirs, "first");
    send_now(ends.theirs, "second");
    fill_ring(ends.ours);
    ipcf_test_fail_at("realloc", 1, ENOMEM);
    CHECK_STATUS(send_until(ends.ours, "no", 2, ipcf_clock_ns() + MS), IPCF_TIMEOUT);
    CHECK(!ipcf_test_fault_is_due());
    expect_text(ends.ours, "first");
    expect_text(ends.ours, "second");
    destroy_both(&ends);
}

/* ---- reads and writes are short -------------------------------------------------- */

static void open_framed(both_ends *ends, ipcf_framing framing)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_stream streams[2];
    options.framing = framing;
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], NULL));
    for (size_t i = 0; i < 2; i++)
        CHECK_OK(
            ipcf_stream_channel_init(&ends->stream[i], &streams[i], &options, NULL));
    ends->ours = &ends->stream[0].base;
    ends->theirs = &ends->stream[1].base;
}

static void send_lines(both_ends *ends)
{
    ipcf_piece lines[] = {{"one", 3}, {"two", 3}, {"three", 5}};
    size_t sent = 0, total = 0;
    do {
        ipcf_status status =
            ipcf_channel_send_many(ends->ours, IPCF_KIND_ANY, lines + total,
                                   COUNT(lines) - total, &sent, hang_bound(), NULL);
        check_passing(status);
        total += sent;
    } while (total < COUNT(lines));
    for (size_t i = 0; i < COUNT(lines); i++)
        expect(ends->theirs, lines[i].data, lines[i].size);
}

static void short_reads_and_writes_change_nothing(void)
{
    for (uint64_t seed = 1; seed <= SHORT_SEEDS; seed++)
        for (size_t f = 1; f <= 4; f++) {
            both_ends ends;
            open_framed(&ends, (ipcf_framing)f);
            ipcf_test_shorten(seed);
            send_lines(&ends);
            if ((ipcf_framing)f != IPCF_FRAMING_LINES) {
                CHECK(deliver(ends.ours, ends.theirs, seed % 50));
                CHECK(deliver(ends.theirs, ends.ours, 100000 + seed));
            }
            send_lines(&ends);
            ipcf_channel_shut_down(ends.ours);
            CHECK_STATUS(receive_status(ends.theirs, hang_bound()), IPCF_DISCONNECTED);
            ipcf_test_shorten(0);
            destroy_both(&ends);
        }
}

int main(void)
{
    alarm(250);
    RUN(no_failing_call_costs_a_message);
    RUN(without_memory_a_message_is_whole_or_the_channel_ends);
    RUN(without_memory_a_waiting_send_takes_nothing_in);
    RUN(short_reads_and_writes_change_nothing);
    return 0;
}
