/* SPDX-License-Identifier: MIT
 * Pushing and popping, the end, and the handle of the in-process queue. See queue.h.
 */
#include "ipcf/queue.h"

#include <stdlib.h>

/* ---- making ---------------------------------------------------------------------- */

static ipcf_status init_side(ipcf_queue_side *side, uint64_t spin_ns)
{
    /* relaxed: nobody else knows the queue yet */
    ipcf_store_relaxed(&side->spin_ns, spin_ns);
    return ipcf_park_init(&side->park);
}

static ipcf_status init_parts(ipcf_queue *queue)
{
    if (ipcf_lock_init(&queue->bell_lock) != IPCF_OK)
        return IPCF_NO_MEMORY;
    if (init_side(&queue->senders, queue->spin_ns) == IPCF_OK) {
        if (init_side(&queue->receivers, queue->spin_ns) == IPCF_OK) {
            if (ipcf_park_init(&queue->idle) == IPCF_OK)
                return IPCF_OK;
            ipcf_park_destroy(&queue->receivers.park);
        }
        ipcf_park_destroy(&queue->senders.park);
    }
    ipcf_lock_destroy(&queue->bell_lock);
    return IPCF_NO_MEMORY;
}

ipcf_status ipcf_queue_init(ipcf_queue *queue, uint64_t capacity, uint64_t spin_ns,
                            ipcf_baton *baton, ipcf_error *error)
{
    if (capacity == 0 || capacity > IPCF_QUEUE_CAPACITY_MAX)
        return ipcf_fail(error, IPCF_INVALID, "capacity", IPCF_QUEUE_CAPACITY_MAX,
                         capacity);
    while ((UINT64_C(1) << queue->shift) < capacity)
        queue->shift++;
    uint64_t count = UINT64_C(1) << queue->shift;
    queue->mask = count - 1;
    queue->capacity = capacity;
    queue->spin_ns = spin_ns;
    queue->baton = baton;
    queue->bell = IPCF_DOORBELL_NONE;
    /* relaxed: nobody else knows the queue yet */
    ipcf_store_relaxed(&queue->sender_cpu, IPCF_CPU_UNKNOWN);
    ipcf_queue_slot *slots = calloc((size_t)count, sizeof *slots);
    if (slots == NULL || init_parts(queue) != IPCF_OK) {
        free(slots);
        return ipcf_fail(error, IPCF_NO_MEMORY, "queue", count * sizeof *slots, 0);
    }
    queue->slots = slots;
    return IPCF_OK;
}

void ipcf_queue_destroy(ipcf_queue *queue)
{
    if (queue->slots == NULL)
        return;
    ipcf_doorbell_close(&queue->bell);
    /* After a fork it may look as if threads were within, for which destroying waits. */
    if (!queue->is_abandoned) {
        ipcf_park_destroy(&queue->idle);
        ipcf_park_destroy(&queue->receivers.park);
        ipcf_park_destroy(&queue->senders.park);
        ipcf_lock_destroy(&queue->bell_lock);
    }
    free(queue->slots);
    queue->slots = NULL;
}

void ipcf_queue_abandon(ipcf_queue *queue)
{
    queue->is_abandoned = true;
    ipcf_doorbell_close(&queue->bell);
}

/* ---- the handle ------------------------------------------------------------------ */

static void take_bell(ipcf_queue *queue)
{
    while (!ipcf_lock_try(&queue->bell_lock) &&
           ipcf_lock_acquire(&queue->bell_lock, IPCF_NEVER) != IPCF_OK)
        continue;
}

/* Make the bell say what is there; its lock is held. Who pushes or pops, or closes,
 * looks at bell_state after it has changed what has_item tells: either it sees what is
 * stored here, and settles after us, or its change is seen by the look that follows. */
static void settle(ipcf_queue *queue)
{
    for (;;) {
        bool has_item = ipcf_queue_has_item(queue);
        /* relaxed: changes under the lock only */
        uint32_t state = ipcf_load_relaxed(&queue->bell_state);
        if (state == IPCF_BELL_NONE || has_item == (state == IPCF_BELL_RUNG))
            return;
        if (has_item)
            ipcf_doorbell_ring(&queue->bell);
        else
            (void)ipcf_doorbell_clear(&queue->bell);
        /* seq_cst: pairs with the loads in ring_if_armed and hush_if_rung */
        ipcf_store_seq_cst(&queue->bell_state,
                           (uint32_t)(has_item ? IPCF_BELL_RUNG : IPCF_BELL_ARMED));
    }
}

