/* SPDX-License-Identifier: MIT
 * Sockets as any other program might make them, for the tests of streams and listeners.
 */
#ifndef IPCF_TESTS_SOCKETS_H
#define IPCF_TESTS_SOCKETS_H

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "tests/processes.h"

static inline struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

/* A plain server as any program might have it. */
static inline int listen_at(const char *path, int type, int backlog)
{
    struct sockaddr_un address = address_of(path);
    int handle = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    CHECK(handle >= 0);
    CHECK(bind(handle, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(type != SOCK_STREAM || listen(handle, backlog) == 0);
    return handle;
}

/* A plain client. */
static inline int connect_plainly(const char *path)
{
    struct sockaddr_un address = address_of(path);
    int handle = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(handle >= 0);
    CHECK(connect(handle, (struct sockaddr *)&address, sizeof address) == 0);
    return handle;
}

/* Bytes with so many copies of a handle, 64 at most: more than our own sender ever
 * sends. */
static inline void send_copies(int socket, const void *data, size_t size, int handle,
                               int copies)
{
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(64 * sizeof(int))];
    } control;
    int numbers[64];
    CHECK(copies <= 64);
    for (int i = 0; i < copies; ++i)
        numbers[i] = handle;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};
    message.msg_controllen = CMSG_SPACE((size_t)copies * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)copies * sizeof(int));
    memcpy(CMSG_DATA(header), numbers, (size_t)copies * sizeof(int));
    CHECK(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

#endif
