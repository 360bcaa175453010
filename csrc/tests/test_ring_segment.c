/* SPDX-License-Identifier: MIT
 * Tests of the ring segment: what a creator hands over works, and what is not what it
 * should be is refused and closed.
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include "ipcf/ring_segment.h"
#include "tests/check.h"
#include "tests/processes.h"

#define INBOUND UINT64_C(8192)
#define OUTBOUND UINT64_C(4096)

/* memfd has seals, and the named mechanism none. */
static bool has_seals;

static void learn_mechanism(void)
{
    ipcf_ring_segment made;
    CHECK_OK(ipcf_ring_segment_create(&made, INBOUND, OUTBOUND, NULL));
    has_seals = fcntl((int)made.shm.handle, F_GET_SEALS) > F_SEAL_SEAL;
    ipcf_ring_segment_close(&made);
}

/* Copies of a new segment's handles, as if they had travelled. */
static size_t handles_of(const ipcf_ring_segment *made, ipcf_handle *handles)
{
    size_t count = ipcf_ring_segment_handles(made, handles);
    CHECK(count == ipcf_ring_segment_handle_count() &&
          count <= IPCF_RING_SEGMENT_MAX_HANDLES);
    for (size_t i = 0; i < count; i++) {
        handles[i] = fcntl((int)handles[i], F_DUPFD_CLOEXEC, 0);
        CHECK(handles[i] >= 0);
    }
    return count;
}

static void create(ipcf_ring_segment *made)
{
    CHECK_OK(ipcf_ring_segment_create(made, INBOUND, OUTBOUND, NULL));
}

static void both_sides_see_the_same_rings(void)
{
    size_t before = open_descriptors();
    ipcf_ring_segment made, taken;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    create(&made);
    CHECK(made.is_creator && made.capacity[0] == INBOUND &&
          made.capacity[1] == OUTBOUND);
    CHECK(made.shm.size == 4096 + INBOUND + 4096 + OUTBOUND);
    size_t count = handles_of(&made, handles);
    CHECK_OK(ipcf_ring_segment_adopt(&taken, handles, count, OUTBOUND, INBOUND, NULL));
    CHECK(!taken.is_creator && taken.capacity[0] == INBOUND &&
          taken.capacity[1] == OUTBOUND);
    CHECK(open_descriptors() == before + 2 * count);
    for (size_t i = 0; i < 2; i++) {
        size_t at = i * (size_t)ipcf_ring_size(INBOUND);
        ipcf_ring_producer producer;
        ipcf_ring_consumer consumer;
        CHECK_OK(ipcf_ring_attach_producer(&producer, (uint8_t *)made.shm.address + at,
                                           made.capacity[i], NULL));
        CHECK_OK(ipcf_ring_attach_consumer(&consumer, (uint8_t *)taken.shm.address + at,
                                           taken.capacity[i], NULL));
        uint8_t *payload;
        ipcf_record record;
        CHECK_OK(ipcf_ring_claim(&producer, 5, &payload, NULL));
        memcpy(payload, "hello", 5);
        ipcf_ring_commit(&producer, IPCF_RING_MORE, 0);
        (void)ipcf_ring_publish(&producer);
        CHECK_OK(ipcf_ring_peek(&consumer, &record, NULL));
        CHECK(record.size == 5 && memcmp(record.data, "hello", 5) == 0);
    }
    for (size_t i = 0; i < IPCF_RING_SEGMENT_BELLS; i++) {
        ipcf_doorbell_ring(&made.bells[i]);
        for (size_t j = 0; j < IPCF_RING_SEGMENT_BELLS; j++)
            CHECK(ipcf_doorbell_clear(&taken.bells[j]) == (i == j));
    }
    ipcf_ring_segment_close(&made);
    ipcf_ring_segment_close(&made);
    ipcf_ring_segment_close(&taken);
    CHECK(open_descriptors() == before);
}

