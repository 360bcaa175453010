/* SPDX-License-Identifier: MIT
 * One side of a ring channel dies at every named step of its life, from the handshake to
 * the end, the first time and any other time it comes by: the survivor receives what
 * was published, and learns how the other ended.
 */
#include <sys/mman.h>

#include "ipcf/stream_channel.h"
#include "tests/ring_channel_ends.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SMALLEST IPCF_RING_CAPACITY_MIN
#define LONG_BODY ((size_t)6000)

/* Each of them is the last one of some run. */
static const char *const steps[] = {
    "handles sent",        "handles received",    "stream released",
    "segment created",     "segment adopted",     "ring attached",
    "ring claimed",        "ring written",        "ring committed",
    "ring tail stored",    "ring published",      "ring data bell rung",
    "ring space wanted",   "ring about to sleep", "ring peeked",
    "ring head stored",    "ring released",       "ring space bell rung",
    "ring data wanted",    "ring woken",          "ring unparked",
    "ring producer left",  "ring consumer left",  "ring hung up",
    "channel parts freed",
};

/* ---- dying ----------------------------------------------------------------------- */

/* What the dying side leaves behind; shared with the survivor, who reads it after the
 * death. */
typedef struct testament {
    /* it waits for the answer, or will; relaxed: only a time to go on */
    ipcf_atomic_u32 is_asking;
    bool awaits_answer;
    const char *last;     /* die when it comes by; NULL: */
    uint32_t steps_to_go; /* 0: live */
    uint32_t told;        /* whole messages whose tail has been stored */
    bool has_attached, has_left;
} testament;

static testament *will;
static ipcf_ring_channel victim;

static void die_in_turn(const char *step)
{
    will->has_attached = will->has_attached || strcmp(step, "ring attached") == 0;
    will->has_left = will->has_left || strcmp(step, "ring producer left") == 0;
    if (strcmp(step, "ring tail stored") == 0 && !victim.mid_message)
        will->told++;
    if (will->awaits_answer && strcmp(step, "ring data wanted") == 0)
        ipcf_store_relaxed(&will->is_asking, 1u);
    bool is_last = will->last != NULL
                       ? strcmp(step, will->last) == 0
                       : will->steps_to_go != 0 && --will->steps_to_go == 0;
    if (is_last)
        CHECK(kill(getpid(), SIGKILL) == 0);
}

/* ---- the handshake --------------------------------------------------------------- */

static ipcf_channel_options without_spin(void)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    options.spin_ns = 0;
    return options;
}

/* Each side has this much of the handshake of docs/spec/handshake.md: the memory and the
 * bells travel, then the stream is the control connection. Not OK: nothing is left. */
static ipcf_status create(ipcf_stream *stream, ipcf_ring_channel *channel)
{
    ipcf_channel_options options = without_spin();
    ipcf_stream_channel greeting;
    ipcf_ring_segment segment;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    CHECK_OK(ipcf_stream_channel_init(&greeting, stream, &options, NULL));
    CHECK_OK(ipcf_ring_segment_create(&segment, SMALLEST, SMALLEST, NULL));
    size_t count = ipcf_ring_segment_handles(&segment, handles);
    ipcf_status status = ipcf_stream_channel_send_handles(
        &greeting, IPCF_KIND_WELCOME, "ring", 4, handles, count, hang_bound(), NULL);
    if (status == IPCF_OK)
        CHECK_OK(ipcf_stream_channel_release_stream(&greeting, stream, NULL));
    ipcf_channel_destroy(&greeting.base);
    if (status != IPCF_OK) {
        ipcf_ring_segment_close(&segment);
        return status;
    }
    return ipcf_ring_channel_init(channel, stream, &segment, &options, NULL);
}

static ipcf_status adopt(ipcf_stream *stream, ipcf_ring_channel *channel)
{
    ipcf_channel_options options = without_spin();
    ipcf_stream_channel greeting;
    ipcf_ring_segment segment;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    size_t count = COUNT(handles), size;
    uint8_t kind, body[16];
    CHECK_OK(ipcf_stream_channel_init(&greeting, stream, &options, NULL));
    ipcf_status status;
    do
        status = ipcf_stream_channel_receive_handles(&greeting, &kind, body,
                                                     sizeof body, &size, handles,
                                                     &count, hang_bound(), NULL);
    while (status == IPCF_INTERRUPTED);
    if (status == IPCF_OK) {
        CHECK_OK(ipcf_ring_segment_adopt(&segment, handles, count, SMALLEST, SMALLEST,
                                         NULL));
        CHECK_OK(ipcf_stream_channel_release_stream(&greeting, stream, NULL));
    }
    ipcf_channel_destroy(&greeting.base);
    return status == IPCF_OK
               ? ipcf_ring_channel_init(channel, stream, &segment, &options, NULL)
               : status;
}

typedef ipcf_status (*role)(ipcf_stream *, ipcf_ring_channel *);

/* ---- the one who dies ------------------------------------------------------------ */

static void live(role open, ipcf_stream *stream)
{
    static uint8_t body[LONG_BODY];
    pid_t survivor = getppid();
    ipcf_test_on_step(die_in_turn);
    CHECK_OK(open(stream, &victim));
    watch_process(&victim.base, survivor);
    send_text(&victim.base, "short");
    fill(body, sizeof body, 7);
    CHECK_OK(send_until(&victim.base, body, sizeof body, hang_bound()));
    will->awaits_answer = true;
    expect_text(&victim.base, "answer");
    send_text(&victim.base, "last");
    ipcf_channel_close(&victim.base);
}

