# SPDX-License-Identifier: MIT
"""Declare the C core (csrc/ipcf/*.h) for Cython: opaque structs, embedded by value, and their functions."""

from libc.stdint cimport int32_t, int64_t, intptr_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "ipcf/platform.h" nogil:
    ctypedef intptr_t ipcf_handle
    ipcf_handle IPCF_NO_HANDLE
    void ipcf_thread_yield()


cdef extern from "ipcf/atomic.h" nogil:
    ctypedef uint32_t ipcf_atomic_u32
    ctypedef uint64_t ipcf_atomic_u64
    uint32_t ipcf_add_seq_cst(ipcf_atomic_u32 *word, uint32_t value)
    void ipcf_add_relaxed(ipcf_atomic_u64 *word, uint64_t value)
    uint64_t ipcf_load_relaxed(const ipcf_atomic_u64 *word)
    bint ipcf_compare_exchange_acq_rel(ipcf_atomic_u32 *word, uint32_t *expected, uint32_t desired)


cdef extern from "ipcf/status.h" nogil:
    ctypedef enum ipcf_status:
        IPCF_OK
        IPCF_AGAIN
        IPCF_TIMEOUT
        IPCF_INTERRUPTED
        IPCF_DISCONNECTED
        IPCF_CLOSED
        IPCF_SHUT_DOWN
        IPCF_FORKED
        IPCF_TOO_LARGE
        IPCF_BAD_FRAME
        IPCF_CORRUPT
        IPCF_NOISE
        IPCF_NO_MEMORY
        IPCF_OS_ERROR
        IPCF_ADDRESS_IN_USE
        IPCF_ADDRESS_NOT_FOUND
        IPCF_PERMISSION_DENIED
        IPCF_INVALID
        IPCF_UNSUPPORTED
        IPCF_STATUS_COUNT

    ctypedef struct ipcf_error:
        int32_t os_error
        uint64_t expected
        uint64_t found
        const char *what

    const char *ipcf_status_name(ipcf_status status)


cdef extern from "ipcf/clock.h" nogil:
    const uint64_t IPCF_NEVER
    const uint64_t IPCF_NO_WAIT
    uint64_t ipcf_clock_ns()
    uint64_t ipcf_deadline_in(double seconds)


cdef extern from "ipcf/wait.h" nogil:
    enum:
        IPCF_WAIT_MAX

    ctypedef struct ipcf_wait_item:
        ipcf_handle handle
        bint for_writing
        bint is_ready

    ipcf_status ipcf_wait(ipcf_wait_item *items, size_t count, uint64_t deadline_ns, ipcf_error *error)


cdef extern from "ipcf/frame.h" nogil:
    ctypedef enum ipcf_framing:
        IPCF_FRAMING_SNIFF
        IPCF_FRAMING_LENGTH
        IPCF_FRAMING_U32BE
        IPCF_FRAMING_LINES
        IPCF_FRAMING_CONTENT_LENGTH

    ctypedef enum ipcf_kind:
        IPCF_KIND_ANY
        IPCF_KIND_MESSAGE
        IPCF_KIND_BYTES
        IPCF_KIND_NOISE
        IPCF_KIND_GOODBYE
        IPCF_KIND_HELLO
        IPCF_KIND_WELCOME
        IPCF_KIND_REFUSAL

    enum:
        IPCF_FRAME_HEADER_MAX

    ctypedef struct ipcf_frame_decoder:
        ipcf_framing framing
        bint skipping

    ctypedef struct ipcf_frame:
        size_t header_size
        uint64_t body_size
        size_t trailer_size
        size_t skip
        uint8_t kind
        uint8_t flags
        uint16_t cpu

    size_t ipcf_frame_header(ipcf_framing framing, uint8_t kind, uint16_t cpu, uint64_t size, uint8_t *header,
                             ipcf_status *status)
    size_t ipcf_frame_trailer(ipcf_framing framing, uint8_t *trailer)
    bint ipcf_frame_body_fits(ipcf_framing framing, const void *body, size_t size)


