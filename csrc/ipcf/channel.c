/* SPDX-License-Identifier: MIT
 * The life cycle that every kind of channel shares: entering, breaking, ending. See
 * channel.h.
 */
#include "ipcf/channel.h"

#include <string.h>

#include "ipcf/channel_kinds.h"

const char ipcf_channel_begun[] = "begun";

/* ---- making ---------------------------------------------------------------------- */

ipcf_status ipcf_channel_watch_peer(ipcf_channel *channel, ipcf_error *error)
{
    ipcf_status status =
        ipcf_stream_watch_peer(&channel->stream, &channel->peer_process, error);
    channel->peer_is_here = status == IPCF_INVALID;
    if (status == IPCF_OK)
        return IPCF_OK;
    channel->peer_process = IPCF_NO_HANDLE;
    if (status == IPCF_DISCONNECTED)
        ipcf_channel_note_ending(channel, IPCF_ENDING_DIED);
    else if (status != IPCF_INVALID && status != IPCF_UNSUPPORTED)
        return status;
    return IPCF_OK;
}

void ipcf_channel_set_peer(ipcf_channel *channel, const ipcf_peer *peer,
                           ipcf_handle *process)
{
    ipcf_handle_close(&channel->peer_process);
    channel->peer_process = *process;
    channel->peer = *peer;
    channel->peer_is_here = false;
    *process = IPCF_NO_HANDLE;
}

static ipcf_status init_parts(ipcf_channel *channel, bool watch, ipcf_error *error)
{
    ipcf_lock *locks[] = {&channel->life_lock, &channel->send_lock,
                          &channel->receive_lock};
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
        if (ipcf_lock_init(locks[i]) != IPCF_OK)
            return ipcf_fail_os(error, "lock");
    if (ipcf_park_init(&channel->idle) != IPCF_OK)
        return ipcf_fail_os(error, "condition variable");
    ipcf_status status = ipcf_doorbell_create(&channel->wake, error);
    if (status == IPCF_OK)
        status = ipcf_stream_peer(&channel->stream, &channel->peer, error);
    return status == IPCF_OK && watch ? ipcf_channel_watch_peer(channel, error)
                                      : status;
}

/* Sums of a size and a header must not overflow. */
static uint64_t bounded(uint64_t limit)
{
    return limit < SIZE_MAX / 4 ? limit : SIZE_MAX / 4;
}

ipcf_status ipcf_channel_init(ipcf_channel *channel, const ipcf_channel_ops *ops,
                              ipcf_stream *stream, bool watch,
                              const ipcf_channel_options *options, ipcf_error *error)
{
    channel->ops = ops;
    channel->stream = *stream;
    channel->peer_process = IPCF_NO_HANDLE;
    channel->ready_set = IPCF_NO_HANDLE;
    channel->wake = IPCF_DOORBELL_NONE;
    channel->message_limit = bounded(options->message_limit);
    channel->read_ahead_limit = bounded(options->read_ahead_limit);
    ipcf_spin_init(&channel->send_spin, options->spin_ns);
    ipcf_spin_init(&channel->receive_spin, options->spin_ns);
    ipcf_status status = init_parts(channel, watch, error);
    if (status != IPCF_OK) {
        ipcf_handle_close(&channel->peer_process);
        ipcf_doorbell_close(&channel->wake);
        channel->stream = IPCF_STREAM_NONE;
        channel->ops = NULL;
        ipcf_store_relaxed(&channel->state, (uint32_t)IPCF_STATE_CLOSED);
        return status;
    }
    *stream = IPCF_STREAM_NONE;
    return IPCF_OK;
}

/* ---- entering -------------------------------------------------------------------- */

ipcf_status ipcf_channel_state_status(const ipcf_channel *channel, ipcf_error *error)
{
    /* acquire: pairs with the exchange in close and the compare-and-swaps in
     * announce_end and break */
    switch ((ipcf_channel_state)ipcf_load_acquire(&channel->state)) {
    case IPCF_STATE_OPEN:
        return IPCF_OK;
    case IPCF_STATE_SHUT_DOWN:
        return ipcf_fail(error, IPCF_SHUT_DOWN, "channel", 0, 0);
    case IPCF_STATE_BROKEN:
        if (error != NULL)
            *error = channel->broken;
        return channel->broken_status;
    case IPCF_STATE_FORKED:
        return ipcf_fail(error, IPCF_FORKED, "channel", 0, 0);
    case IPCF_STATE_CLOSED:
        break;
    }
    return ipcf_fail(error, IPCF_CLOSED, "channel", 0, 0);
}

