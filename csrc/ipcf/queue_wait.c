/* SPDX-License-Identifier: MIT
 * Waiting for an item or for room in the in-process queue. See queue.h.
 */
#include "ipcf/queue.h"

/* How long a sender holds out for half of the queue. */
#define PATIENCE_NS UINT64_C(2000000)
/* How long a wait that has come true holds out for the baton. A sender that answers or
 * waits is there in 1-2 us; losing the fight for the GIL costs two wake-ups, up to 40
 * us each. */
#define BATON_NS UINT64_C(20000)

static ipcf_queue_side *own_side(const ipcf_queue_wait *wait)
{
    return wait->direction == IPCF_QUEUE_FOR_ITEM ? &wait->queue->receivers
                                                  : &wait->queue->senders;
}

static bool is_patient(const ipcf_queue_wait *wait)
{
    return wait->patient_until_ns != 0;
}

static bool has_come(const ipcf_queue_wait *wait)
{
    if (wait->direction == IPCF_QUEUE_FOR_ITEM)
        return ipcf_queue_has_item(wait->queue);
    return ipcf_queue_has_room(wait->queue,
                               is_patient(wait) ? (wait->queue->capacity + 1) / 2 : 1);
}

/* Where the item is to come from, going by the last push. Of those who pop, nothing is
 * known. */
static ipcf_whereabouts whereabouts(const ipcf_queue_wait *wait)
{
    if (wait->direction == IPCF_QUEUE_FOR_ROOM)
        return IPCF_PEER_UNKNOWN;
    uint32_t ours = ipcf_current_cpu();
    /* relaxed: a hint */
    uint32_t theirs = ipcf_load_relaxed(&wait->queue->sender_cpu);
    if (ours == IPCF_CPU_UNKNOWN || theirs == IPCF_CPU_UNKNOWN)
        return IPCF_PEER_UNKNOWN;
    return ours == theirs ? IPCF_PEER_SAME_CPU : IPCF_PEER_ELSEWHERE;
}

void ipcf_queue_wait_begin(ipcf_queue_wait *wait, ipcf_queue *queue,
                           ipcf_queue_direction direction, uint64_t deadline_ns,
                           uint64_t nap_ns)
{
    *wait = (ipcf_queue_wait){.queue = queue,
                              .direction = direction,
                              .deadline_ns = deadline_ns,
                              .nap_ns = nap_ns};
    ipcf_queue_side *side = own_side(wait);
    /* seq_cst: pairs with the load in ipcf_queue_drain */
    (void)ipcf_add_seq_cst(&side->waits, 1u);
    ipcf_spin_init(&wait->spin, queue->spin_ns);
    wait->spin.allowed_ns = ipcf_load_relaxed(&side->spin_ns); /* relaxed: a hint */
    ipcf_spin_begin(&wait->spin, deadline_ns);
    if (direction == IPCF_QUEUE_FOR_ROOM && deadline_ns != IPCF_NO_WAIT)
        wait->patient_until_ns = ipcf_clock_ns() + PATIENCE_NS;
}

void ipcf_queue_wait_end(ipcf_queue_wait *wait, bool has_taken)
{
    ipcf_queue_side *side = own_side(wait);
    if (wait->has_spun) {
        ipcf_spin_end(&wait->spin, wait->has_slept);
        ipcf_store_relaxed(&side->spin_ns, wait->spin.allowed_ns); /* relaxed: a hint */
    }
    /* The wake-up that was for one may have been ours. */
    if (wait->direction == IPCF_QUEUE_FOR_ITEM && !has_taken &&
        ipcf_queue_has_item(wait->queue))
        ipcf_park_wake(&side->park, false);
    /* seq_cst as park.h demands: pairs with the load in ipcf_queue_drain */
    if (ipcf_add_seq_cst(&side->waits, UINT32_MAX) == 1u)
        ipcf_park_wake(&wait->queue->idle, true);
}

/* Look until it has come, or it is time to sleep. */
static bool spin(ipcf_queue_wait *wait)
{
    ipcf_whereabouts peer = whereabouts(wait);
    bool is_there = has_come(wait);
    if (!is_there && !wait->has_spun) /* relaxed: see metrics.h */
        ipcf_add_relaxed(&own_side(wait)->all_waits, UINT64_C(1));
    wait->has_spun = true;
    while (!is_there) {
        bool goes_on = ipcf_spin_turn(&wait->spin, peer);
        is_there = has_come(wait);
        if (!goes_on)
            break;
    }
    return is_there;
}