cdef extern from "ipcf/stream.h" nogil:
    enum:
        IPCF_STREAM_MAX_HANDLES

    ctypedef struct ipcf_piece:
        const void *data
        size_t size

    ctypedef struct ipcf_stream:
        ipcf_handle handle

    ctypedef struct ipcf_peer:
        int64_t pid
        int64_t uid

    ctypedef struct ipcf_listener:
        ipcf_handle handle

    ipcf_status ipcf_stream_pair(ipcf_stream *one, ipcf_stream *other, ipcf_error *error)
    ipcf_status ipcf_stream_connect(const char *path, bint require_same_user, ipcf_stream *stream,
                                    ipcf_error *error)
    ipcf_status ipcf_stream_adopt(ipcf_handle handle, ipcf_stream *stream, ipcf_error *error)
    ipcf_status ipcf_stream_adopt_pair(ipcf_handle read_handle, ipcf_handle write_handle, ipcf_stream *stream,
                                       ipcf_error *error)
    ipcf_status ipcf_listener_open(const char *path, int backlog, ipcf_listener *listener, ipcf_error *error)
    ipcf_status ipcf_listener_try_accept(ipcf_listener *listener, bint require_same_user, ipcf_stream *stream,
                                         ipcf_error *error)
    ipcf_handle ipcf_listener_arm(ipcf_listener *listener)
    void ipcf_listener_close(ipcf_listener *listener)
    void ipcf_listener_abandon(ipcf_listener *listener)
    void ipcf_stream_close(ipcf_stream *stream)
    void ipcf_handle_close(ipcf_handle *handle)


cdef extern from "ipcf/process.h" nogil:
    enum:
        IPCF_PROCESS_MAX_INHERITED
        IPCF_EXIT_UNKNOWN

    ctypedef enum ipcf_standard_kind:
        IPCF_STANDARD_INHERIT
        IPCF_STANDARD_NULL
        IPCF_STANDARD_GIVEN

    ctypedef struct ipcf_standard:
        ipcf_standard_kind kind
        ipcf_handle handle

    ctypedef struct ipcf_process_options:
        const char **programs
        const char **arguments
        const char **environment
        const char *directory
        ipcf_standard standard[3]
        const ipcf_handle *inherited
        size_t inherited_count
        bint new_session
        bint dies_with_parent

    ctypedef struct ipcf_process:
        int64_t pid
        bint has_ended
        int32_t exit_code

    ctypedef struct ipcf_process_tree:
        size_t count

    ipcf_process IPCF_PROCESS_NONE
    ipcf_process_tree IPCF_PROCESS_TREE_NONE

    ipcf_status ipcf_process_start(const ipcf_process_options *options, ipcf_process *process,
                                   ipcf_error *error)
    ipcf_status ipcf_process_collect(ipcf_process *process, ipcf_error *error)
    ipcf_status ipcf_process_await(const ipcf_process *process, uint64_t deadline_ns, ipcf_error *error)
    ipcf_handle ipcf_process_arm(const ipcf_process *process)
    ipcf_status ipcf_process_watch(const ipcf_process *process, ipcf_handle *handle, ipcf_error *error)
    ipcf_status ipcf_process_signal(const ipcf_process *process, int number, ipcf_error *error)
    void ipcf_process_close(ipcf_process *process)
    ipcf_status ipcf_process_tree_find(const ipcf_process *process, ipcf_process_tree *tree,
                                       ipcf_error *error)
    ipcf_status ipcf_process_tree_terminate(const ipcf_process *process, ipcf_process_tree *tree,
                                            ipcf_error *error)
    ipcf_status ipcf_process_tree_kill(const ipcf_process *process, ipcf_process_tree *tree,
                                       ipcf_error *error)
    ipcf_status ipcf_process_tree_await(const ipcf_process *process, ipcf_process_tree *tree,
                                        uint64_t deadline_ns, ipcf_error *error)
    void ipcf_process_tree_close(ipcf_process_tree *tree)


