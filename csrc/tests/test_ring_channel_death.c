/* SPDX-License-Identifier: MIT
 * Tests of the ring channel when the peer is killed: idle, blocked, in the middle of a
 * record or of a message, with and without a child that lives on with every descriptor.
 * The survivor receives what was published, then learns of the death.
 */
#include "tests/ring_channel_ends.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOTICE_NS (5000 * MS)
#define NUMBERED 3u

/* Pipes of the present scene: the peer tells that it is where it shall die; its child
 * lives until we let go. */
static int there[2], life[2];
static bool has_grandchild;

/* ---- what the peer is doing ------------------------------------------------------ */

static void leave_a_child_behind(void)
{
    CHECK(close(life[1]) == 0);
    pid_t child = has_grandchild ? fork() : 1;
    CHECK(child >= 0);
    char byte;
    if (child == 0)
        _exit((int)read(life[0], &byte, 1));
}

static void wait_for_death(void)
{
    tell(there[1]);
    for (;;)
        pause();
}

static void send_numbered(ipcf_ring_channel *channel)
{
    leave_a_child_behind();
    for (uint64_t i = 0; i < NUMBERED; i++)
        CHECK_OK(send_until(&channel->base, &i, sizeof i, hang_bound()));
}

static void is_idle(ipcf_ring_channel *channel)
{
    send_numbered(channel);
    wait_for_death();
}

static void blocks_in_receive(ipcf_ring_channel *channel)
{
    send_numbered(channel);
    tell(there[1]);
    for (;;)
        (void)receive_status(&channel->base, IPCF_NEVER);
}

static void blocks_in_send(ipcf_ring_channel *channel)
{
    leave_a_child_behind();
    tell(there[1]);
    for (uint64_t i = 0;; i++)
        CHECK_OK(send_until(&channel->base, &i, sizeof i, IPCF_NEVER));
}

static void claim_number(ipcf_ring_channel *channel, uint64_t number)
{
    uint8_t *payload;
    CHECK_OK(ipcf_ring_claim(&channel->out, sizeof number, &payload, NULL));
    memcpy(payload, &number, sizeof number);
}

static void is_in_mid_record(ipcf_ring_channel *channel)
{
    send_numbered(channel);
    claim_number(channel, 666);
    wait_for_death();
}

static void has_not_published(ipcf_ring_channel *channel)
{
    send_numbered(channel);
    claim_number(channel, 666);
    ipcf_ring_commit(&channel->out, IPCF_KIND_BYTES, 0);
    wait_for_death();
}

static void has_not_rung(ipcf_ring_channel *channel)
{
    send_numbered(channel);
    claim_number(channel, NUMBERED);
    ipcf_ring_commit(&channel->out, IPCF_KIND_BYTES, 0);
    (void)ipcf_ring_publish(&channel->out);
    wait_for_death();
}

static void is_in_mid_message(ipcf_ring_channel *channel)
{
    static uint8_t body[4 * CAPACITY];
    send_numbered(channel);
    CHECK_STATUS(send_until(&channel->base, body, sizeof body, IPCF_NO_WAIT),
                 IPCF_TIMEOUT);
    wait_for_death();
}

static void is_asleep_in_mid_message(ipcf_ring_channel *channel)
{
    static uint8_t body[4 * CAPACITY];
    send_numbered(channel);
    tell(there[1]);
    (void)send_until(&channel->base, body, sizeof body, IPCF_NEVER);
}

/* ---- what the survivor is doing -------------------------------------------------- */

typedef struct survivor {
    ipcf_ring_channel channel;
    uint64_t deadline_ns; /* of each call; the test ends long before IPCF_NEVER */
    uint64_t received;
    uint64_t killed_ns, noticed_ns; /* each by one thread, joined in between */
} survivor;

/* Receive numbers in order until the end. */
static void *receive_numbers(void *argument)
{
    survivor *self = argument;
    uint8_t *body;
    size_t size;
    ipcf_status status;
    while ((status = receive_until(&self->channel.base, &body, &size,
                                   self->deadline_ns)) == IPCF_OK) {
        CHECK(size == sizeof self->received &&
              memcmp(body, &self->received, size) == 0);
        self->received++;
        free(body);
    }
    self->noticed_ns = ipcf_clock_ns();
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    CHECK(ending_of(&self->channel) == IPCF_ENDING_DIED);
    return NULL;
}

static void *send_numbers(void *argument)
{
    survivor *self = argument;
    uint64_t number[16] = {0};
    ipcf_status status;
    do
        status =
            send_until(&self->channel.base, number, sizeof number, self->deadline_ns);
    while (status == IPCF_OK);
    self->noticed_ns = ipcf_clock_ns();
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    CHECK(ending_of(&self->channel) == IPCF_ENDING_DIED);
    return NULL;
}

static void check_noticed(const survivor *self)
{
    CHECK(self->noticed_ns - self->killed_ns < NOTICE_NS ||
          self->noticed_ns < self->killed_ns);
}

static void kill_peer(survivor *self, pid_t peer)
{
    CHECK(kill(peer, SIGKILL) == 0);
    self->killed_ns = ipcf_clock_ns();
}

/* Whatever was published has been received: nothing but a begun message may be left
 * out. */
static void check_all_received(survivor *self, uint64_t due)
{
    ipcf_ring_shared *shared = self->channel.in.shared;
    CHECK(self->channel.in.head == ipcf_load_relaxed(&shared->tail));
    CHECK(due == UINT64_MAX ? self->received > CAPACITY / 32 : self->received == due);
}