ipcf_status ipcf_channel_enter(ipcf_channel *channel, ipcf_lock *lock,
                               uint64_t deadline_ns, ipcf_error *error)
{
    if (IPCF_UNLIKELY(!ipcf_lock_try(lock))) {
        ipcf_status status = ipcf_channel_state_status(channel, error);
        if (status != IPCF_OK)
            return status;
        status = deadline_ns == IPCF_NO_WAIT ? IPCF_TIMEOUT
                                             : ipcf_lock_acquire(lock, deadline_ns);
        if (status != IPCF_OK)
            return ipcf_fail(error, status, "another thread's turn", 0, 0);
    }
    ipcf_status status = ipcf_channel_state_status(channel, error);
    if (IPCF_UNLIKELY(status != IPCF_OK))
        ipcf_lock_release(lock);
    return status;
}

void ipcf_channel_take(ipcf_lock *lock)
{
    while (!ipcf_lock_try(lock) && ipcf_lock_acquire(lock, IPCF_NEVER) != IPCF_OK)
        continue;
}

ipcf_status ipcf_channel_go_on(const ipcf_channel *channel, uint64_t *started_ns,
                               uint64_t deadline_ns, ipcf_error *error)
{
    IPCF_TEST_STEP("between two parts");
    ipcf_status status = ipcf_channel_state_status(channel, error);
    if (status != IPCF_OK)
        return status;
    uint64_t now = ipcf_clock_ns();
    if (*started_ns == 0)
        *started_ns = now;
    if (deadline_ns != IPCF_NO_WAIT && now >= deadline_ns)
        return ipcf_fail(error, IPCF_TIMEOUT, "in mid-message", 0, 0);
    if (now - *started_ns >= IPCF_SLEEP_MAX_NS)
        return ipcf_fail(error, IPCF_INTERRUPTED, "time to look for signals", 0, 0);
    return IPCF_OK;
}

ipcf_status ipcf_channel_keep_rest(ipcf_channel *channel, const void *rest, size_t size,
                                   ipcf_status status, ipcf_error *error)
{
    ipcf_error why;
    channel->cut_short =
        ipcf_buffer_append(&channel->unsent, rest, size, &why) != IPCF_OK;
    if (channel->cut_short)
        return ipcf_channel_break(channel, IPCF_NO_MEMORY, &why, error);
    int32_t os_error = error != NULL ? error->os_error : 0;
    (void)ipcf_fail(error, status, ipcf_channel_begun, 0, size);
    if (error != NULL)
        error->os_error = os_error;
    return status;
}

/* ---- receiving with a stop ------------------------------------------------------- */

ipcf_status ipcf_channel_begin_stoppable(ipcf_channel *channel, uint64_t deadline_ns,
                                         const ipcf_stop *stop, ipcf_message *message,
                                         ipcf_error *error)
{
    if (ipcf_stop_is_set(stop))
        return ipcf_fail(error, IPCF_TIMEOUT, "stopped", 0, 0);
    return ipcf_channel_counted(
        channel, &channel->received,
        channel->ops->begin(channel, deadline_ns, stop, message, error));
}

ipcf_status ipcf_channel_read_body_stoppable(ipcf_channel *channel, void *dest,
                                             size_t size, size_t *got,
                                             uint64_t deadline_ns,
                                             const ipcf_stop *stop, ipcf_error *error)
{
    *got = 0;
    if (ipcf_stop_is_set(stop))
        return ipcf_fail(error, IPCF_TIMEOUT, "stopped", 0, 0);
    return ipcf_channel_counted(
        channel, &channel->received,
        channel->ops->read_body(channel, dest, size, got, deadline_ns, stop, error));
}

/* ---- the ready handle ------------------------------------------------------------ */

void ipcf_channel_settle(ipcf_channel *channel)
{
    if (ipcf_channel_enter(channel, &channel->receive_lock, IPCF_NO_WAIT, NULL) ==
        IPCF_OK)
        ipcf_channel_leave_receiving(channel);
}

