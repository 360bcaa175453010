/* SPDX-License-Identifier: MIT
 * A doorbell on Windows: an unnamed manual-reset event, which is both ends.
 */
#include "ipcf/doorbell.h"
#include "ipcf/stream.h"
#include "ipcf/win32/native.h"

const size_t ipcf_doorbell_handle_count = 1;

ipcf_status ipcf_doorbell_create(ipcf_doorbell *bell, ipcf_error *error)
{
    *bell = IPCF_DOORBELL_NONE;
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (event == NULL)
        return ipcf_fail_os(error, "CreateEvent");
    bell->wait_end = (ipcf_handle)event;
    bell->ring_end = (ipcf_handle)event;
    return IPCF_OK;
}

void ipcf_doorbell_handles(const ipcf_doorbell *bell, ipcf_handle *handles)
{
    handles[0] = bell->ring_end;
}

/* Negative numbers are pseudo handles (this process, this thread, its token), zero is
 * none. */
static bool is_manual_event(ipcf_handle handle)
{
    ipcf_event_information event;
    return handle > 0 &&
           NtQueryEvent((HANDLE)handle, IPCF_EVENT_BASIC_INFORMATION, &event,
                        sizeof event, NULL) >= 0 &&
           event.type == 0;
}

ipcf_status ipcf_doorbell_adopt(ipcf_doorbell *bell, const ipcf_handle *handles,
                                ipcf_error *error)
{
    *bell = IPCF_DOORBELL_NONE;
    if (!is_manual_event(handles[0]))
        return ipcf_fail(error, IPCF_BAD_FRAME, "doorbell: not a manual-reset event", 0,
                         0);
    if (!SetHandleInformation((HANDLE)handles[0], HANDLE_FLAG_INHERIT, 0))
        return ipcf_fail_os(error, "SetHandleInformation of a doorbell");
    bell->wait_end = handles[0];
    bell->ring_end = handles[0];
    return IPCF_OK;
}

void ipcf_doorbell_ring(const ipcf_doorbell *bell)
{
    DWORD last_error = GetLastError(); /* the caller may be about to look at it */
    (void)SetEvent((HANDLE)bell->ring_end);
    SetLastError(last_error);
}

/* A ring between the look and the reset is part of the "it was rung" that the caller
 * gets. */
bool ipcf_doorbell_clear(const ipcf_doorbell *bell)
{
    return WaitForSingleObject((HANDLE)bell->wait_end, 0) == WAIT_OBJECT_0 &&
           ResetEvent((HANDLE)bell->wait_end);
}

void ipcf_doorbell_close(ipcf_doorbell *bell)
{
    ipcf_handle handle =
        bell->ring_end != IPCF_NO_HANDLE ? bell->ring_end : bell->wait_end;
    ipcf_handle_close(&handle);
    *bell = IPCF_DOORBELL_NONE;
}
