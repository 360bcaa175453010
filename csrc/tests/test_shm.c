/* SPDX-License-Identifier: MIT
 * Shared memory: allocated, nameless, checked before it is mapped. Runs with either
 * mechanism (make NAMED_SHM=1).
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "ipcf/shm.h"
#include "ipcf/stream.h"
#include "tests/processes.h"

#define SIZE ((size_t)256 << 10)

/* memfd has seals, and the named mechanism none. */
static bool has_seals;

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void learn_mechanism(void)
{
    ipcf_shm shm;
    CHECK_OK(ipcf_shm_create(1, &shm, NULL));
    int seals = fcntl((int)shm.handle, F_GET_SEALS);
    has_seals = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
    ipcf_shm_close(&shm);
    printf("  (%s)\n", has_seals ? "memfd" : "shm_open");
}

static void new_memory_is_zero_and_whole_pages(void)
{
    const size_t sizes[] = {1, 4095, 4096, 4097, SIZE, ((size_t)5 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        ipcf_shm shm;
        CHECK_OK(ipcf_shm_create(sizes[i], &shm, NULL));
        CHECK(shm.size >= sizes[i] && shm.size < sizes[i] + page_size());
        CHECK(shm.size % page_size() == 0);
        const unsigned char *bytes = shm.address;
        for (size_t at = 0; at < shm.size; at += 61)
            CHECK(bytes[at] == 0);
        memset(shm.address, 0xa5, shm.size);
        CHECK((fcntl((int)shm.handle, F_GETFD) & FD_CLOEXEC) != 0);
        ipcf_shm_close(&shm);
    }
}

static void pages_are_allocated_at_creation(void)
{
    ipcf_shm shm;
    struct stat status;
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    CHECK(fstat((int)shm.handle, &status) == 0);
    CHECK((uint64_t)status.st_blocks * 512 >= SIZE);
    CHECK(status.st_size == (off_t)SIZE);
    ipcf_shm_close(&shm);
}

static void nobody_can_resize_it(void)
{
    ipcf_shm shm;
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    if (has_seals) {
        CHECK(ftruncate((int)shm.handle, 0) != 0 && errno == EPERM);
        CHECK(ftruncate((int)shm.handle, (off_t)SIZE * 2) != 0 && errno == EPERM);
        CHECK(fcntl((int)shm.handle, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0 &&
              errno == EPERM);
    } else {
        /* without seals the size is at least seen by whoever maps it */
        ipcf_shm mapped;
        CHECK(ftruncate((int)shm.handle, (off_t)page_size()) == 0);
        CHECK_STATUS(ipcf_shm_map(shm.handle, SIZE, &mapped, NULL), IPCF_BAD_FRAME);
    }
    ipcf_shm_close(&shm);
}

static void sizes_that_cannot_be_are_errors(void)
{
    ipcf_shm shm;
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_shm_create(0, &shm, &error), IPCF_INVALID);
    CHECK_STATUS(ipcf_shm_create(SIZE_MAX, &shm, &error), IPCF_INVALID);
    CHECK_STATUS(ipcf_shm_create((size_t)PTRDIFF_MAX, &shm, &error), IPCF_INVALID);
    CHECK(shm.address == NULL && shm.handle == IPCF_NO_HANDLE);
}

static void more_than_the_machine_has_is_an_error_and_no_death(void)
{
    ipcf_shm shm;
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_shm_create((size_t)1 << 50, &shm, &error), IPCF_NO_MEMORY);
    CHECK(error.os_error == ENOMEM && error.what != NULL);
    CHECK(shm.address == NULL && shm.handle == IPCF_NO_HANDLE);
}

/* The real thing, in a mount namespace of its own: ftruncate would say yes, and the
 * first touch kill us. */
static void fill_small_file_system(void *argument)
{
    ipcf_shm shm;
    ipcf_error error = {0};
    (void)argument;
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/dev/shm", "tmpfs", 0, "size=1m") != 0) {
        printf("  (may not mount a small /dev/shm here: errno %d)\n", errno);
        return;
    }
    CHECK_STATUS(ipcf_shm_create((size_t)4 << 20, &shm, &error), IPCF_NO_MEMORY);
    CHECK(error.os_error == ENOSPC);
    CHECK_OK(ipcf_shm_create((size_t)1 << 19, &shm,
                             &error)); /* nothing of the failure is left */
    memset(shm.address, 1, shm.size);
    ipcf_shm_close(&shm);
    CHECK(entries_of("/dev/shm") == 0);
}

static void a_full_file_system_is_an_error_and_no_death(void)
{
    run_process(fill_small_file_system, NULL);
}

