/* SPDX-License-Identifier: MIT
 * The hooks of test builds; not part of what is shipped.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "ipcf/atomic.h"
#include "ipcf/testing.h"

typedef void (*hook_for_steps)(const char *step);

static _Atomic hook_for_steps step_hook;
static const char *failing_call;
static unsigned calls_left;
static int failing_error;
static uint64_t short_state;

void ipcf_test_on_step(void (*hook)(const char *step))
{
    /* release: pairs with the acquire in ipcf_test_step */
    ipcf_store_release(&step_hook, hook);
}

void ipcf_test_fail_at(const char *call, unsigned nth, int os_error)
{
    failing_call = call;
    calls_left = nth;
    failing_error = os_error;
}

bool ipcf_test_fault_is_due(void) { return failing_call != NULL; }

void ipcf_test_shorten(uint64_t seed) { short_state = seed; }

void ipcf_test_step(const char *step)
{
    /* acquire: pairs with the release in ipcf_test_on_step */
    hook_for_steps hook = ipcf_load_acquire(&step_hook);
    if (hook != NULL)
        hook(step);
}

bool ipcf_test_fails(const char *call)
{
    if (failing_call == NULL || strcmp(call, failing_call) != 0 || --calls_left > 0)
        return false;
    failing_call = NULL;
    errno = failing_error;
    return true;
}

bool ipcf_test_shortens(void) { return short_state != 0; }

size_t ipcf_test_short(size_t size)
{
    if (short_state == 0 || size < 2)
        return size;
    short_state = short_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return 1 + (size_t)(short_state >> 33) % size;
}
