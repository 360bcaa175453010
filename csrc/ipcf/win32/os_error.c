/* SPDX-License-Identifier: MIT
 * GetLastError() to status: the answer that is right whichever call failed. Calls that
 * know better map for themselves.
 */
#include "ipcf/status.h"

static ipcf_status status_of(DWORD os_error)
{
    switch (os_error) {
    case ERROR_BROKEN_PIPE: /* reading: the other end is closed and everything has been read */
    case ERROR_NO_DATA:            /* writing: the other end is closed */
    case ERROR_PIPE_NOT_CONNECTED: /* the server has disconnected this end */
        return IPCF_DISCONNECTED;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_NOT_ENOUGH_QUOTA:
    case ERROR_COMMITMENT_LIMIT:
        return IPCF_NO_MEMORY;
    case ERROR_ACCESS_DENIED:
        return IPCF_PERMISSION_DENIED;
    case ERROR_NOT_SUPPORTED:
    case ERROR_CALL_NOT_IMPLEMENTED:
        return IPCF_UNSUPPORTED;
    default:
        return IPCF_OS_ERROR;
    }
}

ipcf_status ipcf_fail_os(ipcf_error *error, const char *what)
{
    DWORD os_error = GetLastError();
    ipcf_status status = ipcf_fail(error, status_of(os_error), what, 0, 0);
    if (error != NULL)
        error->os_error = (int32_t)os_error;
    return status;
}
