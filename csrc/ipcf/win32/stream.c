/* SPDX-License-Identifier: MIT
 * Streams over named pipes: making them and moving bytes. See pipe_stream.h for how it
 * works.
 */
#include <stdio.h>
#include <string.h>

#include "ipcf/win32/native.h"
#include "ipcf/win32/pipe_stream.h"

/* ---- making streams -------------------------------------------------------------- */

/* A name that no pipe has had since the system started; that it is the first instance
 * keeps others out all the same. */
static bool create_unique(HANDLE *server, WCHAR name[IPCF_PIPE_NAME_SIZE])
{
    char path[IPCF_PIPE_NAME_SIZE];
    LUID id;
    if (!AllocateLocallyUniqueId(&id))
        return false;
    (void)snprintf(path, sizeof path, "\\\\.\\pipe\\ipcfast_pair_%lx_%lx_%lx",
                   (unsigned long)GetCurrentProcessId(), (unsigned long)id.HighPart,
                   (unsigned long)id.LowPart);
    if (ipcf_pipe_name(path, name, NULL) != IPCF_OK)
        return false;
    *server = ipcf_pipe_create_instance(name, true, 1);
    return *server != INVALID_HANDLE_VALUE;
}

/* The client is there already, so this only takes note of it. */
static bool connect_server(HANDLE server)
{
    OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    if (overlapped.hEvent == NULL)
        return false;
    bool is_connected = !ConnectNamedPipe(server, &overlapped) &&
                        GetLastError() == ERROR_PIPE_CONNECTED;
    if (!is_connected) {
        ipcf_operation connecting = {.overlapped = overlapped, .is_under_way = true};
        DWORD moved;
        (void)ipcf_operation_cancel(&connecting, server, &moved);
    }
    (void)CloseHandle(overlapped.hEvent);
    return is_connected;
}

ipcf_status ipcf_stream_pair(ipcf_stream *one, ipcf_stream *other, ipcf_error *error)
{
    WCHAR name[IPCF_PIPE_NAME_SIZE];
    HANDLE server;
    *one = IPCF_STREAM_NONE;
    *other = IPCF_STREAM_NONE;
    if (!create_unique(&server, name))
        return ipcf_fail_os(error, "pipe of a pair");
    HANDLE client = ipcf_pipe_open(name);
    if (client == INVALID_HANDLE_VALUE || !connect_server(server)) {
        ipcf_status status = ipcf_fail_os(error, "other end of a pair");
        if (client != INVALID_HANDLE_VALUE)
            (void)CloseHandle(client);
        (void)CloseHandle(server);
        return status;
    }
    ipcf_status status = ipcf_pipe_stream(server, false, one, error);
    if (status != IPCF_OK) {
        (void)CloseHandle(client);
        (void)CloseHandle(server);
        return status;
    }
    status = ipcf_pipe_stream(client, false, other, error);
    if (status != IPCF_OK) {
        (void)CloseHandle(client);
        ipcf_stream_close(one);
    }
    return status;
}

static ipcf_status connect_failed(ipcf_error *error)
{
    DWORD os_error = GetLastError();
    ipcf_status status = ipcf_fail_os(error, "open of a pipe");
    if (os_error == ERROR_FILE_NOT_FOUND)
        return IPCF_ADDRESS_NOT_FOUND;
    return os_error == ERROR_PIPE_BUSY ? IPCF_AGAIN : status;
}

ipcf_status ipcf_stream_connect(const char *path, bool require_same_user,
                                ipcf_stream *stream, ipcf_error *error)
{
    WCHAR name[IPCF_PIPE_NAME_SIZE];
    *stream = IPCF_STREAM_NONE;
    ipcf_status status = ipcf_pipe_name(path, name, error);
    if (status != IPCF_OK)
        return status;
    HANDLE pipe = ipcf_pipe_open(name);
    if (pipe == INVALID_HANDLE_VALUE)
        return connect_failed(error);
    status = ipcf_pipe_stream(pipe, require_same_user, stream, error);
    if (status != IPCF_OK)
        (void)CloseHandle(pipe);
    return status;
}

