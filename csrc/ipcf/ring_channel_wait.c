/* SPDX-License-Identifier: MIT
 * The wait ladder of a ring channel's receiving direction: look, spin, sleep. See spin.h
 * and docs/spec/ring.md.
 */
#include "ipcf/ring_channel_internal.h"

ipcf_whereabouts ipcf_ring_channel_whereabouts(ipcf_ring_channel *channel)
{
    uint32_t cpu = ipcf_current_cpu();
    ipcf_ring_consumer_publish_cpu(&channel->in, cpu);
    return ipcf_channel_whereabouts(&channel->base, cpu,
                                    ipcf_ring_producer_cpu(&channel->in));
}

/* Nothing is at hand. DISCONNECTED when nothing will come; a last look at the ring
 * comes after the news of the end. */
static ipcf_status end_status(ipcf_ring_channel *channel, ipcf_error *error)
{
    bool is_over = ipcf_ring_producer_has_left(&channel->in) ||
                   ipcf_channel_has_ended(&channel->base);
    if (!is_over || ipcf_ring_channel_has_record(channel))
        return IPCF_OK;
    if (ipcf_ring_producer_has_left(&channel->in))
        ipcf_channel_note_ending(&channel->base, IPCF_ENDING_GOODBYE);
    return ipcf_fail(error, IPCF_DISCONNECTED, "receive", 0, 0);
}

static bool spin_for_data(ipcf_ring_channel *channel, uint64_t deadline_ns)
{
    ipcf_spin_begin(&channel->base.receive_spin, deadline_ns);
    do {
        if (ipcf_ring_has_record(&channel->in) ||
            ipcf_ring_producer_has_left(&channel->in))
            return true;
        if (ipcf_channel_state_status(&channel->base, NULL) != IPCF_OK)
            return false;
    } while (ipcf_spin_turn(&channel->base.receive_spin,
                            ipcf_ring_channel_whereabouts(channel)));
    return ipcf_ring_has_record(&channel->in);
}

/* One sleep; see ipcf_ring_channel_sleep for what it gives. */
static ipcf_status sleep_for_data(ipcf_ring_channel *channel, uint64_t deadline_ns,
                                  uint64_t lapse_ns, const ipcf_stop *stop,
                                  ipcf_error *error)
{
    ipcf_status status = ipcf_ring_consumer_park(&channel->in);
    if (status == IPCF_AGAIN)
        status = ipcf_ring_channel_sleep(channel, channel->in_data,
                                         stop != NULL ? &stop->bell : NULL, deadline_ns,
                                         lapse_ns, error);
    ipcf_count(&channel->base.received.wake_ups, 1);
    IPCF_TEST_STEP("ring woken");
    ipcf_ring_consumer_unpark(&channel->in);
    IPCF_TEST_STEP("ring unparked");
    return status;
}

/* Sleep until a record is at hand, or for nap_ns (INTERRUPTED). Who waits with a stop
 * looks at the ring when the nap is over, in case its peer was halted before it could
 * ring, and sleeps on. */
static ipcf_status sleep_until_record(ipcf_ring_channel *channel, uint64_t deadline_ns,
                                      const ipcf_stop *stop, uint64_t nap_ns,
                                      ipcf_error *error)
{
    uint64_t lapse = ipcf_clock_ns() + nap_ns;
    ipcf_status status;
    do {
        status = ipcf_channel_state_status(&channel->base, error);
        if (status == IPCF_OK)
            status = end_status(channel, error);
        if (status == IPCF_OK && ipcf_stop_is_set(stop))
            status = ipcf_fail(error, IPCF_TIMEOUT, "stopped", 0, 0);
        if (status == IPCF_OK)
            status = sleep_for_data(channel, deadline_ns, lapse, stop, error);
        if (status == IPCF_AGAIN && stop != NULL) {
            lapse = ipcf_clock_ns() + IPCF_SLEEP_MAX_NS;
            status = IPCF_OK;
        }
    } while (status == IPCF_OK && !ipcf_ring_channel_has_record(channel));
    return status == IPCF_AGAIN
               ? ipcf_fail(error, IPCF_INTERRUPTED, "time to look for signals", 0, 0)
               : status;
}

static ipcf_status look_without_waiting(ipcf_ring_channel *channel, ipcf_error *error)
{
    ipcf_status status = ipcf_ring_channel_ask_peer(channel, error);
    if (status == IPCF_OK)
        status = end_status(channel, error);
    if (status != IPCF_OK || ipcf_ring_channel_has_record(channel))
        return status;
    return ipcf_fail(error, IPCF_TIMEOUT, "nothing has come", 0, 0);
}

ipcf_status ipcf_ring_channel_wait_for_record(ipcf_ring_channel *channel,
                                              uint64_t deadline_ns,
                                              const ipcf_stop *stop, ipcf_error *error)
{
    ipcf_spin *spin = &channel->base.receive_spin;
    if (deadline_ns == IPCF_NO_WAIT)
        return look_without_waiting(channel, error);
    bool is_resumed = ipcf_spin_is_resumed(spin);
    if (!is_resumed)
        ipcf_count(&channel->base.received.waits, 1);
    if (!is_resumed && spin_for_data(channel, deadline_ns)) {
        ipcf_spin_end(spin, false);
        return end_status(channel, error);
    }
    bool looks_for_signals = stop == NULL && !is_resumed;
    ipcf_status status = sleep_until_record(
        channel, deadline_ns, stop,
        looks_for_signals ? IPCF_SLEEP_FIRST_NS : IPCF_SLEEP_MAX_NS, error);
    if (status == IPCF_INTERRUPTED)
        ipcf_spin_pause(spin);
    else
        ipcf_spin_end(spin, status == IPCF_OK);
    return status;
}
