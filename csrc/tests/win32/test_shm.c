/* SPDX-License-Identifier: MIT
 * Anonymous shared memory as unnamed sections: zeroed, shared between processes, and of
 * exactly the size that is expected.
 */
#include "ipcf/shm.h"
#include "ipcf/stream.h"
#include "tests/win32/process.h"

#define PAGE 4096u

static uint8_t pattern(size_t position)
{
    return (uint8_t)(position * 31u + position / 251u + 1u);
}

static void test_create(void)
{
    const size_t sizes[] = {1, PAGE - 1, PAGE, PAGE + 1, 1u << 20};
    ipcf_shm shm;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        CHECK_OK(ipcf_shm_create(sizes[i], &shm, NULL));
        CHECK(shm.size >= sizes[i] && shm.size < sizes[i] + PAGE &&
              shm.size % PAGE == 0);
        uint8_t *bytes = shm.address;
        for (size_t position = 0; position < shm.size; ++position) {
            CHECK(bytes[position] == 0);
            bytes[position] = pattern(position);
        }
        ipcf_shm_forget_handle(&shm);
        CHECK(shm.handle == IPCF_NO_HANDLE &&
              bytes[shm.size - 1] == pattern(shm.size - 1));
        ipcf_shm_close(&shm);
        ipcf_shm_close(&shm);
        CHECK(shm.address == NULL && shm.size == 0);
    }
    CHECK_STATUS(ipcf_shm_create(0, &shm, NULL), IPCF_INVALID);
    CHECK_STATUS(ipcf_shm_create(SIZE_MAX, &shm, NULL), IPCF_INVALID);
}

static ipcf_handle copy_of(HANDLE process, ipcf_handle handle)
{
    HANDLE copy;
    CHECK(DuplicateHandle(process, (HANDLE)handle, GetCurrentProcess(), &copy, 0, FALSE,
                          DUPLICATE_SAME_ACCESS));
    return (ipcf_handle)copy;
}

static void test_map_refuses_what_does_not_fit(void)
{
    ipcf_shm shm, mapped;
    CHECK_OK(ipcf_shm_create(4 * PAGE, &shm, NULL));
    ipcf_handle copy = copy_of(GetCurrentProcess(), shm.handle);
    CHECK_STATUS(ipcf_shm_map(copy, 3 * PAGE, &mapped, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_shm_map(copy, 5 * PAGE, &mapped, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_shm_map(copy, 0, &mapped, NULL), IPCF_BAD_FRAME);
    CHECK(mapped.address == NULL);
    CHECK_OK(ipcf_shm_map(copy, 3 * PAGE + 1, &mapped, NULL));
    ((uint8_t *)shm.address)[5] = 77;
    CHECK(((uint8_t *)mapped.address)[5] == 77 && mapped.size == shm.size);
    ipcf_shm_close(&mapped);

    ipcf_handle event = (ipcf_handle)CreateEventW(NULL, TRUE, FALSE, NULL);
    CHECK_STATUS(ipcf_shm_map(event, PAGE, &mapped, NULL), IPCF_BAD_FRAME);
    CHECK_STATUS(ipcf_shm_map((ipcf_handle)GetCurrentProcess(), PAGE, &mapped, NULL),
                 IPCF_BAD_FRAME);
    HANDLE reserved = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL,
                                         PAGE_READWRITE | SEC_RESERVE, 0, PAGE, NULL);
    CHECK_STATUS(ipcf_shm_map((ipcf_handle)reserved, PAGE, &mapped, NULL),
                 IPCF_BAD_FRAME);
    CHECK(CloseHandle(reserved)); /* they stayed ours */
    ipcf_handle_close(&event);
    ipcf_shm_close(&shm);
}

/* The child fetches the section from its parent, "<pid>:<handle>", checks what is in it
 * and turns it round. */
static int child_turn_round(const char *argument)
{
    unsigned long pid;
    long long number;
    ipcf_shm shm;
    CHECK(sscanf(argument, "%lu:%lld", &pid, &number) == 2);
    HANDLE parent = OpenProcess(PROCESS_DUP_HANDLE, FALSE, pid);
    CHECK(parent != NULL);
    CHECK_OK(ipcf_shm_map(copy_of(parent, (ipcf_handle)number), 1u << 20, &shm, NULL));
    uint8_t *bytes = shm.address;
    for (size_t position = 0; position < shm.size; ++position) {
        CHECK(bytes[position] == pattern(position));
        bytes[position] ^= 0xFFu;
    }
    return 0; /* the system unmaps */
}

static void test_between_processes(void)
{
    char argument[64];
    ipcf_shm shm;
    CHECK_OK(ipcf_shm_create(1u << 20, &shm, NULL));
    uint8_t *bytes = shm.address;
    for (size_t position = 0; position < shm.size; ++position)
        bytes[position] = pattern(position);
    (void)snprintf(argument, sizeof argument, "%lu:%lld",
                   (unsigned long)GetCurrentProcessId(), (long long)shm.handle);
    join_process(start_self("turn_round", argument), 0);
    for (size_t position = 0; position < shm.size; ++position)
        CHECK((bytes[position] ^ pattern(position)) == 0xFF);
    ipcf_shm_close(&shm);
}

int main(int count, char **arguments)
{
    if (count > 2 && strcmp(arguments[1], "turn_round") == 0)
        return child_turn_round(arguments[2]);
    RUN_COUNTED(test_create);
    RUN_COUNTED(test_map_refuses_what_does_not_fit);
    RUN_COUNTED(test_between_processes);
    return 0;
}
