/* SPDX-License-Identifier: MIT
 * The smallest test harness: CHECK reports file, line and text, and ends the program;
 * RUN names each test.
 */
#ifndef IPCF_TESTS_CHECK_H
#define IPCF_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipcf/status.h"

#define CHECK(condition)                                                               \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__,           \
                    #condition);                                                       \
            fflush(stderr);                                                            \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#define CHECK_STATUS(call, due)                                                        \
    do {                                                                               \
        ipcf_status check_status = (call);                                             \
        if (check_status != (due)) {                                                   \
            fprintf(stderr, "%s:%d: %s: %s, due %s\n", __FILE__, __LINE__, #call,      \
                    ipcf_status_name(check_status), ipcf_status_name(due));            \
            fflush(stderr);                                                            \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, IPCF_OK)

#define RUN(test)                                                                      \
    do {                                                                               \
        test();                                                                        \
        printf("  %s\n", #test);                                                       \
        fflush(stdout);                                                                \
    } while (0)

#endif
