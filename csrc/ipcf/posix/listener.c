/* SPDX-License-Identifier: MIT
 * Owning an address: binding a name without ever displacing a live server, and giving
 * it back.
 *
 * Under the name's lock: look at what is there, probe it by connecting, bind a
 * temporary name, listen, and give that socket the name: by a link where there was
 * nothing, which fails should somebody have come meanwhile who does not know the lock;
 * by renaming where a dead owner's socket is replaced. A process that is killed at any
 * point leaves the lock file, and perhaps a socket that refuses: the next owner
 * replaces it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/listener_lock.h"
#include "ipcf/posix/unix_socket.h"
#include IPCF_SYSTEM_HEADER

#define LISTENER_NONE                                                                  \
    (ipcf_listener)                                                                    \
    {                                                                                  \
        .handle = IPCF_NO_HANDLE, .lock = IPCF_NO_HANDLE, .spare = IPCF_NO_HANDLE      \
    }

/* Look without following or connecting. OK: there is nothing at path, or a socket of
 * ours; *is_there says which. */
static ipcf_status look(const char *path, bool *is_there, ipcf_error *error)
{
    struct stat status;
    *is_there = false;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? IPCF_OK : ipcf_fail_os(error, "lstat of the path");
    *is_there = true;
    if (!S_ISSOCK(status.st_mode))
        return ipcf_fail(error, IPCF_ADDRESS_IN_USE,
                         "the path exists and is not a socket", 0, 0);
    if (status.st_uid != geteuid())
        return ipcf_fail(error, IPCF_PERMISSION_DENIED, "owner of the socket",
                         geteuid(), status.st_uid);
    return IPCF_OK;
}

/* Does somebody listen there? OK: nobody does. */
static ipcf_status probe(const struct sockaddr_un *address, ipcf_error *error)
{
    ipcf_handle handle;
    int os_error = ipcf_unix_connect(address, &handle);
    ipcf_handle_close(&handle);
    switch (os_error) {
    case ECONNREFUSED:
    case ENOENT:
        return IPCF_OK;
    case 0:
    case EAGAIN:     /* alive, and its backlog is full */
    case EPROTOTYPE: /* a socket of another kind */
        return ipcf_fail(error, IPCF_ADDRESS_IN_USE,
                         "a live server answers at the path", 0, 0);
    default:
        errno = os_error;
        return ipcf_fail_os(error, "connect to the path");
    }
}

/* Remove what an owner that was killed between bind and rename has left. */
static ipcf_status clear_temporary(const struct sockaddr_un *address, ipcf_error *error)
{
    bool is_there;
    ipcf_status status = look(address->sun_path, &is_there, error);
    if (status != IPCF_OK || !is_there)
        return status;
    status = probe(address, error);
    /* it has its mode from a strange umask, because its owner did not come as far as
     * chmod */
    if (status != IPCF_OK && status != IPCF_PERMISSION_DENIED)
        return status;
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return ipcf_fail_os(error, "unlink of a temporary name");
    return IPCF_OK;
}

/* Is the path free to be taken? *is_stale: there is a socket that nobody answers at.
 * *address becomes the temporary name to bind, which is free as well. */
static ipcf_status prepare(const ipcf_listener *listener, struct sockaddr_un *address,
                           bool *is_stale, ipcf_error *error)
{
    ipcf_status status = look(listener->path, is_stale, error);
    if (status == IPCF_OK && *is_stale)
        status = probe(address, error);
    if (status != IPCF_OK)
        return status;
    IPCF_TEST_STEP("listener probed");
    status = ipcf_listener_temporary(listener->path, listener->lock, address->sun_path,
                                     sizeof address->sun_path, error);
    if (status == IPCF_OK)
        status = clear_temporary(address, error);
    IPCF_TEST_STEP("listener cleared");
    return status;
}

/* Make the bound socket private, and listen. Nobody can connect before listen, so the
 * mode is right in time whatever the umask, which belongs to all threads and is left
 * alone. */
static ipcf_status listen_privately(ipcf_listener *listener, const char *temporary,
                                    int backlog, ipcf_error *error)
{
    struct stat status;
    if (chmod(temporary, 0600) != 0 || lstat(temporary, &status) != 0)
        return ipcf_fail_os(error, "chmod of the socket");
    listener->device = (uint64_t)status.st_dev;
    listener->inode = (uint64_t)status.st_ino;
    if (listen((int)listener->handle, backlog) != 0)
        return ipcf_fail_os(error, "listen");
    IPCF_TEST_STEP("listener listens");
    return IPCF_OK;
}

