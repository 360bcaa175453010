/* SPDX-License-Identifier: MIT
 * What every owner of descriptors in posix/ needs: making a received one fit, and
 * closing.
 */
#ifndef IPCF_POSIX_DESCRIPTOR_H
#define IPCF_POSIX_DESCRIPTOR_H

#include "ipcf/stream.h" /* ipcf_handle_close */

/* Make a descriptor CLOEXEC and non-blocking. -1 and errno on failure. */
int ipcf_descriptor_prepare(int handle);

#endif
