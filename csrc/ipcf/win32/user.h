/* SPDX-License-Identifier: MIT
 * The user this process runs as: whether another process is the same user's, and a
 * descriptor that lets in nobody else.
 */
#ifndef IPCF_WIN32_USER_H
#define IPCF_WIN32_USER_H

#include "ipcf/platform.h"

typedef union ipcf_user {
    TOKEN_USER token;
    uint8_t bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
} ipcf_user;

/* Points into itself: not to be copied. */
typedef struct ipcf_user_security {
    SECURITY_ATTRIBUTES attributes;
    SECURITY_DESCRIPTOR descriptor;
    ipcf_user user;
    union {
        ACL list;
        uint8_t bytes[sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE];
    } access;
} ipcf_user_security;

/* Owner and only entry of the access list: our user; nothing is inherited from above,
 * and no child process inherits the handle. False and GetLastError() on failure. */
bool ipcf_user_security_init(ipcf_user_security *security);

typedef enum ipcf_process_user {
    IPCF_PROCESS_OURS,   /* it runs as the user that we run as */
    IPCF_PROCESS_OTHERS, /* it does not, or will not say */
    IPCF_PROCESS_GONE
} ipcf_process_user;

ipcf_process_user ipcf_user_of_process(int64_t pid);

#endif
