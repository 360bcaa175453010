/* SPDX-License-Identifier: MIT
 * Streams over two descriptors: making them, and short texts through them.
 */
#ifndef IPCF_TESTS_STREAM_ENDS_H
#define IPCF_TESTS_STREAM_ENDS_H

#include <termios.h>

#include "ipcf/stream.h"
#include "tests/processes.h"

/* Two streams that are connected, over two pipes. */
static inline void open_over_pipes(ipcf_stream *one, ipcf_stream *other)
{
    int there[2], back[2];
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    CHECK_OK(ipcf_stream_adopt_pair(back[0], there[1], one, NULL));
    CHECK_OK(ipcf_stream_adopt_pair(there[0], back[1], other, NULL));
}

static inline ipcf_status write_text(ipcf_stream *stream, const char *text)
{
    size_t put;
    ipcf_piece pieces[] = {{text, 1}, {text + 1, strlen(text) - 1}};
    ipcf_status status = ipcf_stream_try_write(stream, pieces, 2, &put, NULL);
    CHECK(put == (status == IPCF_OK ? strlen(text) : 0));
    return status;
}

static inline ipcf_status read_status(ipcf_stream *stream)
{
    char data[64];
    size_t got = 1;
    ipcf_status status = ipcf_stream_try_read(stream, data, sizeof data, &got, NULL);
    CHECK((got > 0) == (status == IPCF_OK));
    return status;
}

static inline void expect_text(ipcf_stream *stream, const char *text)
{
    char data[256];
    size_t got;
    wait_until_ready(ipcf_stream_arm_read(stream));
    CHECK_OK(ipcf_stream_try_read(stream, data, sizeof data, &got, NULL));
    CHECK(got == strlen(text) && memcmp(data, text, got) == 0);
}

static inline void talk(ipcf_stream *one, ipcf_stream *other)
{
    CHECK_STATUS(read_status(one), IPCF_AGAIN);
    CHECK_OK(write_text(one, "there"));
    CHECK_OK(write_text(other, "back"));
    expect_text(other, "there");
    expect_text(one, "back");
    CHECK_STATUS(read_status(other), IPCF_AGAIN);
}

static inline void fill_up(ipcf_stream *stream)
{
    static char block[10000];
    ipcf_piece piece = {block, sizeof block};
    size_t put;
    ipcf_status status;
    do
        status = ipcf_stream_try_write(stream, &piece, 1, &put, NULL);
    while (status == IPCF_OK);
    CHECK_STATUS(status, IPCF_AGAIN);
}

static inline bool is_blocking(int handle)
{
    int flags = fcntl(handle, F_GETFL);
    CHECK(flags >= 0);
    return (flags & O_NONBLOCK) == 0;
}

static inline bool can_be_written(ipcf_stream *stream)
{
    ipcf_wait_item item = {.handle = ipcf_stream_arm_write(stream),
                           .for_writing = true};
    return ipcf_wait(&item, 1, IPCF_NO_WAIT, NULL) == IPCF_OK;
}

/* The two sides of a terminal that leaves what it is told alone. */
static inline void open_terminal(int *master, int *slave)
{
    struct termios raw;
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0);
    *slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    CHECK(*slave >= 0 && tcgetattr(*slave, &raw) == 0);
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_iflag &= ~(tcflag_t)ICRNL;
    CHECK(tcsetattr(*slave, TCSANOW, &raw) == 0);
}

static inline int duplicate(int handle)
{
    int made = dup(handle);
    CHECK(made >= 0);
    return made;
}

#endif
