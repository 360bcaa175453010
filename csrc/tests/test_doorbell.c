/* SPDX-License-Identifier: MIT
 * Doorbells: one bit, never blocking, between processes. Runs with either mechanism
 * (make PIPE_DOORBELL=1).
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "ipcf/doorbell.h"
#include "ipcf/stream.h"
#include "tests/processes.h"

static void it_holds_one_bit(void)
{
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    CHECK(!is_ready(ipcf_doorbell_arm(&bell)));
    CHECK(!ipcf_doorbell_clear(&bell));
    ipcf_doorbell_ring(&bell);
    CHECK(is_ready(ipcf_doorbell_arm(&bell)));
    CHECK(is_ready(ipcf_doorbell_arm(&bell))); /* looking does not clear */
    CHECK(ipcf_doorbell_clear(&bell));
    CHECK(!is_ready(ipcf_doorbell_arm(&bell)));
    CHECK(!ipcf_doorbell_clear(&bell));
    ipcf_doorbell_close(&bell);
}

static void ringing_a_rung_bell_changes_nothing_and_never_blocks(void)
{
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    for (int i = 0; i < 200000; ++i)
        ipcf_doorbell_ring(&bell);
    CHECK(ipcf_doorbell_clear(&bell));
    CHECK(!ipcf_doorbell_clear(&bell));
    CHECK(!is_ready(ipcf_doorbell_arm(&bell)));
    ipcf_doorbell_close(&bell);
}

static void closing_twice_is_once(void)
{
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    ipcf_doorbell_close(&bell);
    CHECK(bell.wait_end == IPCF_NO_HANDLE && bell.ring_end == IPCF_NO_HANDLE);
    ipcf_doorbell_close(&bell);
    ipcf_doorbell none = IPCF_DOORBELL_NONE;
    ipcf_doorbell_close(&none);
}

static void errno_survives_ringing(void)
{
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    int ring_end = (int)bell.ring_end;
    bell.ring_end = open("/dev/null", O_RDONLY); /* write fails */
    errno = ENOTTY;
    ipcf_doorbell_ring(&bell);
    CHECK(errno == ENOTTY);
    CHECK(close((int)bell.ring_end) == 0);
    bell.ring_end = ring_end;
    ipcf_doorbell_close(&bell);
}

static void flags_are_set(ipcf_handle handle)
{
    CHECK((fcntl((int)handle, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl((int)handle, F_GETFL) & O_NONBLOCK) != 0);
}

static void clear_nonblocking(ipcf_handle handle)
{
    int flags = fcntl((int)handle, F_GETFL);
    CHECK(fcntl((int)handle, F_SETFL, flags & ~O_NONBLOCK) == 0);
}

static void an_adopted_bell_is_the_same_bell(void)
{
    ipcf_doorbell bell, adopted;
    ipcf_handle handles[2];
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    flags_are_set(bell.wait_end);
    flags_are_set(bell.ring_end);
    ipcf_doorbell_handles(&bell, handles);
    for (size_t i = 0; i < ipcf_doorbell_handle_count; ++i) {
        handles[i] = dup((int)handles[i]); /* without CLOEXEC */
        clear_nonblocking(handles[i]);
    }
    CHECK_OK(ipcf_doorbell_adopt(&adopted, handles, NULL));
    flags_are_set(adopted.wait_end);
    flags_are_set(adopted.ring_end);
    ipcf_doorbell_ring(&bell);
    CHECK(ipcf_doorbell_clear(&adopted));
    ipcf_doorbell_ring(&adopted);
    CHECK(ipcf_doorbell_clear(&bell));
    ipcf_doorbell_close(&adopted);
    ipcf_doorbell_close(&bell);
}

static void clear_without_the_flag(void *argument)
{
    ipcf_doorbell bell;
    (void)argument;
    alarm(20); /* ends this process should it block */
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    clear_nonblocking(bell.wait_end);
    CHECK(!ipcf_doorbell_clear(&bell));
    ipcf_doorbell_ring(&bell);
    CHECK(ipcf_doorbell_clear(&bell));
    CHECK(!ipcf_doorbell_clear(&bell));
    ipcf_doorbell_close(&bell);
}

/* What a hostile peer can do, who shares the open file. Nothing helps a pipe. */
static void clearing_does_not_rely_on_the_shared_flag(void)
{
    if (ipcf_doorbell_handle_count == 1)
        run_process(clear_without_the_flag, NULL);
}

static void refuse(int first, int second)
{
    ipcf_doorbell bell;
    ipcf_error error = {0};
    const ipcf_handle handles[2] = {first, second};
    CHECK_STATUS(ipcf_doorbell_adopt(&bell, handles, &error), IPCF_BAD_FRAME);
    CHECK(error.what != NULL);
    CHECK(bell.wait_end == IPCF_NO_HANDLE && bell.ring_end == IPCF_NO_HANDLE);
    /* still ours, still open */
    CHECK(close(first) == 0 && close(second) == 0);
}

static void other_things_than_bells_are_refused(void)
{
    int ends[2];
    refuse(open("/dev/null", O_RDWR), open("/dev/null", O_RDWR));
    refuse(open("/proc/self/exe", O_RDONLY), open("/dev/null", O_WRONLY));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    refuse(ends[0], ends[1]);
    CHECK(pipe(ends) == 0);
    refuse(ends[1], ends[0]); /* the ends of a pipe, the wrong way round */
    refuse(epoll_create1(0), epoll_create1(0)); /* an anonymous inode as well */
}

static void a_bell_without_a_listener_is_not_rung(void *argument)
{
    ipcf_doorbell bell;
    (void)argument;
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR); /* it would end this process */
    CHECK_OK(ipcf_doorbell_create(&bell, NULL));
    if (bell.wait_end != bell.ring_end)
        CHECK(close((int)bell.wait_end) == 0);
    ipcf_doorbell ringing_side = {.wait_end = IPCF_NO_HANDLE,
                                  .ring_end = bell.ring_end};
    ipcf_doorbell_ring(&ringing_side);
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 0);
    ipcf_doorbell_close(&ringing_side);
}

