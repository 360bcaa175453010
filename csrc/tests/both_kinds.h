/* SPDX-License-Identifier: MIT
 * A pair of channels of either kind, used through channel.h alone.
 */
#ifndef IPCF_TESTS_BOTH_KINDS_H
#define IPCF_TESTS_BOTH_KINDS_H

#include "ipcf/stream_channel.h"
#include "tests/ring_channel_ends.h"

typedef struct both_ends {
    pair ring;
    ipcf_stream_channel stream[2];
    ipcf_channel *ours, *theirs;
} both_ends;

static inline void open_ring(both_ends *ends)
{
    open_pair(&ends->ring);
    ends->ours = &ends->ring.creator.base;
    ends->theirs = &ends->ring.adopter.base;
}

static inline void open_stream(both_ends *ends)
{
    ipcf_channel_options options = IPCF_CHANNEL_OPTIONS_DEFAULT;
    ipcf_stream streams[2];
    CHECK_OK(ipcf_stream_pair(&streams[0], &streams[1], NULL));
    for (size_t i = 0; i < 2; i++)
        CHECK_OK(
            ipcf_stream_channel_init(&ends->stream[i], &streams[i], &options, NULL));
    ends->ours = &ends->stream[0].base;
    ends->theirs = &ends->stream[1].base;
}

#define KINDS ((size_t)2)
static void (*const openers[KINDS])(both_ends *) = {open_ring, open_stream};

static inline void destroy_both(both_ends *ends)
{
    ipcf_channel_destroy(ends->ours);
    ipcf_channel_destroy(ends->theirs);
}

static inline uint32_t how_it_ended(const ipcf_channel *channel)
{
    /* acquire: pairs with the compare-and-swap in ipcf_channel_note_ending */
    return ipcf_load_acquire(&channel->ending);
}

#endif