typedef struct scene {
    void (*peer)(ipcf_ring_channel *);
    uint64_t due; /* messages to receive; UINT64_MAX: as many as fit into the ring */
    bool sleeps;  /* the peer waits for room when it dies */
} scene;

static const scene scenes[] = {
    {is_idle, NUMBERED, false},           {blocks_in_receive, NUMBERED, false},
    {blocks_in_send, UINT64_MAX, true},   {is_in_mid_record, NUMBERED, false},
    {has_not_published, NUMBERED, false}, {has_not_rung, NUMBERED + 1, false},
    {is_in_mid_message, NUMBERED, false}, {is_asleep_in_mid_message, NUMBERED, true},
};

static pid_t open_scene(const scene *present, survivor *self)
{
    *self = (survivor){.deadline_ns = IPCF_NEVER};
    CHECK(pipe2(there, O_CLOEXEC) == 0 && pipe2(life, O_CLOEXEC) == 0);
    pid_t peer = fork_peer(&self->channel, CAPACITY, present->peer, has_grandchild);
    hear(there[0]);
    if (present->sleeps)
        wait_until_parked(&self->channel.in.shared->wants_space);
    return peer;
}

static void close_scene(survivor *self, pid_t peer)
{
    check_noticed(self);
    (void)(peer != 0 ? end_of_process(peer) : 0);
    ipcf_channel_destroy(&self->channel.base);
    for (int i = 0; i < 2; i++)
        CHECK(close(there[i]) == 0 && close(life[i]) == 0);
}

/* Nobody waits while the peer dies; then a receive, a send, or a receive after a send
 * find it, and need not wait for it either. */
static void found_afterwards(const scene *present)
{
    for (int way = 0; way < 3; way++) {
        survivor self;
        pid_t peer = open_scene(present, &self);
        kill_peer(&self, peer);
        (void)end_of_process(peer);
        self.deadline_ns = IPCF_NO_WAIT;
        (void)(way != 0 ? send_numbers(&self) : NULL);
        if (way != 1) {
            receive_numbers(&self);
            check_all_received(&self, present->due);
        }
        close_scene(&self, 0);
    }
}

static void noticed_asleep_in_receive(const scene *present)
{
    survivor self;
    if (present->sleeps)
        return; /* it would not be waiting for room then */
    pid_t peer = open_scene(present, &self);
    pthread_t thread = start_thread(receive_numbers, &self);
    wait_until_parked(&self.channel.in.shared->wants_data);
    kill_peer(&self, peer);
    join(thread);
    check_all_received(&self, present->due);
    close_scene(&self, peer);
}

static void noticed_asleep_in_send(const scene *present)
{
    survivor self;
    if (present->sleeps || present->peer == blocks_in_receive)
        return; /* it would take in what is sent */
    pid_t peer = open_scene(present, &self);
    pthread_t thread = start_thread(send_numbers, &self);
    wait_until_parked(&self.channel.out.shared->wants_space);
    kill_peer(&self, peer);
    join(thread);
    receive_numbers(&self); /* what the send has taken in is still there */
    check_all_received(&self, present->due);
    close_scene(&self, peer);
}

static void play_all(void (*play)(const scene *))
{
    size_t before = open_descriptors();
    for (size_t i = 0; i < 2 * COUNT(scenes); i++) {
        has_grandchild = i >= COUNT(scenes);
        play(&scenes[i % COUNT(scenes)]);
    }
    CHECK(open_descriptors() == before);
}

static void the_dead_are_found_afterwards(void) { play_all(found_afterwards); }

static void deaths_wake_a_receive(void) { play_all(noticed_asleep_in_receive); }

static void deaths_wake_a_send(void) { play_all(noticed_asleep_in_send); }

/* ---- at any moment --------------------------------------------------------------- */

static void count_up(ipcf_ring_channel *channel)
{
    static uint64_t body[3000];
    for (;; body[0]++)
        CHECK_OK(send_until(&channel->base, body, body[0] % 9 == 0 ? sizeof body : 8,
                            IPCF_NEVER));
}

static void a_killed_sender_leaves_an_intact_prefix(void)
{
    for (unsigned round = 0; round < 30; round++) {
        survivor self = {0};
        pid_t peer = fork_peer(&self.channel, CAPACITY, count_up, true);
        uint64_t next = 0, stop = 100 + round * 177;
        uint8_t *body;
        size_t size;
        ipcf_status status;
        while ((status = receive_until(&self.channel.base, &body, &size,
                                       hang_bound())) == IPCF_OK) {
            CHECK(size == (next % 9 == 0 ? 24000 : 8) && memcmp(body, &next, 8) == 0);
            free(body);
            if (++next == stop)
                kill_peer(&self, peer);
        }
        self.noticed_ns = ipcf_clock_ns();
        CHECK_STATUS(status, IPCF_DISCONNECTED);
        CHECK(ending_of(&self.channel) == IPCF_ENDING_DIED && next >= stop);
        check_noticed(&self);
        (void)end_of_process(peer);
        ipcf_channel_destroy(&self.channel.base);
    }
}

int main(void)
{
    alarm(200);
    RUN(the_dead_are_found_afterwards);
    RUN(deaths_wake_a_receive);
    RUN(deaths_wake_a_send);
    RUN(a_killed_sender_leaves_an_intact_prefix);
    return 0;
}
