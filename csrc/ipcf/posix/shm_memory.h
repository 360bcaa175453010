/* SPDX-License-Identifier: MIT
 * The part of shared memory that has more than one mechanism: shm_memfd.c (Linux) and
 * shm_named.c (elsewhere).
 */
#ifndef IPCF_POSIX_SHM_MEMORY_H
#define IPCF_POSIX_SHM_MEMORY_H

#include "ipcf/status.h"

/* A descriptor of zeroed, allocated memory without a name, `size` bytes (whole pages),
 * that cannot shrink where the system can promise that. */
IPCF_MUST_CHECK ipcf_status ipcf_shm_memory_open(size_t size, ipcf_handle *handle,
                                                 ipcf_error *error);

/* Is it what ipcf_shm_memory_open makes, and of this size? BAD_FRAME if not. */
IPCF_MUST_CHECK ipcf_status ipcf_shm_memory_check(ipcf_handle handle, size_t size,
                                                  ipcf_error *error);

/* Memory that ran out, whichever way the system says it, is NO_MEMORY. */
ipcf_status ipcf_shm_memory_fail(ipcf_error *error, const char *what);

#endif
