/* SPDX-License-Identifier: MIT
 * Shared memory on Linux: a memfd, sealed so that no peer can take pages away under the
 * other's feet.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/shm_memory.h"
#include IPCF_SYSTEM_HEADER

/* The kernel's numbers (linux/memfd.h, linux/fcntl.h, linux/magic.h), which the headers
 * of older C libraries lack. */
enum {
    MEMFD_CLOEXEC = 0x1,
    MEMFD_ALLOW_SEALING = 0x2,
    MEMFD_NOEXEC_SEAL = 0x8, /* since 6.3; some systems demand it */
    ADD_SEALS = 1033,
    GET_SEALS = 1034,
    SEAL_SEAL = 0x1,
    SEAL_SHRINK = 0x2,
    SEAL_GROW = 0x4,
    SEAL_WRITE = 0x8,
    SEAL_FUTURE_WRITE = 0x10,
    SEALS_DUE = SEAL_SEAL | SEAL_SHRINK | SEAL_GROW,
    SHMEM_MAGIC = 0x01021994
};

static int open_memfd(void)
{
    /* through syscall: the wrapper came with glibc 2.27 */
    const unsigned flags = MEMFD_CLOEXEC | MEMFD_ALLOW_SEALING;
    long handle = syscall(SYS_memfd_create, "ipcfast", flags | MEMFD_NOEXEC_SEAL);
    if (handle < 0 && errno == EINVAL)
        handle = syscall(SYS_memfd_create, "ipcfast", flags);
    return (int)handle;
}

/* Allocating more than there is would not fail but summon the out-of-memory killer. */
static bool is_beyond_memory(size_t size)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return false;
    uint64_t unit = info.mem_unit != 0 ? info.mem_unit : 1;
    return size / unit > (uint64_t)info.totalram + info.totalswap;
}

ipcf_status ipcf_shm_memory_open(size_t size, ipcf_handle *handle, ipcf_error *error)
{
    if (is_beyond_memory(size)) {
        errno = ENOMEM;
        return ipcf_shm_memory_fail(error, "more shared memory than this machine has");
    }
    *handle = IPCF_TEST_FAILS("memfd_create") ? -1 : open_memfd();
    if (*handle < 0)
        return ipcf_shm_memory_fail(error, "memfd_create");
    const char *what = "fallocate of shared memory";
    if (!IPCF_TEST_FAILS("allocate") && ipcf_os_allocate((int)*handle, size) == 0) {
        what = "sealing of shared memory";
        if (fcntl((int)*handle, ADD_SEALS, SEALS_DUE) == 0)
            return IPCF_OK;
    }
    ipcf_status status = ipcf_shm_memory_fail(error, what);
    ipcf_handle_close(handle);
    return status;
}

ipcf_status ipcf_shm_memory_check(ipcf_handle handle, size_t size, ipcf_error *error)
{
    struct stat status;
    struct statfs system;
    if (fstat((int)handle, &status) != 0 || !S_ISREG(status.st_mode))
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: not a memory file", 0,
                         0);
    int seals = fcntl((int)handle, GET_SEALS);
    if (seals < 0 || (seals & SEALS_DUE) != SEALS_DUE)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: seals", SEALS_DUE,
                         seals < 0 ? 0 : (uint64_t)seals);
    if ((seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)) != 0)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: sealed against writing",
                         SEALS_DUE, (uint64_t)seals);
    /* huge pages can be sealed too, but run out with SIGBUS on first touch */
    if (fstatfs((int)handle, &system) != 0 || system.f_type != SHMEM_MAGIC)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: file system",
                         SHMEM_MAGIC, (uint64_t)system.f_type);
    if (status.st_size < 0 || (uint64_t)status.st_size != size)
        return ipcf_fail(error, IPCF_BAD_FRAME, "shared memory: size", size,
                         (uint64_t)status.st_size);
    return IPCF_OK;
}
