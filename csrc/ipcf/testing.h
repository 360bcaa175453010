/* SPDX-License-Identifier: MIT
 * Hooks of test builds (-DIPCF_TESTING): stop at a named step, fail the n-th of a named
 * call, let reads and writes move less than they could.
 *
 * The code under test says IPCF_TEST_STEP("listener bound"),
 * `IPCF_TEST_FAILS("fallocate")` and IPCF_TEST_SHORT(size), which are nothing in other
 * builds. The hook for steps may be set at any time, and is called by whichever thread
 * comes by; set the others before other threads run, they are plain variables.
 */
#ifndef IPCF_TESTING_H
#define IPCF_TESTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Call `hook` at every step with its name (NULL: no more). It may end the process. */
void ipcf_test_on_step(void (*hook)(const char *step));

/* Let the nth (1: the next) call with this name fail with os_error, and all after it
 * work again. NULL: none. */
void ipcf_test_fail_at(const char *call, unsigned nth, int os_error);
/* Whether that call has not come yet. */
bool ipcf_test_fault_is_due(void);

/* From now on a read or a write moves any number of the bytes that it could, at least
 * one, as the seed has it. 0: no more. */
void ipcf_test_shorten(uint64_t seed);

/* For the code under test. */
void ipcf_test_step(const char *step);
bool ipcf_test_fails(const char *call);
bool ipcf_test_shortens(void);
size_t ipcf_test_short(size_t size);

#endif
