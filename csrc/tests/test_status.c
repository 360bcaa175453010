/* SPDX-License-Identifier: MIT
 * Names and texts of results, and how failures are written down.
 */
#include <errno.h>

#include "tests/check.h"

static void every_status_has_a_name_and_a_text_of_its_own(void)
{
    for (int i = 0; i < IPCF_STATUS_COUNT; ++i) {
        CHECK(ipcf_status_name((ipcf_status)i)[0] != '\0');
        CHECK(ipcf_status_text((ipcf_status)i)[0] != '\0');
        for (int j = 0; j < i; ++j) {
            CHECK(strcmp(ipcf_status_name((ipcf_status)i),
                         ipcf_status_name((ipcf_status)j)) != 0);
            CHECK(strcmp(ipcf_status_text((ipcf_status)i),
                         ipcf_status_text((ipcf_status)j)) != 0);
        }
    }
}

static void names_follow_the_enum(void)
{
    CHECK(IPCF_OK == 0);
    CHECK(strcmp(ipcf_status_name(IPCF_OK), "OK") == 0);
    CHECK(strcmp(ipcf_status_name(IPCF_ADDRESS_IN_USE), "ADDRESS_IN_USE") == 0);
    CHECK(strcmp(ipcf_status_name(IPCF_UNSUPPORTED), "UNSUPPORTED") == 0);
    CHECK(IPCF_UNSUPPORTED == IPCF_STATUS_COUNT - 1);
    CHECK(strcmp(ipcf_status_text(IPCF_TIMEOUT), "the deadline has passed") == 0);
}

static void values_outside_the_table_are_answered_too(void)
{
    const int strange[] = {-1, IPCF_STATUS_COUNT, 1 << 20, -(1 << 20)};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; ++i) {
        CHECK(strcmp(ipcf_status_name((ipcf_status)strange[i]), "UNKNOWN") == 0);
        CHECK(ipcf_status_text((ipcf_status)strange[i]) != NULL);
    }
}

static void fail_fills_every_field(void)
{
    ipcf_error error;
    memset(&error, 0xff, sizeof error);
    CHECK_STATUS(ipcf_fail(&error, IPCF_TOO_LARGE, "body", 10, 11), IPCF_TOO_LARGE);
    CHECK(error.os_error == 0 && error.expected == 10 && error.found == 11);
    CHECK(strcmp(error.what, "body") == 0);
    CHECK_STATUS(ipcf_fail(&error, IPCF_CLOSED, NULL, 0, 0), IPCF_CLOSED);
    CHECK(error.what == ipcf_status_text(IPCF_CLOSED));
    CHECK_STATUS(ipcf_fail(NULL, IPCF_CORRUPT, "tail", 1, 2), IPCF_CORRUPT);
}

static void system_errors_are_mapped_and_kept(void)
{
    static const struct {
        int os_error;
        ipcf_status due;
    } table[] = {
        {ECONNRESET, IPCF_DISCONNECTED},
        {EPIPE, IPCF_DISCONNECTED},
        {ECONNABORTED, IPCF_DISCONNECTED},
        {ETIMEDOUT, IPCF_DISCONNECTED}, /* what TCP says of a peer that has gone */
        {EHOSTUNREACH, IPCF_DISCONNECTED},
        {EHOSTDOWN, IPCF_DISCONNECTED},
        {ENETUNREACH, IPCF_DISCONNECTED},
        {ENETDOWN, IPCF_DISCONNECTED},
        {ENOMEM, IPCF_NO_MEMORY},
        {EACCES, IPCF_PERMISSION_DENIED},
        {EPERM, IPCF_PERMISSION_DENIED},
        {EADDRINUSE, IPCF_ADDRESS_IN_USE},
        {ENOENT, IPCF_OS_ERROR}, /* "not found" is said only by connect, which knows */
        {ECONNREFUSED, IPCF_OS_ERROR},
        {EMFILE, IPCF_OS_ERROR},
        {EIO, IPCF_OS_ERROR},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i) {
        ipcf_error error;
        memset(&error, 0xff, sizeof error);
        errno = table[i].os_error;
        CHECK_STATUS(ipcf_fail_os(&error, "call"), table[i].due);
        CHECK(error.os_error == table[i].os_error);
        CHECK(error.expected == 0 && error.found == 0);
        CHECK(strcmp(error.what, "call") == 0);
        errno = table[i].os_error;
        CHECK_STATUS(ipcf_fail_os(NULL, "call"), table[i].due);
        errno = table[i].os_error;
        CHECK_STATUS(ipcf_fail_os(&error, NULL), table[i].due);
        CHECK(error.what != NULL && error.what[0] != '\0');
    }
}

int main(void)
{
    RUN(every_status_has_a_name_and_a_text_of_its_own);
    RUN(names_follow_the_enum);
    RUN(values_outside_the_table_are_answered_too);
    RUN(fail_fills_every_field);
    RUN(system_errors_are_mapped_and_kept);
    return 0;
}
