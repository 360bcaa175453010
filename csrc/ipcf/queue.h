/* SPDX-License-Identifier: MIT
 * A bounded queue of pointers between threads of one process, for several senders and
 * several receivers.
 *
 * Positions count items for ever, in 63 bits. `tail` is the position of the next push,
 * shifted left by one: its lowest bit says that the queue is closed. `head` is the
 * position of the next pop. A push is one compare-and-swap of tail, so none can succeed
 * once the bit is set, and what was pushed before can still be popped: the end loses
 * nothing, and nothing comes after it.
 *
 * Each position has a slot: position modulo the number of slots, a power of two and at
 * least the capacity. A slot's `turn` says whose it is, where lap is position divided
 * by the number of slots:
 *
 *     2 * lap        empty, for the push of this position
 *     2 * lap + 1    full, for the pop of this position
 *     2 * (lap + 1)  empty, for the push one lap later
 *
 *     push                                   pop
 *     tail and head leave room, turn is      turn is 2 * lap + 1 (acquire)
 *       2 * lap (acquire)                    read the item; look whether it is wanted
 *     tail := tail + 2 (seq_cst CAS)         head := head + 1 (seq_cst CAS)
 *     write the item                         turn := 2 * (lap + 1) (release)
 *     turn := 2 * lap + 1 (release)          wake a sender (ipcf_park_wake)
 *     wake a receiver (ipcf_park_wake)
 *
 * What was read before a successful CAS of head is the item: nobody else can have
 * popped that position. An item that is not wanted (of another kind, too large) stays.
 * A slot of memory that is all zero is empty for lap 0, so memory is first touched when
 * it is used.
 *
 * Waiting. try_push and try_pop never wait; who got AGAIN begins a wait, calls
 * ipcf_queue_wait until it is OK, and tries again. Such a wait looks (spin.h), then
 * sleeps in naps (park.h). Waiters for an item watch tail, waiters for room watch head:
 * these are the words of park.h's protocol. A sender that found the queue full waits
 * for half of it to be free, so that one wake-up serves many items, but after 2 ms for
 * any room. A receiver that was woken and takes nothing, where an item is there, wakes
 * the next one.
 *
 * The baton. Where threads need a common lock to do anything with an item (the GIL), a
 * receiver that asks for it as soon as it sees the item only fights the sender, who
 * still holds it. So whoever has given the lock up in order to wait gives the baton
 * (ipcf_baton_give), and a wait that has come true is OK only once it could take the
 * baton, or 20 us later: a lock that was given up elsewhere has no baton. A push and a
 * pop take the baton back, because who does that has the lock. It is a hint only: no
 * order, no exclusion. Without a common lock there is no baton (NULL).
 */
#ifndef IPCF_QUEUE_H
#define IPCF_QUEUE_H

#include "ipcf/atomic.h"
#include "ipcf/doorbell.h"
#include "ipcf/lock.h"
#include "ipcf/metrics.h"
#include "ipcf/park.h"
#include "ipcf/spin.h"
#include "ipcf/stop.h"

#define IPCF_QUEUE_CAPACITY_MAX (UINT64_C(1) << 30)
/* Of an item; the rest of the word is its kind. */
#define IPCF_QUEUE_SIZE_MAX ((UINT64_C(1) << 56) - 1)
/* The bit of tail. */
#define IPCF_QUEUE_CLOSED UINT64_C(1)
/* try_pop takes an item of any kind. */
#define IPCF_QUEUE_ANY_KIND UINT8_MAX

/* A hint: 1 when the common lock was given up by somebody who waits. */
typedef struct ipcf_baton {
    ipcf_atomic_u32 is_free;
} ipcf_baton;

/* The queue owns nothing of it; what pointer points to belongs to whoever popped. */
typedef struct ipcf_queue_item {
    void *pointer;
    uint64_t size; /* for max_size of try_pop, up to IPCF_QUEUE_SIZE_MAX */
    uint8_t kind;
    /* when its send began. try_push: 0 is now; try_pop: 0 for those that are not timed
     * (latency.h) */
    uint64_t sent_ns;
} ipcf_queue_item;

typedef struct ipcf_queue_slot {
    ipcf_atomic_u64 turn;
    ipcf_atomic_u64 pointer;
    ipcf_atomic_u64 label;   /* size << 8 | kind */
    ipcf_atomic_u64 sent_ns; /* of positions that are timed; else anything */
} ipcf_queue_slot;

_Static_assert(sizeof(ipcf_queue_slot) == 32, "a slot must not lie across two lines");