cdef extern from "ipcf/metrics.h" nogil:
    ctypedef struct ipcf_metrics:
        uint64_t messages_sent
        uint64_t messages_received
        uint64_t bytes_sent
        uint64_t bytes_received
        uint64_t errors
        uint64_t waits
        uint64_t wake_ups
        uint64_t peak_queue
        uint64_t timed
        uint64_t latency_sum_ns
        uint64_t latency_p50_ns
        uint64_t latency_p90_ns
        uint64_t latency_p99_ns


cdef extern from "ipcf/stop.h" nogil:
    ctypedef struct ipcf_stop:
        pass

    ipcf_status ipcf_stop_init(ipcf_stop *stop, ipcf_error *error)
    void ipcf_stop_destroy(ipcf_stop *stop)
    void ipcf_stop_set(ipcf_stop *stop)
    void ipcf_stop_reset(ipcf_stop *stop)
    bint ipcf_stop_is_set(const ipcf_stop *stop)


cdef extern from "ipcf/channel.h" nogil:
    ctypedef enum ipcf_look:
        IPCF_LOOK_ONCE
        IPCF_LOOK_BRIEFLY
        IPCF_LOOK_AND_YIELD

    ctypedef enum ipcf_channel_state:
        IPCF_STATE_OPEN
        IPCF_STATE_SHUT_DOWN
        IPCF_STATE_BROKEN
        IPCF_STATE_CLOSED
        IPCF_STATE_FORKED

    ctypedef enum ipcf_ending:
        IPCF_ENDING_NONE
        IPCF_ENDING_GOODBYE
        IPCF_ENDING_DIED
        IPCF_ENDING_UNKNOWN

    ctypedef struct ipcf_channel_options:
        ipcf_framing framing
        bint sniff
        bint skip_noise
        uint64_t message_limit
        uint64_t read_ahead_limit
        uint64_t spin_ns

    ctypedef struct ipcf_message:
        uint64_t size
        const uint8_t *data
        uint64_t received
        uint8_t kind

    ctypedef struct ipcf_channel:
        uint32_t state
        uint32_t ending
        ipcf_peer peer
        bint cut_short

    ipcf_channel_options IPCF_CHANNEL_OPTIONS_DEFAULT

    ipcf_status ipcf_channel_try_send(ipcf_channel *channel, uint8_t kind, const void *body, size_t size,
                                      ipcf_error *error)
    ipcf_status ipcf_channel_send(ipcf_channel *channel, uint8_t kind, const void *body, size_t size,
                                  uint64_t deadline_ns, ipcf_error *error)
    ipcf_status ipcf_channel_send_many(ipcf_channel *channel, uint8_t kind, const ipcf_piece *bodies,
                                       size_t count, size_t *sent, uint64_t deadline_ns, ipcf_error *error)
    ipcf_status ipcf_channel_flush(ipcf_channel *channel, uint64_t deadline_ns, ipcf_error *error)
    ipcf_status ipcf_channel_try_begin(ipcf_channel *channel, ipcf_look look, ipcf_message *message,
                                       ipcf_error *error)
    ipcf_status ipcf_channel_begin_stoppable(ipcf_channel *channel, uint64_t deadline_ns, const ipcf_stop *stop,
                                             ipcf_message *message, ipcf_error *error)
    ipcf_status ipcf_channel_read_body(ipcf_channel *channel, void *dest, size_t size, size_t *got,
                                       uint64_t deadline_ns, ipcf_error *error)
    ipcf_status ipcf_channel_read_body_stoppable(ipcf_channel *channel, void *dest, size_t size, size_t *got,
                                                 uint64_t deadline_ns, const ipcf_stop *stop, ipcf_error *error)
    void ipcf_channel_finish(ipcf_channel *channel)
    void ipcf_channel_leave(ipcf_channel *channel)
    ipcf_status ipcf_channel_next(ipcf_channel *channel, ipcf_message *message)
    ipcf_status ipcf_channel_poll(ipcf_channel *channel, uint64_t deadline_ns, ipcf_error *error)
    ipcf_status ipcf_channel_ready_handle(ipcf_channel *channel, ipcf_handle *handle, ipcf_error *error)
    ipcf_status ipcf_channel_watch_peer(ipcf_channel *channel, ipcf_error *error)
    void ipcf_channel_set_peer(ipcf_channel *channel, const ipcf_peer *peer, ipcf_handle *process)
    void ipcf_channel_wake_receivers(ipcf_channel *channel)
    bint ipcf_channel_is_over(const ipcf_channel *channel)
    void ipcf_channel_call_begins(ipcf_channel *channel)
    void ipcf_channel_call_ends(ipcf_channel *channel)
    ipcf_status ipcf_channel_drain(ipcf_channel *channel, uint64_t deadline_ns, ipcf_error *error)
    void ipcf_channel_read_metrics(const ipcf_channel *channel, ipcf_metrics *metrics)
    void ipcf_channel_shut_down(ipcf_channel *channel)
    void ipcf_channel_announce_end(ipcf_channel *channel)
    void ipcf_channel_close(ipcf_channel *channel)
    void ipcf_channel_destroy(ipcf_channel *channel)
    void ipcf_channel_abandon(ipcf_channel *channel)