static void capacities_out_of_range_are_refused(void)
{
    const uint64_t bad[] = {0,
                            1,
                            4095,
                            4097,
                            2048,
                            12288,
                            IPCF_RING_CAPACITY_MAX * 2,
                            UINT64_C(1) << 63,
                            UINT64_MAX};
    size_t before = open_descriptors();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ipcf_ring_segment segment;
        ipcf_error error = {0};
        CHECK_STATUS(ipcf_ring_segment_create(&segment, bad[i], OUTBOUND, &error),
                     IPCF_INVALID);
        CHECK(error.found == bad[i]);
        CHECK_STATUS(ipcf_ring_segment_create(&segment, INBOUND, bad[i], &error),
                     IPCF_INVALID);
        ipcf_ring_segment_close(&segment);
        CHECK(open_descriptors() == before);
    }
}

static void wrong_capacities_or_counts_close_everything(void)
{
    size_t before = open_descriptors();
    ipcf_ring_segment made, taken;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES + 1];
    create(&made);
    size_t held = open_descriptors();
    const struct {
        uint64_t inbound, outbound;
        size_t missing;
        ipcf_status due;
    } wrong[] = {
        {INBOUND, INBOUND, 0, IPCF_BAD_FRAME},
        {OUTBOUND, OUTBOUND, 0, IPCF_BAD_FRAME},
        {OUTBOUND, 2 * INBOUND, 0, IPCF_BAD_FRAME},
        {OUTBOUND, INBOUND, 1, IPCF_BAD_FRAME},
        {OUTBOUND, INBOUND, (size_t)-1, IPCF_BAD_FRAME},
        {OUTBOUND, INBOUND, ipcf_ring_segment_handle_count(), IPCF_BAD_FRAME},
        {OUTBOUND, 0, 0, IPCF_INVALID},
        {3, INBOUND, 0, IPCF_INVALID},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t count = handles_of(&made, handles);
        if (wrong[i].missing == (size_t)-1)
            handles[count] = fcntl((int)handles[0], F_DUPFD_CLOEXEC, 0);
        for (size_t j = 0; wrong[i].missing != (size_t)-1 && j < wrong[i].missing; j++)
            ipcf_handle_close(&handles[count - 1 - j]);
        CHECK_STATUS(ipcf_ring_segment_adopt(&taken, handles, count - wrong[i].missing,
                                             wrong[i].inbound, wrong[i].outbound, NULL),
                     wrong[i].due);
        CHECK(taken.shm.address == NULL && open_descriptors() == held);
        ipcf_ring_segment_close(&taken);
    }
    ipcf_ring_segment_close(&made);
    CHECK(open_descriptors() == before);
}

/* Sizes told the wrong way round fit into the same memory; the rings themselves tell. */
static void swapped_capacities_are_seen_by_the_rings(void)
{
    ipcf_ring_segment made, taken;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    ipcf_ring_consumer consumer;
    create(&made);
    size_t count = handles_of(&made, handles);
    CHECK_OK(ipcf_ring_segment_adopt(&taken, handles, count, INBOUND, OUTBOUND, NULL));
    CHECK_STATUS(ipcf_ring_attach_consumer(&consumer, taken.shm.address,
                                           taken.capacity[0], NULL),
                 IPCF_CORRUPT);
    ipcf_ring_segment_close(&taken);
    ipcf_ring_segment_close(&made);
}

/* ---- handles that are something else --------------------------------------------- */

static int a_file(void)
{
    char path[] = "/tmp/ipcf-test-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && unlink(path) == 0);
    CHECK(ftruncate(file, (off_t)(8192 + INBOUND + OUTBOUND)) == 0);
    return file;
}

static int a_null_device(void) { return open("/dev/null", O_RDWR | O_CLOEXEC); }

static int a_directory(void) { return open("/tmp", O_RDONLY | O_CLOEXEC); }

