/* SPDX-License-Identifier: MIT
 * A private, growing first-in first-out buffer of bytes, contiguous at any time.
 */
#ifndef IPCF_BUFFER_H
#define IPCF_BUFFER_H

#include "ipcf/status.h"

typedef struct ipcf_buffer {
    uint8_t *data; /* NULL while capacity is 0 */
    size_t capacity;
    size_t start, end; /* the bytes held are data[start..end) */
} ipcf_buffer;

static inline size_t ipcf_buffer_size(const ipcf_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Make room for size more bytes after the end: moves what is held to the front, else
 * grows (by doubling). Pointers into the buffer become invalid. NO_MEMORY: nothing has
 * changed. */
IPCF_MUST_CHECK ipcf_status ipcf_buffer_reserve(ipcf_buffer *buffer, size_t size,
                                                ipcf_error *error);
IPCF_MUST_CHECK ipcf_status ipcf_buffer_append(ipcf_buffer *buffer, const void *data,
                                               size_t size, ipcf_error *error);
/* Drop size bytes from the start. */
void ipcf_buffer_consume(ipcf_buffer *buffer, size_t size);
/* Give memory back when nothing is held and the capacity is beyond keep. */
void ipcf_buffer_shrink(ipcf_buffer *buffer, size_t keep);
void ipcf_buffer_free(ipcf_buffer *buffer);

#endif
