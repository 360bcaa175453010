/* SPDX-License-Identifier: MIT
 * The wait ladder of a stream channel: try again while spinning, then sleep. See spin.h
 * and channel.h.
 */
#include "ipcf/stream_channel_internal.h"
#include "ipcf/wait.h"

/* How long a waiting send sleeps while another thread receives: that thread may stop,
 * and then it is up to us to take in what the peer sends. */
#define BUSY_RECEIVER_NAP_NS UINT64_C(20000000)
/* How often steps that may not wait ask for the peer's process. */
#define PEER_CHECK_NS UINT64_C(5000000)

static ipcf_whereabouts whereabouts(ipcf_stream_channel *channel)
{
    /* relaxed: a hint */
    uint32_t theirs = ipcf_load_relaxed(&channel->peer_cpu), ours = ipcf_current_cpu();
    return ipcf_channel_whereabouts(&channel->base, ours, theirs);
}

/* AGAIN: the spin is over without a result. */
static ipcf_status spin(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                        ipcf_error *error)
{
    ipcf_spin_begin(waiting->spin, waiting->deadline_ns);
    while (ipcf_spin_turn(waiting->spin, whereabouts(channel))) {
        ipcf_status status = ipcf_channel_state_status(&channel->base, error);
        if (status == IPCF_OK)
            status = waiting->step(channel, waiting, error);
        if (status != IPCF_AGAIN)
            return status;
    }
    return IPCF_AGAIN;
}

/* The peer's process has ended, and the stream has nothing more for us (somebody else
 * may hold its other end). */
static ipcf_status peer_is_dead(ipcf_stream_channel *channel, bool for_writing,
                                ipcf_error *error)
{
    if (for_writing)
        return ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process has ended", 0,
                         0);
    channel->at_end = true;
    return ipcf_intake_ended(channel, error);
}

bool ipcf_stream_channel_peer_has_ended(ipcf_stream_channel *channel)
{
    ipcf_wait_item item = {.handle = channel->base.peer_process};
    return item.handle != IPCF_NO_HANDLE &&
           ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL) == IPCF_OK;
}

bool ipcf_stream_channel_check_peer(ipcf_stream_channel *channel)
{
    if (channel->base.peer_process == IPCF_NO_HANDLE)
        return false;
    uint64_t now = ipcf_clock_ns();
    if (now - channel->peer_checked_ns < PEER_CHECK_NS)
        return false;
    channel->peer_checked_ns = now;
    return ipcf_stream_channel_peer_has_ended(channel);
}

static ipcf_counters *counters_of(ipcf_stream_channel *channel,
                                  const ipcf_waiting *waiting)
{
    return waiting->for_writing ? &channel->base.sent : &channel->base.received;
}

/* One sleep. OK: try again; then *peer_is_gone says whether that is the last time.
 * TIMEOUT: `until_ns` has passed. */
static ipcf_status sleep_once(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                              uint64_t until_ns, bool *peer_is_gone, ipcf_error *error)
{
    ipcf_handle reading = IPCF_NO_HANDLE;
    bool is_busy = false;
    if (waiting->for_writing) {
        reading = ipcf_intake_read_ahead(channel, &waiting->progressed, &is_busy);
        if (waiting->progressed)
            return IPCF_OK;
    }
    ipcf_wait_item items[] = {
        {.handle = waiting->for_writing ? ipcf_stream_arm_write(&channel->base.stream)
                                        : ipcf_stream_arm_read(&channel->base.stream),
         .for_writing = waiting->for_writing},
        {.handle = ipcf_doorbell_arm(&channel->base.wake)},
        {.handle = channel->base.peer_process},
        {.handle = waiting->for_writing ? reading : ipcf_stop_arm(waiting->stop)}};
    uint64_t cap_ns = is_busy ? ipcf_clock_ns() + BUSY_RECEIVER_NAP_NS : until_ns;
    bool is_capped = cap_ns < until_ns;
    ipcf_status status = ipcf_wait(items, 4, is_capped ? cap_ns : until_ns, error);
    ipcf_count(&counters_of(channel, waiting)->wake_ups, 1);
    ipcf_status ended = ipcf_channel_state_status(&channel->base, error);
    if (ended != IPCF_OK)
        return ended;
    *peer_is_gone = status == IPCF_OK && items[2].is_ready;
    return status == IPCF_TIMEOUT && is_capped ? IPCF_OK : status;
}

