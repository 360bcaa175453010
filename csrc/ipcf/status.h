/* SPDX-License-Identifier: MIT
 * Every result a function of the core can have: one table gives the enum, the name and
 * the text.
 */
#ifndef IPCF_STATUS_H
#define IPCF_STATUS_H

#include <stdint.h>

#include "ipcf/platform.h"

/* X(NAME, text). The order is part of the binding's table; append only. */
#define IPCF_STATUS_MAP(X)                                                             \
    X(OK, "done")                                                                      \
    X(AGAIN, "nothing can be done without waiting")                                    \
    X(TIMEOUT, "the deadline has passed")                                              \
    X(INTERRUPTED, "a signal arrived, or it is time to look for one; call again")      \
    X(DISCONNECTED, "the peer has closed the connection or has died")                  \
    X(CLOSED, "this side was closed")                                                  \
    X(SHUT_DOWN, "this side was shut down")                                            \
    X(FORKED, "opened by the parent process, not usable after fork")                   \
    X(TOO_LARGE, "the message is larger than the limit")                               \
    X(BAD_FRAME, "the bytes are not a valid frame")                                    \
    X(CORRUPT, "the shared memory holds values that no correct peer writes")           \
    X(NOISE, "bytes that belong to no frame")                                          \
    X(NO_MEMORY, "out of memory")                                                      \
    X(OS_ERROR, "the operating system refused")                                        \
    X(ADDRESS_IN_USE, "a live server owns this address")                               \
    X(ADDRESS_NOT_FOUND, "nobody listens at this address")                             \
    X(PERMISSION_DENIED, "the address or the peer belongs to another user")            \
    X(INVALID, "an argument is out of range")                                          \
    X(UNSUPPORTED, "this system cannot do that")

typedef enum ipcf_status {
#define IPCF_STATUS_ENUM(name, text) IPCF_##name,
    IPCF_STATUS_MAP(IPCF_STATUS_ENUM)
#undef IPCF_STATUS_ENUM
        IPCF_STATUS_COUNT
} ipcf_status;

/* What a caller needs to explain a failure. Written only where the status is not OK;
 * zeroed fields mean "does not apply". expected/found: for BAD_FRAME and CORRUPT the
 * value that was due and the one read; for TOO_LARGE the limit and the size. */
typedef struct ipcf_error {
    int32_t os_error; /* errno or GetLastError() */
    uint64_t expected;
    uint64_t found;
    /* static text: which field or which system call; never NULL once written */
    const char *what;
} ipcf_error;

const char *ipcf_status_name(ipcf_status status);
const char *ipcf_status_text(ipcf_status status);

/* Fill error (which may be NULL) and return status, so that a failure is one return
 * statement. */
ipcf_status ipcf_fail(ipcf_error *error, ipcf_status status, const char *what,
                      uint64_t expected, uint64_t found);

/* The same for the last system call: takes errno / GetLastError() and maps it to the
 * most specific status. */
ipcf_status ipcf_fail_os(ipcf_error *error, const char *what);

#endif
