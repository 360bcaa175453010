/* SPDX-License-Identifier: MIT
 * Two ends of a stream channel, whole messages sent and received the way a binding does
 * it, and the bytes in between.
 */
#ifndef IPCF_TESTS_CHANNEL_ENDS_H
#define IPCF_TESTS_CHANNEL_ENDS_H

#include <pthread.h>
#include <sys/socket.h>

#include "ipcf/channel_kinds.h"
#include "ipcf/stream_channel.h"
#include "tests/check.h"
#include "tests/processes.h"

typedef struct ends {
    ipcf_stream_channel one, other;
} ends;

/* Where failures are explained; for tests with one thread. */
static ipcf_error failure;

static inline ipcf_channel_options options_with(ipcf_framing framing)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    options.framing = framing;
    return options;
}

static inline void open_ends(ends *both, const ipcf_channel_options *options)
{
    ipcf_stream streams[2];
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], &failure));
    CHECK_OK(ipcf_stream_channel_init(&both->one, &streams[0], options, &failure));
    CHECK_OK(ipcf_stream_channel_init(&both->other, &streams[1], options, &failure));
    CHECK(streams[0].handle == IPCF_NO_HANDLE && streams[1].handle == IPCF_NO_HANDLE);
}

static inline void close_ends(ends *both)
{
    ipcf_channel_destroy(&both->one.base);
    ipcf_channel_destroy(&both->other.base);
}

/* A channel whose peer is a bare socket, to say whatever one likes on the wire. */
static inline int open_raw(ipcf_stream_channel *channel,
                           const ipcf_channel_options *options)
{
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    ipcf_stream stream;
    CHECK_OK(ipcf_stream_adopt(sockets[0], &stream, &failure));
    CHECK_OK(ipcf_stream_channel_init(channel, &stream, options, &failure));
    return sockets[1];
}

static inline void say(int raw, const void *data, size_t size)
{
    CHECK(send(raw, data, size, MSG_NOSIGNAL) == (ssize_t)size);
}

static inline void say_text(int raw, const char *text) { say(raw, text, strlen(text)); }

/* Bytes that are never an end of line, and differ from message to message. */
static inline uint8_t byte_at(uint64_t seed, uint64_t i)
{
    uint64_t mixed = (seed * 0x9E3779B97F4A7C15u) ^ (i * 0xC2B2AE3D27D4EB4Fu);
    return (uint8_t)('a' + (mixed >> 32) % 26);
}

static inline uint8_t *make_body(uint64_t seed, size_t size)
{
    uint8_t *body = malloc(size + 1);
    CHECK(body != NULL);
    for (size_t i = 0; i < size; i++)
        body[i] = byte_at(seed, i);
    return body;
}

static inline bool is_body(uint64_t seed, const uint8_t *body, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (body[i] != byte_at(seed, i))
            return false;
    return true;
}

/* Send as a binding does: again after INTERRUPTED, flush when begun. */
static inline ipcf_status send_until(ipcf_stream_channel *channel, uint8_t kind,
                                     const void *body, size_t size,
                                     uint64_t deadline_ns)
{
    bool begun = false;
    for (;;) {
        ipcf_error error = {0};
        ipcf_status status =
            begun ? ipcf_channel_flush(&channel->base, deadline_ns, &error)
                  : ipcf_channel_send(&channel->base, kind, body, size, deadline_ns,
                                      &error);
        if (status != IPCF_INTERRUPTED)
            return status;
        begun = begun || error.what == ipcf_channel_begun;
    }
}

static inline void send_seeded(ipcf_stream_channel *channel, uint64_t seed, size_t size)
{
    uint8_t *body = make_body(seed, size);
    CHECK_OK(send_until(channel, IPCF_KIND_BYTES, body, size, hang_bound()));
    free(body);
}

static inline ipcf_status begin_until(ipcf_stream_channel *channel,
                                      uint64_t deadline_ns, ipcf_message *message,
                                      ipcf_error *error)
{
    ipcf_status status;
    do
        status = ipcf_channel_begin(&channel->base, deadline_ns, message, error);
    while (status == IPCF_INTERRUPTED);
    return status;
}

/* Receive a whole message into new memory, which the caller frees. */
static inline ipcf_status receive_until(ipcf_stream_channel *channel,
                                        uint64_t deadline_ns, uint8_t **body,
                                        size_t *size, ipcf_error *error)
{
    ipcf_message message;
    ipcf_status status = begin_until(channel, deadline_ns, &message, error);
    if (status != IPCF_OK)
        return status;
    *size = (size_t)message.size;
    *body = malloc(*size + 1);
    CHECK(*body != NULL);
    if (message.data != NULL)
        memcpy(*body, message.data, *size);
    size_t at = message.data != NULL ? *size : (size_t)message.received;
    CHECK(message.data != NULL || at == 0);
    while (at < *size) {
        size_t got;
        status = ipcf_channel_read_body(&channel->base, *body + at, *size - at, &got,
                                        deadline_ns, error);
        at += got;
        if (status == IPCF_INTERRUPTED)
            continue;
        if (status != IPCF_OK) {
            ipcf_channel_leave(&channel->base);
            free(*body);
            return status;
        }
    }
    ipcf_channel_finish(&channel->base);
    return IPCF_OK;
}

static inline void receive_seeded(ipcf_stream_channel *channel, uint64_t seed,
                                  size_t size)
{
    uint8_t *body;
    size_t got;
    ipcf_error error;
    CHECK_OK(receive_until(channel, hang_bound(), &body, &got, &error));
    CHECK(got == size && is_body(seed, body, size));
    free(body);
}

static inline void check_receive(ipcf_stream_channel *channel, const char *text)
{
    ipcf_message message;
    CHECK_OK(begin_until(channel, hang_bound(), &message, &failure));
    CHECK(message.data != NULL && message.size == strlen(text));
    CHECK(memcmp(message.data, text, strlen(text)) == 0);
    ipcf_channel_finish(&channel->base);
}

static inline ipcf_status try_begin(ipcf_stream_channel *channel, ipcf_message *message)
{
    return ipcf_channel_try_begin(&channel->base, IPCF_LOOK_ONCE, message, &failure);
}

/* What a receive says that must not give a message. */
static inline ipcf_status receive_status(ipcf_stream_channel *channel)
{
    ipcf_message message;
    ipcf_status status = begin_until(channel, hang_bound(), &message, &failure);
    CHECK(status != IPCF_OK);
    return status;
}

static inline ipcf_ending ending_of(ipcf_stream_channel *channel)
{
    return (ipcf_ending)ipcf_load_acquire(&channel->base.ending);
}

static inline size_t write_header(uint64_t size, uint8_t *header)
{
    ipcf_status status;
    size_t written = ipcf_frame_header(IPCF_FRAMING_LENGTH, IPCF_KIND_BYTES,
                                       IPCF_FRAME_CPU_UNKNOWN, size, header, &status);
    CHECK_OK(status);
    return written;
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

static inline void join(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

/* Send what is never read until nothing more fits. Returns whether a message is begun. */
static inline bool fill_up(ipcf_stream_channel *channel)
{
    static uint8_t body[50000];
    ipcf_status status = IPCF_OK;
    while (status == IPCF_OK)
        status = ipcf_channel_send(&channel->base, IPCF_KIND_BYTES, body, sizeof body,
                                   IPCF_NO_WAIT, &failure);
    CHECK_STATUS(status, IPCF_TIMEOUT);
    return failure.what == ipcf_channel_begun;
}

#endif
