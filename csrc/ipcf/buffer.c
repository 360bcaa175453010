/* SPDX-License-Identifier: MIT
 * A private, growing first-in first-out buffer of bytes. See buffer.h.
 */
#include "ipcf/buffer.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST_CAPACITY 4096u

ipcf_status ipcf_buffer_reserve(ipcf_buffer *buffer, size_t size, ipcf_error *error)
{
    size_t held = ipcf_buffer_size(buffer);
    if (size <= buffer->capacity - buffer->end)
        return IPCF_OK;
    if (size > SIZE_MAX / 2 - held)
        return ipcf_fail(error, IPCF_NO_MEMORY, "buffer size", SIZE_MAX / 2, size);
    /* Moving is only worth it when at least half of the buffer is free, else it grows:
     * so that whatever flows through, each byte is moved a few times at most. */
    if (held + size <= buffer->capacity && held <= buffer->capacity / 2) {
        memmove(buffer->data, buffer->data + buffer->start, held);
    } else {
        size_t capacity = buffer->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY / 2
                                                               : buffer->capacity;
        do
            capacity *= 2;
        while (capacity < held + size);
        if (buffer->start != 0)
            memmove(buffer->data, buffer->data + buffer->start, held);
        uint8_t *data =
            IPCF_TEST_FAILS("realloc") ? NULL : realloc(buffer->data, capacity);
        if (data == NULL) {
            buffer->start = 0;
            buffer->end = held;
            return ipcf_fail(error, IPCF_NO_MEMORY, "buffer", capacity, 0);
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    buffer->start = 0;
    buffer->end = held;
    return IPCF_OK;
}

ipcf_status ipcf_buffer_append(ipcf_buffer *buffer, const void *data, size_t size,
                               ipcf_error *error)
{
    ipcf_status status = ipcf_buffer_reserve(buffer, size, error);
    if (status != IPCF_OK)
        return status;
    if (size != 0)
        memcpy(buffer->data + buffer->end, data, size);
    buffer->end += size;
    return IPCF_OK;
}

void ipcf_buffer_consume(ipcf_buffer *buffer, size_t size)
{
    buffer->start += size;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

void ipcf_buffer_shrink(ipcf_buffer *buffer, size_t keep)
{
    if (ipcf_buffer_size(buffer) == 0 && buffer->capacity > keep)
        ipcf_buffer_free(buffer);
}

void ipcf_buffer_free(ipcf_buffer *buffer)
{
    free(buffer->data);
    *buffer = (ipcf_buffer){0};
}
