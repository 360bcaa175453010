/* SPDX-License-Identifier: MIT
 * A ring channel against a peer that lies: it writes any byte of the segment at any
 * time, rings and clears bells, talks on the control stream. The channel may end; it
 * may not crash, hang, wait past a deadline, or read outside. Seconds to go on for:
 * IPCF_TEST_SECONDS (5).
 */
#include "tests/ring_channel_ends.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MESSAGE_LIMIT ((size_t)1 << 20)
#define ROUND_NS (4 * MS)
#define WAIT_NS (2 * MS)
/* Far beyond any scheduler's delay on a busy machine. */
#define HANG_NS (5000 * MS)
/* A call that sleeps as long as a sleep may last, instead of until its deadline, is
 * slow. A busy machine makes calls slow as well, but then it holds the attacker up too,
 * who never sleeps. */
#define SLOW_NS (IPCF_SLEEP_FIRST_NS / 5 * 4)
#define ROUNDS_TO_ONE_SLOW_CALL 30

typedef struct battle {
    ipcf_ring_channel victim;
    raw_peer peer;
    uint64_t capacity, seed;
    ipcf_atomic_u32 is_over; /* relaxed on both sides: joined afterwards */
    uint64_t received, sent; /* each by one thread */
    ipcf_atomic_u64 slow;    /* calls; relaxed: joined afterwards */
    bool was_held_up;        /* the attacker, by the machine */
    ipcf_status received_last, sent_last;
} battle;

typedef struct outcomes {
    uint64_t rounds, received, sent, corrupt, disconnected, survived, slow, held_up;
} outcomes;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static bool is_final(ipcf_status status)
{
    return status == IPCF_CORRUPT || status == IPCF_DISCONNECTED;
}

/* Every status that the peer can bring about; none of the others is its to give. */
static ipcf_status checked(battle *fight, ipcf_status status, uint64_t start_ns)
{
    uint64_t took_ns = ipcf_clock_ns() - start_ns;
    CHECK(took_ns < HANG_NS);
    if (took_ns >= SLOW_NS)
        (void)atomic_fetch_add_explicit(&fight->slow, 1u, memory_order_relaxed);
    CHECK(status == IPCF_OK || status == IPCF_AGAIN || status == IPCF_TIMEOUT ||
          status == IPCF_INTERRUPTED || status == IPCF_TOO_LARGE || is_final(status));
    return status;
}

/* ---- the victim ------------------------------------------------------------------ */

static bool is_within(const uint8_t *data, uint64_t size, const uint8_t *start,
                      uint64_t room)
{
    return data >= start && size <= room && (size_t)(data - start) <= room - size;
}

/* What is handed out in place lies in the ring or in what was read ahead. */
static uint64_t use_in_place(const battle *fight, const ipcf_message *message)
{
    const ipcf_ring_channel *channel = &fight->victim;
    uint64_t sum = 0;
    CHECK(message->size <= MESSAGE_LIMIT);
    CHECK(is_within(message->data, message->size, channel->in.data, fight->capacity) ||
          is_within(message->data, message->size, channel->ahead.data,
                    channel->ahead.capacity));
    for (uint64_t i = 0; i < message->size; i++)
        sum += message->data[i];
    return sum;
}

/* Fetch a body; sometimes leave it in the middle and come back. Not OK: left. */
static ipcf_status use_long(battle *fight, const ipcf_message *message,
                            uint64_t *random)
{
    static uint8_t body[MESSAGE_LIMIT];
    ipcf_channel *channel = &fight->victim.base;
    size_t at = (size_t)message->received, got;
    CHECK(message->size <= MESSAGE_LIMIT && message->received <= message->size);
    while (at < message->size) {
        size_t most = (size_t)message->size - at;
        size_t part = next_random(random) % 2 == 0 ? most : most / 3 + 1;
        uint64_t start = ipcf_clock_ns();
        ipcf_status status =
            checked(fight,
                    ipcf_channel_read_body(channel, body + at, part, &got,
                                           start + WAIT_NS, NULL),
                    start);
        CHECK(got <= part);
        at += got;
        if (status != IPCF_OK) {
            ipcf_channel_leave(channel);
            return status;
        }
    }
    return IPCF_OK;
}

