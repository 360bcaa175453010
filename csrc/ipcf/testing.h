/* SPDX-License-Identifier: MIT
 * Hooks of test builds (-DIPCF_TESTING): stop at a named step, and fail the n-th of a
 * named system call.
 *
 * The code under test says IPCF_TEST_STEP("listener bound") and
 * `IPCF_TEST_FAILS("fallocate")`, which are nothing in other builds. Set the hooks
 * before other threads run; they are plain variables of this process.
 */
#ifndef IPCF_TESTING_H
#define IPCF_TESTING_H

#include <stdbool.h>

/* Call `hook` at every step with its name (NULL: no more). It may end the process. */
void ipcf_test_on_step(void (*hook)(const char *step));

/* Let the nth (1: the next) call with this name fail with os_error, and all after it
 * work again. NULL: none. */
void ipcf_test_fail_at(const char *call, unsigned nth, int os_error);

/* For the code under test. */
void ipcf_test_step(const char *step);
bool ipcf_test_fails(const char *call);

#endif
