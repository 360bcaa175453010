/* SPDX-License-Identifier: MIT
 * What streams and listeners on named pipes share: names, instances, and who is at the
 * other end.
 */
#ifndef IPCF_WIN32_PIPE_H
#define IPCF_WIN32_PIPE_H

#include "ipcf/stream.h"

/* Characters of a pipe's name with its prefix and its end; the system allows no more. */
#define IPCF_PIPE_NAME_SIZE 257

/* What the system keeps of a direction before writers wait. The name file system
 * charges what is really held, so a larger figure costs an idle pipe nothing. */
#define IPCF_PIPE_QUOTA (64u * 1024u)

/* Path (UTF-8) to name. INVALID unless it is \\.\pipe\ and something without a further
 * backslash, short enough: no disk file, no device and no other machine can be meant. */
IPCF_MUST_CHECK ipcf_status ipcf_pipe_name(const char *path,
                                           WCHAR name[IPCF_PIPE_NAME_SIZE],
                                           ipcf_error *error);

/* One more server end: overlapped, bytes, for local clients of our own user only, not
 * inherited. is_first: fail where the name exists. INVALID_HANDLE_VALUE and
 * GetLastError() on failure. */
HANDLE ipcf_pipe_create_instance(const WCHAR *name, bool is_first, DWORD instances_max);

/* A client end, which lets the server identify us and no more. INVALID_HANDLE_VALUE and
 * GetLastError() on failure. */
HANDLE ipcf_pipe_open(const WCHAR *name);

/* The process at the other end, as the kernel recorded it; -1 where it does not say. */
int64_t ipcf_pipe_peer_pid(HANDLE pipe, bool is_server);

/* Make a stream of a connected pipe. On failure the caller keeps the pipe. */
IPCF_MUST_CHECK ipcf_status ipcf_pipe_stream(HANDLE pipe, bool require_same_user,
                                             ipcf_stream *stream, ipcf_error *error);

#endif