static void await_baton(const ipcf_queue_wait *wait)
{
    ipcf_baton *baton = wait->queue->baton;
    if (baton == NULL || ipcf_baton_try_take(baton) ||
        ipcf_queue_is_closed(wait->queue))
        return;
    bool is_elsewhere = whereabouts(wait) == IPCF_PEER_ELSEWHERE;
    uint64_t until = 0;
    for (uint32_t turn = 0; !ipcf_baton_try_take(baton); turn++) {
        if (is_elsewhere)
            ipcf_cpu_relax();
        else
            ipcf_thread_yield();
        if (is_elsewhere && turn % 8 != 0)
            continue;
        uint64_t now = ipcf_clock_ns();
        if (until == 0)
            until = now + BATON_NS;
        if (now >= until)
            return;
    }
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static void sleep_in(ipcf_queue_side *side, uint32_t key, uint64_t until_ns)
{
    ipcf_park_sleep(&side->park, key, until_ns);
    ipcf_add_relaxed(&side->wake_ups, UINT64_C(1)); /* relaxed: see metrics.h */
}

/* Sleep until until_ns or until something changes, unless it has come. */
static void nap(ipcf_queue_wait *wait, uint64_t until_ns)
{
    ipcf_queue_side *side = own_side(wait);
    bool is_eager = wait->direction == IPCF_QUEUE_FOR_ROOM && !is_patient(wait);
    if (is_eager) /* before prepare, which orders it for tell_senders */
        (void)ipcf_add_seq_cst(&side->eager, 1u);
    IPCF_TEST_STEP("queue about to sleep");
    uint32_t key = ipcf_park_prepare(&side->park);
    if (has_come(wait) || ipcf_stop_is_set(wait->stop))
        ipcf_park_cancel(&side->park);
    else
        sleep_in(side, key, until_ns);
    if (is_eager) /* acq_rel: pairs with the load in tell_senders */
        (void)ipcf_subtract_acq_rel(&side->eager, 1u);
}

/* Sleep until it has come. */
static ipcf_status sleep_on(ipcf_queue_wait *wait)
{
    uint64_t nap_end = ipcf_clock_ns();
    nap_end = nap_end + wait->nap_ns < nap_end ? IPCF_NEVER : nap_end + wait->nap_ns;
    wait->has_slept = true;
    while (!has_come(wait)) {
        uint64_t now = ipcf_clock_ns();
        if (is_patient(wait) &&
            now >= earlier(wait->patient_until_ns, wait->deadline_ns)) {
            wait->patient_until_ns = 0;
            continue;
        }
        if (now >= wait->deadline_ns || ipcf_stop_is_set(wait->stop))
            return IPCF_TIMEOUT;
        if (now >= nap_end)
            return IPCF_INTERRUPTED;
        uint64_t until = earlier(nap_end, wait->deadline_ns);
        if (is_patient(wait))
            until = earlier(until, wait->patient_until_ns);
        nap(wait, until); /* the loop looks at the clock */
    }
    return IPCF_OK;
}

ipcf_status ipcf_queue_wait_on(ipcf_queue_wait *wait)
{
    ipcf_status status = IPCF_OK;
    if (wait->deadline_ns == IPCF_NO_WAIT)
        status = has_come(wait) ? IPCF_OK : IPCF_TIMEOUT;
    else if (wait->has_slept || !spin(wait))
        status = sleep_on(wait);
    if (status == IPCF_OK)
        await_baton(wait);
    return status;
}

ipcf_status ipcf_queue_drain(ipcf_queue *queue, ipcf_queue_direction direction,
                             uint64_t deadline_ns, uint64_t nap_ns)
{
    ipcf_queue_side *side =
        direction == IPCF_QUEUE_FOR_ITEM ? &queue->receivers : &queue->senders;
    uint64_t now = ipcf_clock_ns();
    uint64_t nap_end = now + nap_ns < now ? IPCF_NEVER : now + nap_ns;
    for (;;) {
        uint32_t key = ipcf_park_prepare(&queue->idle);
        /* seq_cst: pairs with the subtraction in ipcf_queue_wait_end */
        if (ipcf_load_seq_cst(&side->waits) == 0u) {
            ipcf_park_cancel(&queue->idle);
            return IPCF_OK;
        }
        if (deadline_ns == IPCF_NO_WAIT ||
            ipcf_clock_ns() >= earlier(deadline_ns, nap_end)) {
            ipcf_park_cancel(&queue->idle);
            return ipcf_clock_ns() >= deadline_ns ? IPCF_TIMEOUT : IPCF_INTERRUPTED;
        }
        ipcf_park_sleep(&queue->idle, key, earlier(deadline_ns, nap_end));
    }
}