static void settle_bell(ipcf_queue *queue)
{
    take_bell(queue);
    settle(queue);
    ipcf_lock_release(&queue->bell_lock);
}

/* Something can be popped, or the end has come. */
static void ring_if_armed(ipcf_queue *queue)
{
    /* seq_cst: pairs with the store in settle */
    if (IPCF_UNLIKELY(ipcf_load_seq_cst(&queue->bell_state) == IPCF_BELL_ARMED))
        settle_bell(queue);
}

/* Something has been popped. */
static void hush_if_rung(ipcf_queue *queue)
{
    /* seq_cst: pairs with the store in settle */
    if (IPCF_UNLIKELY(ipcf_load_seq_cst(&queue->bell_state) == IPCF_BELL_RUNG) &&
        !ipcf_queue_has_item(queue))
        settle_bell(queue);
}

ipcf_status ipcf_queue_ready_handle(ipcf_queue *queue, ipcf_handle *handle,
                                    ipcf_error *error)
{
    ipcf_status status = IPCF_OK;
    take_bell(queue);
    if (ipcf_load_relaxed(&queue->bell_state) == IPCF_BELL_NONE) {
        status = ipcf_doorbell_create(&queue->bell, error);
        if (status == IPCF_OK) {
            /* seq_cst: as in settle */
            ipcf_store_seq_cst(&queue->bell_state, (uint32_t)IPCF_BELL_ARMED);
            settle(queue);
        }
    }
    *handle = ipcf_doorbell_arm(&queue->bell);
    ipcf_lock_release(&queue->bell_lock);
    return status;
}

void ipcf_queue_close_handle(ipcf_queue *queue)
{
    take_bell(queue);
    ipcf_doorbell_close(&queue->bell);
    ipcf_store_relaxed(&queue->bell_state, (uint32_t)IPCF_BELL_NONE);
    ipcf_lock_release(&queue->bell_lock);
}

/* ---- the end --------------------------------------------------------------------- */

void ipcf_queue_close(ipcf_queue *queue)
{
    /* seq_cst: pairs with the loads of tail in has_item and has_room */
    (void)ipcf_or_seq_cst(&queue->tail, IPCF_QUEUE_CLOSED);
    ipcf_park_wake(&queue->receivers.park, true);
    ipcf_park_wake(&queue->senders.park, true);
    ring_if_armed(queue);
}

/* ---- pushing --------------------------------------------------------------------- */

static ipcf_queue_slot *slot_of(const ipcf_queue *queue, uint64_t position)
{
    return &queue->slots[position & queue->mask];
}

static uint64_t empty_turn(const ipcf_queue *queue, uint64_t position)
{
    return 2 * (position >> queue->shift);
}

/* How many items there are before this position. Head is the other side's, so it is
 * read again only where what was read before does not tell enough: that there is room,
 * and that no more items are here than ever were. */
static int64_t length_before(ipcf_queue *queue, uint64_t position)
{
    /* relaxed: head never goes back, so this length is the true one or more; the signs,
     * because head may be ahead of a position that is out of date */
    int64_t length = (int64_t)(position - ipcf_load_relaxed(&queue->head_seen));
    if (length < (int64_t)ipcf_load_relaxed(&queue->peak))
        return length;
    uint64_t head = ipcf_load_relaxed(&queue->head);
    ipcf_store_relaxed(&queue->head_seen, head);
    return (int64_t)(position - head);
}

static void note_length(ipcf_queue *queue, int64_t length)
{
    /* relaxed: a count, from which nobody concludes anything about items */
    uint64_t peak = ipcf_load_relaxed(&queue->peak);
    while (IPCF_UNLIKELY(length > (int64_t)peak) &&
           !ipcf_compare_exchange_acq_rel(&queue->peak, &peak, (uint64_t)length))
        continue;
}