static void running_out_is_an_error(void)
{
    const int ways[] = {ENOSPC, ENOMEM, EDQUOT, EFBIG};
    size_t before = open_descriptors();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; ++i) {
        ipcf_shm shm;
        ipcf_error error = {0};
        ipcf_test_fail_at("allocate", 1, ways[i]);
        CHECK_STATUS(ipcf_shm_create(SIZE, &shm, &error), IPCF_NO_MEMORY);
        CHECK(error.os_error == ways[i] && error.what != NULL);
        CHECK(shm.address == NULL && shm.handle == IPCF_NO_HANDLE);
    }
    CHECK(open_descriptors() == before);
}

static void without_descriptors_there_is_an_error(void)
{
    ipcf_shm shm;
    ipcf_error error = {0};
    rlim_t before = limit_descriptors(0);
    CHECK_STATUS(ipcf_shm_create(SIZE, &shm, &error), IPCF_OS_ERROR);
    allow_descriptors(before);
    CHECK(error.os_error == EMFILE && shm.handle == IPCF_NO_HANDLE);
}

static void map_in_little_address_space(void *argument)
{
    ipcf_shm shm;
    ipcf_error error = {0};
    struct rlimit none = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    (void)argument;
    size_t before = open_descriptors();
    CHECK(setrlimit(RLIMIT_AS, &none) == 0); /* less than there is already */
    ipcf_status status = ipcf_shm_create(SIZE, &shm, &error);
    CHECK(status == IPCF_NO_MEMORY && error.os_error == ENOMEM);
    CHECK(shm.address == NULL && shm.handle == IPCF_NO_HANDLE);
    int next = dup(0);
    CHECK(next >= 0 && (size_t)next <= before); /* counting anew would need memory */
}

static void without_address_space_there_is_an_error(void)
{
    run_process(map_in_little_address_space, NULL);
}

static void forgetting_the_handle_keeps_the_memory(void)
{
    ipcf_shm shm;
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    ipcf_shm_forget_handle(&shm);
    CHECK(shm.handle == IPCF_NO_HANDLE);
    ipcf_shm_forget_handle(&shm);
    memset(shm.address, 1, shm.size);
    ipcf_shm_close(&shm);
    CHECK(shm.address == NULL && shm.size == 0);
    ipcf_shm_close(&shm);
}

static void refuse(int handle, size_t size)
{
    ipcf_shm shm;
    ipcf_error error = {0};
    CHECK(handle >= 0);
    CHECK_STATUS(ipcf_shm_map(handle, size, &shm, &error), IPCF_BAD_FRAME);
    CHECK(error.what != NULL && shm.address == NULL && shm.handle == IPCF_NO_HANDLE);
    CHECK(close(handle) == 0); /* it has stayed ours */
}

static void other_things_than_memory_are_refused(void)
{
    int ends[2];
    refuse(open("/dev/zero", O_RDWR), page_size());
    refuse(open("/tmp", O_RDONLY), page_size());
    CHECK(pipe(ends) == 0);
    refuse(ends[0], page_size());
    refuse(ends[1], page_size());
    ipcf_shm shm;
    CHECK_STATUS(ipcf_shm_map(IPCF_NO_HANDLE, page_size(), &shm, NULL), IPCF_BAD_FRAME);
}

static void memory_of_another_size_is_refused(void)
{
    const size_t sizes[] = {
        1, SIZE - page_size(), SIZE + 1, SIZE + page_size(), SIZE_MAX, 0};
    ipcf_shm shm;
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
        refuse(dup((int)shm.handle), sizes[i]);
    ipcf_shm mapped;
    /* the size is compared after rounding up to pages */
    CHECK_OK(ipcf_shm_map(dup((int)shm.handle), SIZE - 1, &mapped, NULL));
    CHECK(mapped.size == SIZE);
    ipcf_shm_close(&mapped);
    ipcf_shm_close(&shm);
}

/* A memfd with these seals, of SIZE bytes. */
static int memfd_with(unsigned flags, int seals)
{
    int handle = (int)syscall(SYS_memfd_create, "test", flags);
    CHECK(handle >= 0);
    CHECK(ftruncate(handle, (off_t)SIZE) == 0);
    CHECK(seals == 0 || fcntl(handle, F_ADD_SEALS, seals) == 0);
    return handle;
}

