/* SPDX-License-Identifier: MIT
 * What streams and listeners on Unix sockets share: addresses, and who is at the other
 * end.
 */
#ifndef IPCF_POSIX_UNIX_SOCKET_H
#define IPCF_POSIX_UNIX_SOCKET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "ipcf/stream.h"

/* INVALID when the path is empty or does not fit into sun_path (107 bytes on Linux, 103
 * on macOS). */
IPCF_MUST_CHECK ipcf_status ipcf_unix_address(const char *path,
                                              struct sockaddr_un *address,
                                              ipcf_error *error);

/* A connection attempt that does not wait. 0, or errno of the connect (or of the
 * socket) with *handle left at IPCF_NO_HANDLE. */
int ipcf_unix_connect(const struct sockaddr_un *address, ipcf_handle *handle);

/* PERMISSION_DENIED unless the process at the other end runs as our effective user. */
IPCF_MUST_CHECK ipcf_status ipcf_unix_same_user(ipcf_handle handle, ipcf_error *error);

/* peer_linux.c, peer_macos.c: pid and uid as the kernel recorded them when the
 * connection was made. 0, or -1 and errno. */
int ipcf_unix_peer(int handle, ipcf_peer *peer);

/* peer_linux.c, peer_macos.c: see ipcf_stream_watch_peer; the peer is not this process. */
IPCF_MUST_CHECK ipcf_status ipcf_unix_watch(int handle, const ipcf_peer *peer,
                                            ipcf_handle *process, ipcf_error *error);

#endif