ipcf_status ipcf_stream_adopt(ipcf_handle handle, ipcf_stream *stream,
                              ipcf_error *error)
{
    HANDLE pipe = (HANDLE)handle;
    ipcf_io_status io;
    ULONG mode = 0;
    DWORD byte_mode = PIPE_READMODE_BYTE | PIPE_WAIT;
    *stream = IPCF_STREAM_NONE;
    /* negative numbers are pseudo handles, zero is none */
    if (handle <= 0 || GetFileType(pipe) != FILE_TYPE_PIPE)
        return ipcf_fail(error, IPCF_INVALID, "the handle is not a pipe", 0, 0);
    if (NtQueryInformationFile(pipe, &io, &mode, sizeof mode,
                               IPCF_FILE_MODE_INFORMATION) < 0 ||
        (mode & IPCF_FILE_MODE_SYNCHRONOUS) != 0)
        return ipcf_fail(error, IPCF_INVALID,
                         "the pipe was not opened with FILE_FLAG_OVERLAPPED", 0, mode);
    if (!SetNamedPipeHandleState(pipe, &byte_mode, NULL, NULL) ||
        !SetHandleInformation(pipe, HANDLE_FLAG_INHERIT, 0))
        return ipcf_fail_os(error, "state of a pipe");
    return ipcf_pipe_stream(pipe, false, stream, error);
}

ipcf_status ipcf_stream_adopt_pair(ipcf_handle read_handle, ipcf_handle write_handle,
                                   ipcf_stream *stream, ipcf_error *error)
{
    (void)read_handle;
    (void)write_handle;
    *stream = IPCF_STREAM_NONE;
    return ipcf_fail(error, IPCF_UNSUPPORTED, "a stream over two handles", 0, 0);
}

/* ---- reading --------------------------------------------------------------------- */

static ipcf_status has_ended(ipcf_error *error)
{
    return ipcf_fail(error, IPCF_DISCONNECTED, "this end was shut down", 0, 0);
}

/* As many of the available bytes as there is room for. */
static ipcf_status take(ipcf_pipe_state *state, void *data, DWORD size, size_t *got,
                        ipcf_error *error)
{
    DWORD moved;
    ipcf_operation *read = &state->read;
    DWORD outcome = ipcf_operation_started(
        read, ReadFile(state->pipe, data, size, NULL, &read->overlapped));
    if (outcome == ERROR_SUCCESS)
        outcome = ipcf_operation_result(read, state->pipe, &moved);
    else if (outcome ==
             ERROR_IO_PENDING) /* a process that shares the handle was faster */
        outcome = ipcf_operation_cancel(read, state->pipe, &moved);
    if (outcome == ERROR_SUCCESS && moved > 0) {
        *got = moved;
        return IPCF_OK;
    }
    if (outcome == ERROR_SUCCESS || outcome == ERROR_OPERATION_ABORTED)
        return ipcf_fail(error, IPCF_AGAIN, "ReadFile", 0, 0);
    SetLastError(outcome);
    return ipcf_fail_os(error, "ReadFile");
}

static ipcf_status read_some(ipcf_pipe_state *state, void *data, size_t size,
                             size_t *got, ipcf_error *error)
{
    DWORD ignored;
    DWORD available;
    if (state->has_ended)
        return has_ended(error);
    /* as long as the armed read is under way nothing has come; how it ended does not
     * matter */
    if (state->read.is_under_way &&
        ipcf_operation_result(&state->read, state->pipe, &ignored) ==
            ERROR_IO_INCOMPLETE)
        return ipcf_fail(error, IPCF_AGAIN, "ReadFile", 0, 0);
    if (!PeekNamedPipe(state->pipe, NULL, 0, NULL, &available, NULL))
        return ipcf_fail_os(error, "PeekNamedPipe");
    if (available == 0)
        return ipcf_fail(error, IPCF_AGAIN, "PeekNamedPipe", 0, 0);
    return take(state, data, size < available ? (DWORD)size : available, got, error);
}

ipcf_status ipcf_stream_try_read(ipcf_stream *stream, void *data, size_t size,
                                 size_t *got, ipcf_error *error)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    *got = 0;
    if (state == NULL)
        return ipcf_fail(error, IPCF_CLOSED, "stream", 0, 0);
    if (size == 0)
        return ipcf_fail(error, IPCF_INVALID, "room to read into", 1, 0);
    AcquireSRWLockExclusive(&state->read_lock);
    ipcf_status status = read_some(state, data, size, got, error);
    ReleaseSRWLockExclusive(&state->read_lock);
    return status;
}

/* False: it is not under way, because try_read has something to say already. */
static bool start_read(ipcf_pipe_state *state)
{
    DWORD ignored;
    ipcf_operation *read = &state->read;
    if (state->has_ended)
        return false;
    if (read->is_under_way &&
        ipcf_operation_result(read, state->pipe, &ignored) == ERROR_IO_INCOMPLETE)
        return true;
    return ipcf_operation_started(read, ReadFile(state->pipe, &state->nothing, 0, NULL,
                                                 &read->overlapped)) ==
           ERROR_IO_PENDING;
}

