/* SPDX-License-Identifier: MIT
 * The atomic operations the core uses, each under the name of its memory order.
 *
 * One small backend over C11 <stdatomic.h>; MSVC needs /std:c11
 * /experimental:c11atomics. Every call site names its partner in a comment ("release:
 * pairs with the acquire in …").
 */
#ifndef IPCF_ATOMIC_H
#define IPCF_ATOMIC_H

#include <stdatomic.h>

#include "ipcf/platform.h"

typedef _Atomic uint32_t ipcf_atomic_u32;
typedef _Atomic uint64_t ipcf_atomic_u64;

/* Words in shared memory must be usable without a lock table, which would be private to
 * one process. */
_Static_assert(
    ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
    "32- and 64-bit atomics must be lock-free to be shared between processes");
_Static_assert(sizeof(ipcf_atomic_u32) == 4 && sizeof(ipcf_atomic_u64) == 8,
               "atomic words must have the size of the plain ones");

#define ipcf_load_relaxed(word) atomic_load_explicit((word), memory_order_relaxed)
#define ipcf_load_acquire(word) atomic_load_explicit((word), memory_order_acquire)
#define ipcf_store_relaxed(word, value)                                                \
    atomic_store_explicit((word), (value), memory_order_relaxed)
#define ipcf_store_release(word, value)                                                \
    atomic_store_explicit((word), (value), memory_order_release)
#define ipcf_add_relaxed(word, amount)                                                 \
    ((void)atomic_fetch_add_explicit((word), (amount), memory_order_relaxed))
#define ipcf_exchange_acq_rel(word, value)                                             \
    atomic_exchange_explicit((word), (value), memory_order_acq_rel)
#define ipcf_compare_exchange_acq_rel(word, expected, desired)                         \
    atomic_compare_exchange_strong_explicit(                                           \
        (word), (expected), (desired), memory_order_acq_rel, memory_order_acquire)
#define ipcf_load_seq_cst(word) atomic_load_explicit((word), memory_order_seq_cst)
#define ipcf_store_seq_cst(word, value)                                                \
    atomic_store_explicit((word), (value), memory_order_seq_cst)
#define ipcf_exchange_seq_cst(word, value)                                             \
    atomic_exchange_explicit((word), (value), memory_order_seq_cst)
#define ipcf_compare_exchange_seq_cst(word, expected, desired)                         \
    atomic_compare_exchange_strong_explicit(                                           \
        (word), (expected), (desired), memory_order_seq_cst, memory_order_seq_cst)
#define ipcf_add_seq_cst(word, value)                                                  \
    atomic_fetch_add_explicit((word), (value), memory_order_seq_cst)
#define ipcf_or_seq_cst(word, value)                                                   \
    atomic_fetch_or_explicit((word), (value), memory_order_seq_cst)
#define ipcf_subtract_acq_rel(word, value)                                             \
    atomic_fetch_sub_explicit((word), (value), memory_order_acq_rel)
#define ipcf_fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)

#endif