static ipcf_status receive_some(battle *fight, uint64_t *random, uint64_t *sum)
{
    ipcf_channel *channel = &fight->victim.base;
    ipcf_message message;
    uint64_t start = ipcf_clock_ns(), way = next_random(random) % 8;
    ipcf_status status =
        way == 0 ? ipcf_channel_poll(channel, start + WAIT_NS, NULL)
        : way == 1
            ? ipcf_channel_try_begin(channel, IPCF_LOOK_AND_YIELD, &message, NULL)
        : way == 2 ? ipcf_channel_begin(channel, IPCF_NO_WAIT, &message, NULL)
                   : ipcf_channel_begin(channel, start + WAIT_NS, &message, NULL);
    checked(fight, status, start);
    if (status != IPCF_OK || way == 0)
        return status;
    if (message.data == NULL) {
        status = use_long(fight, &message, random);
        if (status == IPCF_OK)
            ipcf_channel_finish(channel);
        return status;
    }
    do {
        *sum += use_in_place(fight, &message);
        fight->received++;
        if (way == 3) {
            ipcf_channel_leave(channel);
            return IPCF_OK;
        }
        if (way == 4) {
            ipcf_channel_finish(channel);
            return IPCF_OK;
        }
    } while (ipcf_channel_next(channel, &message) == IPCF_OK);
    return IPCF_OK;
}

static void *victim_receives(void *argument)
{
    battle *fight = argument;
    uint64_t random = fight->seed | 1, sum = 0;
    ipcf_handle handle;
    if (fight->seed % 3 == 0)
        CHECK(checked(fight,
                      ipcf_channel_ready_handle(&fight->victim.base, &handle, NULL),
                      ipcf_clock_ns()) != IPCF_AGAIN);
    ipcf_status status = IPCF_OK;
    while (!is_final(status) && ipcf_load_relaxed(&fight->is_over) == 0)
        status = receive_some(fight, &random, &sum);
    fight->received_last = status;
    fight->received += sum == 1; /* so that the reads are not optimised away */
    return NULL;
}

static void *victim_sends(void *argument)
{
    static const uint8_t body[MESSAGE_LIMIT];
    battle *fight = argument;
    uint64_t random = ~fight->seed | 1;
    ipcf_channel *channel = &fight->victim.base;
    ipcf_status status = IPCF_OK;
    while (!is_final(status) && ipcf_load_relaxed(&fight->is_over) == 0) {
        uint64_t start = ipcf_clock_ns(), way = next_random(&random) % 8;
        size_t sent = 0, size = (size_t)(next_random(&random) % (2 * fight->capacity));
        ipcf_piece pieces[] = {{body, size / 99}, {body, size / 9}, {body, size}};
        status =
            way == 0
                ? ipcf_channel_try_send(channel, IPCF_KIND_BYTES, body, size / 16, NULL)
            : way == 1 ? ipcf_channel_flush(channel, start + WAIT_NS, NULL)
                       : ipcf_channel_send_many(
                             channel, IPCF_KIND_MESSAGE, pieces, COUNT(pieces), &sent,
                             way == 2 ? IPCF_NO_WAIT : start + WAIT_NS, NULL);
        checked(fight, status, start);
        CHECK(sent <= COUNT(pieces));
        fight->sent += sent;
    }
    fight->sent_last = status;
    return NULL;
}

/* ---- the attacker ---------------------------------------------------------------- */

/* Both rings of the segment in the raw, worked by the rules until the next lie. */
typedef struct attacker {
    battle *fight;
    ipcf_ring_producer out; /* of what the victim reads */
    ipcf_ring_consumer in;
    uint64_t random;
    uint64_t left; /* bytes of a long message to go */
} attacker;

