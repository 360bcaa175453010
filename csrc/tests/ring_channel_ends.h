/* SPDX-License-Identifier: MIT
 * Two ends of a ring channel, or one end and a peer that holds the raw segment; whole
 * messages the way a binding does it.
 */
#ifndef IPCF_TESTS_RING_CHANNEL_ENDS_H
#define IPCF_TESTS_RING_CHANNEL_ENDS_H

#include <pthread.h>
#include <sys/syscall.h>

#include "ipcf/channel_kinds.h"
#include "ipcf/ring_channel.h"
#include "tests/check.h"
#include "tests/processes.h"

#define CAPACITY UINT64_C(65536)
#define MS UINT64_C(1000000)

typedef struct pair {
    ipcf_ring_channel creator, adopter;
} pair;

/* A peer that follows no rules: the segment as the adopter maps it, and its end of the
 * control stream. */
typedef struct raw_peer {
    ipcf_stream control;
    ipcf_ring_segment segment;
    uint8_t *memory;
} raw_peer;

static inline ipcf_ring_segment adopt_copy(const ipcf_ring_segment *made)
{
    ipcf_ring_segment taken;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    size_t count = ipcf_ring_segment_handles(made, handles);
    for (size_t i = 0; i < count; i++)
        handles[i] = fcntl((int)handles[i], F_DUPFD_CLOEXEC, 0);
    CHECK_OK(ipcf_ring_segment_adopt(&taken, handles, count, made->capacity[1],
                                     made->capacity[0], NULL));
    return taken;
}

/* The creator's end, and its peer in the raw. */
static inline void open_raw_peer(ipcf_ring_channel *creator, raw_peer *peer,
                                 uint64_t capacity, const ipcf_channel_options *options)
{
    ipcf_stream control;
    ipcf_ring_segment made;
    CHECK_OK(ipcf_stream_pair(&control, &peer->control, NULL));
    CHECK_OK(ipcf_ring_segment_create(&made, capacity, capacity, NULL));
    peer->segment = adopt_copy(&made);
    peer->memory = peer->segment.shm.address;
    CHECK_OK(ipcf_ring_channel_init(creator, &control, &made, options, NULL));
}

static inline void close_raw_peer(raw_peer *peer)
{
    ipcf_ring_segment_close(&peer->segment);
    ipcf_stream_close(&peer->control);
}

static inline void open_pair_with(pair *both, uint64_t capacity,
                                  const ipcf_channel_options *options)
{
    raw_peer peer;
    open_raw_peer(&both->creator, &peer, capacity, options);
    CHECK_OK(ipcf_ring_channel_init(&both->adopter, &peer.control, &peer.segment,
                                    options, NULL));
}

static inline void open_pair(pair *both)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    open_pair_with(both, CAPACITY, &options);
}

static inline void close_pair(pair *both)
{
    ipcf_channel_destroy(&both->creator.base);
    ipcf_channel_destroy(&both->adopter.base);
}

static inline uint32_t ending_of(const ipcf_ring_channel *channel)
{
    return ipcf_load_acquire(&channel->base.ending);
}

static inline void fill(uint8_t *data, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (uint8_t)(seed >> 56);
    }
}

/* Send as a binding does: again after INTERRUPTED, flush when begun. */
static inline ipcf_status send_until(ipcf_channel *channel, const void *body,
                                     size_t size, uint64_t deadline_ns)
{
    bool begun = false;
    for (;;) {
        ipcf_error error = {0};
        ipcf_status status = begun ? ipcf_channel_flush(channel, deadline_ns, &error)
                                   : ipcf_channel_send(channel, IPCF_KIND_BYTES, body,
                                                       size, deadline_ns, &error);
        if (status != IPCF_INTERRUPTED)
            return status;
        begun = begun || error.what == ipcf_channel_begun;
    }
}

static inline ipcf_status begin_until(ipcf_channel *channel, uint64_t deadline_ns,
                                      ipcf_message *message, ipcf_error *error)
{
    ipcf_status status;
    do
        status = ipcf_channel_begin(channel, deadline_ns, message, error);
    while (status == IPCF_INTERRUPTED);
    return status;
}

