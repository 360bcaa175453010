/* SPDX-License-Identifier: MIT
 * The state of a stream over a named pipe, which ipcf_stream.overlapped points to.
 *
 * Theory of operation. The caller's memory is touched only during a call, so nothing
 * that stays under way refers to it:
 *
 * Reading. try_read asks how much has arrived (PeekNamedPipe) and reads no more than
 * that, which ends at once, straight into the caller's memory. arm_read starts a read
 * of no bytes: it ends when bytes, or the end, have come, and takes nothing out of the
 * pipe. So a cancelled or forgotten read cannot lose anything, and nothing is ever
 * buffered on this side.
 *
 * Writing. try_write copies into `outgoing` and writes that. The write ends at once
 * where the pipe has room (its quota); otherwise it stays under way, and until it ends
 * try_write says AGAIN and arm_write gives its event. A write is never larger than the
 * quota: then it waits as a whole, and a write that is cancelled has moved either
 * everything or nothing (the first byte the peer takes of it makes room for all the
 * others). So one that was cancelled because its thread ended is simply started again,
 * by the next call that looks at it.
 *
 * Ending. Bytes whose write has ended belong to the pipe: the peer reads them after
 * this end was closed, also when this process was killed, and then ERROR_BROKEN_PIPE.
 * CloseHandle keeps them; DisconnectNamedPipe throws them away, and FlushFileBuffers
 * waits for the peer: neither is used. So shut_down closes the pipe (the stream's
 * handle stays open only in name). Where a write is under way, the state *lingers*: a
 * thread of the system's pool waits for the write's end and closes the pipe then,
 * however long the peer takes, as the kernel does for a socket. What no one can do for
 * us is to finish it after the process has ended: whoever must be sure asks with a
 * try_write of no bytes, which says AGAIN until the pipe has everything. A thread that
 * sleeps on the event of a write that lingers is woken when the write ends, not by
 * shut_down.
 */
#ifndef IPCF_WIN32_PIPE_STREAM_H
#define IPCF_WIN32_PIPE_STREAM_H

#include "ipcf/win32/operation.h"
#include "ipcf/win32/pipe.h"

typedef struct ipcf_pipe_state {
    SRWLOCK read_lock;   /* each for one direction; */
    SRWLOCK write_lock;  /* pipe and has_ended change under both, read_lock first */
    HANDLE pipe;         /* after has_ended: of the lingering write, under write_lock */
    bool has_ended;      /* shut down or closed here */
    int64_t peer_pid;    /* -1: unknown */
    ipcf_operation read; /* of no bytes, but for the moments of try_read */
    uint8_t nothing;     /* where they go */
    ipcf_operation write; /* of outgoing[0..outgoing_size) */
    volatile LONG owners; /* the stream, and the lingering write; the last one frees */
    DWORD write_limit;    /* the pipe's quota, or the size of outgoing */
    DWORD outgoing_size;
    uint8_t outgoing[IPCF_PIPE_QUOTA];
} ipcf_pipe_state;

static inline ipcf_pipe_state *ipcf_pipe_state_of(const ipcf_stream *stream)
{
    return (ipcf_pipe_state *)stream->overlapped;
}

/* A new state around a connected pipe, which it owns from now on. NULL and
 * GetLastError() on failure. */
ipcf_pipe_state *ipcf_pipe_state_create(HANDLE pipe);
void ipcf_pipe_state_release(ipcf_pipe_state *state);

/* Under write_lock. OK: no write is under way. AGAIN: one is. Else the one that was has
 * failed. Starts a cancelled one again. */
IPCF_MUST_CHECK ipcf_status ipcf_pipe_settle_write(ipcf_pipe_state *state,
                                                   ipcf_error *error);

#endif