static int a_socket(void) { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

static int unsealed_memory(void)
{
    int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(memory >= 0 && ftruncate(memory, (off_t)(8192 + INBOUND + OUTBOUND)) == 0);
    return memory;
}

static int memory_that_can_shrink(void)
{
    int memory = unsealed_memory();
    CHECK(fcntl(memory, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) == 0);
    return memory;
}

static int a_closed_descriptor(void) { return 1 << 20; }

static void other_handles_are_refused_in_each_place(void)
{
    int (*const others[])(void) = {a_null_device,         a_directory, a_socket,
                                   a_closed_descriptor,   a_file,      unsealed_memory,
                                   memory_that_can_shrink};
    /* Without seals, memory is whatever has the right size. */
    const size_t unlike_memory = 4, all = sizeof others / sizeof *others;
    size_t before = open_descriptors();
    ipcf_ring_segment made, taken;
    ipcf_handle handles[IPCF_RING_SEGMENT_MAX_HANDLES];
    create(&made);
    size_t held = open_descriptors();
    for (size_t place = 0; place < ipcf_ring_segment_handle_count(); place++) {
        for (size_t i = 0; i < (place != 0 || has_seals ? all : unlike_memory); i++) {
            size_t count = handles_of(&made, handles);
            ipcf_handle_close(&handles[place]);
            handles[place] = others[i]();
            ipcf_error error = {0};
            CHECK_STATUS(ipcf_ring_segment_adopt(&taken, handles, count, OUTBOUND,
                                                 INBOUND, &error),
                         IPCF_BAD_FRAME);
            CHECK(error.what != NULL && open_descriptors() == held);
            for (size_t j = 0; j < count; j++)
                CHECK(handles[j] == IPCF_NO_HANDLE);
        }
    }
    /* handles of the right kinds, but in each other's places */
    size_t count = handles_of(&made, handles);
    ipcf_handle first = handles[0];
    handles[0] = handles[1];
    handles[1] = first;
    CHECK_STATUS(
        ipcf_ring_segment_adopt(&taken, handles, count, OUTBOUND, INBOUND, NULL),
        IPCF_BAD_FRAME);
    ipcf_ring_segment_close(&made);
    CHECK(open_descriptors() == before);
}

/* ---- running out ----------------------------------------------------------------- */

static void too_few_descriptors_leave_nothing_open(void)
{
    size_t before = open_descriptors();
    size_t due = ipcf_ring_segment_handle_count();
    for (rlim_t more = 0; more < due; more++) {
        ipcf_ring_segment segment;
        ipcf_error error = {0};
        rlim_t allowed = limit_descriptors(more);
        ipcf_status status =
            ipcf_ring_segment_create(&segment, INBOUND, OUTBOUND, &error);
        allow_descriptors(allowed);
        CHECK_STATUS(status, IPCF_OS_ERROR);
        CHECK(error.os_error == EMFILE && open_descriptors() == before);
    }
}

static void no_memory_leaves_nothing_open(void)
{
    const char *const calls[] = {has_seals ? "memfd_create" : "shm_open", "allocate"};
    const int errors[] = {ENOMEM, ENOSPC};
    size_t before = open_descriptors();
    for (size_t i = 0; i < 2; i++) {
        ipcf_ring_segment segment;
        ipcf_test_fail_at(calls[i], 1, errors[i]);
        CHECK_STATUS(ipcf_ring_segment_create(&segment, INBOUND, OUTBOUND, NULL),
                     IPCF_NO_MEMORY);
        CHECK(open_descriptors() == before);
    }
}

int main(void)
{
    alarm(60);
    learn_mechanism();
    RUN(both_sides_see_the_same_rings);
    RUN(capacities_out_of_range_are_refused);
    RUN(wrong_capacities_or_counts_close_everything);
    RUN(swapped_capacities_are_seen_by_the_rings);
    RUN(other_handles_are_refused_in_each_place);
    RUN(too_few_descriptors_leave_nothing_open);
    RUN(no_memory_leaves_nothing_open);
    return 0;
}