/* One record of an honest message. */
static void send_record(attacker *bad)
{
    uint8_t *payload;
    uint64_t random = next_random(&bad->random);
    uint32_t most = ipcf_ring_record_max(bad->fight->capacity);
    uint32_t size = (uint32_t)((random >> 8) % most) + 1;
    uint64_t total = random % 4 == 0 ? size + (random >> 32) % (3 * most) : 0;
    bool is_first = bad->left == 0, is_long = !is_first || total > most;
    uint64_t left = is_first ? total : bad->left;
    uint32_t prefix = is_first && is_long ? (uint32_t)sizeof total : 0;
    uint32_t part = !is_long ? size
                    : left < most - prefix
                        ? (uint32_t)left
                        : (size > prefix ? size : prefix + 1) - prefix;
    if (ipcf_ring_claim(&bad->out, prefix + part, &payload, NULL) != IPCF_OK)
        return;
    memcpy(payload, &total, prefix);
    memset(payload + prefix, (int)random, part);
    bad->left = is_long ? left - part : 0;
    bool is_timed = bad->fight->victim.base.is_timed && !is_long &&
                    part >= IPCF_RING_TIME_SIZE && (random >> 20) % 4 == 0;
    ipcf_ring_commit(&bad->out, IPCF_KIND_BYTES,
                     (uint8_t)((bad->left != 0 ? IPCF_RING_MORE : 0) |
                               (is_timed ? IPCF_RING_TIMED : 0) |
                               (is_long && !is_first ? IPCF_RING_CONTINUED : 0)));
    if (ipcf_ring_publish(&bad->out))
        ipcf_doorbell_ring(&bad->fight->peer.segment.bells[0]);
}

static void receive_records(attacker *bad)
{
    ipcf_record record;
    for (int i = 0; i < 20 && ipcf_ring_peek(&bad->in, &record, NULL) == IPCF_OK; i++)
        if (ipcf_ring_release(&bad->in))
            ipcf_doorbell_ring(&bad->fight->peer.segment.bells[3]);
}

/* Where docs/spec/ring.md puts what steers a ring; the data follows at 4096. */
static const uint64_t fields[] = {0, 8, 16, 128, 136, 256, 260, 384, 392, 512, 516};

static uint64_t a_value(attacker *bad, uint64_t present)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   3,
                                   7,
                                   8,
                                   UINT32_MAX,
                                   UINT64_MAX,
                                   UINT64_MAX - 7,
                                   UINT64_C(1) << 63,
                                   UINT64_C(0xff00000000)};
    uint64_t random = next_random(&bad->random);
    switch (random % 4) {
    case 0:
        return random >> 2;
    case 1:
        return odd[(random >> 8) % COUNT(odd)];
    case 2:
        return present + 8 * ((random >> 8) % 64) - 256;
    default: /* a header that could be one */
        return (random >> 8) % bad->fight->capacity |
               ((random >> 32) % 2 == 0 ? UINT64_C(1) : UINT64_C(0xff)) << 32 |
               (random >> 40) % 8 << 40;
    }
}

/* Write 4 or 8 bytes somewhere. `boldly`: into the fields that end a channel at once,
 * too. */
static void scribble(attacker *bad, bool boldly)
{
    uint64_t capacity = bad->fight->capacity, random = next_random(&bad->random);
    uint64_t ring = (random >> 4) % 2 * (4096 + capacity), present, at;
    uint64_t field = fields[(random >> 8) % COUNT(fields)];
    switch (random % 4) {
    case 0:
        at = boldly || field == 136 || field % 256 == 0 ? field : 392;
        break;
    case 1: { /* a header near one of the positions */
        uint64_t position = ring == 0 ? bad->out.tail : bad->in.head;
        at = 4096 + (position - (random >> 16) % 16 * 8) % capacity / 8 * 8;
        break;
    }
    case 2:
        at = 4096 + (random >> 16) % (capacity / 8) * 8;
        break;
    default:
        at = boldly ? (random >> 16) % (4096 + capacity - 8)
                    : 4096 + (random >> 16) % (capacity - 8);
    }
    uint8_t *target = bad->fight->peer.memory + ring + at;
    memcpy(&present, target, sizeof present);
    uint64_t value = a_value(bad, present);
    memcpy(target, &value, random % 3 == 0 || at % 8 == 4 ? 4 : 8);
}

static void play_with_a_bell(attacker *bad)
{
    uint64_t random = next_random(&bad->random);
    ipcf_doorbell *bell = &bad->fight->peer.segment.bells[random % 4];
    if (random / 4 % 2 == 0)
        ipcf_doorbell_ring(bell);
    else
        (void)ipcf_doorbell_clear(bell);
}

