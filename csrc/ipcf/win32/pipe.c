/* SPDX-License-Identifier: MIT
 * Names and instances of named pipes, and who may open them.
 */
#include <string.h>

#include "ipcf/win32/pipe.h"
#include "ipcf/win32/user.h"

static const char prefix[] = "\\\\.\\pipe\\";

ipcf_status ipcf_pipe_name(const char *path, WCHAR name[IPCF_PIPE_NAME_SIZE],
                           ipcf_error *error)
{
    const size_t prefix_size = sizeof prefix - 1;
    if (strncmp(path, prefix, prefix_size) != 0 || path[prefix_size] == '\0' ||
        strchr(path + prefix_size, '\\') != NULL)
        return ipcf_fail(error, IPCF_INVALID, "name of the pipe", 0, 0);
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, name,
                            IPCF_PIPE_NAME_SIZE) == 0)
        return ipcf_fail(error, IPCF_INVALID, "length or encoding of the pipe's name",
                         IPCF_PIPE_NAME_SIZE - 1, strlen(path));
    return IPCF_OK;
}

HANDLE ipcf_pipe_create_instance(const WCHAR *name, bool is_first, DWORD instances_max)
{
    ipcf_user_security security;
    if (!ipcf_user_security_init(&security))
        return INVALID_HANDLE_VALUE;
    DWORD first = is_first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0;
    return CreateNamedPipeW(
        name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first,
        PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
        instances_max, IPCF_PIPE_QUOTA, IPCF_PIPE_QUOTA, 0, &security.attributes);
}

HANDLE ipcf_pipe_open(const WCHAR *name)
{
    return CreateFileW(
        name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
        FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
}

int64_t ipcf_pipe_peer_pid(HANDLE pipe, bool is_server)
{
    ULONG pid = 0;
    BOOL is_known = is_server ? GetNamedPipeClientProcessId(pipe, &pid)
                              : GetNamedPipeServerProcessId(pipe, &pid);
    return is_known && pid != 0 ? (int64_t)pid : -1;
}