ipcf_status ipcf_channel_ready_handle(ipcf_channel *channel, ipcf_handle *handle,
                                      ipcf_error *error)
{
    bool is_new = false;
    /* First, because in a forked child nobody may be there to give the lock back. */
    ipcf_status status = ipcf_channel_state_status(channel, error);
    if (status != IPCF_OK)
        return status;
    ipcf_channel_take(&channel->life_lock);
    status = ipcf_channel_state_status(channel, error);
    if (status == IPCF_OK && channel->ready_set == IPCF_NO_HANDLE) {
        status = channel->ops->make_ready_set(channel, &channel->ready_set, error);
        is_new = status == IPCF_OK;
        /* seq_cst: pairs with the loads in ipcf_channel_leave_receiving; the set and
         * its members come first, the try for the lock afterwards */
        if (is_new)
            ipcf_store_seq_cst(&channel->has_ready_set, 1u);
    }
    *handle = channel->ready_set;
    ipcf_lock_release(&channel->life_lock);
    if (is_new)
        ipcf_channel_settle(channel);
    return status;
}

/* ---- ending ---------------------------------------------------------------------- */

/* Make every operation under way, in whichever thread, come back and look at the state. */
static void wake_all(ipcf_channel *channel)
{
    /* Under the lock, because another thread may be closing the bell. */
    ipcf_channel_take(&channel->life_lock);
    ipcf_doorbell_ring(&channel->wake);
    ipcf_lock_release(&channel->life_lock);
    ipcf_lock_wake_all(&channel->send_lock);
    ipcf_lock_wake_all(&channel->receive_lock);
}

void ipcf_channel_note_ending(ipcf_channel *channel, ipcf_ending ending)
{
    uint32_t none = IPCF_ENDING_NONE;
    /* acq_rel: pairs with the acquire in ipcf_channel_has_ended */
    (void)ipcf_compare_exchange_acq_rel(&channel->ending, &none, (uint32_t)ending);
}

ipcf_status ipcf_channel_break(ipcf_channel *channel, ipcf_status status,
                               const ipcf_error *why, ipcf_error *error)
{
    if (error != NULL)
        *error = *why;
    ipcf_channel_take(&channel->life_lock);
    if (ipcf_load_relaxed(&channel->state) == IPCF_STATE_OPEN) {
        uint32_t open = IPCF_STATE_OPEN;
        channel->broken = *why;
        channel->broken_status = status;
        /* acq_rel: pairs with the acquire in ipcf_channel_state_status */
        (void)ipcf_compare_exchange_acq_rel(&channel->state, &open,
                                            (uint32_t)IPCF_STATE_BROKEN);
        ipcf_stream_shut_down(&channel->stream);
    }
    ipcf_lock_release(&channel->life_lock);
    wake_all(channel);
    return status;
}

void ipcf_channel_announce_end(ipcf_channel *channel)
{
    uint32_t open = IPCF_STATE_OPEN;
    /* acq_rel: pairs with the acquire in ipcf_channel_state_status */
    if (ipcf_compare_exchange_acq_rel(&channel->state, &open,
                                      (uint32_t)IPCF_STATE_SHUT_DOWN))
        wake_all(channel);
}

void ipcf_channel_shut_down(ipcf_channel *channel)
{
    ipcf_channel_announce_end(channel);
    /* acquire: pairs with the compare-and-swap above, which may have been another's */
    if (ipcf_load_acquire(&channel->state) == IPCF_STATE_SHUT_DOWN)
        channel->ops->say_goodbye(channel);
}

/* All locks are held. The ready set goes before its members. */
static void free_all(ipcf_channel *channel, bool is_intact)
{
    ipcf_handle_close(&channel->ready_set);
    IPCF_TEST_STEP("channel unwatched");
    channel->ops->free_parts(channel, is_intact);
    IPCF_TEST_STEP("channel parts freed");
    ipcf_stream_close(&channel->stream);
    ipcf_handle_close(&channel->peer_process);
    ipcf_doorbell_close(&channel->wake);
    channel->cut_short = channel->cut_short || ipcf_buffer_size(&channel->unsent) != 0;
    ipcf_buffer_free(&channel->unsent);
}

