/* SPDX-License-Identifier: MIT
 * Birth and end of a stream over a named pipe. See pipe_stream.h for how a stream ends
 * without losing bytes.
 */
#include <stdlib.h>

#include "ipcf/win32/pipe_stream.h"
#include "ipcf/win32/user.h"

static HANDLE create_event(void) { return CreateEventW(NULL, TRUE, FALSE, NULL); }

static void free_state(ipcf_pipe_state *state)
{
    DWORD last_error = GetLastError();
    if (state->read.overlapped.hEvent != NULL)
        (void)CloseHandle(state->read.overlapped.hEvent);
    if (state->write.overlapped.hEvent != NULL)
        (void)CloseHandle(state->write.overlapped.hEvent);
    free(state);
    SetLastError(last_error);
}

void ipcf_pipe_state_release(ipcf_pipe_state *state)
{
    if (InterlockedDecrement(&state->owners) == 0)
        free_state(state);
}

/* A pipe of another server may hold less than ours do. 0 is "as the system likes". */
static DWORD write_limit_of(DWORD quota)
{
    return quota != 0 && quota < IPCF_PIPE_QUOTA ? quota : IPCF_PIPE_QUOTA;
}

ipcf_pipe_state *ipcf_pipe_state_create(HANDLE pipe)
{
    DWORD flags;
    DWORD out_quota;
    DWORD in_quota;
    if (!GetNamedPipeInfo(pipe, &flags, &out_quota, &in_quota, NULL))
        return NULL;
    ipcf_pipe_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    bool is_server = (flags & PIPE_SERVER_END) != 0;
    InitializeSRWLock(&state->read_lock);
    InitializeSRWLock(&state->write_lock);
    state->pipe = pipe;
    state->peer_pid = ipcf_pipe_peer_pid(pipe, is_server);
    /* the pipe's figures are the server's: what goes out there comes in here */
    state->write_limit = write_limit_of(is_server ? out_quota : in_quota);
    state->owners = 1;
    state->read.overlapped.hEvent = create_event();
    state->write.overlapped.hEvent = create_event();
    if (state->read.overlapped.hEvent == NULL ||
        state->write.overlapped.hEvent == NULL) {
        free_state(state);
        return NULL;
    }
    return state;
}

/* The access list has let in no other user's clients; so a client that is gone by now,
 * but has left bytes, was ours. */
static ipcf_status check_user(HANDLE pipe, int64_t pid, ipcf_error *error)
{
    DWORD flags = 0;
    ipcf_process_user user = ipcf_user_of_process(pid);
    (void)GetNamedPipeInfo(pipe, &flags, NULL, NULL, NULL);
    if (user == IPCF_PROCESS_OURS)
        return IPCF_OK;
    if (user == IPCF_PROCESS_OTHERS)
        return ipcf_fail(error, IPCF_PERMISSION_DENIED, "the peer's user", 0, 0);
    if ((flags & PIPE_SERVER_END) != 0)
        return IPCF_OK;
    return ipcf_fail(error, IPCF_ADDRESS_NOT_FOUND, "the server's process has ended", 0,
                     0);
}

ipcf_status ipcf_pipe_stream(HANDLE pipe, bool require_same_user, ipcf_stream *stream,
                             ipcf_error *error)
{
    *stream = IPCF_STREAM_NONE;
    ipcf_pipe_state *state = ipcf_pipe_state_create(pipe);
    if (state == NULL)
        return ipcf_fail_os(error, "state of a pipe");
    if (require_same_user) {
        ipcf_status status = check_user(pipe, state->peer_pid, error);
        if (status != IPCF_OK) {
            ipcf_pipe_state_release(state);
            return status;
        }
    }
    *stream = (ipcf_stream){.handle = (ipcf_handle)pipe, .overlapped = state};
    return IPCF_OK;
}

static void close_pipe(ipcf_pipe_state *state)
{
    (void)CloseHandle(state->pipe);
    state->pipe = INVALID_HANDLE_VALUE;
}

/* The lingering write has ended, or the thread that started it has. Runs in the
 * system's pool. */
static void CALLBACK on_write_over(PTP_CALLBACK_INSTANCE instance, void *context,
                                   PTP_WAIT wait, TP_WAIT_RESULT result)
{
    ipcf_pipe_state *state = context;
    (void)instance;
    (void)result;
    AcquireSRWLockExclusive(&state->write_lock);
    bool is_over = ipcf_pipe_settle_write(state, NULL) != IPCF_AGAIN;
    if (is_over)
        close_pipe(state);
    else
        SetThreadpoolWait(wait, state->write.overlapped.hEvent, NULL);
    ReleaseSRWLockExclusive(&state->write_lock);
    if (is_over) {
        CloseThreadpoolWait(wait);
        ipcf_pipe_state_release(state);
    }
}

static bool linger(ipcf_pipe_state *state)
{
    PTP_WAIT wait = CreateThreadpoolWait(on_write_over, state, NULL);
    if (wait == NULL)
        return false;
    (void)InterlockedIncrement(&state->owners);
    SetThreadpoolWait(wait, state->write.overlapped.hEvent, NULL);
    return true;
}

/* Under both locks. */
static void end(ipcf_pipe_state *state)
{
    DWORD moved;
    state->has_ended = true;
    if (state->read.is_under_way)
        (void)ipcf_operation_cancel(&state->read, state->pipe, &moved);
    /* whoever sleeps on it has an end to see */
    (void)SetEvent(state->read.overlapped.hEvent);
    if (ipcf_pipe_settle_write(state, NULL) == IPCF_AGAIN && linger(state))
        return;
    if (state->write.is_under_way) /* no memory to linger with */
        (void)ipcf_operation_cancel(&state->write, state->pipe, &moved);
    close_pipe(state);
}

void ipcf_stream_shut_down(ipcf_stream *stream)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    if (state == NULL)
        return;
    AcquireSRWLockExclusive(&state->read_lock);
    AcquireSRWLockExclusive(&state->write_lock);
    if (!state->has_ended)
        end(state);
    ReleaseSRWLockExclusive(&state->write_lock);
    ReleaseSRWLockExclusive(&state->read_lock);
}

void ipcf_stream_close(ipcf_stream *stream)
{
    ipcf_stream_shut_down(stream);
    if (stream->overlapped != NULL)
        ipcf_pipe_state_release(ipcf_pipe_state_of(stream));
    *stream = IPCF_STREAM_NONE;
}