/* Reserve the position of the next push. */
static ipcf_status reserve(ipcf_queue *queue, uint64_t *position)
{
    /* relaxed: only a guess, the compare-and-swap decides */
    uint64_t tail = ipcf_load_relaxed(&queue->tail);
    for (;;) {
        if (IPCF_UNLIKELY((tail & IPCF_QUEUE_CLOSED) != 0))
            return IPCF_DISCONNECTED;
        *position = tail >> 1;
        int64_t length = length_before(queue, *position);
        if (IPCF_UNLIKELY(length >= (int64_t)queue->capacity))
            return IPCF_AGAIN;
        /* acquire: pairs with the store in ipcf_queue_try_pop */
        if (IPCF_UNLIKELY(ipcf_load_acquire(&slot_of(queue, *position)->turn) !=
                          empty_turn(queue, *position))) {
            uint64_t before = tail;
            tail = ipcf_load_relaxed(&queue->tail);
            if (tail == before)
                return IPCF_AGAIN; /* who pops the item is not out of the slot yet */
            continue;
        }
        /* seq_cst: pairs with the load of tail in has_item */
        if (IPCF_LIKELY(ipcf_compare_exchange_seq_cst(&queue->tail, &tail, tail + 2))) {
            note_length(queue, length + 1);
            return IPCF_OK;
        }
    }
}

ipcf_status ipcf_queue_try_push(ipcf_queue *queue, const ipcf_queue_item *item)
{
    uint64_t position;
    /* before the item can be seen, so that who sees it finds no baton of old */
    ipcf_baton_keep(queue->baton);
    ipcf_status status = reserve(queue, &position);
    if (status != IPCF_OK)
        return status;
    ipcf_queue_slot *slot = slot_of(queue, position);
    /* relaxed: the slot is ours, and handed over below */
    ipcf_store_relaxed(&slot->pointer, (uint64_t)(uintptr_t)item->pointer);
    ipcf_store_relaxed(&slot->label, item->size << 8 | item->kind);
    if (item->size != 0)
        ipcf_add_relaxed(&queue->pushed_size, item->size);
    if (IPCF_UNLIKELY(ipcf_latency_is_sampled(position)))
        ipcf_store_relaxed(&slot->sent_ns,
                           item->sent_ns != 0 ? item->sent_ns : ipcf_clock_ns());
    /* release: pairs with the load in ipcf_queue_try_pop */
    ipcf_store_release(&slot->turn, empty_turn(queue, position) + 1);
    /* relaxed: a hint how to wait for the next item */
    ipcf_store_relaxed(&queue->sender_cpu, ipcf_current_cpu());
    ipcf_park_wake(&queue->receivers.park, false);
    ring_if_armed(queue);
    return IPCF_OK;
}

/* ---- popping --------------------------------------------------------------------- */

/* The slot of *head is not full: OK where *head was out of date and has been read
 * again. */
static ipcf_status look_again(ipcf_queue *queue, uint64_t *head)
{
    /* acquire: pairs with the or in ipcf_queue_close: what is seen after it is whole */
    uint64_t tail = ipcf_load_acquire(&queue->tail);
    uint64_t before = *head;
    *head = ipcf_load_acquire(&queue->head);
    if (*head != before)
        return IPCF_OK;
    if (tail >> 1 != *head)
        return IPCF_AGAIN; /* who pushes it has not filled the slot yet */
    if ((tail & IPCF_QUEUE_CLOSED) != 0)
        return IPCF_DISCONNECTED;
    return IPCF_AGAIN;
}

/* Some room has come: wake senders, if it is enough for any that sleep. */
static void tell_senders(ipcf_queue *queue)
{
    ipcf_queue_side *senders = &queue->senders;
    /* seq_cst: pairs with the addition in ipcf_park_prepare */
    if (IPCF_LIKELY(ipcf_load_seq_cst(&senders->park.sleepers) == 0u))
        return;
    /* relaxed: counted before the sleeper, see queue_wait.c */
    if (ipcf_load_relaxed(&senders->eager) != 0u ||
        ipcf_queue_has_room(queue, (queue->capacity + 1) / 2))
        ipcf_park_wake_sleepers(&senders->park, true);
}

