/* SPDX-License-Identifier: MIT
 * What the functions of channel.h speak of: the states of a channel, how its peer left,
 * the options, a message, and how long a first look may take.
 */
#ifndef IPCF_CHANNEL_TERMS_H
#define IPCF_CHANNEL_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipcf/frame.h"
#include "ipcf/spin.h"

typedef enum ipcf_channel_state {
    IPCF_STATE_OPEN = 0,
    IPCF_STATE_SHUT_DOWN = 1, /* by shut_down or announce_end here */
    IPCF_STATE_BROKEN = 2,    /* the peer broke the protocol */
    IPCF_STATE_CLOSED = 3,
    IPCF_STATE_FORKED = 4 /* this is a child of the process that opened the channel */
} ipcf_channel_state;

/* How the peer left: tells an orderly end from a death. */
typedef enum ipcf_ending {
    IPCF_ENDING_NONE = 0,    /* it is still there, as far as we know */
    IPCF_ENDING_GOODBYE = 1, /* it said goodbye */
    /* hang-up without goodbye on a wire that has one, or its process ended */
    IPCF_ENDING_DIED = 2,
    IPCF_ENDING_UNKNOWN = 3 /* hang-up on a wire without goodbye */
} ipcf_ending;

typedef struct ipcf_channel_options {
    ipcf_framing framing; /* of sending; SNIFF is not allowed here */
    bool sniff;           /* receive: let the first byte decide (stream only) */
    /* stream only, lines and content-length: bytes that belong to no frame (frame.h) do
     * not end the channel, but are received as messages of kind IPCF_KIND_NOISE, in
     * pieces of at most IPCF_NOISE_PIECE_MAX bytes that end with their line */
    bool skip_noise;
    uint64_t message_limit;    /* bytes of one received body */
    uint64_t read_ahead_limit; /* bytes taken in while a send waits for room */
    uint64_t spin_ns;          /* 0: sleep at once */
} ipcf_channel_options;

#define IPCF_CHANNEL_OPTIONS_DEFAULT                                                   \
    (ipcf_channel_options)                                                             \
    {                                                                                  \
        .framing = IPCF_FRAMING_LENGTH, .sniff = false, .skip_noise = false,           \
        .message_limit = UINT64_C(64) << 20, .read_ahead_limit = UINT64_C(128) << 20,  \
        .spin_ns = IPCF_SPIN_DEFAULT_NS                                                \
    }

/* The message at the head of the receiving direction. */
typedef struct ipcf_message {
    uint64_t size; /* bytes of body */
    /* the whole body, valid until finish or leave; NULL: fetch it with read_body */
    const uint8_t *data;
    /* data == NULL: bytes that earlier read_body calls have already delivered */
    uint64_t received;
    uint8_t kind; /* ipcf_kind */
} ipcf_message;

/* How long a first attempt to receive, which holds the caller's locks (the GIL), may
 * take. */
typedef enum ipcf_look {
    IPCF_LOOK_ONCE = 0,
    /* for about 1 us, where the peer surely runs on another CPU */
    IPCF_LOOK_BRIEFLY = 1,
    /* and where it surely runs on this one, give the CPU away once: for a caller that
     * nobody waits for */
    IPCF_LOOK_AND_YIELD = 2
} ipcf_look;

#endif