static void no_signal_is_raised_when_the_other_end_is_gone(void)
{
    run_process(a_bell_without_a_listener_is_not_rung, NULL);
}

#define EXCHANGES 5000

typedef struct two_bells {
    ipcf_doorbell there, back;
} two_bells;

static void answer_rings(void *argument)
{
    const two_bells *bells = argument;
    for (int i = 0; i < EXCHANGES; ++i) {
        wait_until_ready(ipcf_doorbell_arm(&bells->there));
        CHECK(ipcf_doorbell_clear(&bells->there));
        ipcf_doorbell_ring(&bells->back);
    }
}

static void two_processes_wake_each_other_without_loss(void)
{
    two_bells bells;
    CHECK_OK(ipcf_doorbell_create(&bells.there, NULL));
    CHECK_OK(ipcf_doorbell_create(&bells.back, NULL));
    pid_t process = start_process(answer_rings, &bells);
    for (int i = 0; i < EXCHANGES; ++i) {
        ipcf_doorbell_ring(&bells.there);
        wait_until_ready(ipcf_doorbell_arm(&bells.back));
        CHECK(ipcf_doorbell_clear(&bells.back));
    }
    finish_process(process);
    ipcf_doorbell_close(&bells.there);
    ipcf_doorbell_close(&bells.back);
}

static void adopt_and_ring(void *argument)
{
    ipcf_stream *stream = argument;
    ipcf_handle handles[2];
    size_t count = 2, got;
    char byte;
    ipcf_doorbell bell;
    wait_until_ready(ipcf_stream_arm_read(stream));
    CHECK_OK(
        ipcf_stream_try_read_handles(stream, &byte, 1, &got, handles, &count, NULL));
    CHECK(count == ipcf_doorbell_handle_count);
    CHECK_OK(ipcf_doorbell_adopt(&bell, handles, NULL));
    ipcf_doorbell_ring(&bell);
    ipcf_doorbell_close(&bell);
}

static void a_bell_travels_to_another_process(void)
{
    ipcf_stream one, other;
    ipcf_handle handles[2];
    size_t put;
    CHECK_OK(ipcf_stream_pair(&one, &other, NULL));
    pid_t process = start_process(adopt_and_ring, &other);
    ipcf_doorbell bell;
    CHECK_OK(ipcf_doorbell_create(
        &bell, NULL)); /* after fork: it can only come through the stream */
    ipcf_doorbell_handles(&bell, handles);
    CHECK_OK(ipcf_stream_try_write_handles(&one, "b", 1, handles,
                                           ipcf_doorbell_handle_count, &put, NULL));
    wait_until_ready(ipcf_doorbell_arm(&bell));
    finish_process(process);
    ipcf_doorbell_close(&bell);
    ipcf_stream_close(&one);
    ipcf_stream_close(&other);
}

static void without_descriptors_there_is_an_error(void)
{
    ipcf_doorbell bell;
    ipcf_error error = {0};
    rlim_t before = limit_descriptors(0);
    CHECK_STATUS(ipcf_doorbell_create(&bell, &error), IPCF_OS_ERROR);
    allow_descriptors(before);
    CHECK(error.os_error == EMFILE);
    CHECK(bell.wait_end == IPCF_NO_HANDLE && bell.ring_end == IPCF_NO_HANDLE);
}

int main(void)
{
    size_t before = open_descriptors();
    RUN(it_holds_one_bit);
    RUN(ringing_a_rung_bell_changes_nothing_and_never_blocks);
    RUN(closing_twice_is_once);
    RUN(errno_survives_ringing);
    RUN(an_adopted_bell_is_the_same_bell);
    RUN(clearing_does_not_rely_on_the_shared_flag);
    RUN(other_things_than_bells_are_refused);
    RUN(no_signal_is_raised_when_the_other_end_is_gone);
    RUN(two_processes_wake_each_other_without_loss);
    RUN(a_bell_travels_to_another_process);
    RUN(without_descriptors_there_is_an_error);
    CHECK(open_descriptors() == before);
    return 0;
}