/* After begin: the rest of the body into dest. Not OK: left, else finished. */
static inline ipcf_status read_until(ipcf_channel *channel, const ipcf_message *message,
                                     uint8_t *dest, uint64_t deadline_ns)
{
    size_t at = (size_t)message->received, got, size = (size_t)message->size;
    if (message->data != NULL)
        memcpy(dest, message->data, size);
    while (message->data == NULL && at < size) {
        ipcf_status status = ipcf_channel_read_body(channel, dest + at, size - at, &got,
                                                    deadline_ns, NULL);
        at += got;
        if (status != IPCF_OK && status != IPCF_INTERRUPTED) {
            ipcf_channel_leave(channel);
            return status;
        }
    }
    ipcf_channel_finish(channel);
    return IPCF_OK;
}

/* Receive one message whole; the caller frees *body. */
static inline ipcf_status receive_until(ipcf_channel *channel, uint8_t **body,
                                        size_t *size, uint64_t deadline_ns)
{
    ipcf_message message;
    ipcf_error error;
    ipcf_status status = begin_until(channel, deadline_ns, &message, &error);
    if (status != IPCF_OK)
        return status;
    *size = (size_t)message.size;
    *body = malloc(*size + 1);
    CHECK(*body != NULL);
    status = read_until(channel, &message, *body, deadline_ns);
    if (status != IPCF_OK)
        free(*body);
    return status;
}

/* What a receive says that must not give a message. */
static inline ipcf_status receive_status(ipcf_channel *channel, uint64_t deadline_ns)
{
    ipcf_message message;
    ipcf_error error = {0};
    ipcf_status status = begin_until(channel, deadline_ns, &message, &error);
    CHECK(status != IPCF_OK && error.what != NULL);
    return status;
}

static inline void expect(ipcf_channel *channel, const void *due, size_t size)
{
    uint8_t *body;
    size_t got;
    CHECK_OK(receive_until(channel, &body, &got, hang_bound()));
    CHECK(got == size);
    CHECK(memcmp(body, due, size) == 0);
    free(body);
}

static inline void send_text(ipcf_channel *channel, const char *text)
{
    CHECK_OK(send_until(channel, text, strlen(text), hang_bound()));
}

static inline void expect_text(ipcf_channel *channel, const char *text)
{
    expect(channel, text, strlen(text));
}

/* Until not even the smallest message fits. */
static inline void fill_ring(ipcf_channel *channel)
{
    uint8_t body[1000] = {0};
    for (size_t size = sizeof body;; size = 0) {
        ipcf_status status = IPCF_OK;
        while (status == IPCF_OK)
            status = ipcf_channel_send(channel, IPCF_KIND_BYTES, body, size,
                                       IPCF_NO_WAIT, NULL);
        CHECK_STATUS(status, IPCF_TIMEOUT);
        if (size == 0)
            return;
    }
}

/* Until the other thread or process asks to be woken. */
static inline void wait_until_parked(ipcf_atomic_u32 *flag)
{
    uint64_t until = hang_bound();
    while (ipcf_load_relaxed(flag) == 0) {
        CHECK(ipcf_clock_ns() < until);
        usleep(200);
    }
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static inline void join(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

/* A socket pair names its maker as the peer of both ends; across fork that is wrong for
 * one of them. Watch the process that really is there. */
static inline void watch_process(ipcf_channel *channel, pid_t process)
{
    ipcf_handle_close(&channel->peer_process);
    channel->peer_process = (ipcf_handle)syscall(SYS_pidfd_open, process, 0u);
    CHECK(channel->peer_process >= 0);
    channel->peer_is_here = false;
}

/* A child that owns the adopter's end; this process keeps the creator's. watched: by
 * its process too, not only by the stream's hang-up. */
static inline pid_t fork_peer(ipcf_ring_channel *creator, uint64_t capacity,
                              void (*run)(ipcf_ring_channel *), bool watched)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_stream streams[2];
    ipcf_ring_segment made;
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], NULL));
    CHECK_OK(ipcf_ring_segment_create(&made, capacity, capacity, NULL));
    fflush(NULL);
    pid_t process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        static ipcf_ring_channel adopter;
        alarm(60);
        ipcf_ring_segment taken = adopt_copy(&made);
        ipcf_ring_segment_close(&made);
        ipcf_stream_close(&streams[0]);
        CHECK_OK(ipcf_ring_channel_init(&adopter, &streams[1], &taken, &options, NULL));
        watch_process(&adopter.base, getppid());
        run(&adopter);
        _exit(0);
    }
    ipcf_stream_close(&streams[1]);
    CHECK_OK(ipcf_ring_channel_init(creator, &streams[0], &made, &options, NULL));
    watch_process(&creator->base, process);
    if (!watched)
        ipcf_handle_close(&creator->base.peer_process);
    return process;
}

#endif
