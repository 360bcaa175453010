/* SPDX-License-Identifier: MIT
 * Anonymous shared memory: it has no name, travels as a handle, and is gone with the
 * last process that maps it.
 *
 * memfd on Linux (sealed against shrinking and growing), shm_open + immediate
 * shm_unlink on other POSIX systems, an unnamed section on Windows. Memory is allocated
 * at creation, so that running out is an error here and never a fault (SIGBUS) on first
 * touch.
 */
#ifndef IPCF_SHM_H
#define IPCF_SHM_H

#include "ipcf/status.h"

typedef struct ipcf_shm {
    void *address; /* NULL when not mapped */
    size_t size;   /* bytes, a multiple of the page size */
    /* for passing on; IPCF_NO_HANDLE after ipcf_shm_forget_handle */
    ipcf_handle handle;
} ipcf_shm;

/* Create zeroed memory of at least size bytes (rounded up to pages), readable and
 * writable, mapped. */
IPCF_MUST_CHECK ipcf_status ipcf_shm_create(size_t size, ipcf_shm *shm,
                                            ipcf_error *error);

/* Map memory received from a peer. The handle must be shared memory of exactly `size`
 * bytes (after rounding up to pages) that cannot shrink (seals on Linux): otherwise
 * BAD_FRAME, and the caller keeps the handle. On OK shm owns it. */
IPCF_MUST_CHECK ipcf_status ipcf_shm_map(ipcf_handle handle, size_t size, ipcf_shm *shm,
                                         ipcf_error *error);

/* Close the handle, keep the mapping. */
void ipcf_shm_forget_handle(ipcf_shm *shm);
/* Unmap and close. Idempotent. */
void ipcf_shm_close(ipcf_shm *shm);

#endif