ipcf_handle ipcf_stream_arm_read(ipcf_stream *stream)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    if (state == NULL)
        return IPCF_NO_HANDLE;
    AcquireSRWLockExclusive(&state->read_lock);
    if (!start_read(state))
        (void)SetEvent(state->read.overlapped.hEvent);
    ReleaseSRWLockExclusive(&state->read_lock);
    return (ipcf_handle)state->read.overlapped.hEvent;
}

/* ---- writing --------------------------------------------------------------------- */

/* ERROR_SUCCESS or ERROR_IO_PENDING: the bytes are on their way. */
static DWORD start_write(ipcf_pipe_state *state)
{
    return ipcf_operation_started(&state->write, WriteFile(state->pipe, state->outgoing,
                                                           state->outgoing_size, NULL,
                                                           &state->write.overlapped));
}

ipcf_status ipcf_pipe_settle_write(ipcf_pipe_state *state, ipcf_error *error)
{
    DWORD moved;
    while (state->write.is_under_way) {
        DWORD outcome = ipcf_operation_result(&state->write, state->pipe, &moved);
        if (outcome == ERROR_IO_INCOMPLETE)
            return ipcf_fail(error, IPCF_AGAIN, "WriteFile", 0, 0);
        /* the thread that started it has ended: see pipe_stream.h why nothing of it has
         * gone out */
        if (outcome == ERROR_OPERATION_ABORTED)
            outcome = start_write(state);
        if (outcome != ERROR_SUCCESS && outcome != ERROR_IO_PENDING) {
            SetLastError(outcome);
            return ipcf_fail_os(error, "WriteFile");
        }
    }
    return IPCF_OK;
}

static DWORD gather(ipcf_pipe_state *state, const ipcf_piece *pieces, size_t count)
{
    DWORD filled = 0;
    for (size_t i = 0; i < count && filled < state->write_limit; ++i) {
        size_t room = state->write_limit - filled;
        size_t part = pieces[i].size < room ? pieces[i].size : room;
        if (part > 0)
            memcpy(state->outgoing + filled, pieces[i].data, part);
        filled += (DWORD)part;
    }
    return filled;
}

static ipcf_status write_some(ipcf_pipe_state *state, const ipcf_piece *pieces,
                              size_t count, size_t *put, ipcf_error *error)
{
    if (state->has_ended)
        return has_ended(error);
    ipcf_status status = ipcf_pipe_settle_write(state, error);
    if (status != IPCF_OK)
        return status;
    state->outgoing_size = gather(state, pieces, count);
    if (state->outgoing_size == 0)
        return IPCF_OK;
    DWORD outcome = start_write(state);
    if (outcome != ERROR_SUCCESS && outcome != ERROR_IO_PENDING) {
        SetLastError(outcome);
        return ipcf_fail_os(error, "WriteFile");
    }
    *put = state->outgoing_size;
    return IPCF_OK;
}

ipcf_status ipcf_stream_try_write(ipcf_stream *stream, const ipcf_piece *pieces,
                                  size_t count, size_t *put, ipcf_error *error)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    *put = 0;
    if (state == NULL)
        return ipcf_fail(error, IPCF_CLOSED, "stream", 0, 0);
    if (count > IPCF_STREAM_MAX_PIECES)
        return ipcf_fail(error, IPCF_INVALID, "pieces of one write",
                         IPCF_STREAM_MAX_PIECES, count);
    AcquireSRWLockExclusive(&state->write_lock);
    ipcf_status status = write_some(state, pieces, count, put, error);
    ReleaseSRWLockExclusive(&state->write_lock);
    return status;
}

ipcf_handle ipcf_stream_arm_write(ipcf_stream *stream)
{
    ipcf_pipe_state *state = ipcf_pipe_state_of(stream);
    if (state == NULL)
        return IPCF_NO_HANDLE;
    AcquireSRWLockExclusive(&state->write_lock);
    HANDLE event = state->write.overlapped.hEvent;
    /* the other event may wait for a lingering write; this one stays set after the end */
    if (state->has_ended)
        event = state->read.overlapped.hEvent;
    else if (ipcf_pipe_settle_write(state, NULL) != IPCF_AGAIN)
        (void)SetEvent(event); /* nothing is under way, so try_write can go on */
    ReleaseSRWLockExclusive(&state->write_lock);
    return (ipcf_handle)event;
}