/* ---- the survivor ---------------------------------------------------------------- */

/* Until the other side sleeps, or has died. */
static void wait_for_sleeper(ipcf_ring_channel *channel, ipcf_atomic_u32 *flag)
{
    uint64_t until = hang_bound();
    while (ipcf_load_relaxed(flag) == 0 && !is_ready(channel->base.peer_process)) {
        CHECK(ipcf_clock_ns() < until);
        ipcf_thread_yield();
    }
}

static bool survive_message(ipcf_channel *channel, const void *due, size_t size,
                            uint32_t *received)
{
    uint8_t *body;
    size_t got;
    ipcf_status status = receive_until(channel, &body, &got, hang_bound());
    if (status != IPCF_OK) {
        CHECK_STATUS(status, IPCF_DISCONNECTED);
        return false;
    }
    CHECK(got == size && memcmp(body, due, size) == 0);
    free(body);
    ++*received;
    return true;
}

static uint32_t converse(ipcf_ring_channel *channel)
{
    static uint8_t body[LONG_BODY];
    uint32_t received = 0;
    ipcf_channel *base = &channel->base;
    fill(body, sizeof body, 7);
    wait_for_sleeper(channel, &channel->in.shared->wants_space);
    if (!survive_message(base, "short", 5, &received) ||
        !survive_message(base, body, sizeof body, &received))
        return received;
    wait_for_sleeper(channel, &will->is_asking);
    ipcf_status status = send_until(base, "answer", 6, hang_bound());
    CHECK(status == IPCF_OK || status == IPCF_DISCONNECTED);
    if (survive_message(base, "last", 4, &received))
        CHECK(!survive_message(base, NULL, 0, &received));
    return received;
}

static void outlive(ipcf_ring_channel *channel, pid_t other)
{
    watch_process(&channel->base, other);
    uint32_t received = converse(channel);
    /* and so it stays */
    CHECK_STATUS(receive_status(&channel->base, IPCF_NO_WAIT), IPCF_DISCONNECTED);
    CHECK(ipcf_channel_poll(&channel->base, IPCF_NO_WAIT, NULL) == IPCF_OK);
    ipcf_ring_shared *shared = channel->in.shared;
    CHECK(channel->in.head == ipcf_load_relaxed(&shared->tail));
    CHECK(received == will->told);
    CHECK(ending_of(channel) ==
          (will->has_left ? IPCF_ENDING_GOODBYE : IPCF_ENDING_DIED));
    ipcf_channel_destroy(&channel->base);
}

/* ---- every step ------------------------------------------------------------------ */

/* True: it died. */
static bool die_at(const char *step, uint32_t nth, role dying, role surviving)
{
    ipcf_stream streams[2];
    ipcf_ring_channel channel;
    will->last = step;
    will->steps_to_go = nth;
    will->told = 0;
    will->has_attached = will->has_left = will->awaits_answer = false;
    ipcf_store_relaxed(&will->is_asking, 0u);
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], NULL));
    fflush(NULL);
    pid_t other = fork();
    CHECK(other >= 0);
    if (other == 0) {
        alarm(60);
        ipcf_stream_close(&streams[0]);
        live(dying, &streams[1]);
        _exit(0);
    }
    ipcf_stream_close(&streams[1]);
    ipcf_status status = surviving(&streams[0], &channel);
    if (status == IPCF_OK)
        outlive(&channel, other);
    else
        CHECK_STATUS(status, IPCF_DISCONNECTED);
    int ending = end_of_process(other);
    CHECK(status == IPCF_OK || !will->has_attached || surviving == create);
    bool died = WIFSIGNALED(ending);
    CHECK(died ? WTERMSIG(ending) == SIGKILL : WEXITSTATUS(ending) == 0);
    return died;
}

typedef struct roles {
    role dying, surviving;
} roles;

static const roles casts[] = {{adopt, create}, {create, adopt}};

/* What one run meets twice another may meet once: how often somebody sleeps is a matter
 * of luck. */
static void the_survivor_learns_of_a_death_at_any_time(void)
{
    size_t before = open_descriptors();
    for (size_t i = 0; i < COUNT(casts); i++) {
        uint32_t nth = 1;
        while (die_at(NULL, nth, casts[i].dying, casts[i].surviving))
            nth++;
        CHECK(nth > COUNT(steps));
    }
    CHECK(open_descriptors() == before);
}

static void the_survivor_learns_of_a_death_at_every_step(void)
{
    for (size_t step = 0; step < COUNT(steps); step++) {
        unsigned deaths = 0;
        /* again, because who is about to sleep may find that it need not */
        for (size_t i = 0; i < 10 * COUNT(casts) && (i < COUNT(casts) || deaths == 0);
             i++) {
            const roles *cast = &casts[i % COUNT(casts)];
            deaths += die_at(steps[step], 0, cast->dying, cast->surviving);
        }
        if (deaths == 0)
            fprintf(stderr, "nobody came to \"%s\"\n", steps[step]);
        CHECK(deaths != 0);
    }
}

int main(void)
{
    alarm(250);
    will = mmap(NULL, sizeof *will, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    CHECK(will != MAP_FAILED);
    RUN(the_survivor_learns_of_a_death_at_any_time);
    RUN(the_survivor_learns_of_a_death_at_every_step);
    return 0;
}
