/* SPDX-License-Identifier: MIT
 * Reading ahead: a send that waits for room takes in what the peer sends, so that the
 * peer can go on. See channel.h.
 */
#include <string.h>

#include "ipcf/ring_channel.h"
#include "ipcf/ring_channel_internal.h"

/* Copy a record behind those already taken out. False: no room (limit or memory). */
static bool stash(ipcf_ring_channel *channel, const ipcf_record *record)
{
    uint64_t stride = ipcf_ring_channel_stride(record->size);
    ipcf_buffer *ahead = &channel->ahead;
    if (ipcf_buffer_size(ahead) + stride > channel->base.read_ahead_limit ||
        ipcf_buffer_reserve(ahead, (size_t)stride, NULL) != IPCF_OK)
        return false;
    uint8_t *at = ahead->data + ahead->end;
    memcpy(at, &record->size, sizeof record->size);
    at[4] = record->kind;
    at[5] = record->flags;
    memset(at + 6, 0, 2);
    memcpy(at + IPCF_RING_RECORD_HEADER, record->data, record->size);
    ahead->end += (size_t)stride;
    return true;
}

/* Empty the ring, once around at most. True: the bell tells of more. */
static bool take_in(ipcf_ring_channel *channel)
{
    ipcf_record record;
    ipcf_error why;
    ipcf_status status = IPCF_OK;
    for (uint64_t taken = 0; taken < channel->in.capacity;
         taken += ipcf_ring_channel_stride(record.size)) {
        status = ipcf_ring_peek(&channel->in, &record, &why);
        if (status != IPCF_OK)
            break;
        if (!stash(channel, &record))
            return false;
        if (ipcf_ring_release(&channel->in))
            ipcf_doorbell_ring(channel->in_space);
    }
    if (status == IPCF_CORRUPT) {
        (void)ipcf_channel_break(&channel->base, status, &why, NULL);
        return false;
    }
    if (ipcf_ring_consumer_park(&channel->in) == IPCF_AGAIN)
        return true;
    if (!ipcf_ring_has_record(&channel->in))
        return false; /* the peer has left */
    /* More has come meanwhile. */
    ipcf_doorbell_ring(channel->in_data);
    return true;
}

bool ipcf_ring_channel_read_ahead(ipcf_ring_channel *channel)
{
    if (!ipcf_lock_try(&channel->base.receive_lock))
        return false;
    ipcf_doorbell_clear(channel->in_data);
    bool is_armed = take_in(channel);
    ipcf_channel_leave_receiving(&channel->base);
    return is_armed;
}
