/* SPDX-License-Identifier: MIT
 * Names and texts of the results, and the one way in which a failure is written down.
 */
#include "ipcf/status.h"

static const char *const names[] = {
#define IPCF_STATUS_NAME(name, text) #name,
    IPCF_STATUS_MAP(IPCF_STATUS_NAME)
#undef IPCF_STATUS_NAME
};

static const char *const texts[] = {
#define IPCF_STATUS_TEXT(name, text) text,
    IPCF_STATUS_MAP(IPCF_STATUS_TEXT)
#undef IPCF_STATUS_TEXT
};

_Static_assert(sizeof(names) / sizeof(names[0]) == IPCF_STATUS_COUNT,
               "every status has a name");

static bool is_known(ipcf_status status)
{
    return (unsigned)status < (unsigned)IPCF_STATUS_COUNT;
}

const char *ipcf_status_name(ipcf_status status)
{
    return is_known(status) ? names[status] : "UNKNOWN";
}

const char *ipcf_status_text(ipcf_status status)
{
    return is_known(status) ? texts[status]
                            : "a result that this version does not know";
}

ipcf_status ipcf_fail(ipcf_error *error, ipcf_status status, const char *what,
                      uint64_t expected, uint64_t found)
{
    if (error != NULL)
        *error = (ipcf_error){
            .os_error = 0,
            .expected = expected,
            .found = found,
            .what = what != NULL ? what : ipcf_status_text(status),
        };
    return status;
}