static void memory_that_can_shrink_or_is_not_writable_is_refused(void)
{
    ipcf_shm shm;
    char path[64];
    const int due = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    CHECK(snprintf(path, sizeof path, "/proc/self/fd/%d", (int)shm.handle) > 0);
    refuse(open(path, O_RDONLY), SIZE);
    if (has_seals) {
        refuse(memfd_with(0, 0), SIZE);
        refuse(memfd_with(MFD_ALLOW_SEALING, 0), SIZE);
        refuse(memfd_with(MFD_ALLOW_SEALING, F_SEAL_SHRINK), SIZE);
        refuse(memfd_with(MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW), SIZE);
        refuse(memfd_with(MFD_ALLOW_SEALING, F_SEAL_SEAL | F_SEAL_GROW), SIZE);
        refuse(memfd_with(MFD_ALLOW_SEALING, due | F_SEAL_WRITE), SIZE);
        refuse(memfd_with(MFD_ALLOW_SEALING, due | F_SEAL_FUTURE_WRITE), SIZE);
        ipcf_shm mapped;
        CHECK_OK(ipcf_shm_map(memfd_with(MFD_ALLOW_SEALING, due), SIZE, &mapped, NULL));
        ipcf_shm_close(&mapped);
    }
    ipcf_shm_close(&shm);
}

static void huge_pages_are_refused(void)
{
    const size_t huge = (size_t)2 << 20;
    int handle =
        (int)syscall(SYS_memfd_create, "test", MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (handle < 0) {
        printf("  (this kernel has no huge pages: errno %d)\n", errno);
        return;
    }
    CHECK(ftruncate(handle, (off_t)huge) == 0);
    CHECK(fcntl(handle, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    refuse(handle, huge);
}

static ipcf_handle receive_handle(ipcf_stream *stream)
{
    ipcf_handle handle = IPCF_NO_HANDLE;
    size_t count = 1, got;
    char byte;
    wait_until_ready(ipcf_stream_arm_read(stream));
    CHECK_OK(
        ipcf_stream_try_read_handles(stream, &byte, 1, &got, &handle, &count, NULL));
    CHECK(count == 1);
    return handle;
}

static void map_and_answer(void *argument)
{
    ipcf_stream *stream = argument;
    ipcf_shm shm;
    CHECK_OK(ipcf_shm_map(receive_handle(stream), SIZE, &shm, NULL));
    unsigned char *bytes = shm.address;
    for (size_t i = 0; i < SIZE; ++i)
        CHECK(bytes[i] == (unsigned char)(i * 7));
    for (size_t i = 0; i < SIZE; ++i)
        bytes[i] = (unsigned char)(i * 13);
    ipcf_shm_close(&shm);
}

static void two_processes_see_the_same_bytes(void)
{
    ipcf_stream one, other;
    ipcf_shm shm;
    size_t put;
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    pid_t process = start_process(map_and_answer, &other);
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    unsigned char *bytes = shm.address;
    for (size_t i = 0; i < SIZE; ++i)
        bytes[i] = (unsigned char)(i * 7);
    CHECK_OK(ipcf_stream_try_write_handles(&one, "m", 1, &shm.handle, 1, &put, NULL));
    ipcf_shm_forget_handle(&shm);
    finish_process(process);
    for (size_t i = 0; i < SIZE; ++i)
        CHECK(bytes[i] == (unsigned char)(i * 13));
    ipcf_shm_close(&shm);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void create_and_die(void *argument)
{
    ipcf_shm shm;
    (void)argument;
    CHECK_OK(ipcf_shm_create(SIZE, &shm, NULL));
    (void)kill(getpid(), SIGKILL);
}

static void a_killed_owner_leaves_nothing(void)
{
    for (int i = 0; i < 10; ++i) {
        pid_t process = start_process(create_and_die, NULL);
        int ending = end_of_process(process);
        CHECK(WIFSIGNALED(ending) && WTERMSIG(ending) == SIGKILL);
        char name[24];
        CHECK(snprintf(name, sizeof name, "ipcf%lx.", (unsigned long)process) > 0);
        CHECK(entries_starting("/dev/shm", name) == 0);
    }
}

int main(void)
{
    size_t before = open_descriptors();
    learn_mechanism();
    RUN(new_memory_is_zero_and_whole_pages);
    RUN(pages_are_allocated_at_creation);
    RUN(nobody_can_resize_it);
    RUN(sizes_that_cannot_be_are_errors);
    RUN(running_out_is_an_error);
    if (has_seals) {
        RUN(more_than_the_machine_has_is_an_error_and_no_death);
        RUN(huge_pages_are_refused);
    } else {
        RUN(a_full_file_system_is_an_error_and_no_death);
    }
    RUN(without_descriptors_there_is_an_error);
    RUN(without_address_space_there_is_an_error);
    RUN(forgetting_the_handle_keeps_the_memory);
    RUN(other_things_than_memory_are_refused);
    RUN(memory_of_another_size_is_refused);
    RUN(memory_that_can_shrink_or_is_not_writable_is_refused);
    RUN(two_processes_see_the_same_bytes);
    RUN(a_killed_owner_leaves_nothing);
    CHECK(open_descriptors() == before);
    return 0;
}
