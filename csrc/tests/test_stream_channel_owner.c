/* SPDX-License-Identifier: MIT
 * Whose a stream channel is: a forked child gives it up, and its stream can be handed
 * on.
 */
#include "tests/channel_ends.h"

typedef struct forked {
    ends *both;
    size_t descriptors;
} forked;

static void use_in_child(void *argument)
{
    forked *self = argument;
    ipcf_message message;
    ipcf_channel_abandon(&self->both->one.base);
    ipcf_channel_abandon(&self->both->other.base);
    CHECK(open_descriptors() == self->descriptors);
    CHECK_STATUS(try_begin(&self->both->one, &message), IPCF_FORKED);
    CHECK_STATUS(
        ipcf_channel_try_send(&self->both->one.base, IPCF_KIND_BYTES, "x", 1, &failure),
        IPCF_FORKED);
    ipcf_channel_shut_down(&self->both->one.base);
    close_ends(self->both);
}

static void a_forked_child_leaves_the_channel_alone(void)
{
    forked self = {.descriptors = open_descriptors()};
    ends both;
    ipcf_handle ready;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    CHECK_OK(ipcf_channel_ready_handle(&both.one.base, &ready, &failure));
    self.both = &both;
    run_process(use_in_child, &self);
    CHECK(!is_ready(ready));
    send_seeded(&both.other, 4, 100);
    CHECK(is_ready(ready));
    receive_seeded(&both.one, 4, 100);
    close_ends(&both);
    CHECK(open_descriptors() == self.descriptors);
}

static void a_released_stream_lives_on(void)
{
    size_t before = open_descriptors();
    ends both;
    ipcf_stream stream;
    ipcf_channel_options options = options_with(IPCF_FRAMING_LENGTH);
    open_ends(&both, &options);
    send_seeded(&both.other, 4, 100);
    CHECK_OK(ipcf_channel_poll(&both.one.base, hang_bound(), &failure));
    CHECK_STATUS(ipcf_stream_channel_release_stream(&both.one, &stream, &failure),
                 IPCF_BAD_FRAME);
    CHECK(failure.found == 16 + 100);
    receive_seeded(&both.one, 4, 100);
    CHECK_OK(ipcf_stream_channel_release_stream(&both.one, &stream, &failure));
    ipcf_message message;
    CHECK_STATUS(try_begin(&both.one, &message), IPCF_CLOSED);
    CHECK_STATUS(try_begin(&both.other, &message), IPCF_AGAIN);
    send_seeded(&both.other, 5, 100);
    wait_until_ready(stream.handle);
    ipcf_stream_close(&stream);
    close_ends(&both);
    CHECK(open_descriptors() == before);
}

int main(void)
{
    RUN(a_forked_child_leaves_the_channel_alone);
    RUN(a_released_stream_lives_on);
    return 0;
}
