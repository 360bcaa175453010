/* SPDX-License-Identifier: MIT
 * Mapping and unmapping shared memory on POSIX.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/shm_memory.h"
#include "ipcf/shm.h"
#include IPCF_SYSTEM_HEADER

#define SHM_NONE                                                                       \
    (ipcf_shm) { NULL, 0, IPCF_NO_HANDLE }

ipcf_status ipcf_shm_memory_fail(ipcf_error *error, const char *what)
{
    bool has_run_out = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    ipcf_status status = ipcf_fail_os(error, what);
    return has_run_out ? IPCF_NO_MEMORY : status;
}

/* The size in whole pages; 0 where there is none. */
static size_t in_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    /* off_t is what the system counts in */
    if (size == 0 || size > (size_t)PTRDIFF_MAX - page)
        return 0;
    return (size + page - 1) / page * page;
}

static ipcf_status map(ipcf_handle handle, size_t size, ipcf_shm *shm,
                       ipcf_error *error)
{
    void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, ipcf_os_map_flags(size),
                         (int)handle, 0);
    if (address == MAP_FAILED)
        return ipcf_shm_memory_fail(error, "mmap");
    *shm = (ipcf_shm){.address = address, .size = size, .handle = handle};
    return IPCF_OK;
}

ipcf_status ipcf_shm_create(size_t size, ipcf_shm *shm, ipcf_error *error)
{
    *shm = SHM_NONE;
    size_t whole = in_pages(size);
    if (whole == 0)
        return ipcf_fail(error, IPCF_INVALID, "size of shared memory", 1, size);
    ipcf_handle handle = IPCF_NO_HANDLE;
    ipcf_status status = ipcf_shm_memory_open(whole, &handle, error);
    if (status != IPCF_OK)
        return status;
    status = map(handle, whole, shm, error);
    if (status != IPCF_OK)
        ipcf_handle_close(&handle);
    return status;
}

ipcf_status ipcf_shm_map(ipcf_handle handle, size_t size, ipcf_shm *shm,
                         ipcf_error *error)
{
    *shm = SHM_NONE;
    size_t whole = in_pages(size);
    if (whole == 0)
        return ipcf_fail(error, IPCF_BAD_FRAME, "size of shared memory", 1, size);
    ipcf_status status = ipcf_shm_memory_check(handle, whole, error);
    if (status != IPCF_OK)
        return status;
    status = map(handle, whole, shm, error);
    /* opened for reading only, or sealed against writing: no peer of ours does that */
    return status == IPCF_PERMISSION_DENIED ? IPCF_BAD_FRAME : status;
}

void ipcf_shm_forget_handle(ipcf_shm *shm) { ipcf_handle_close(&shm->handle); }

void ipcf_shm_close(ipcf_shm *shm)
{
    if (shm->address != NULL)
        (void)munmap(shm->address, shm->size);
    ipcf_handle_close(&shm->handle);
    *shm = SHM_NONE;
}
