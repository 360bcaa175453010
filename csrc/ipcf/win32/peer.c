/* SPDX-License-Identifier: MIT
 * The process at the other end of a named pipe: whose it is, and a handle that tells
 * when it ends.
 */
#include "ipcf/win32/pipe_stream.h"
#include "ipcf/win32/user.h"

ipcf_status ipcf_stream_peer(const ipcf_stream *stream, ipcf_peer *peer,
                             ipcf_error *error)
{
    const ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    *peer = (ipcf_peer){.pid = -1, .uid = -1};
    if (state == NULL)
        return ipcf_fail(error, IPCF_CLOSED, "stream", 0, 0);
    peer->pid = state->peer_pid;
    if (ipcf_user_of_process(state->peer_pid) == IPCF_PROCESS_OURS)
        peer->uid = 0;
    return IPCF_OK;
}

static bool is_connected(ipcf_pipe_state *state)
{
    AcquireSRWLockExclusive(&state->read_lock);
    bool result =
        !state->has_ended && PeekNamedPipe(state->pipe, NULL, 0, NULL, NULL, NULL);
    ReleaseSRWLockExclusive(&state->read_lock);
    return result;
}

bool ipcf_stream_peer_is_here(const ipcf_stream *stream)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    return state != NULL && state->peer_pid == (int64_t)GetCurrentProcessId();
}

/* The number may have been given to another process since the peer connected; but then
 * the peer's end is closed. So a connection that is still up after the process was
 * opened says that it is the right one. */
ipcf_status ipcf_stream_watch_peer(const ipcf_stream *stream, ipcf_handle *process,
                                   ipcf_error *error)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    *process = IPCF_NO_HANDLE;
    if (state == NULL)
        return ipcf_fail(error, IPCF_CLOSED, "stream", 0, 0);
    if (state->peer_pid < 0)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "the peer's process is not known", 0,
                         0);
    if (state->peer_pid == (int64_t)GetCurrentProcessId())
        return ipcf_fail(error, IPCF_INVALID, "the peer is this process", 0,
                         (uint64_t)state->peer_pid);
    HANDLE opened = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)state->peer_pid);
    if (opened == NULL && GetLastError() == ERROR_INVALID_PARAMETER)
        return ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0);
    if (opened == NULL && GetLastError() == ERROR_ACCESS_DENIED)
        return ipcf_fail(error, IPCF_UNSUPPORTED, "OpenProcess", 0, 0);
    if (opened == NULL)
        return ipcf_fail_os(error, "OpenProcess");
    if (!is_connected(state)) {
        (void)CloseHandle(opened);
        return ipcf_fail(error, IPCF_DISCONNECTED, "the peer's process", 0, 0);
    }
    *process = (ipcf_handle)opened;
    return IPCF_OK;
}
