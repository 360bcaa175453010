/* SPDX-License-Identifier: MIT
 * The hooks of test builds; not part of what is shipped.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "ipcf/testing.h"

static void (*step_hook)(const char *step);
static const char *failing_call;
static unsigned calls_left;
static int failing_error;

void ipcf_test_on_step(void (*hook)(const char *step)) { step_hook = hook; }

void ipcf_test_fail_at(const char *call, unsigned nth, int os_error)
{
    failing_call = call;
    calls_left = nth;
    failing_error = os_error;
}

void ipcf_test_step(const char *step)
{
    if (step_hook != NULL)
        step_hook(step);
}

bool ipcf_test_fails(const char *call)
{
    if (failing_call == NULL || strcmp(call, failing_call) != 0 || --calls_left > 0)
        return false;
    failing_call = NULL;
    errno = failing_error;
    return true;
}
