/* SPDX-License-Identifier: MIT
 * The two questions that only the native interface (ntdll) answers: what an event is,
 * and how a file was opened.
 */
#ifndef IPCF_WIN32_NATIVE_H
#define IPCF_WIN32_NATIVE_H

#include "ipcf/platform.h"

/* winternl.h declares neither the classes nor, in every SDK, the functions; layouts and
 * numbers are those of the driver kit. */
enum { IPCF_EVENT_BASIC_INFORMATION = 0, IPCF_FILE_MODE_INFORMATION = 16 };

/* FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT: opened without
 * FILE_FLAG_OVERLAPPED. */
#define IPCF_FILE_MODE_SYNCHRONOUS 0x30u

typedef struct ipcf_event_information {
    LONG type;  /* 0: manual-reset */
    LONG state; /* 1: set */
} ipcf_event_information;

typedef struct ipcf_io_status {
    void *status;
    ULONG_PTR information;
} ipcf_io_status;

LONG NTAPI NtQueryEvent(HANDLE event, int information_class, void *information,
                        ULONG size, ULONG *got);
LONG NTAPI NtQueryInformationFile(HANDLE file, ipcf_io_status *status,
                                  void *information, ULONG size, int information_class);

#endif
