/* SPDX-License-Identifier: MIT
 * Sockets as any other program might make them, for the tests of streams and listeners.
 */
#ifndef IPCF_TESTS_SOCKETS_H
#define IPCF_TESTS_SOCKETS_H

#include <sys/socket.h>
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

#endif
