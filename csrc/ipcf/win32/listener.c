/* SPDX-License-Identifier: MIT
 * Listening on a named pipe: a few instances that wait for a client each.
 *
 * The backlog is the number of waiting instances, since a client can only connect to
 * one that is there. All their operations share one event: the handle to wait for.
 * Starting one resets it, so ipcf_listener_arm looks at all of them after the last
 * start, and sets it where one has ended. The name lives as long as any instance, a
 * connected one included: after a listener is closed, nobody can listen there again
 * until the streams it accepted are closed.
 */
#include <stdlib.h>
#include <string.h>

#include "ipcf/win32/operation.h"
#include "ipcf/win32/pipe.h"

#define INSTANCES_MAX 16u

typedef struct instance {
    HANDLE pipe; /* INVALID_HANDLE_VALUE: could not be made; tried again */
    ipcf_operation connecting;
    bool has_client;
} instance;

typedef struct listening {
    WCHAR name[IPCF_PIPE_NAME_SIZE];
    HANDLE event;
    size_t count;
    size_t next; /* where the next accept starts to look, so that none starves */
    instance instances[INSTANCES_MAX];
} listening;

/* ---- one instance ---------------------------------------------------------------- */

static void drop(instance *slot)
{
    DWORD moved;
    if (slot->pipe == INVALID_HANDLE_VALUE)
        return;
    if (slot->connecting.is_under_way)
        (void)ipcf_operation_cancel(&slot->connecting, slot->pipe, &moved);
    (void)CloseHandle(slot->pipe);
    slot->pipe = INVALID_HANDLE_VALUE;
    slot->has_client = false;
}

/* Wait for a client, in a pipe without one. */
static bool await_client(instance *slot, HANDLE event)
{
    slot->connecting = (ipcf_operation){.overlapped = {.hEvent = event}};
    DWORD outcome = ipcf_operation_started(
        &slot->connecting, ConnectNamedPipe(slot->pipe, &slot->connecting.overlapped));
    /* faster than us; ERROR_NO_DATA: and gone again, but what it wrote may be there */
    slot->has_client = outcome == ERROR_SUCCESS || outcome == ERROR_PIPE_CONNECTED ||
                       outcome == ERROR_NO_DATA;
    if (slot->has_client || slot->connecting.is_under_way)
        return true;
    drop(slot);
    SetLastError(outcome);
    return false;
}

static bool create(listening *state, instance *slot, bool is_first)
{
    slot->has_client = false;
    slot->pipe =
        ipcf_pipe_create_instance(state->name, is_first, PIPE_UNLIMITED_INSTANCES);
    return slot->pipe != INVALID_HANDLE_VALUE && await_client(slot, state->event);
}

/* Bring it up to date. False: it cannot be made at present. */
static bool refresh(listening *state, instance *slot)
{
    DWORD ignored;
    if (slot->pipe == INVALID_HANDLE_VALUE)
        return create(state, slot, false);
    if (!slot->connecting.is_under_way)
        return true;
    DWORD outcome = ipcf_operation_result(&slot->connecting, slot->pipe, &ignored);
    if (outcome == ERROR_IO_INCOMPLETE)
        return true;
    if (outcome == ERROR_OPERATION_ABORTED) /* the thread that started it has ended */
        return await_client(slot, state->event);
    slot->has_client = true;
    return true;
}

/* Clients that have hung up, without leaving bytes, make room for the next one. */
static void skip_hung_up(listening *state, instance *slot)
{
    while (slot->has_client && !PeekNamedPipe(slot->pipe, NULL, 0, NULL, NULL, NULL)) {
        slot->has_client = false;
        if (!DisconnectNamedPipe(slot->pipe)) /* nothing is in it that could be lost */
            drop(slot);
        else
            (void)await_client(slot, state->event);
    }
}

/* ---- the listener ---------------------------------------------------------------- */

#define LISTENER_NONE                                                                  \
    (ipcf_listener) { IPCF_NO_HANDLE, IPCF_NO_HANDLE, IPCF_NO_HANDLE, NULL, 0, 0, NULL }

static void free_listening(listening *state)
{
    for (size_t i = 0; i < state->count; ++i)
        drop(&state->instances[i]);
    (void)CloseHandle(state->event);
    free(state);
}

