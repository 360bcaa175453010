/* SPDX-License-Identifier: MIT
 * Handles that travel with bytes: received whole or not at all, and never leaked.
 */
#include "ipcf/stream.h"
#include "tests/processes.h"
#include "tests/sockets.h"

static ipcf_stream one, other;

static void open_pair(void) { CHECK_OK(ipcf_stream_pair(&one, &other, NULL)); }

static void close_pair(void)
{
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void send_handles(const ipcf_handle *handles, size_t count)
{
    size_t put;
    CHECK_OK(
        ipcf_stream_try_write_handles(&one, "handles", 7, handles, count, &put, NULL));
    CHECK(put == 7);
}

/* Room for `room` handles; what came is told by *count. */
static ipcf_status take_handles(ipcf_handle *handles, size_t room, size_t *count,
                                ipcf_error *error)
{
    char data[16];
    size_t got;
    *count = room;
    ipcf_status status = ipcf_stream_try_read_handles(&other, data, sizeof data, &got,
                                                      handles, count, error);
    CHECK(status != IPCF_OK || (got == 7 && memcmp(data, "handles", 7) == 0));
    return status;
}

static void close_all(ipcf_handle *handles, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        CHECK((fcntl((int)handles[i], F_GETFD) & FD_CLOEXEC) != 0);
        ipcf_handle_close(&handles[i]);
        CHECK(handles[i] == IPCF_NO_HANDLE);
    }
}

static void any_allowed_number_arrives_in_order(void)
{
    for (size_t number = 0; number <= IPCF_STREAM_MAX_HANDLES; ++number) {
        ipcf_handle sent[IPCF_STREAM_MAX_HANDLES], taken[IPCF_STREAM_MAX_HANDLES];
        int ends[IPCF_STREAM_MAX_HANDLES][2];
        size_t count;
        open_pair();
        for (size_t i = 0; i < number; ++i) {
            CHECK(pipe(ends[i]) == 0);
            sent[i] = ends[i][1];
        }
        send_handles(sent, number);
        CHECK_OK(take_handles(taken, IPCF_STREAM_MAX_HANDLES, &count, NULL));
        CHECK(count == number);
        for (size_t i = 0; i < number; ++i) {
            char letter = (char)('a' + i), heard = 0;
            CHECK(write((int)taken[i], &letter, 1) == 1);
            CHECK(read(ends[i][0], &heard, 1) == 1 && heard == letter);
            CHECK(close(ends[i][0]) == 0 && close(ends[i][1]) == 0);
        }
        close_all(taken, count);
        close_pair();
    }
}

static void more_than_fit_are_all_closed(void)
{
    const size_t rooms[] = {0, 1, 2, 4};
    const ipcf_handle sent[] = {0, 1, 2, 0, 1};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; ++i) {
        ipcf_handle taken[4];
        size_t count;
        ipcf_error error = {0};
        open_pair();
        size_t before = open_descriptors();
        send_handles(sent, 5);
        CHECK_STATUS(take_handles(taken, rooms[i], &count, &error), IPCF_BAD_FRAME);
        CHECK(count == 0 && error.expected == rooms[i] && error.found == 5);
        CHECK(open_descriptors() == before);
        close_pair();
    }
}

static void a_hostile_number_leaves_nothing(void)
{
    for (int copies = 16; copies <= 64; ++copies) {
        ipcf_handle taken[IPCF_STREAM_MAX_HANDLES];
        size_t count;
        open_pair();
        size_t before = open_descriptors();
        send_copies((int)one.handle, "handles", 7, 0, copies);
        ipcf_status due = copies > IPCF_STREAM_MAX_HANDLES ? IPCF_BAD_FRAME : IPCF_OK;
        CHECK_STATUS(take_handles(taken, IPCF_STREAM_MAX_HANDLES, &count, NULL), due);
        CHECK(count == (due == IPCF_OK ? IPCF_STREAM_MAX_HANDLES : 0));
        close_all(taken, count);
        CHECK(open_descriptors() == before);
        close_pair();
    }
}

static void nobody_asked_for_them_so_they_are_closed(void)
{
    int ends[2];
    char data[16];
    size_t got;
    open_pair();
    CHECK(pipe(ends) == 0);
    size_t before = open_descriptors();
    send_handles(&(ipcf_handle){ends[1]}, 1);
    CHECK_OK(ipcf_stream_try_read(&other, data, sizeof data, &got, NULL));
    CHECK(got == 7);
    CHECK(open_descriptors() == before);
    /* the last writing end is closed: the pipe ends, so no copy of it lives on anywhere */
    CHECK(close(ends[1]) == 0);
    CHECK(read(ends[0], data, 1) == 0);
    CHECK(close(ends[0]) == 0);
    close_pair();
}

