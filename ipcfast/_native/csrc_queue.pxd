# SPDX-License-Identifier: MIT
"""Declare the queue of the C core (csrc/ipcf/queue.h) for Cython, as csrc.pxd does the rest."""

from libc.stdint cimport uint8_t, uint64_t

from ipcfast._native.csrc cimport ipcf_error, ipcf_handle, ipcf_metrics, ipcf_status, ipcf_stop


cdef extern from "ipcf/queue.h" nogil:
    const uint8_t IPCF_QUEUE_ANY_KIND
    const uint64_t IPCF_SLEEP_FIRST_NS
    const uint64_t IPCF_SLEEP_MAX_NS

    ctypedef enum ipcf_queue_direction:
        IPCF_QUEUE_FOR_ITEM
        IPCF_QUEUE_FOR_ROOM

    ctypedef struct ipcf_baton:
        pass

    ctypedef struct ipcf_queue:
        pass

    ctypedef struct ipcf_queue_item:
        void *pointer
        uint64_t size
        uint8_t kind
        uint64_t sent_ns

    ctypedef struct ipcf_queue_wait:
        const ipcf_stop *stop

    ipcf_status ipcf_queue_init(ipcf_queue *queue, uint64_t capacity, uint64_t spin_ns, ipcf_baton *baton,
                                ipcf_error *error)
    void ipcf_queue_destroy(ipcf_queue *queue)
    void ipcf_queue_abandon(ipcf_queue *queue)
    void ipcf_queue_close(ipcf_queue *queue)
    bint ipcf_queue_is_closed(const ipcf_queue *queue)
    ipcf_status ipcf_queue_try_push(ipcf_queue *queue, const ipcf_queue_item *item)
    ipcf_status ipcf_queue_try_pop(ipcf_queue *queue, uint8_t kind, uint64_t max_size, ipcf_queue_item *item)
    uint64_t ipcf_queue_length(const ipcf_queue *queue)
    uint64_t ipcf_queue_peak(const ipcf_queue *queue)
    void ipcf_queue_read_metrics(const ipcf_queue *outbound, const ipcf_queue *inbound, ipcf_metrics *metrics)
    void ipcf_queue_count_received(ipcf_queue *queue, const ipcf_queue_item *item)
    void ipcf_queue_count_discarded(ipcf_queue *queue, const ipcf_queue_item *item)
    void ipcf_queue_wait_begin(ipcf_queue_wait *wait, ipcf_queue *queue, ipcf_queue_direction direction,
                               uint64_t deadline_ns, uint64_t nap_ns)
    ipcf_status ipcf_queue_wait_on(ipcf_queue_wait *wait)
    void ipcf_queue_wake_receivers(ipcf_queue *queue)
    void ipcf_queue_wait_end(ipcf_queue_wait *wait, bint has_taken)
    ipcf_status ipcf_queue_drain(ipcf_queue *queue, ipcf_queue_direction direction, uint64_t deadline_ns,
                                 uint64_t nap_ns)
    void ipcf_baton_give(ipcf_baton *baton)
    void ipcf_baton_keep(ipcf_baton *baton)
    ipcf_status ipcf_queue_ready_handle(ipcf_queue *queue, ipcf_handle *handle, ipcf_error *error)
    void ipcf_queue_close_handle(ipcf_queue *queue)


# With the GIL, which the visitor may need.
cdef extern from "ipcf/queue.h":
    int ipcf_queue_visit(ipcf_queue *queue, int (*visit)(void *, void *) noexcept, void *argument)
