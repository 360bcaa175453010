/* SPDX-License-Identifier: MIT
 * One overlapped operation on a pipe at a time: whether it is under way, how it ended,
 * and how it is called back.
 *
 * The system cancels what a thread has started when that thread ends, and no flag turns
 * that off for operations that end with an event. So ERROR_OPERATION_ABORTED, which
 * nobody here asked for, means: start it again.
 */
#ifndef IPCF_WIN32_OPERATION_H
#define IPCF_WIN32_OPERATION_H

#include "ipcf/platform.h"

typedef struct ipcf_operation {
    /* its event is manual-reset; whoever starts an operation thereby resets it */
    OVERLAPPED overlapped;
    bool is_under_way;
} ipcf_operation;

/* Take note of a call's result. ERROR_SUCCESS: it is done; ERROR_IO_PENDING: it is
 * under way; else it has failed. */
DWORD ipcf_operation_started(ipcf_operation *operation, BOOL result);

/* ERROR_IO_INCOMPLETE: still under way. Else it is over, and this is how it ended
 * (ERROR_SUCCESS, or an error); *moved: the bytes that it moved. */
DWORD ipcf_operation_result(ipcf_operation *operation, HANDLE pipe, DWORD *moved);

/* Call it back if it is under way, and wait until it is over, which the system sees to
 * at once. Returns as ipcf_operation_result does: it may have been faster than the
 * cancelling. */
DWORD ipcf_operation_cancel(ipcf_operation *operation, HANDLE pipe, DWORD *moved);

#endif