static void no_descriptor_left_is_our_error_and_not_the_peers(void)
{
    for (rlim_t more = 0; more < 3; ++more) {
        const ipcf_handle sent[] = {0, 1, 2};
        ipcf_handle taken[4];
        size_t count;
        ipcf_error error = {0};
        open_pair();
        size_t open_before = open_descriptors();
        send_handles(sent, 3);
        rlim_t before = limit_descriptors(more);
        ipcf_status status = take_handles(taken, 4, &count, &error);
        allow_descriptors(before);
        CHECK_STATUS(status, IPCF_OS_ERROR);
        CHECK(error.os_error == EMFILE && count == 0);
        CHECK(open_descriptors() == open_before);
        close_pair();
    }
}

static void arguments_out_of_range_are_invalid(void)
{
    ipcf_handle handles[IPCF_STREAM_MAX_HANDLES + 1] = {0};
    size_t put, got, count = IPCF_STREAM_MAX_HANDLES + 1;
    char byte;
    open_pair();
    CHECK_STATUS(
        ipcf_stream_try_write_handles(&one, "x", 1, handles, count, &put, NULL),
        IPCF_INVALID);
    CHECK_STATUS(ipcf_stream_try_write_handles(&one, "", 0, handles, 1, &put, NULL),
                 IPCF_INVALID);
    CHECK_STATUS(
        ipcf_stream_try_read_handles(&other, &byte, 1, &got, handles, &count, NULL),
        IPCF_INVALID);
    count = 1;
    CHECK_STATUS(
        ipcf_stream_try_read_handles(&other, &byte, 0, &got, handles, &count, NULL),
        IPCF_INVALID);
    ipcf_handle closed = dup(0);
    CHECK(close((int)closed) == 0);
    ipcf_error error = {0};
    CHECK_STATUS(ipcf_stream_try_write_handles(&one, "x", 1, &closed, 1, &put, &error),
                 IPCF_OS_ERROR);
    CHECK(error.os_error == EBADF && put == 0);
    close_pair();
}

static void ends_and_waiting_are_told_as_in_reading(void)
{
    ipcf_handle taken[1];
    size_t count;
    open_pair();
    CHECK_STATUS(take_handles(taken, 1, &count, NULL), IPCF_AGAIN);
    CHECK(count == 0);
    ipcf_stream_close(&one);
    CHECK_STATUS(take_handles(taken, 1, &count, NULL), IPCF_DISCONNECTED);
    CHECK(count == 0);
    close_pair();
}

static void handles_go_with_their_own_bytes(void)
{
    ipcf_handle taken[2];
    size_t put, count;
    char data[64];
    size_t got;
    ipcf_piece plain = {"before ", 7};
    open_pair();
    CHECK_OK(ipcf_stream_try_write(&one, &plain, 1, &put, NULL));
    send_handles(&(ipcf_handle){0}, 1);
    send_handles(&(ipcf_handle){1}, 1);
    /* a reading that has met a message's handles does not go on into the next one's */
    size_t seen = 0, messages = 0;
    while (seen < 21) {
        count = 2;
        CHECK_OK(ipcf_stream_try_read_handles(&other, data, sizeof data, &got, taken,
                                              &count, NULL));
        CHECK(count <= 1);
        close_all(taken, count);
        messages += count;
        seen += got;
    }
    CHECK(messages == 2);
    close_pair();
}

static void write_into_received(void *argument)
{
    (void)argument;
    ipcf_handle taken[1];
    size_t count;
    wait_until_ready(ipcf_stream_arm_read(&other));
    CHECK_OK(take_handles(taken, 1, &count, NULL));
    CHECK(count == 1);
    tell((int)taken[0]);
}

static void another_process_uses_what_it_receives(void)
{
    int ends[2];
    open_pair();
    pid_t process = start_process(write_into_received, NULL);
    CHECK(pipe(ends) == 0); /* after fork: it can only come through the stream */
    send_handles(&(ipcf_handle){ends[1]}, 1);
    CHECK(close(ends[1]) == 0); /* on its way it lives by itself */
    hear(ends[0]);
    finish_process(process);
    CHECK(close(ends[0]) == 0);
    close_pair();
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(any_allowed_number_arrives_in_order);
    RUN(more_than_fit_are_all_closed);
    RUN(a_hostile_number_leaves_nothing);
    RUN(nobody_asked_for_them_so_they_are_closed);
    RUN(no_descriptor_left_is_our_error_and_not_the_peers);
    RUN(arguments_out_of_range_are_invalid);
    RUN(ends_and_waiting_are_told_as_in_reading);
    RUN(handles_go_with_their_own_bytes);
    RUN(another_process_uses_what_it_receives);
    CHECK(open_descriptors() == before);
    return 0;
}
