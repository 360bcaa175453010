/* SPDX-License-Identifier: MIT
 * The end of a handle.
 */
#include "ipcf/stream.h"

void ipcf_handle_close(ipcf_handle *handle)
{
    if (*handle != IPCF_NO_HANDLE)
        (void)CloseHandle((HANDLE)*handle);
    *handle = IPCF_NO_HANDLE;
}