static listening *new_listening(const WCHAR *name, int backlog)
{
    listening *state = calloc(1, sizeof *state);
    if (state == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    memcpy(state->name, name, sizeof state->name);
    state->count = backlog < 1                       ? 1
                   : (size_t)backlog < INSTANCES_MAX ? (size_t)backlog
                                                     : INSTANCES_MAX;
    for (size_t i = 0; i < state->count; ++i)
        state->instances[i].pipe = INVALID_HANDLE_VALUE;
    state->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (state->event == NULL) {
        free(state);
        return NULL;
    }
    return state;
}

/* Somebody has the name. Whether we may talk to him shows whose it is; he sees a client
 * that hung up. */
static ipcf_status taken(const WCHAR *name, ipcf_error *error)
{
    HANDLE pipe = ipcf_pipe_open(name);
    if (pipe == INVALID_HANDLE_VALUE && GetLastError() == ERROR_ACCESS_DENIED)
        return ipcf_fail_os(error, "the pipe belongs to another user");
    if (pipe != INVALID_HANDLE_VALUE)
        (void)CloseHandle(pipe);
    return ipcf_fail(error, IPCF_ADDRESS_IN_USE, "name of the pipe", 0, 0);
}

/* Where FILE_FLAG_FIRST_PIPE_INSTANCE is not enforced (wine 8) only this look says that
 * the name is taken; it does not connect. The shortest wait there is: 0 would mean the
 * server's own default. */
static bool is_taken(const WCHAR *name)
{
    return WaitNamedPipeW(name, 1) || GetLastError() == ERROR_SEM_TIMEOUT;
}

static ipcf_status open_first(listening *state, ipcf_error *error)
{
    if (is_taken(state->name))
        return taken(state->name, error);
    if (create(state, &state->instances[0], true))
        return IPCF_OK;
    if (GetLastError() == ERROR_ACCESS_DENIED || GetLastError() == ERROR_PIPE_BUSY)
        return taken(state->name, error);
    return ipcf_fail_os(error, "CreateNamedPipe");
}

ipcf_status ipcf_listener_open(const char *path, int backlog, ipcf_listener *listener,
                               ipcf_error *error)
{
    WCHAR name[IPCF_PIPE_NAME_SIZE];
    *listener = LISTENER_NONE;
    ipcf_status status = ipcf_pipe_name(path, name, error);
    if (status != IPCF_OK)
        return status;
    listening *state = new_listening(name, backlog);
    if (state == NULL)
        return ipcf_fail_os(error, "state of a listener");
    char *copy = malloc(strlen(path) + 1);
    status = copy == NULL ? ipcf_fail(error, IPCF_NO_MEMORY, "path of a listener", 0, 0)
                          : open_first(state, error);
    if (status != IPCF_OK) {
        free(copy);
        free_listening(state);
        return status;
    }
    memcpy(copy, path, strlen(path) + 1);
    listener->handle = (ipcf_handle)state->event;
    listener->path = copy;
    listener->overlapped = state;
    (void)ipcf_listener_arm(listener); /* makes the other instances */
    return IPCF_OK;
}

/* The next client's pipe, with another instance in its place, so that the name never
 * vanishes. */
static HANDLE take_client(listening *state)
{
    for (size_t i = 0; i < state->count; ++i) {
        instance *slot = &state->instances[(state->next + i) % state->count];
        if (!refresh(state, slot))
            continue;
        skip_hung_up(state, slot);
        if (!slot->has_client)
            continue;
        HANDLE pipe = slot->pipe;
        (void)create(state, slot,
                     false); /* where that fails, arm and accept try again */
        state->next = (state->next + i + 1) % state->count;
        return pipe;
    }
    return INVALID_HANDLE_VALUE;
}

/* No instance could be made: nobody can connect, and waiting would be for nothing. */
static bool is_deaf(const listening *state)
{
    for (size_t i = 0; i < state->count; ++i)
        if (state->instances[i].pipe != INVALID_HANDLE_VALUE)
            return false;
    return true;
}

ipcf_status ipcf_listener_try_accept(ipcf_listener *listener, bool require_same_user,
                                     ipcf_stream *stream, ipcf_error *error)
{
    listening *state = listener->overlapped;
    *stream = IPCF_STREAM_NONE;
    if (state == NULL)
        return ipcf_fail(error, IPCF_CLOSED, "listener", 0, 0);
    HANDLE pipe = take_client(state);
    if (pipe == INVALID_HANDLE_VALUE)
        return is_deaf(state) ? ipcf_fail_os(error, "CreateNamedPipe")
                              : ipcf_fail(error, IPCF_AGAIN, "ConnectNamedPipe", 0, 0);
    ipcf_status status = ipcf_pipe_stream(pipe, require_same_user, stream, error);
    if (status != IPCF_OK)
        (void)CloseHandle(pipe);
    return status;
}

/* Without starting anything: see the top of the file. An operation that was cancelled
 * counts: try_accept starts it again. */
static bool has_news(const instance *slot)
{
    return slot->has_client || (slot->connecting.is_under_way &&
                                HasOverlappedIoCompleted(&slot->connecting.overlapped));
}

ipcf_handle ipcf_listener_arm(ipcf_listener *listener)
{
    listening *state = listener->overlapped;
    bool is_ready = false;
    if (state == NULL)
        return IPCF_NO_HANDLE;
    for (size_t i = 0; i < state->count; ++i)
        (void)refresh(state, &state->instances[i]);
    for (size_t i = 0; i < state->count; ++i)
        is_ready = is_ready || has_news(&state->instances[i]);
    if (is_ready)
        (void)SetEvent(state->event);
    return listener->handle;
}

void ipcf_listener_close(ipcf_listener *listener)
{
    if (listener->overlapped != NULL)
        free_listening(listener->overlapped);
    free(listener->path);
    *listener = LISTENER_NONE; /* its handle was the shared event */
}

void ipcf_listener_abandon(ipcf_listener *listener)
{
    /* there is no fork here, and no name that could be unlinked */
    ipcf_listener_close(listener);
}
