/* SPDX-License-Identifier: MIT
 * The lock file that says who may bind a name, and the temporary name that belongs to
 * it.
 */
#ifndef IPCF_POSIX_LISTENER_LOCK_H
#define IPCF_POSIX_LISTENER_LOCK_H

#include <stddef.h>

#include "ipcf/status.h"

/* Create or open `<path>.lock` and lock it. ADDRESS_IN_USE: another process holds it,
 * or something that is not a plain file is in its place. PERMISSION_DENIED: it is
 * another user's. INVALID: the name begins with `~`, as temporary names do. The file
 * stays for ever, and empty: removing it would let two processes hold two locks for one
 * name. */
IPCF_MUST_CHECK ipcf_status ipcf_listener_lock(const char *path, ipcf_handle *lock,
                                               ipcf_error *error);

/* Give it up, also where a forked child still has the descriptor. */
void ipcf_listener_unlock(ipcf_handle *lock);

/* The name to bind before it is renamed to path: in the same directory, `~` and the
 * lock file's inode number, which no other name's lock has. So whoever holds the lock
 * may remove what a killed owner left there. INVALID when it does not fit into `room`
 * bytes. */
IPCF_MUST_CHECK ipcf_status ipcf_listener_temporary(const char *path, ipcf_handle lock,
                                                    char *temporary, size_t room,
                                                    ipcf_error *error);

#endif
