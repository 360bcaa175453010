/* SPDX-License-Identifier: MIT
 * The two ends of a channel between the processes of the C limit, and the few calls that the loops make.
 */
#ifndef BENCH_ENDS_H
#define BENCH_ENDS_H

#include "ipcf/channel.h"
#include "ipcf/ring_segment.h"

/* Ends the program with a message: a limit that failed once is no limit. */
_Noreturn void fail(const char *what, ipcf_status status);

/* The parent's end and the child's of a ring that both share since the fork; the child adopts copies of the
 * handles that it inherited, as if they had been sent. */
ipcf_channel *end_of_ring(ipcf_stream *control, ipcf_ring_segment *segment,
                          bool is_parent);
ipcf_channel *end_of_stream(ipcf_stream *stream);
void prepare_ring(ipcf_ring_segment *segment);

void end_send(ipcf_channel *channel, const void *body, size_t size);
void end_send_many(ipcf_channel *channel, const ipcf_piece *bodies, size_t count);
/* Receive one message of exactly `size` bytes. */
void end_receive(ipcf_channel *channel, void *dest, size_t size);
/* Receive at least one message of `size` bytes and whatever else is there, but not more than `most`, into `dest`, one
 * after the other; returns how many. */
size_t end_receive_many(ipcf_channel *channel, uint8_t *dest, size_t size, size_t most);

#endif
