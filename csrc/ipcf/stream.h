/* SPDX-License-Identifier: MIT
 * A stream of bytes between two processes: a Unix socket on POSIX, a named pipe on
 * Windows.
 *
 * Operations never block. Each either makes progress (OK), or says AGAIN; then the
 * caller arms what it waits for and sleeps in ipcf_wait. That holds for readiness
 * (POSIX: arming returns the descriptor) and for overlapped completion (Windows: arming
 * starts a read or returns the event of the write under way) alike, because the
 * caller's memory is touched only during the call. One thread may read while another
 * writes; two readers or two writers need a lock.
 */
#ifndef IPCF_STREAM_H
#define IPCF_STREAM_H

#include "ipcf/clock.h"
#include "ipcf/status.h"

/* Handles that may travel with one write, and pieces that one write may gather. */
#define IPCF_STREAM_MAX_HANDLES 16
#define IPCF_STREAM_MAX_PIECES 64

typedef struct ipcf_piece {
    const void *data;
    size_t size;
} ipcf_piece;

typedef struct ipcf_stream {
    ipcf_handle handle;
    void *overlapped; /* Windows: the state of operations under way; NULL elsewhere */
    /* ipcf_stream_adopt_pair: both ends; `handle` is what to wait for when reading */
    void *ends;
} ipcf_stream;

#define IPCF_STREAM_NONE                                                               \
    (ipcf_stream) { IPCF_NO_HANDLE, NULL, NULL }

/* Who sits at the other end, as the kernel says. */
typedef struct ipcf_peer {
    int64_t pid; /* -1: unknown */
    int64_t uid; /* -1: unknown (Windows: 0 when the peer's token has our SID) */
} ipcf_peer;

/* ---- making streams -------------------------------------------------------------- */

/* Both ends in this process. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_pair(ipcf_stream *one, ipcf_stream *other,
                                             ipcf_error *error);

/* Connect to the socket or pipe at path (UTF-8). ADDRESS_NOT_FOUND where nobody listens
 * (absent or refused); PERMISSION_DENIED where the server runs as another user and
 * require_same_user is set; AGAIN where the server's backlog is full: try again later. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_connect(const char *path,
                                                bool require_same_user,
                                                ipcf_stream *stream, ipcf_error *error);

/* Take over an open descriptor or handle (inherited, or accepted elsewhere); it becomes
 * non-blocking and CLOEXEC. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_adopt(ipcf_handle handle, ipcf_stream *stream,
                                              ipcf_error *error);

/* Take over two descriptors or handles, one to read from and one to write to: pipes,
 * FIFOs, stream sockets, terminals, files, in any mixture (a process' standard input and
 * output, or the other ends of a child's). On failure both stay the caller's. INVALID:
 * the same one twice, one that is not open for its direction, or of another kind.
 *
 * O_NONBLOCK belongs to the open file, which other processes may have too (a terminal, a
 * pipe that was inherited): it is never set nor cleared here. Sockets are asked not to
 * wait in each call; pipes, FIFOs and terminals are opened a second time where the system
 * can do that (not those of other users, nor without /proc, nor the master's side of a
 * terminal; on macOS terminals only). Of all else the system is asked before each call
 * whether it would block, and little is written at once. Only there a call can block:
 * while a third one, who reads or writes the same thing, has come in between. Files
 * and other things that cannot be waited for are always ready. On macOS whoever shares
 * a pipe or a socket that is written to gets no SIGPIPE for it any more either.
 *
 * shut_down gives both open files back: the peer reads the end, and its writes fail,
 * unless somebody else has them too. The end of what is read is the peer's end. The
 * peer's process is unknown (-1, watch_peer: UNSUPPORTED), and no handles can travel.
 *
 * Windows: UNSUPPORTED so far. The contract fits two overlapped pipes, as
 * ipcf_stream_adopt takes one; handles without FILE_FLAG_OVERLAPPED would need a thread
 * of their own each. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_adopt_pair(ipcf_handle read_handle,
                                                   ipcf_handle write_handle,
                                                   ipcf_stream *stream,
                                                   ipcf_error *error);

/* ---- listening ------------------------------------------------------------------- */

/* Owns the address: `path` is ours until close. POSIX: the lock file `<path>.lock` is
 * flocked first, then the path is probed by connecting (only refused or absent lets us
 * go on), then a temporary name is bound (mode 0600), listened on and linked to `path`,
 * or renamed over the dead socket there. Windows: the first instance of the pipe. */
typedef struct ipcf_listener {
    ipcf_handle handle;
    ipcf_handle lock; /* POSIX: the flocked file */
    /* POSIX: given up to accept and drop a client when descriptors run out */
    ipcf_handle spare;
    char *path;             /* owned copy */
    uint64_t device, inode; /* POSIX: what we bound, so that only our own is unlinked */
    void *overlapped;       /* Windows: the instance waiting for a client */
} ipcf_listener;

