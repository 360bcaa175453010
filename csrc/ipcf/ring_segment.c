/* SPDX-License-Identifier: MIT
 * Making, passing on and taking over the shared half of a ring channel. See
 * ring_segment.h.
 */
#include "ipcf/ring_segment.h"

static size_t segment_size(const ipcf_ring_segment *segment)
{
    return (size_t)(ipcf_ring_size(segment->capacity[0]) +
                    ipcf_ring_size(segment->capacity[1]));
}

static ipcf_status prepare(ipcf_ring_segment *segment, uint64_t ring0, uint64_t ring1,
                           ipcf_error *error)
{
    *segment = (ipcf_ring_segment){.capacity = {ring0, ring1}};
    segment->shm.handle = IPCF_NO_HANDLE;
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++)
        segment->bells[i] = IPCF_DOORBELL_NONE;
    for (size_t i = 0; i < 2; i++)
        if (!ipcf_ring_capacity_is_valid(segment->capacity[i]))
            return ipcf_fail(error, IPCF_INVALID, "ring capacity",
                             IPCF_RING_CAPACITY_MIN, segment->capacity[i]);
    return IPCF_OK;
}

ipcf_status ipcf_ring_segment_create(ipcf_ring_segment *segment, uint64_t inbound,
                                     uint64_t outbound, ipcf_error *error)
{
    ipcf_status status = prepare(segment, inbound, outbound, error);
    if (status != IPCF_OK)
        return status;
    segment->is_creator = true;
    status = ipcf_shm_create(segment_size(segment), &segment->shm, error);
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS && status == IPCF_OK; i++)
        status = ipcf_doorbell_create(&segment->bells[i], error);
    if (status != IPCF_OK) {
        ipcf_ring_segment_close(segment);
        return status;
    }
    uint8_t *memory = segment->shm.address;
    ipcf_ring_format(memory, segment->capacity[0]);
    ipcf_ring_format(memory + ipcf_ring_size(segment->capacity[0]),
                     segment->capacity[1]);
    IPCF_TEST_STEP("segment created");
    return IPCF_OK;
}

size_t ipcf_ring_segment_handle_count(void)
{
    return 1 + IPCF_RING_SEGMENT_BELLS * ipcf_doorbell_handle_count;
}

size_t ipcf_ring_segment_handles(const ipcf_ring_segment *segment,
                                 ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES])
{
    handles[0] = segment->shm.handle;
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++)
        ipcf_doorbell_handles(&segment->bells[i],
                              handles + 1 + i * ipcf_doorbell_handle_count);
    return ipcf_ring_segment_handle_count();
}

/* What adopt takes over leaves the caller's array, so that a failure closes each handle
 * once. */
static ipcf_status adopt_all(ipcf_ring_segment *segment, ipcf_handle *handles,
                             ipcf_error *error)
{
    ipcf_status status =
        ipcf_shm_map(handles[0], segment_size(segment), &segment->shm, error);
    if (status != IPCF_OK)
        return status;
    handles[0] = IPCF_NO_HANDLE;
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++) {
        ipcf_handle *pair = handles + 1 + i * ipcf_doorbell_handle_count;
        status = ipcf_doorbell_adopt(&segment->bells[i], pair, error);
        if (status != IPCF_OK)
            return status;
        for (size_t j = 0; j < ipcf_doorbell_handle_count; j++)
            pair[j] = IPCF_NO_HANDLE;
    }
    return IPCF_OK;
}

ipcf_status ipcf_ring_segment_adopt(ipcf_ring_segment *segment, ipcf_handle *handles,
                                    size_t count, uint64_t inbound, uint64_t outbound,
                                    ipcf_error *error)
{
    ipcf_status status = prepare(segment, outbound, inbound, error);
    if (status == IPCF_OK && count != ipcf_ring_segment_handle_count())
        status = ipcf_fail(error, IPCF_BAD_FRAME, "handles of a ring segment",
                           ipcf_ring_segment_handle_count(), count);
    if (status == IPCF_OK)
        status = adopt_all(segment, handles, error);
    if (status != IPCF_OK) {
        ipcf_ring_segment_close(segment);
        for (size_t i = 0; i < count; i++)
            ipcf_handle_close(&handles[i]);
    }
    IPCF_TEST_STEP("segment adopted");
    return status;
}

void ipcf_ring_segment_close(ipcf_ring_segment *segment)
{
    ipcf_shm_close(&segment->shm);
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++)
        ipcf_doorbell_close(&segment->bells[i]);
}
