/* SPDX-License-Identifier: MIT
 * Handles that travel with the bytes of a stream: not yet on Windows, where they would
 * be duplicated into the peer.
 */
#include "ipcf/stream.h"

ipcf_status ipcf_stream_try_read_handles(ipcf_stream *stream, void *data, size_t size,
                                         size_t *got, ipcf_handle *handles,
                                         size_t *count, ipcf_error *error)
{
    size_t room = *count;
    (void)handles;
    *got = 0;
    *count = 0;
    if (size == 0 || room > IPCF_STREAM_MAX_HANDLES)
        return ipcf_fail(error, IPCF_INVALID, "room for bytes or handles",
                         IPCF_STREAM_MAX_HANDLES, room);
    /* none can come, since none can be sent */
    return ipcf_stream_try_read(stream, data, size, got, error);
}

ipcf_status ipcf_stream_try_write_handles(ipcf_stream *stream, const void *data,
                                          size_t size, const ipcf_handle *handles,
                                          size_t handle_count, size_t *put,
                                          ipcf_error *error)
{
    const ipcf_piece piece = {.data = data, .size = size};
    (void)handles;
    *put = 0;
    if (size == 0 || handle_count > IPCF_STREAM_MAX_HANDLES)
        return ipcf_fail(error, IPCF_INVALID, "bytes or handles to send",
                         IPCF_STREAM_MAX_HANDLES, handle_count);
    if (handle_count > 0)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "handles in a stream", 0,
                         handle_count);
    return ipcf_stream_try_write(stream, &piece, 1, put, error);
}
