/* SPDX-License-Identifier: MIT
 * The calls of ends.h.
 */
#include "ends.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipcf/ring_channel.h"
#include "ipcf/stream_channel.h"

#define CAPACITY (UINT64_C(256) << 10)

_Noreturn void fail(const char *what, ipcf_status status)
{
    fprintf(stderr, "%s: %s\n", what, ipcf_status_text(status));
    exit(1);
}

static void *zeroed(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        fail("calloc", IPCF_NO_MEMORY);
    return memory;
}

void prepare_ring(ipcf_ring_segment *segment)
{
    ipcf_error error;
    ipcf_status status = ipcf_ring_segment_create(segment, CAPACITY, CAPACITY, &error);
    if (status != IPCF_OK)
        fail("ring_segment_create", status);
}

static void adopt(ipcf_ring_segment *segment)
{
    ipcf_error error;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    size_t count = ipcf_ring_segment_handles(segment, handles);
    /* the creator's end may be in this process too, and closes its own */
    for (size_t index = 0; index < count; index++)
        handles[index] = fcntl((int)handles[index], F_DUPFD_CLOEXEC, 0);
    ipcf_status status =
        ipcf_ring_segment_adopt(segment, handles, count, CAPACITY, CAPACITY, &error);
    if (status != IPCF_OK)
        fail("ring_segment_adopt", status);
}

ipcf_channel *end_of_ring(ipcf_stream *control, ipcf_ring_segment *segment,
                          bool is_parent)
{
    ipcf_error error;
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_ring_channel *ring = zeroed(sizeof *ring);
    if (!is_parent)
        adopt(segment);
    ipcf_status status =
        ipcf_ring_channel_init(ring, control, segment, &options, &error);
    if (status != IPCF_OK)
        fail("ring_channel_init", status);
    ipcf_ring_channel_use_times(ring);
    return &ring->base;
}

ipcf_channel *end_of_stream(ipcf_stream *stream)
{
    ipcf_error error;
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_stream_channel *channel = zeroed(sizeof *channel);
    ipcf_status status = ipcf_stream_channel_init(channel, stream, &options, &error);
    if (status == IPCF_OK)
        status = ipcf_channel_watch_peer(&channel->base, &error);
    if (status != IPCF_OK)
        fail("stream_channel_init", status);
    ipcf_stream_channel_use_times(channel);
    return &channel->base;
}

/* INTERRUPTED asks for signal handlers to be run; there are none here. What has begun only wants its rest to go out. */
static void finish_begun(ipcf_channel *channel, ipcf_status status)
{
    ipcf_error error;
    while (IPCF_UNLIKELY(status == IPCF_INTERRUPTED))
        status = ipcf_channel_flush(channel, IPCF_NEVER, &error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        fail("send", status);
}

void end_send(ipcf_channel *channel, const void *body, size_t size)
{
    ipcf_error error = {.what = ""};
    ipcf_status status =
        ipcf_channel_try_send(channel, IPCF_KIND_BYTES, body, size, &error);
    if (IPCF_LIKELY(status == IPCF_OK))
        return;
    do {
        status =
            ipcf_channel_send(channel, IPCF_KIND_BYTES, body, size, IPCF_NEVER, &error);
    } while (status == IPCF_INTERRUPTED && error.what != ipcf_channel_begun);
    finish_begun(channel, status);
}

void end_send_many(ipcf_channel *channel, const ipcf_piece *bodies, size_t count)
{
    ipcf_error error;
    ipcf_status status = IPCF_OK;
    for (size_t done = 0, sent = 0; done < count; done += sent) {
        status = ipcf_channel_send_many(channel, IPCF_KIND_BYTES, bodies + done,
                                        count - done, &sent, IPCF_NEVER, &error);
        if (IPCF_UNLIKELY(status != IPCF_OK && status != IPCF_INTERRUPTED))
            fail("send_many", status);
    }
    finish_begun(channel, status);
}

static void begin(ipcf_channel *channel, ipcf_message *message)
{
    ipcf_error error;
    ipcf_status status;
    do {
        status = ipcf_channel_begin(channel, IPCF_NEVER, message, &error);
    } while (IPCF_UNLIKELY(status == IPCF_INTERRUPTED));
    if (IPCF_UNLIKELY(status != IPCF_OK))
        fail("begin", status);
}

static void read_body(ipcf_channel *channel, uint8_t *dest, size_t size)
{
    ipcf_error error;
    for (size_t done = 0, got = 0; done < size; done += got) {
        ipcf_status status = ipcf_channel_read_body(channel, dest + done, size - done,
                                                    &got, IPCF_NEVER, &error);
        if (status != IPCF_OK && status != IPCF_INTERRUPTED)
            fail("read_body", status);
    }
}

void end_receive(ipcf_channel *channel, void *dest, size_t size)
{
    ipcf_message message;
    begin(channel, &message);
    if (IPCF_UNLIKELY(message.size != size))
        fail("a message has another size", IPCF_BAD_FRAME);
    if (IPCF_LIKELY(message.data != NULL))
        memcpy(dest, message.data, size);
    else
        read_body(channel, dest, size);
    ipcf_channel_finish(channel);
}

size_t end_receive_many(ipcf_channel *channel, uint8_t *dest, size_t size, size_t most)
{
    ipcf_message message;
    begin(channel, &message);
    for (size_t count = 0;; count++) {
        if (message.data == NULL || message.size != size)
            fail("a message in a batch is not whole", IPCF_BAD_FRAME);
        memcpy(dest + count * size, message.data, size);
        if (count + 1 == most) {
            ipcf_channel_finish(channel);
            return most;
        }
        ipcf_status status = ipcf_channel_next(channel, &message);
        if (status == IPCF_AGAIN)
            return count + 1;
        if (status != IPCF_OK)
            fail("next", status);
    }
}
