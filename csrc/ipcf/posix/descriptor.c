/* SPDX-License-Identifier: MIT
 * Flags and end of a descriptor.
 */
#include <fcntl.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"

int ipcf_descriptor_prepare(int handle)
{
    if (fcntl(handle, F_SETFD, FD_CLOEXEC) != 0)
        return -1;
    int flags = fcntl(handle, F_GETFL);
    if (flags < 0)
        return -1;
    return (flags & O_NONBLOCK) != 0 ? 0 : fcntl(handle, F_SETFL, flags | O_NONBLOCK);
}

void ipcf_handle_close(ipcf_handle *handle)
{
    /* not repeated on EINTR: the descriptor is gone all the same, and may be somebody
     * else's by now */
    if (*handle != IPCF_NO_HANDLE)
        (void)close((int)*handle);
    *handle = IPCF_NO_HANDLE;
}
