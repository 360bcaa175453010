/* SPDX-License-Identifier: MIT
 * The wait ladder of a ring channel's sending direction: look for room, spin, sleep. See
 * spin.h and docs/spec/ring.md.
 */
#include "ipcf/ring_channel_internal.h"

/* A sleeper that asked generously is woken once for many records; after this it asks
 * for what it needs. */
#define GENEROUS_SLEEP_NS UINT64_C(2000000)
/* While another thread receives, it may stop doing so without telling. */
#define UNARMED_SLEEP_NS UINT64_C(20000000)
/* A receive in between takes the wish for the data bell away with it. */
#define ARMED_SLEEP_NS UINT64_C(50000000)

/* One sleep. OK: look again. INTERRUPTED: a signal, or lapse_ns has passed. */
static ipcf_status sleep_for_space(ipcf_ring_channel *channel, uint32_t size,
                                   bool generously, uint64_t deadline_ns,
                                   uint64_t lapse_ns, ipcf_error *error)
{
    bool is_armed = ipcf_ring_channel_read_ahead(channel);
    ipcf_error why;
    ipcf_status status = ipcf_ring_producer_park(&channel->out, size, generously, &why);
    if (status == IPCF_CORRUPT)
        return ipcf_channel_break(&channel->base, status, &why, error);
    if (status == IPCF_AGAIN) {
        uint64_t nap = generously ? GENEROUS_SLEEP_NS
                       : is_armed ? ARMED_SLEEP_NS
                                  : UNARMED_SLEEP_NS;
        uint64_t nap_end = ipcf_clock_ns() + nap;
        bool is_nap = nap_end < lapse_ns;
        status = ipcf_ring_channel_sleep(
            channel, channel->out_space, is_armed ? channel->in_data : NULL,
            deadline_ns, is_nap ? nap_end : lapse_ns, error);
        ipcf_count(&channel->base.sent.wake_ups, 1);
        if (status == IPCF_AGAIN)
            status = is_nap ? IPCF_OK
                            : ipcf_fail(error, IPCF_INTERRUPTED,
                                        "time to look for signals", 0, 0);
    }
    ipcf_ring_producer_unpark(&channel->out);
    return status;
}

/* Look for room, taking in what the peer sends first. True: there is some, or a reason
 * to stop looking. */
static bool spin_for_space(ipcf_ring_channel *channel, uint32_t size,
                           uint64_t deadline_ns)
{
    uint8_t *payload;
    ipcf_spin_begin(&channel->base.send_spin, deadline_ns);
    (void)ipcf_ring_channel_read_ahead(channel);
    do {
        if (ipcf_ring_channel_claim(channel, size, &payload, NULL) != IPCF_AGAIN ||
            ipcf_ring_channel_peer_status(channel, NULL) != IPCF_OK ||
            ipcf_channel_state_status(&channel->base, NULL) != IPCF_OK)
            return true;
    } while (ipcf_spin_turn(
        &channel->base.send_spin,
        ipcf_channel_whereabouts(&channel->base, ipcf_current_cpu(),
                                 ipcf_ring_consumer_cpu(&channel->out))));
    return false;
}

/* A ring that is full and stays so may be a dead peer's. */
static ipcf_status refuse_to_wait(ipcf_ring_channel *channel, uint32_t size,
                                  ipcf_error *error)
{
    ipcf_status status = ipcf_ring_channel_ask_peer(channel, error);
    if (status == IPCF_OK)
        status = ipcf_ring_channel_peer_status(channel, error);
    return status == IPCF_OK
               ? ipcf_fail(error, IPCF_TIMEOUT, "no room in the ring", 0, size)
               : status;
}

ipcf_status ipcf_ring_channel_wait_for_space(ipcf_ring_channel *channel, uint32_t size,
                                             uint64_t deadline_ns, ipcf_error *error)
{
    ipcf_spin *spin = &channel->base.send_spin;
    uint8_t *payload;
    if (deadline_ns == IPCF_NO_WAIT)
        return refuse_to_wait(channel, size, error);
    bool is_resumed = ipcf_spin_is_resumed(spin), generously = !is_resumed,
         slept = false;
    if (!is_resumed)
        ipcf_count(&channel->base.sent.waits, 1);
    bool is_over = !is_resumed && spin_for_space(channel, size, deadline_ns);
    uint64_t lapse =
        ipcf_clock_ns() + (is_resumed ? IPCF_SLEEP_MAX_NS : IPCF_SLEEP_FIRST_NS);
    for (;;) {
        ipcf_status status = ipcf_channel_state_status(&channel->base, error);
        if (status == IPCF_OK)
            status = ipcf_ring_channel_peer_status(channel, error);
        if (status == IPCF_OK && !is_over) {
            status =
                sleep_for_space(channel, size, generously, deadline_ns, lapse, error);
            slept = true;
        }
        generously = is_over = false;
        if (status == IPCF_OK)
            status = ipcf_ring_channel_claim(channel, size, &payload, error);
        if (status == IPCF_AGAIN)
            continue;
        if (status == IPCF_INTERRUPTED)
            ipcf_spin_pause(spin);
        else
            ipcf_spin_end(spin, slept);
        return status;
    }
}