static void attack(battle *fight)
{
    attacker bad = {.fight = fight, .random = fight->seed * 2654435761u | 1};
    uint64_t until = ipcf_clock_ns() + ROUND_NS, mood = fight->seed % 8;
    uint8_t *memory = fight->peer.memory;
    CHECK_OK(ipcf_ring_attach_producer(&bad.out, memory, fight->capacity, NULL));
    CHECK_OK(ipcf_ring_attach_consumer(&bad.in, memory + 4096 + fight->capacity,
                                       fight->capacity, NULL));
    if (fight->victim.base.is_timed)
        bad.in.known_flags |= IPCF_RING_TIMED;
    while (ipcf_clock_ns() < until) {
        uint64_t choice = next_random(&bad.random) % 64;
        if (choice < 30)
            send_record(&bad);
        else if (choice < 50)
            receive_records(&bad);
        else if (choice < 54)
            play_with_a_bell(&bad);
        else if (choice < 56)
            ipcf_thread_yield();
        else if (mood > 3 || (mood == 3 && choice == 63))
            scribble(&bad, mood > 5);
    }
    fight->was_held_up = ipcf_clock_ns() - until >= SLOW_NS;
    size_t put;
    ipcf_piece byte = {"!", 1};
    if (mood == 1)
        (void)!ipcf_stream_try_write(&fight->peer.control, &byte, 1, &put, NULL);
    if (mood == 2 || mood == 5)
        ipcf_stream_shut_down(&fight->peer.control);
}

/* ---- rounds ---------------------------------------------------------------------- */

static void fight_one(uint64_t seed, outcomes *all)
{
    static const uint64_t capacities[] = {4096, 8192, 65536};
    static battle fight;
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    options.message_limit = MESSAGE_LIMIT;
    options.read_ahead_limit = 100000;
    options.spin_ns = seed % 2 == 0 ? IPCF_SPIN_DEFAULT_NS : 0;
    memset(&fight, 0, sizeof fight);
    fight.seed = seed;
    fight.capacity = capacities[seed / 8 % COUNT(capacities)];
    open_raw_peer(&fight.victim, &fight.peer, fight.capacity, &options);
    if (seed / 2 % 2 == 0)
        ipcf_ring_channel_use_times(&fight.victim);
    pthread_t threads[] = {start_thread(victim_receives, &fight),
                           start_thread(victim_sends, &fight)};
    attack(&fight);
    ipcf_store_relaxed(&fight.is_over, 1u);
    for (size_t i = 0; i < COUNT(threads); i++)
        join(threads[i]);
    uint64_t start = ipcf_clock_ns();
    ipcf_channel_destroy(&fight.victim.base);
    CHECK(ipcf_clock_ns() - start < HANG_NS);
    close_raw_peer(&fight.peer);
    bool is_corrupt =
        fight.received_last == IPCF_CORRUPT || fight.sent_last == IPCF_CORRUPT;
    bool is_gone = is_final(fight.received_last) || is_final(fight.sent_last);
    all->rounds++;
    all->received += fight.received;
    all->sent += fight.sent;
    all->corrupt += is_corrupt;
    all->disconnected += is_gone && !is_corrupt;
    all->survived += !is_gone;
    all->slow += ipcf_load_relaxed(&fight.slow);
    all->held_up += fight.was_held_up;
}

static void no_lie_crashes_or_hangs_a_channel(void)
{
    const char *told = getenv("IPCF_TEST_SECONDS");
    double seconds = told != NULL ? atof(told) : 5.0;
    uint64_t until = ipcf_deadline_in(seconds);
    outcomes all = {0};
    size_t before = open_descriptors();
    for (uint64_t seed = 1; ipcf_clock_ns() < until || seed <= 48; seed++)
        fight_one(seed, &all);
    CHECK(open_descriptors() == before);
    printf(
        "  %llu rounds: %llu corrupt, %llu disconnected, %llu survived; %llu messages "
        "received, %llu sent; %llu slow calls\n",
        (unsigned long long)all.rounds, (unsigned long long)all.corrupt,
        (unsigned long long)all.disconnected, (unsigned long long)all.survived,
        (unsigned long long)all.received, (unsigned long long)all.sent,
        (unsigned long long)all.slow);
    CHECK(all.slow <= 2 + all.rounds / ROUNDS_TO_ONE_SLOW_CALL + 2 * all.held_up);
    /* else it was no fight */
    CHECK(all.corrupt > 0 && all.survived > 0 && all.received > 0 && all.sent > 0);
}

int main(void)
{
    RUN(no_lie_crashes_or_hangs_a_channel);
    return 0;
}