/* What those who push have in common, and those who pop, when they wait. */
typedef struct ipcf_queue_side {
    ipcf_park park;          /* where they wait for the other side */
    ipcf_atomic_u32 waits;   /* between wait_begin and wait_end */
    ipcf_atomic_u32 eager;   /* senders that sleep until there is any room */
    ipcf_atomic_u64 spin_ns; /* allowed at present (spin.h) */
    /* counted for ever (metrics.h): waits that did not come true at once, their sleeps */
    ipcf_atomic_u64 all_waits;
    ipcf_atomic_u64 wake_ups;
} ipcf_queue_side;

/* Each push reads and writes the part of tail, and asks whether receivers sleep; each
 * pop does so with head and senders. Hence the grouping. */
typedef struct ipcf_queue {
    ipcf_queue_slot *slots; /* NULL: never was made, or is freed */
    uint64_t mask;          /* number of slots - 1 */
    uint32_t shift;         /* its logarithm */
    uint64_t capacity;
    uint64_t spin_ns; /* configured */
    ipcf_baton *baton;
    bool is_abandoned;
    ipcf_lock bell_lock; /* one system call long */
    ipcf_doorbell bell;
    ipcf_atomic_u32 bell_state; /* ipcf_queue_bell */
    ipcf_park idle;             /* where ipcf_queue_drain sleeps */
    uint8_t padding[IPCF_LINE_SIZE];
    ipcf_atomic_u64 tail;
    ipcf_atomic_u64 head_seen;   /* head as a push last read it, or earlier */
    ipcf_atomic_u64 peak;        /* length */
    ipcf_atomic_u64 pushed_size; /* of all items, as the next two */
    ipcf_atomic_u32 sender_cpu;  /* of the last push; IPCF_CPU_UNKNOWN: none yet */
    ipcf_queue_side receivers;
    uint8_t more_padding[IPCF_LINE_SIZE];
    ipcf_atomic_u64 head;
    ipcf_atomic_u64 popped_size;
    ipcf_atomic_u64 discarded_size, discarded; /* popped, but not received */
    ipcf_queue_side senders;
    ipcf_latency latency; /* of items that were received */
} ipcf_queue;

typedef enum ipcf_queue_bell {
    IPCF_BELL_NONE = 0,  /* nobody has asked for a handle */
    IPCF_BELL_ARMED = 1, /* not rung: the next push rings it */
    IPCF_BELL_RUNG = 2
} ipcf_queue_bell;

typedef enum ipcf_queue_direction {
    IPCF_QUEUE_FOR_ITEM = 0,
    IPCF_QUEUE_FOR_ROOM = 1
} ipcf_queue_direction;

/* One wait, over as many calls as it takes; on the waiter's stack. */
typedef struct ipcf_queue_wait {
    ipcf_queue *queue;
    ipcf_queue_direction direction;
    uint64_t deadline_ns;
    uint64_t nap_ns;
    uint64_t patient_until_ns; /* FOR_ROOM: half of the queue until then; 0: begins */
    const ipcf_stop *stop; /* FOR_ITEM: the caller's, set after wait_begin; or NULL */
    bool has_spun;
    bool has_slept;
    ipcf_spin spin;
} ipcf_queue_wait;

/* Make an empty queue in zeroed memory. spin_ns: how long to look before sleeping.
 * INVALID: capacity is 0 or above IPCF_QUEUE_CAPACITY_MAX. */
IPCF_MUST_CHECK ipcf_status ipcf_queue_init(ipcf_queue *queue, uint64_t capacity,
                                            uint64_t spin_ns, ipcf_baton *baton,
                                            ipcf_error *error);
/* Free it, when no thread uses it any more; items that are left are the caller's, who
 * pops them before. */
void ipcf_queue_destroy(ipcf_queue *queue);

/* In a forked child, where other threads have gone and may have left anything halfway:
 * from now on only destroy is allowed. */
void ipcf_queue_abandon(ipcf_queue *queue);

/* From any thread, any number of times: no push succeeds from now on, waits come back,
 * the handle is ready for good; items stay until they are popped. */
void ipcf_queue_close(ipcf_queue *queue);
static inline bool ipcf_queue_is_closed(const ipcf_queue *queue)
{
    /* acquire: pairs with the or in ipcf_queue_close */
    return (ipcf_load_acquire(&queue->tail) & IPCF_QUEUE_CLOSED) != 0;
}

/* OK; AGAIN: full; DISCONNECTED: closed. */
IPCF_MUST_CHECK ipcf_status ipcf_queue_try_push(ipcf_queue *queue,
                                                const ipcf_queue_item *item);

