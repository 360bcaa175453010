/* SPDX-License-Identifier: MIT
 * Shared memory on POSIX systems without memfd: a name that nobody can guess, gone
 * before anybody else can use it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipcf/atomic.h"
#include "ipcf/clock.h"
#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/shm_memory.h"
#include IPCF_SYSTEM_HEADER

/* Exclusive creation: a name that somebody took is passed over, and never opened. */
#define NAME_ATTEMPTS 64

static int open_and_unlink(void)
{
    static ipcf_atomic_u32 serial;
    for (int attempt = 0; attempt < NAME_ATTEMPTS; ++attempt) {
        char name[32]; /* macOS allows 31 characters */
        /* relaxed in effect: only the number itself matters */
        unsigned number = atomic_fetch_add_explicit(&serial, 1u, memory_order_relaxed);
        (void)snprintf(name, sizeof name, "/ipcf%lx.%x.%llx", (unsigned long)getpid(),
                       number, (unsigned long long)(ipcf_clock_ns() & 0xffffffu));
        int handle = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (handle >= 0) {
            (void)shm_unlink(name);
            return handle;
        }
        if (errno != EEXIST)
            break;
    }
    return -1;
}

ipcf_status ipcf_shm_memory_open(size_t size, ipcf_handle *handle, ipcf_error *error)
{
    *handle = IPCF_TEST_FAILS("shm_open") ? -1 : open_and_unlink();
    if (*handle < 0) {
        *handle = IPCF_NO_HANDLE;
        return ipcf_shm_memory_fail(error, "shm_open");
    }
    /* shm_open sets FD_CLOEXEC itself, as POSIX wants */
    if (!IPCF_TEST_FAILS("allocate") && ipcf_os_allocate((int)*handle, size) == 0)
        return IPCF_OK;
    ipcf_status status = ipcf_shm_memory_fail(error, "allocation of shared memory");
    ipcf_handle_close(handle);
    return status;
}

/* There are no seals here: the size is checked, and the peer is trusted not to shrink
 * what it shares (SECURITY.md). */
ipcf_status ipcf_shm_memory_check(ipcf_handle handle, size_t size, ipcf_error *error)
{
    struct stat status;
    if (fstat((int)handle, &status) != 0)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: not a descriptor", 0,
                         0);
    /* macOS gives shared memory no file type at all */
    if (!S_ISREG(status.st_mode) && (status.st_mode & S_IFMT) != 0)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: not a memory file", 0,
                         0);
    if (status.st_size < 0 || (uint64_t)status.st_size != size)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: size", size,
                         (uint64_t)status.st_size);
    return IPCF_OK;
}