/* Sleep and try, until there is a result or a lapse: `nap_ns` without progress,
 * IPCF_SLEEP_MAX_NS in all. */
static ipcf_status sleep_and_try(ipcf_stream_channel *channel, ipcf_waiting *waiting,
                                 uint64_t nap_ns, ipcf_error *error)
{
    uint64_t start = ipcf_clock_ns();
    uint64_t lapse = nap_ns == IPCF_NEVER ? IPCF_NEVER : start + nap_ns;
    uint64_t deadline_ns = waiting->deadline_ns;
    for (;;) {
        bool peer_is_gone = false;
        uint64_t until = lapse < deadline_ns ? lapse : deadline_ns;
        waiting->progressed = false;
        ipcf_status status = sleep_once(channel, waiting, until, &peer_is_gone, error);
        if (status == IPCF_TIMEOUT && until < deadline_ns)
            return ipcf_fail(error, IPCF_INTERRUPTED, "time to look for signals", 0, 0);
        if (status != IPCF_OK)
            return status;
        status = waiting->step(channel, waiting, error);
        if (status != IPCF_AGAIN)
            return status;
        if (peer_is_gone)
            return peer_is_dead(channel, waiting->for_writing, error);
        uint64_t now = ipcf_clock_ns();
        if (now >= deadline_ns || ipcf_stop_is_set(waiting->stop))
            return ipcf_fail(error, IPCF_TIMEOUT, "waiting", 0, 0);
        if (now - start >= IPCF_SLEEP_MAX_NS)
            return ipcf_fail(error, IPCF_INTERRUPTED, "time to look for signals", 0, 0);
        if (!waiting->progressed)
            continue;
        /* the peer is at work: it pays to spin again */
        lapse = nap_ns == IPCF_NEVER ? IPCF_NEVER : now + nap_ns;
        status = spin(channel, waiting, error);
        if (status != IPCF_AGAIN)
            return status;
    }
}

/* How long to sleep without looking for signals (stop.h). */
static uint64_t nap_of(const ipcf_waiting *waiting, bool is_resumed)
{
    if (waiting->stop != NULL)
        return IPCF_NEVER;
    return is_resumed ? IPCF_SLEEP_MAX_NS : IPCF_SLEEP_FIRST_NS;
}

ipcf_status ipcf_stream_channel_await(ipcf_stream_channel *channel,
                                      ipcf_waiting *waiting, ipcf_error *error)
{
    bool is_resumed = ipcf_spin_is_resumed(waiting->spin), slept = false;
    ipcf_status status = IPCF_AGAIN;
    if (waiting->deadline_ns == IPCF_NO_WAIT) {
        /* somebody else may hold a dead peer's end, and never make room */
        if (waiting->for_writing && ipcf_stream_channel_peer_has_ended(channel))
            return peer_is_dead(channel, true, error);
        return ipcf_fail(error, IPCF_TIMEOUT, "nothing can be done without waiting", 0,
                         0);
    }
    if (!is_resumed) {
        ipcf_count(&counters_of(channel, waiting)->waits, 1);
        status = spin(channel, waiting, error);
    }
    if (status == IPCF_AGAIN) {
        slept = true;
        status = sleep_and_try(channel, waiting, nap_of(waiting, is_resumed), error);
    }
    if (status == IPCF_OK)
        ipcf_spin_end(waiting->spin, slept);
    else if (status == IPCF_INTERRUPTED)
        ipcf_spin_pause(waiting->spin);
    else
        waiting->spin->started_ns = 0;
    return status;
}