/* ADDRESS_IN_USE: a live server owns path (it is left untouched), or something that is
 * no socket is there. PERMISSION_DENIED: another user's. INVALID: too long for a socket
 * address, or a name that begins with `~` (those are the temporary ones, POSIX). */
IPCF_MUST_CHECK ipcf_status ipcf_listener_open(const char *path, int backlog,
                                               ipcf_listener *listener,
                                               ipcf_error *error);
/* AGAIN: nobody waits. Peers of other users are closed and PERMISSION_DENIED is
 * returned where require_same_user is set, and only then; the caller goes on accepting.
 * OS_ERROR, NO_MEMORY: the system let nobody in, and may say the same at once if asked
 * again. Clients that hung up before they were accepted are skipped. */
IPCF_MUST_CHECK ipcf_status ipcf_listener_try_accept(ipcf_listener *listener,
                                                     bool require_same_user,
                                                     ipcf_stream *stream,
                                                     ipcf_error *error);
ipcf_handle ipcf_listener_arm(ipcf_listener *listener);
/* Unlink (only what is still ours, under the lock), then close. Idempotent. */
void ipcf_listener_close(ipcf_listener *listener);
/* In a forked child: close descriptors, unlink nothing. */
void ipcf_listener_abandon(ipcf_listener *listener);

/* ---- moving bytes ---------------------------------------------------------------- */

/* Read at least one byte into data. AGAIN, DISCONNECTED (orderly or not), OS_ERROR.
 * Handles that arrive where none are asked for are closed. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_try_read(ipcf_stream *stream, void *data,
                                                 size_t size, size_t *got,
                                                 ipcf_error *error);

/* Read, and take the handles that came along: *count is the room in handles on entry
 * (at most IPCF_STREAM_MAX_HANDLES), the number received on return; they are the
 * caller's, CLOEXEC. More than fit: all are closed and BAD_FRAME. OS_ERROR where this
 * process has no descriptor left for them. After either, the bytes are lost as well. */
IPCF_MUST_CHECK ipcf_status
ipcf_stream_try_read_handles(ipcf_stream *stream, void *data, size_t size, size_t *got,
                             ipcf_handle *handles, size_t *count, ipcf_error *error);

/* Write some of the pieces (one system call). AGAIN, DISCONNECTED, OS_ERROR. *put may
 * end inside a piece. pieces <= IPCF_STREAM_MAX_PIECES. Never raises SIGPIPE.
 *
 * A write of no pieces moves nothing and tells whether the system has all that was
 * taken before: OK, or AGAIN (arm_write) while some of it is still under way, which
 * happens on Windows only (stream->overlapped != NULL). Whoever says "sent" asks this
 * first: what is under way stays behind when the thread that wrote it, or the process,
 * ends. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_try_write(ipcf_stream *stream,
                                                  const ipcf_piece *pieces,
                                                  size_t count, size_t *put,
                                                  ipcf_error *error);

/* Write, and send handles along with the first byte: when *put >= 1 the peer gets all
 * of them. They stay ours. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_try_write_handles(
    ipcf_stream *stream, const void *data, size_t size, const ipcf_handle *handles,
    size_t handle_count, size_t *put, ipcf_error *error);

/* What to wait for after AGAIN. The item is valid until the next operation on that
 * direction of the stream. */
ipcf_handle ipcf_stream_arm_read(ipcf_stream *stream);
ipcf_handle ipcf_stream_arm_write(ipcf_stream *stream);

/* End both directions: the peer reads what was written, then DISCONNECTED; its writes
 * fail. The handle stays open. */
void ipcf_stream_shut_down(ipcf_stream *stream);
/* Idempotent. Waits for cancelled overlapped operations. */
void ipcf_stream_close(ipcf_stream *stream);

/* ---- the other end --------------------------------------------------------------- */

IPCF_MUST_CHECK ipcf_status ipcf_stream_peer(const ipcf_stream *stream, ipcf_peer *peer,
                                             ipcf_error *error);

/* A handle that becomes ready for ipcf_wait when the peer's process has ended, whoever
 * else holds its descriptors: pidfd, kqueue, process handle. The caller closes it with
 * ipcf_handle_close. UNSUPPORTED where the system has none, INVALID where the peer is
 * this process, DISCONNECTED where it has ended already. For both ends of
 * ipcf_stream_pair the peer is whoever made the pair. */
IPCF_MUST_CHECK ipcf_status ipcf_stream_watch_peer(const ipcf_stream *stream,
                                                   ipcf_handle *process,
                                                   ipcf_error *error);

/* Whether the peer is this process; false where the system does not tell. Opens
 * nothing. */
bool ipcf_stream_peer_is_here(const ipcf_stream *stream);

void ipcf_handle_close(ipcf_handle *handle); /* idempotent; sets it to IPCF_NO_HANDLE */

#endif