cdef extern from "ipcf/ring_channel.h" nogil:
    enum:
        IPCF_RING_VERSION
        IPCF_RING_SEGMENT_MAX_HANDLES

    ctypedef struct ipcf_ring_segment:
        pass

    ctypedef struct ipcf_ring_channel:
        ipcf_channel base

    ipcf_status ipcf_ring_segment_create(ipcf_ring_segment *segment, uint64_t inbound, uint64_t outbound,
                                         ipcf_error *error)
    ipcf_status ipcf_ring_segment_adopt(ipcf_ring_segment *segment, ipcf_handle *handles, size_t count,
                                        uint64_t inbound, uint64_t outbound, ipcf_error *error)
    size_t ipcf_ring_segment_handle_count()
    size_t ipcf_ring_segment_handles(const ipcf_ring_segment *segment, ipcf_handle *handles)
    void ipcf_ring_segment_close(ipcf_ring_segment *segment)
    void ipcf_ring_channel_use_times(ipcf_ring_channel *channel)
    ipcf_status ipcf_ring_channel_init(ipcf_ring_channel *channel, ipcf_stream *control,
                                       ipcf_ring_segment *segment, const ipcf_channel_options *options,
                                       ipcf_error *error)


cdef extern from "ipcf/stream_channel.h" nogil:
    enum:
        IPCF_STREAM_HANDSHAKE_MAX

    ctypedef struct ipcf_stream_channel:
        ipcf_channel base

    ipcf_status ipcf_stream_channel_init(ipcf_stream_channel *channel, ipcf_stream *stream,
                                         const ipcf_channel_options *options, ipcf_error *error)
    ipcf_status ipcf_stream_channel_send_handles(ipcf_stream_channel *channel, uint8_t kind, const void *body,
                                                 size_t size, const ipcf_handle *handles, size_t handle_count,
                                                 uint64_t deadline_ns, ipcf_error *error)
    ipcf_status ipcf_stream_channel_receive_handles(ipcf_stream_channel *channel, uint8_t *kind, void *body,
                                                    size_t room, size_t *size, ipcf_handle *handles,
                                                    size_t *handle_count, uint64_t deadline_ns,
                                                    ipcf_error *error)
    ipcf_status ipcf_stream_channel_sniff(ipcf_stream_channel *channel, ipcf_framing *framing,
                                          ipcf_error *error)
    ipcf_framing ipcf_stream_channel_send_framing(ipcf_stream_channel *channel)
    ipcf_status ipcf_stream_channel_set_send_framing(ipcf_stream_channel *channel, ipcf_framing framing,
                                                     ipcf_error *error)
    ipcf_status ipcf_stream_channel_read_handle(ipcf_stream_channel *channel, ipcf_handle *handle,
                                                ipcf_error *error)
    void ipcf_stream_channel_use_times(ipcf_stream_channel *channel)
    ipcf_status ipcf_stream_channel_release_stream(ipcf_stream_channel *channel, ipcf_stream *stream,
                                                   ipcf_error *error)
