/* SPDX-License-Identifier: MIT
 * A doorbell wakes a sleeping peer: it is rung by one process and waited for by another
 * (or the same).
 *
 * It holds one bit: rung or not. Ringing a rung bell changes nothing.
 * An eventfd on Linux (posix/doorbell_eventfd.c), a pipe on other POSIX systems
 * (posix/doorbell_pipe.c), an auto-reset-free event on Windows. The two ends travel to
 * a peer as handles (ipcf_stream_try_write with handles).
 */
#ifndef IPCF_DOORBELL_H
#define IPCF_DOORBELL_H

#include "ipcf/status.h"

typedef struct ipcf_doorbell {
    ipcf_handle wait_end; /* IPCF_NO_HANDLE where this side only rings */
    ipcf_handle ring_end; /* may equal wait_end (eventfd, event) */
} ipcf_doorbell;

#define IPCF_DOORBELL_NONE                                                             \
    (ipcf_doorbell) { IPCF_NO_HANDLE, IPCF_NO_HANDLE }

/* How many handles a bell has on this system: 1 (eventfd, event) or 2 (pipe: [0] wait
 * end, [1] ring end). */
extern const size_t ipcf_doorbell_handle_count;

IPCF_MUST_CHECK ipcf_status ipcf_doorbell_create(ipcf_doorbell *bell,
                                                 ipcf_error *error);

/* The handles to pass to a peer: ipcf_doorbell_handle_count of them, still owned by the
 * bell. */
void ipcf_doorbell_handles(const ipcf_doorbell *bell, ipcf_handle *handles);

/* Take over handles received from a peer; checks that they are what they should be
 * where the system can tell (BAD_FRAME otherwise) and makes them non-blocking. On
 * failure the caller keeps the handles. */
IPCF_MUST_CHECK ipcf_status ipcf_doorbell_adopt(ipcf_doorbell *bell,
                                                const ipcf_handle *handles,
                                                ipcf_error *error);

/* Async-signal-safe. A bell whose other end is gone is silently not rung. Never blocks
 * on a bell that only honest processes hold. A peer that has cleared O_NONBLOCK, which
 * both sides of an open file share, and filled the bell to the brim makes this block. */
void ipcf_doorbell_ring(const ipcf_doorbell *bell);
/* Make it unrung. Returns whether it was rung. Never blocks, whatever a peer has done
 * to the flags: an eventfd from Linux 5.8 on; a pipe, or an older Linux, only where
 * they are untouched. */
bool ipcf_doorbell_clear(const ipcf_doorbell *bell);

/* The handle for ipcf_wait; ready while the bell is rung. */
static inline ipcf_handle ipcf_doorbell_arm(const ipcf_doorbell *bell)
{
    return bell->wait_end;
}

void ipcf_doorbell_close(
    ipcf_doorbell *bell); /* idempotent; sets the ends to IPCF_NO_HANDLE */

#endif
