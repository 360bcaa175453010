/* SPDX-License-Identifier: MIT
 * Tokens, SIDs and access lists of the user this process runs as.
 */
#include "ipcf/win32/user.h"

static bool user_of(HANDLE process, ipcf_user *user)
{
    HANDLE token;
    DWORD size;
    if (!OpenProcessToken(process, TOKEN_QUERY, &token))
        return false;
    bool is_known = GetTokenInformation(token, TokenUser, user, sizeof *user, &size);
    DWORD last_error = GetLastError();
    (void)CloseHandle(token);
    SetLastError(last_error);
    return is_known;
}

bool ipcf_user_security_init(ipcf_user_security *security)
{
    if (!user_of(GetCurrentProcess(), &security->user))
        return false;
    PSID sid = security->user.token.User.Sid;
    ACL *list = &security->access.list;
    SECURITY_DESCRIPTOR *descriptor = &security->descriptor;
    security->attributes = (SECURITY_ATTRIBUTES){.nLength = sizeof security->attributes,
                                                 .lpSecurityDescriptor = descriptor,
                                                 .bInheritHandle = FALSE};
    return InitializeAcl(list, sizeof security->access, ACL_REVISION) &&
           AddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, sid) &&
           InitializeSecurityDescriptor(descriptor, SECURITY_DESCRIPTOR_REVISION) &&
           SetSecurityDescriptorOwner(descriptor, sid, FALSE) &&
           SetSecurityDescriptorDacl(descriptor, TRUE, list, FALSE) &&
           SetSecurityDescriptorControl(descriptor, SE_DACL_PROTECTED,
                                        SE_DACL_PROTECTED);
}

ipcf_process_user ipcf_user_of_process(int64_t pid)
{
    if (pid <= 0)
        return IPCF_PROCESS_OTHERS;
    HANDLE process =
        OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, (DWORD)pid);
    if (process == NULL)
        return GetLastError() == ERROR_INVALID_PARAMETER ? IPCF_PROCESS_GONE
                                                         : IPCF_PROCESS_OTHERS;
    ipcf_user ours;
    ipcf_user theirs;
    ipcf_process_user answer = IPCF_PROCESS_OTHERS;
    if (WaitForSingleObject(process, 0) == WAIT_OBJECT_0)
        answer = IPCF_PROCESS_GONE;
    else if (user_of(process, &theirs) && user_of(GetCurrentProcess(), &ours) &&
             EqualSid(ours.token.User.Sid, theirs.token.User.Sid))
        answer = IPCF_PROCESS_OURS;
    (void)CloseHandle(process);
    return answer;
}
