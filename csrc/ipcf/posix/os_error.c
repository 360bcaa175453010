/* SPDX-License-Identifier: MIT
 * errno to status: the answer that is right whichever call failed. Calls that know
 * better map for themselves.
 */
#include <errno.h>

#include "ipcf/status.h"

static ipcf_status status_of(int os_error)
{
    switch (os_error) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    /* a connection over the network that the system has given up (keep-alive) */
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
        return IPCF_DISCONNECTED;
    case ENOMEM:
        return IPCF_NO_MEMORY;
    case EACCES:
    case EPERM:
        return IPCF_PERMISSION_DENIED;
    case EADDRINUSE:
        return IPCF_ADDRESS_IN_USE;
    default:
        return IPCF_OS_ERROR;
    }
}

ipcf_status ipcf_fail_os(ipcf_error *error, const char *what)
{
    int os_error = errno;
    ipcf_status status = ipcf_fail(error, status_of(os_error), what, 0, 0);
    if (error != NULL)
        error->os_error = os_error;
    return status;
}
