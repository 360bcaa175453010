/* SPDX-License-Identifier: MIT
 * What stream.c leaves to stream_ends.c: a stream over two descriptors, one for each
 * direction (stream.h, ipcf_stream_adopt_pair).
 *
 * A direction that is shut down keeps the number of its descriptor, so that a thread
 * that waits for it cannot meet another file under that number: what the number stands
 * for becomes the dead end of a pipe, which is always ready. Each direction has a lock,
 * held for one system call, because shut_down comes from any thread.
 */
#ifndef IPCF_POSIX_STREAM_ENDS_H
#define IPCF_POSIX_STREAM_ENDS_H

#include "ipcf/stream.h"

ipcf_status ipcf_stream_ends_try_read(ipcf_stream *stream, void *data, size_t size,
                                      size_t *got, ipcf_error *error);
ipcf_status ipcf_stream_ends_try_write(ipcf_stream *stream, const ipcf_piece *pieces,
                                       size_t count, size_t *put, ipcf_error *error);
ipcf_handle ipcf_stream_ends_arm_write(const ipcf_stream *stream);
void ipcf_stream_ends_shut_down(ipcf_stream *stream);
/* No thread uses the stream any more; or this is a forked child, where the locks may be
 * held by threads that are not here. */
void ipcf_stream_ends_close(ipcf_stream *stream);

#endif
