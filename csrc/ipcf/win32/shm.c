/* SPDX-License-Identifier: MIT
 * Anonymous shared memory on Windows: an unnamed section of committed pages.
 *
 * SEC_COMMIT charges the whole section against the commit limit when it is created:
 * running out is an error there, not a fault later. A section never shrinks while it
 * exists, so nothing has to be sealed.
 */
#include "ipcf/shm.h"
#include "ipcf/stream.h"

#define SHM_NONE                                                                       \
    (ipcf_shm) { NULL, 0, IPCF_NO_HANDLE }

/* 0: does not fit. */
static size_t round_to_pages(size_t size)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    size_t rest = system.dwPageSize - 1;
    return size > SIZE_MAX - rest ? 0 : (size + rest) & ~rest;
}

ipcf_status ipcf_shm_create(size_t size, ipcf_shm *shm, ipcf_error *error)
{
    *shm = SHM_NONE;
    size_t rounded = round_to_pages(size);
    if (rounded == 0)
        return ipcf_fail(error, IPCF_INVALID, "size of shared memory", 1, size);
    HANDLE section = CreateFileMappingW(
        INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | SEC_COMMIT,
        (DWORD)((uint64_t)rounded >> 32), (DWORD)(rounded & 0xFFFFFFFFu), NULL);
    if (section == NULL)
        return ipcf_fail_os(error, "CreateFileMapping");
    void *address =
        MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, rounded);
    if (address == NULL) {
        ipcf_status status = ipcf_fail_os(error, "MapViewOfFile");
        (void)CloseHandle(section);
        return status;
    }
    *shm =
        (ipcf_shm){.address = address, .size = rounded, .handle = (ipcf_handle)section};
    return IPCF_OK;
}

/* The view of a whole section is one region, as long as all its pages are committed and
 * equally protected. */
static bool is_memory_of(const void *address, size_t size, size_t *found)
{
    MEMORY_BASIC_INFORMATION region;
    *found = 0;
    if (VirtualQuery(address, &region, sizeof region) != sizeof region)
        return false;
    *found = region.RegionSize;
    return region.RegionSize == size && region.Type == MEM_MAPPED &&
           region.State == MEM_COMMIT && region.Protect == PAGE_READWRITE;
}

ipcf_status ipcf_shm_map(ipcf_handle handle, size_t size, ipcf_shm *shm,
                         ipcf_error *error)
{
    *shm = SHM_NONE;
    size_t rounded = round_to_pages(size);
    if (rounded == 0)
        return ipcf_fail(error, IPCF_BAD_FRAME, "size of shared memory", 1, size);
    /* pseudo handles are negative; size 0 maps all there is */
    void *address =
        handle <= 0
            ? NULL
            : MapViewOfFile((HANDLE)handle, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
    if (address == NULL)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: not a section", rounded,
                         0);
    size_t found;
    if (!is_memory_of(address, rounded, &found)) {
        (void)UnmapViewOfFile(address);
        return ipcf_fail(error, IPCF_BAD_FRAME, "size of shared memory", rounded,
                         found);
    }
    *shm = (ipcf_shm){.address = address, .size = rounded, .handle = handle};
    return IPCF_OK;
}

void ipcf_shm_forget_handle(ipcf_shm *shm) { ipcf_handle_close(&shm->handle); }

void ipcf_shm_close(ipcf_shm *shm)
{
    if (shm->address != NULL)
        (void)UnmapViewOfFile(shm->address);
    ipcf_handle_close(&shm->handle);
    *shm = SHM_NONE;
}