/* What lies in the slot; void unless position is still the head afterwards. */
static inline ipcf_queue_item item_of(const ipcf_queue_slot *slot, uint64_t position)
{
    /* relaxed: after the acquire of turn */
    uint64_t label = ipcf_load_relaxed(&slot->label);
    uint64_t pointer = ipcf_load_relaxed(&slot->pointer);
    uint64_t sent_ns = 0;
    if (IPCF_UNLIKELY(ipcf_latency_is_sampled(position)))
        sent_ns = ipcf_load_relaxed(&slot->sent_ns);
    return (ipcf_queue_item){(void *)(uintptr_t)pointer, label >> 8, (uint8_t)label,
                             sent_ns};
}

ipcf_status ipcf_queue_try_pop(ipcf_queue *queue, uint8_t kind, uint64_t max_size,
                               ipcf_queue_item *item)
{
    /* relaxed: only a guess, the compare-and-swap decides */
    uint64_t head = ipcf_load_relaxed(&queue->head);
    ipcf_queue_slot *slot;
    ipcf_baton_keep(queue->baton);
    for (;;) {
        slot = slot_of(queue, head);
        /* acquire: pairs with the store in ipcf_queue_try_push */
        if (ipcf_load_acquire(&slot->turn) != empty_turn(queue, head) + 1) {
            ipcf_status status = look_again(queue, &head);
            if (status != IPCF_OK)
                return status;
            continue;
        }
        *item = item_of(slot, head);
        bool is_wanted = (item->kind == kind || kind == IPCF_QUEUE_ANY_KIND) &&
                         item->size <= max_size;
        uint64_t before = head;
        /* seq_cst: pairs with the loads of head in has_room and has_item */
        if (is_wanted &&
            IPCF_LIKELY(ipcf_compare_exchange_seq_cst(&queue->head, &head, head + 1)))
            break;
        if (is_wanted)
            continue;
        head = ipcf_load_acquire(&queue->head);
        if (head == before)
            return item->kind == kind || kind == IPCF_QUEUE_ANY_KIND ? IPCF_TOO_LARGE
                                                                     : IPCF_INVALID;
    }
    /* release: pairs with the load in reserve */
    ipcf_store_release(&slot->turn, empty_turn(queue, head) + 2);
    if (item->size != 0) /* relaxed: as all counts */
        ipcf_add_relaxed(&queue->popped_size, item->size);
    tell_senders(queue);
    hush_if_rung(queue);
    return IPCF_OK;
}

/* ---- looking --------------------------------------------------------------------- */

bool ipcf_queue_has_item(const ipcf_queue *queue)
{
    /* seq_cst: pair with the or in close, and the compare-and-swap in reserve */
    uint64_t tail = ipcf_load_seq_cst(&queue->tail);
    return (tail & IPCF_QUEUE_CLOSED) != 0 ||
           tail >> 1 != ipcf_load_seq_cst(&queue->head);
}

bool ipcf_queue_has_room(const ipcf_queue *queue, uint64_t room)
{
    /* seq_cst: pair with the or in close, and the compare-and-swap in try_pop */
    uint64_t head = ipcf_load_seq_cst(&queue->head);
    uint64_t tail = ipcf_load_seq_cst(&queue->tail);
    return (tail & IPCF_QUEUE_CLOSED) != 0 ||
           (tail >> 1) - head + room <= queue->capacity;
}

uint64_t ipcf_queue_length(const ipcf_queue *queue)
{
    uint64_t head = ipcf_load_acquire(&queue->head);
    uint64_t length = (ipcf_load_acquire(&queue->tail) >> 1) - head;
    return length < queue->capacity ? length : queue->capacity;
}

uint64_t ipcf_queue_peak(const ipcf_queue *queue)
{
    return ipcf_load_relaxed(&queue->peak);
}

int ipcf_queue_visit(ipcf_queue *queue, int (*visit)(void *, void *), void *argument)
{
    uint64_t end = ipcf_load_acquire(&queue->tail) >> 1;
    int result = 0;
    for (uint64_t at = ipcf_load_acquire(&queue->head); at != end && result == 0;
         at++) {
        const ipcf_queue_slot *slot = slot_of(queue, at);
        if (ipcf_load_acquire(&slot->turn) == empty_turn(queue, at) + 1)
            result =
                visit((void *)(uintptr_t)ipcf_load_relaxed(&slot->pointer), argument);
    }
    return result;
}
