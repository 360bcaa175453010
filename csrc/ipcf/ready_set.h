/* SPDX-License-Identifier: MIT
 * One handle that is ready while any of several others is: what a channel's fileno()
 * gives to select, asyncio or Qt.
 *
 * epoll on Linux (posix/ready_set_epoll.c), kqueue on macOS; other systems have none
 * (UNSUPPORTED). The set watches for reading, level-triggered. Closing the set leaves
 * its members alone; close it before them.
 */
#ifndef IPCF_READY_SET_H
#define IPCF_READY_SET_H

#include "ipcf/status.h"

/* handles: IPCF_NO_HANDLE ones are passed over. */
IPCF_MUST_CHECK ipcf_status ipcf_ready_set_create(const ipcf_handle *handles,
                                                  size_t count, ipcf_handle *set,
                                                  ipcf_error *error);

#endif