void ipcf_channel_close(ipcf_channel *channel)
{
    uint32_t before =
        ipcf_exchange_acq_rel(&channel->state, (uint32_t)IPCF_STATE_CLOSED);
    if (before == IPCF_STATE_CLOSED || before == IPCF_STATE_FORKED) {
        ipcf_store_release(&channel->state, before);
        return;
    }
    wake_all(channel);
    /* SHUT_DOWN: the thread that does so may not have come to its goodbye yet. */
    if (before == IPCF_STATE_OPEN || before == IPCF_STATE_SHUT_DOWN)
        channel->ops->say_goodbye(channel);
    ipcf_channel_take(&channel->send_lock);
    ipcf_channel_take(&channel->receive_lock);
    ipcf_channel_take(&channel->life_lock);
    free_all(channel, true);
    ipcf_lock_release(&channel->life_lock);
    ipcf_lock_release(&channel->receive_lock);
    ipcf_lock_release(&channel->send_lock);
}

/* Sleep until nobody has said that a call begins. OK, TIMEOUT; INTERRUPTED: after as
 * long as a lock is waited for. */
static ipcf_status await_callers(ipcf_channel *channel, uint64_t deadline_ns)
{
    uint64_t slice_end = ipcf_clock_ns() + IPCF_LOCK_SLICE_NS;
    uint64_t until = slice_end < deadline_ns ? slice_end : deadline_ns;
    for (;;) {
        uint32_t key = ipcf_park_prepare(&channel->idle);
        /* seq_cst: pairs with the additions in call_begins and call_ends */
        bool is_idle = ipcf_load_seq_cst(&channel->callers) == 0u;
        if (is_idle || ipcf_clock_ns() >= until) {
            ipcf_park_cancel(&channel->idle);
            return is_idle                ? IPCF_OK
                   : until == deadline_ns ? IPCF_TIMEOUT
                                          : IPCF_INTERRUPTED;
        }
        ipcf_park_sleep(&channel->idle, key, until);
    }
}

ipcf_status ipcf_channel_drain(ipcf_channel *channel, uint64_t deadline_ns,
                               ipcf_error *error)
{
    ipcf_lock *locks[] = {&channel->send_lock, &channel->receive_lock};
    /* After a fork a thread that is not here may hold a lock, or count as a caller.
     * acquire: pairs with the exchange in ipcf_channel_abandon */
    if (ipcf_load_acquire(&channel->state) == IPCF_STATE_FORKED)
        return ipcf_fail(error, IPCF_FORKED, "channel", 0, 0);
    ipcf_status status = await_callers(channel, deadline_ns);
    for (size_t i = 0; i < sizeof locks / sizeof *locks && status == IPCF_OK; i++) {
        if (!ipcf_lock_try(locks[i]))
            status = ipcf_lock_acquire(locks[i], deadline_ns);
        if (status == IPCF_OK)
            ipcf_lock_release(locks[i]);
    }
    return status == IPCF_OK ? IPCF_OK
                             : ipcf_fail(error, status, "an operation under way", 0, 0);
}

void ipcf_channel_destroy(ipcf_channel *channel)
{
    /* After a fork the locks may be held by threads that are not here. */
    if (ipcf_load_relaxed(&channel->state) == IPCF_STATE_FORKED)
        return;
    ipcf_channel_close(channel);
    ipcf_lock_destroy(&channel->send_lock);
    ipcf_lock_destroy(&channel->receive_lock);
    ipcf_lock_destroy(&channel->life_lock);
    ipcf_park_destroy(&channel->idle);
}

void ipcf_channel_abandon(ipcf_channel *channel)
{
    uint32_t before =
        ipcf_exchange_acq_rel(&channel->state, (uint32_t)IPCF_STATE_FORKED);
    if (before == IPCF_STATE_FORKED || channel->ops == NULL)
        return;
    /* A thread that closed it may have been stopped before it had freed anything, or in
     * between. */
    if (before == IPCF_STATE_CLOSED && !ipcf_lock_try(&channel->life_lock))
        return;
    /* A lock that is held belongs to a thread that is not here, and what it guards may
     * be half changed: buffers are given up then. Who finds the lock held looks at the
     * state before waiting. */
    if (!ipcf_lock_try(&channel->send_lock))
        channel->unsent = (ipcf_buffer){0};
    bool is_intact = ipcf_lock_try(&channel->receive_lock);
    free_all(channel, is_intact);
}