/* Pop the item at the head if it is of this kind and at most max_size large. OK: *item
 * is the caller's. INVALID: of another kind, TOO_LARGE: larger; *item tells, but is not
 * the caller's: do not follow its pointer. AGAIN: empty. DISCONNECTED: empty and
 * closed. */
IPCF_MUST_CHECK ipcf_status ipcf_queue_try_pop(ipcf_queue *queue, uint8_t kind,
                                               uint64_t max_size,
                                               ipcf_queue_item *item);

/* Items in it, between 0 and the capacity; and the most there ever were. */
uint64_t ipcf_queue_length(const ipcf_queue *queue);
uint64_t ipcf_queue_peak(const ipcf_queue *queue);

/* What an end has counted that pushes to outbound and pops from inbound, which may be
 * the same. Errors are the caller's to count. Messages are told by the positions. */
void ipcf_queue_read_metrics(const ipcf_queue *outbound, const ipcf_queue *inbound,
                             ipcf_metrics *metrics);
/* The item was popped, and has been received. */
static inline void ipcf_queue_count_received(ipcf_queue *queue,
                                             const ipcf_queue_item *item)
{
    if (IPCF_UNLIKELY(item->sent_ns != 0))
        ipcf_latency_note_since(&queue->latency, item->sent_ns);
}
/* The item was popped in order to throw it away: it has not been received. */
void ipcf_queue_count_discarded(ipcf_queue *queue, const ipcf_queue_item *item);

/* Call visit for the pointer of each item, until it returns what is not 0; return that.
 * While nobody pushes or pops. */
int ipcf_queue_visit(ipcf_queue *queue, int (*visit)(void *, void *), void *argument);

/* ---- waiting --------------------------------------------------------------------- */

/* nap_ns: the longest sleep, so that the caller can look for signals. */
void ipcf_queue_wait_begin(ipcf_queue_wait *wait, ipcf_queue *queue,
                           ipcf_queue_direction direction, uint64_t deadline_ns,
                           uint64_t nap_ns);
/* OK: an item, or room, was there a moment ago, or the queue is closed. TIMEOUT: also
 * when the stop is set. INTERRUPTED: a nap is over; run signal handlers and call again. */
IPCF_MUST_CHECK ipcf_status ipcf_queue_wait_on(ipcf_queue_wait *wait);
/* has_taken: the caller has popped an item. */
void ipcf_queue_wait_end(ipcf_queue_wait *wait, bool has_taken);

/* The second half of stopping (stop.h). From any thread. */
static inline void ipcf_queue_wake_receivers(ipcf_queue *queue)
{
    ipcf_park_wake(&queue->receivers.park, true);
}

/* Sleep until no wait of this direction is under way. OK, TIMEOUT, INTERRUPTED. */
IPCF_MUST_CHECK ipcf_status ipcf_queue_drain(ipcf_queue *queue,
                                             ipcf_queue_direction direction,
                                             uint64_t deadline_ns, uint64_t nap_ns);

/* The common lock has just been given up, in order to wait. */
static inline void ipcf_baton_give(ipcf_baton *baton)
{
    /* release: pairs with the exchange in ipcf_baton_try_take */
    if (baton != NULL)
        ipcf_store_release(&baton->is_free, 1u);
}

/* The common lock is held: nobody else need ask for it. */
static inline void ipcf_baton_keep(ipcf_baton *baton)
{
    if (baton != NULL)
        ipcf_store_relaxed(&baton->is_free, 0u); /* relaxed: a hint */
}

static inline bool ipcf_baton_try_take(ipcf_baton *baton)
{
    /* relaxed: only a look; acq_rel: pairs with the store in ipcf_baton_give */
    return ipcf_load_relaxed(&baton->is_free) != 0 &&
           ipcf_exchange_acq_rel(&baton->is_free, 0u) != 0;
}

/* ---- a handle for select --------------------------------------------------------- */

/* Ready while an item is there, or the queue is closed. Made by the first call. It
 * belongs to the queue. */
IPCF_MUST_CHECK ipcf_status ipcf_queue_ready_handle(ipcf_queue *queue,
                                                    ipcf_handle *handle,
                                                    ipcf_error *error);
/* Nobody receives any more: close the handle. */
void ipcf_queue_close_handle(ipcf_queue *queue);

/* For queue_wait.c: whether the wait that this is part of is over. */
bool ipcf_queue_has_item(const ipcf_queue *queue);
bool ipcf_queue_has_room(const ipcf_queue *queue, uint64_t room);

#endif
