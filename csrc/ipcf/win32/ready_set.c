/* SPDX-License-Identifier: MIT
 * The ready set on Windows: there is none, because events cannot be gathered into one
 * handle. See ready_set.h.
 */
#include "ipcf/ready_set.h"

ipcf_status ipcf_ready_set_create(const ipcf_handle *handles, size_t count,
                                  ipcf_handle *set, ipcf_error *error)
{
    (void)handles;
    *set = IPCF_NO_HANDLE;
    return ipcf_fail(error, IPCF_UNSUPPORTED, "a handle for several events", 0, count);
}
