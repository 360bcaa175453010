/* SPDX-License-Identifier: MIT
 * Lock files of listeners: opening them without being led astray, and the temporary
 * names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipcf/posix/descriptor.h"
#include "ipcf/posix/listener_lock.h"

#define LOCK_SUFFIX ".lock"
/* Only somebody who removes lock files makes us try again. */
#define LOCK_ATTEMPTS 8

/* O_NOFOLLOW: no symbolic link leads us to another file. O_NONBLOCK: a FIFO does not
 * hold us up. */
static ipcf_status open_lock_file(const char *path, ipcf_handle *lock,
                                  ipcf_error *error)
{
    *lock = open(
        path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
    if (*lock >= 0)
        return IPCF_OK;
    *lock = IPCF_NO_HANDLE;
    ipcf_status status = ipcf_fail_os(error, "open of the lock file");
    switch (errno) {
    case ELOOP:
    case EMLINK: /* some BSDs say this for O_NOFOLLOW */
    case EISDIR:
    case ENXIO:
    case EOPNOTSUPP:
        if (error != NULL)
            error->what =
                "the lock file's place is taken by something that is no plain file";
        return IPCF_ADDRESS_IN_USE;
    case ENAMETOOLONG:
        return IPCF_INVALID;
    default:
        return status;
    }
}

static ipcf_status check_lock_file(ipcf_handle lock, struct stat *status,
                                   ipcf_error *error)
{
    if (fstat((int)lock, status) != 0)
        return ipcf_fail_os(error, "fstat of the lock file");
    if (!S_ISREG(status->st_mode))
        return ipcf_fail(
            error, IPCF_ADDRESS_IN_USE,
            "the lock file's place is taken by something that is no plain file", 0, 0);
    if (status->st_uid != geteuid())
        return ipcf_fail(error, IPCF_PERMISSION_DENIED, "owner of the lock file",
                         geteuid(), status->st_uid);
    /* a strange umask must lock out neither us next time, nor let others hold the lock */
    if ((status->st_mode & 07777) != 0600 && fchmod((int)lock, 0600) != 0)
        return ipcf_fail_os(error, "fchmod of the lock file");
    return IPCF_OK;
}

static bool is_still_there(const char *path, const struct stat *opened)
{
    struct stat named;
    return lstat(path, &named) == 0 && named.st_dev == opened->st_dev &&
           named.st_ino == opened->st_ino;
}

/* AGAIN: somebody removed the file between opening and locking, so the lock says
 * nothing. */
static ipcf_status try_lock(const char *path, ipcf_handle *lock, ipcf_error *error)
{
    struct stat opened;
    ipcf_status status = open_lock_file(path, lock, error);
    if (status != IPCF_OK)
        return status;
    status = check_lock_file(*lock, &opened, error);
    if (status == IPCF_OK && flock((int)*lock, LOCK_EX | LOCK_NB) != 0) {
        status = ipcf_fail_os(error, "flock");
        if (errno == EWOULDBLOCK)
            status = IPCF_ADDRESS_IN_USE;
    }
    if (status == IPCF_OK && !is_still_there(path, &opened))
        status = ipcf_fail(error, IPCF_AGAIN, "the lock file was removed", 0, 0);
    if (status != IPCF_OK)
        ipcf_handle_close(lock);
    return status;
}

/* Bytes of path up to and with the last slash. */
static size_t directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

ipcf_status ipcf_listener_lock(const char *path, ipcf_handle *lock, ipcf_error *error)
{
    size_t length = strlen(path);
    *lock = IPCF_NO_HANDLE;
    if (path[directory_of(path)] == '~')
        return ipcf_fail(error, IPCF_INVALID, "a socket's name that begins with ~", 0,
                         0);
    char *name = malloc(length + sizeof LOCK_SUFFIX);
    if (name == NULL)
        return ipcf_fail(error, IPCF_NO_MEMORY, "name of the lock file", 0, 0);
    memcpy(name, path, length);
    memcpy(name + length, LOCK_SUFFIX, sizeof LOCK_SUFFIX);
    ipcf_status status = IPCF_AGAIN;
    for (int attempt = 0; attempt < LOCK_ATTEMPTS && status == IPCF_AGAIN; ++attempt)
        status = try_lock(name, lock, error);
    free(name);
    return status == IPCF_AGAIN ? IPCF_ADDRESS_IN_USE : status;
}

void ipcf_listener_unlock(ipcf_handle *lock)
{
    if (*lock != IPCF_NO_HANDLE)
        (void)flock((int)*lock, LOCK_UN);
    ipcf_handle_close(lock);
}

ipcf_status ipcf_listener_temporary(const char *path, ipcf_handle lock, char *temporary,
                                    size_t room, ipcf_error *error)
{
    struct stat status;
    size_t directory = directory_of(path);
    if (fstat((int)lock, &status) != 0)
        return ipcf_fail_os(error, "fstat of the lock file");
    char name[24];
    int length =
        snprintf(name, sizeof name, "~%llx", (unsigned long long)status.st_ino);
    if (length < 0 || directory + (size_t)length >= room)
        return ipcf_fail(error, IPCF_INVALID, "length of the socket's directory",
                         room - 1, directory + (size_t)length);
    memcpy(temporary, path, directory);
    memcpy(temporary + directory, name, (size_t)length + 1);
    return IPCF_OK;
}
