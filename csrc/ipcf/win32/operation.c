/* SPDX-License-Identifier: MIT
 * Bookkeeping of an overlapped operation.
 */
#include "ipcf/win32/operation.h"

DWORD ipcf_operation_started(ipcf_operation *operation, BOOL result)
{
    DWORD outcome = result ? ERROR_SUCCESS : GetLastError();
    operation->is_under_way = outcome == ERROR_IO_PENDING;
    return outcome;
}

DWORD ipcf_operation_result(ipcf_operation *operation, HANDLE pipe, DWORD *moved)
{
    *moved = 0;
    /* without waiting this is a look at the block, not a system call */
    DWORD outcome = GetOverlappedResult(pipe, &operation->overlapped, moved, FALSE)
                        ? ERROR_SUCCESS
                        : GetLastError();
    if (outcome != ERROR_IO_INCOMPLETE)
        operation->is_under_way = false;
    return outcome;
}

DWORD ipcf_operation_cancel(ipcf_operation *operation, HANDLE pipe, DWORD *moved)
{
    HANDLE event = operation->overlapped.hEvent;
    /* fails when it is over already: the result tells */
    (void)CancelIoEx(pipe, &operation->overlapped);
    for (;;) {
        /* The event may be shared or set by hand. Reset, look, wait: an end after the
         * look sets the event again. */
        (void)ResetEvent(event);
        DWORD outcome = ipcf_operation_result(operation, pipe, moved);
        if (outcome != ERROR_IO_INCOMPLETE)
            return outcome;
        (void)WaitForSingleObject(event, INFINITE);
    }
}