static ipcf_status replace_stale(const char *temporary, const char *path,
                                 ipcf_error *error)
{
    return rename(temporary, path) == 0 ? IPCF_OK
                                        : ipcf_fail_os(error, "rename of the socket");
}

/* Give the socket the name where there was nothing: never in place of somebody else. */
static ipcf_status take_free_name(const char *temporary, const char *path,
                                  ipcf_error *error)
{
    if (!IPCF_TEST_FAILS("link") && link(temporary, path) == 0) {
        IPCF_TEST_STEP("listener linked");
        (void)unlink(temporary);
        return IPCF_OK;
    }
    switch (errno) {
    case EEXIST:
        return ipcf_fail(error, IPCF_ADDRESS_IN_USE,
                         "another server has just taken the path", 0, 0);
    case EPERM: /* a file system without hard links */
    case EOPNOTSUPP:
        return replace_stale(temporary, path, error);
    default:
        return ipcf_fail_os(error, "link of the socket");
    }
}

/* With the lock held: make the path ours. */
static ipcf_status take_path(ipcf_listener *listener, struct sockaddr_un *address,
                             int backlog, ipcf_error *error)
{
    bool is_stale;
    const char *temporary = address->sun_path;
    ipcf_status status = prepare(listener, address, &is_stale, error);
    if (status != IPCF_OK)
        return status;
    listener->handle = ipcf_os_socket();
    if (listener->handle < 0)
        return ipcf_fail_os(error, "socket");
    if (bind((int)listener->handle, (const struct sockaddr *)address,
             sizeof *address) != 0)
        return ipcf_fail_os(error, "bind"); /* and what is there is not ours */
    IPCF_TEST_STEP("listener bound");
    status = listen_privately(listener, temporary, backlog, error);
    if (status == IPCF_OK)
        status = is_stale ? replace_stale(temporary, listener->path, error)
                          : take_free_name(temporary, listener->path, error);
    if (status != IPCF_OK)
        (void)unlink(temporary);
    IPCF_TEST_STEP("listener named");
    return status;
}

ipcf_status ipcf_listener_open(const char *path, int backlog, ipcf_listener *listener,
                               ipcf_error *error)
{
    struct sockaddr_un address;
    *listener = LISTENER_NONE;
    ipcf_status status = ipcf_unix_address(path, &address, error);
    if (status != IPCF_OK)
        return status;
    listener->path = strdup(path);
    if (listener->path == NULL)
        return ipcf_fail(error, IPCF_NO_MEMORY, "path of a listener", 0, 0);
    status = ipcf_listener_lock(path, &listener->lock, error);
    if (status == IPCF_OK) {
        IPCF_TEST_STEP("listener locked");
        listener->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
        status = listener->spare < 0 ? ipcf_fail_os(error, "open of /dev/null")
                                     : take_path(listener, &address, backlog, error);
    }
    if (status != IPCF_OK) {
        ipcf_handle_close(&listener->handle);
        ipcf_handle_close(&listener->spare);
        ipcf_listener_unlock(&listener->lock);
        ipcf_listener_abandon(listener);
    }
    return status;
}

static bool is_ours(const ipcf_listener *listener)
{
    struct stat status;
    return listener->path != NULL && lstat(listener->path, &status) == 0 &&
           (uint64_t)status.st_dev == listener->device &&
           (uint64_t)status.st_ino == listener->inode;
}

void ipcf_listener_close(ipcf_listener *listener)
{
    /* The socket is open until after the look, so that its inode number cannot have
     * been given to another file. */
    if (listener->handle != IPCF_NO_HANDLE && is_ours(listener))
        (void)unlink(listener->path);
    IPCF_TEST_STEP("listener unlinked");
    ipcf_handle_close(&listener->handle);
    IPCF_TEST_STEP("listener closed");
    ipcf_listener_unlock(&listener->lock);
    ipcf_listener_abandon(listener);
}

void ipcf_listener_abandon(ipcf_listener *listener)
{
    /* closing, and not unlocking: the lock belongs to the open file, which the parent
     * still has */
    ipcf_handle_close(&listener->handle);
    ipcf_handle_close(&listener->lock);
    ipcf_handle_close(&listener->spare);
    free(listener->path);
    *listener = LISTENER_NONE;
}

ipcf_handle ipcf_listener_arm(ipcf_listener *listener) { return listener->handle; }
