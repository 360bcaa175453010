/* SPDX-License-Identifier: MIT
 * Bytes that can be checked wherever they turn up, and the loops that send and receive
 * them to the last one.
 */
#ifndef IPCF_TESTS_WIN32_TRAFFIC_H
#define IPCF_TESTS_WIN32_TRAFFIC_H

#include "ipcf/stream.h"
#include "ipcf/wait.h"
#include "tests/win32/process.h"

#define MIB (1024u * 1024u)
#define SCRATCH_SIZE                                                                   \
    100003u /* prime, and more than a pipe's quota: ends fall on every position */

/* One direction of one stream. The byte at a position depends on the position and on
 * the seed only. */
typedef struct traffic {
    ipcf_stream *stream;
    uint32_t seed;
    size_t total;
    size_t done;
    uint8_t scratch[SCRATCH_SIZE];
} traffic;

static inline traffic *aim(traffic *flow, ipcf_stream *stream, uint32_t seed,
                           size_t total)
{
    flow->stream = stream;
    flow->seed = seed;
    flow->total = total;
    flow->done = 0;
    return flow;
}

static inline uint8_t byte_at(uint32_t seed, size_t position)
{
    uint32_t mixed = ((uint32_t)position ^ seed) * 2654435761u;
    return (uint8_t)(mixed >> 24);
}

static inline bool is_done(const traffic *flow) { return flow->done == flow->total; }

/* Offer up to SCRATCH_SIZE bytes in three pieces, one of them empty. */
static inline ipcf_status send_step(traffic *flow)
{
    size_t left = flow->total - flow->done;
    size_t size = left < SCRATCH_SIZE ? left : SCRATCH_SIZE;
    size_t first = size / 3;
    size_t put;
    for (size_t i = 0; i < size; ++i)
        flow->scratch[i] = byte_at(flow->seed, flow->done + i);
    const ipcf_piece pieces[] = {
        {flow->scratch, first}, {NULL, 0}, {flow->scratch + first, size - first}};
    ipcf_status status = ipcf_stream_try_write(flow->stream, pieces, 3, &put, NULL);
    /* ours again: what is under way must not look at it */
    memset(flow->scratch, 0xEE, size);
    CHECK(status == IPCF_OK ? put > 0 && put <= size : put == 0);
    flow->done += put;
    return status;
}

/* Receive some, of what is due; the size asked for changes from call to call. */
static inline ipcf_status receive_step(traffic *flow)
{
    size_t left = flow->total - flow->done;
    size_t room = 1 + flow->done * 7919u % SCRATCH_SIZE;
    if (room > left)
        room = left;
    size_t got;
    ipcf_status status =
        ipcf_stream_try_read(flow->stream, flow->scratch, room, &got, NULL);
    CHECK(status == IPCF_OK ? got > 0 && got <= room : got == 0);
    for (size_t i = 0; i < got; ++i)
        CHECK(flow->scratch[i] == byte_at(flow->seed, flow->done + i));
    flow->done += got;
    return status;
}

static inline void await_handle(ipcf_handle handle)
{
    ipcf_wait_item item = {.handle = handle};
    CHECK_OK(ipcf_wait(&item, 1, ipcf_clock_ns() + HANG_NS, NULL));
    CHECK(item.is_ready);
}

/* Wait until the pipe itself has everything that was written: before, the thread that
 * wrote may not end. */
static inline void flush(ipcf_stream *stream)
{
    size_t put;
    ipcf_status status;
    while ((status = ipcf_stream_try_write(stream, NULL, 0, &put, NULL)) == IPCF_AGAIN)
        await_handle(ipcf_stream_arm_write(stream));
    CHECK(status == IPCF_OK && put == 0);
}

static inline void send_all(traffic *flow)
{
    while (!is_done(flow)) {
        ipcf_status status = send_step(flow);
        if (status == IPCF_AGAIN)
            await_handle(ipcf_stream_arm_write(flow->stream));
        else
            CHECK(status == IPCF_OK);
    }
    flush(flow->stream);
}

static inline void receive_all(traffic *flow)
{
    while (!is_done(flow)) {
        ipcf_status status = receive_step(flow);
        if (status == IPCF_AGAIN)
            await_handle(ipcf_stream_arm_read(flow->stream));
        else
            CHECK(status == IPCF_OK);
    }
}

/* Write until a write stays under way: the pipe is full, and more is waiting. Sets
 * total to what was taken. */
static inline void send_until_full(traffic *flow)
{
    flow->total = 64 * MIB;
    ipcf_status status;
    while ((status = send_step(flow)) == IPCF_OK)
        continue;
    CHECK(status == IPCF_AGAIN);
    flow->total = flow->done;
}

static inline void expect_end(ipcf_stream *stream)
{
    uint8_t byte;
    size_t got;
    ipcf_status status;
    while ((status = ipcf_stream_try_read(stream, &byte, 1, &got, NULL)) == IPCF_AGAIN)
        await_handle(ipcf_stream_arm_read(stream));
    CHECK_STATUS(status, IPCF_DISCONNECTED);
    CHECK(got == 0);
}

/* Both directions from one thread, sleeping only when neither can move. */
static inline void exchange(traffic *out, traffic *in)
{
    while (!is_done(out) || !is_done(in)) {
        ipcf_status sent = is_done(out) ? IPCF_AGAIN : send_step(out);
        ipcf_status received = is_done(in) ? IPCF_AGAIN : receive_step(in);
        CHECK(sent == IPCF_OK || sent == IPCF_AGAIN);
        CHECK(received == IPCF_OK || received == IPCF_AGAIN);
        if (sent == IPCF_OK || received == IPCF_OK)
            continue;
        ipcf_wait_item items[2] = {
            {.handle = is_done(in) ? IPCF_NO_HANDLE : ipcf_stream_arm_read(in->stream)},
            {.handle =
                 is_done(out) ? IPCF_NO_HANDLE : ipcf_stream_arm_write(out->stream),
             .for_writing = true}};
        CHECK_OK(ipcf_wait(items, 2, ipcf_clock_ns() + HANG_NS, NULL));
        CHECK(items[0].is_ready || items[1].is_ready);
    }
    flush(out->stream);
}

/* ---- short ones ------------------------------------------------------------------ */

static inline void open_pair(ipcf_stream *one, ipcf_stream *other)
{
    CHECK_OK(ipcf_stream_pair(one, other, NULL));
    CHECK(one->handle != IPCF_NO_HANDLE && other->handle != IPCF_NO_HANDLE);
}

static inline void write_text(ipcf_stream *stream, const char *text)
{
    const ipcf_piece piece = {text, strlen(text)};
    size_t put;
    CHECK_OK(ipcf_stream_try_write(stream, &piece, 1, &put, NULL));
    CHECK(put == piece.size);
}

static inline void expect_text(ipcf_stream *stream, const char *text)
{
    char found[64];
    size_t got;
    await_handle(ipcf_stream_arm_read(stream));
    CHECK_OK(ipcf_stream_try_read(stream, found, sizeof found, &got, NULL));
    CHECK(got == strlen(text) && memcmp(found, text, got) == 0);
}

static inline void expect_nothing(ipcf_stream *stream)
{
    char byte;
    size_t got = 1;
    CHECK_STATUS(ipcf_stream_try_read(stream, &byte, 1, &got, NULL), IPCF_AGAIN);
    CHECK(got == 0);
}

#endif
