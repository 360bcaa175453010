# SPDX-License-Identifier: MIT
"""From an address to the path of the socket or pipe: names, prefixes, private directory, long paths (D1)."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from dataclasses import dataclass

from ipcfast.errors import IoError, PermissionDenied
from ipcfast.transports.windows_user import current_user_sid

__all__ = [
    "RUNTIME_DIR_VARIABLE",
    "Address",
    "named_address",
    "parse_address",
    "pipe_path",
    "private_directory",
]

RUNTIME_DIR_VARIABLE = "IPCFAST_RUNTIME_DIR"

SCHEMES = ("local", "shm", "unix", "thread", "tcp")
LOOPBACK = "127.0.0.1"
PORT_MAX = 65535
SUFFIX = ".sock"
# The listener locks a file of this name beside the socket (csrc/ipcf/posix/listener_lock.c).
LOCK_SUFFIX = ".lock"
# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS and the BSDs, the closing NUL included.
SOCKET_PATH_MAX = 107 if sys.platform == "linux" else 103
# The listener binds "~" and up to 16 digits beside the path and renames that
# (csrc/ipcf/posix/listener_lock.h).
TEMPORARY_NAME_MAX = 17
# A pipe's name after \\.\pipe\ may have 256 characters.
PIPE_NAME_MAX = 256
PIPE_PREFIX = "\\\\.\\pipe\\"
HASH_DIGITS = 32


@dataclass(frozen=True)
class Address:
    """Where a listener listens.

    Attributes:
        text: As the user wrote it.
        scheme: "local", "shm", "unix", "thread" or "tcp".
        name: The name; for "unix" the path, for "tcp" host and port.
        prefix: What stands before the name, None for the private directory.
    """

    text: str
    scheme: str
    name: str
    prefix: str | None = None

    @property
    def wants_ring(self) -> bool:
        """Whether a client of this address asks for shared memory."""
        return self.scheme == "shm"

    @property
    def is_tcp(self) -> bool:
        """Whether this is an address of the network."""
        return self.scheme == "tcp"

    def endpoint(self) -> tuple[str, int]:
        """Return host and port of an address of the network; without a host it is this machine alone."""
        host, _, port = self.name.rpartition(":")
        return host.strip("[]") or LOOPBACK, int(port)

    def path_to_connect(self) -> str:
        """Return the path to connect to.

        Raises:
            PermissionDenied: The private directory exists, but another user could have put something into it.
        """
        return self._path(create=False)

    def path_to_listen(self) -> str:
        """Return the path to listen on; makes the private directory where it is missing.

        Raises:
            PermissionDenied: The private directory belongs to another user, or is open to others.
            IoError: It cannot be made.
        """
        return self._path(create=True)

    def _path(self, *, create: bool) -> str:
        if sys.platform == "win32" and self.scheme != "unix":
            return pipe_path(self.name, self.prefix, current_user_sid())
        if self.scheme == "unix":
            path = self.name
        elif self.prefix is not None:
            path = f"/tmp/{self.prefix}_{self.name}"
        else:
            directory = private_directory(create=create)
            path = f"{directory}/{self.name}{SUFFIX}"
            if not fits(path):
                path = f"{directory}/{digest(path)}{SUFFIX}"
        if sys.platform == "win32" or fits(path, with_room=self.scheme != "unix"):
            return path
        return f"{checked_directory(default_directory(), create=create)}/{digest(path)}{SUFFIX}"


def parse_address(text: str, *, prefix: str | None = None) -> Address:
    r"""Read ``local://name``, ``shm://name``, ``thread://name``, ``unix:///path`` or ``tcp://host:port``.

    ``local://x`` and ``shm://x`` are one address; only what the client asks for differs. With a prefix the
    socket is ``/tmp/<prefix>_<name>`` (``\\.\pipe\<prefix>_<name>``), without one it lies in the private
    directory.

    Raises:
        TypeError: The address or the prefix is no text.
        ValueError: The address has another form, or a name that could lead out of its directory.
    """
    check_text("address", text)
    scheme, separator, name = text.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(
            f"address {text!r} is not one of local://name, shm://name, thread://name, unix:///path,"
            " tcp://host:port"
        )
    if scheme == "tcp":
        if prefix is not None:
            raise ValueError(f"address {text!r} is one of the network, prefix {prefix!r} does not apply")
        check_endpoint(text, name)
        return Address(text, scheme, name)
    if scheme != "unix":
        return named_address(scheme, name, prefix=prefix)
    if prefix is not None:
        raise ValueError(f"address {text!r} is a path already, prefix {prefix!r} does not apply")
    if not name.startswith("/") or name.endswith("/") or "\0" in name:
        raise ValueError(f"address {text!r} must name a file by its absolute path: unix:///directory/file")
    return Address(text, scheme, name)


def named_address(scheme: str, name: str, *, prefix: str | None = None) -> Address:
    """Return the address ``local://name``, ``shm://name``, ``thread://name`` or ``tcp://name``.

    Raises:
        TypeError, ValueError: As ``parse_address``.
    """
    if scheme == "tcp":
        return parse_address(f"tcp://{name}", prefix=prefix)
    check_name(name, "name")
    if prefix is not None:
        check_name(prefix, "prefix")
    return Address(f"{scheme}://{name}", scheme, name, prefix)


def check_text(what: str, value: object) -> None:
    """Refuse what is no text.

    Raises:
        TypeError: With the reason.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} {value!r} is no str")


def check_endpoint(text: str, name: str) -> None:
    """Refuse what is no host and port: ``host:5000``, ``:5000``, ``127.0.0.1:0`` or ``[::1]:5000``.

    Raises:
        ValueError: With the reason.
    """
    host, _, port = name.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_number = port.isascii() and port.isdigit() and len(port) <= len(str(PORT_MAX))
    if not is_number or int(port) > PORT_MAX:
        raise ValueError(f"address {text!r} must end with a port from 0 to {PORT_MAX}: tcp://host:port")
    if ":" in host and bare == host:
        raise ValueError(f"address {text!r} must have the host in brackets: tcp://[::1]:port")
    is_bracketed = bare != host
    if is_bracketed != (":" in bare) or any(
        character in "[]/@\\?#" or character.isspace() or character == "\0" for character in bare
    ):
        raise ValueError(f"address {text!r} has no host such as 127.0.0.1, [::1] or a name: tcp://host:port")
    try:
        bare.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"address {text!r} has a host that can be no name: {error}") from error


def check_name(name: str, what: str) -> None:
    """Refuse names that could lead out of their directory, or that the file system cannot hold.

    Raises:
        TypeError, ValueError: With the reason.
    """
    check_text(what, name)
    if not name:
        raise ValueError(f"the {what} is empty")
    for forbidden in ("/", "\\", "..", "\0"):
        if forbidden in name:
            raise ValueError(
                f"{what} {name!r} contains {forbidden!r}; use letters, digits, '-', '_' and single dots"
            )
    if what == "name" and name.endswith(LOCK_SUFFIX):
        raise ValueError(f"{what} {name!r} must not end in {LOCK_SUFFIX!r}, which names a lock file")
    if name == "." or name.startswith("~"):
        raise ValueError(
            f"{what} {name!r} must not be '.' or begin with '~', which names a socket in the making"
        )
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{what} {name!r} is not valid text: it contains a lone surrogate") from None


def private_directory(*, create: bool) -> str:
    """Return the directory of this user's sockets, the same whatever the environment of the two sides (D1).

    ``IPCFAST_RUNTIME_DIR`` where set, else ``/run/user/<uid>/ipcfast`` where ``/run/user/<uid>`` exists, else
    ``/tmp/ipcfast-<uid>``. Mode 0700. A directory that is not there is fine for connecting: nobody listens
    then.

    Raises:
        PermissionDenied: It is another user's, open to others, or no directory.
        IoError: It cannot be made.
        ValueError: ``IPCFAST_RUNTIME_DIR`` is not an absolute path.
    """
    chosen = os.environ.get(RUNTIME_DIR_VARIABLE)
    if chosen and not os.path.isabs(chosen):
        raise ValueError(f"{RUNTIME_DIR_VARIABLE} is {chosen!r}, must be an absolute path")
    return checked_directory(chosen.rstrip("/") or "/" if chosen else default_directory(), create=create)


def default_directory() -> str:
    """Return where the private directory is when the environment does not say."""
    user = os.geteuid()
    session = f"/run/user/{user}"
    return f"{session}/ipcfast" if os.path.isdir(session) else f"/tmp/ipcfast-{user}"


def checked_directory(path: str, *, create: bool) -> str:
    """Return ``path`` once it is sure that only this user can put anything there."""
    if create:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError as error:
            reason = f"cannot make the directory {path} for sockets: {error.strerror}; make it, or set"
            kind = PermissionDenied if isinstance(error, PermissionError) else IoError
            raise kind(f"{reason} {RUNTIME_DIR_VARIABLE}", errno=error.errno, filename=path) from error
    try:
        found = os.lstat(path)  # not stat: a link could lead into a directory of somebody else
    except FileNotFoundError:
        return path
    except OSError as error:
        raise PermissionDenied(
            f"cannot look at the directory {path}: {error.strerror}", errno=error.errno, filename=path
        ) from error
    problem = None
    if not stat.S_ISDIR(found.st_mode):
        problem = "is a symbolic link" if stat.S_ISLNK(found.st_mode) else "is no directory"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to user {found.st_uid}, not to user {os.geteuid()}"
    elif found.st_mode & 0o077:
        problem = f"has mode {stat.S_IMODE(found.st_mode):04o}, so others can reach into it; it must be 0700"
    if problem:
        raise PermissionDenied(
            f"{path} {problem}: remove it, or set {RUNTIME_DIR_VARIABLE} to a directory of your own",
            filename=path,
        )
    return path


def fits(path: str, *, with_room: bool = False) -> bool:
    """Return whether a socket address can hold the path, and where asked, the name that is bound before it.

    A ``unix://`` path is taken as it is while that is possible at all, because a stranger may listen there.
    """
    encoded = os.fsencode(path)
    directory = encoded.rpartition(b"/")[0]
    return len(encoded) <= SOCKET_PATH_MAX and not (
        with_room and len(directory) + 1 + TEMPORARY_NAME_MAX > SOCKET_PATH_MAX
    )


def digest(path: str) -> str:
    """Return the short stand-in for a name that no socket address can hold: the same on both sides."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:HASH_DIGITS]


def pipe_path(name: str, prefix: str | None, user: str) -> str:
    r"""Return a pipe's path: ``\\.\pipe\ipcfast_<user SID>_<name>`` or ``\\.\pipe\<prefix>_<name>``."""
    pipe = f"ipcfast_{user}_{name}" if prefix is None else f"{prefix}_{name}"
    if len(pipe) > PIPE_NAME_MAX:
        short = hashlib.sha256(pipe.encode()).hexdigest()[:HASH_DIGITS]
        pipe = f"ipcfast_{user}_{short}" if prefix is None else f"ipcfast_{short}"
    return PIPE_PREFIX + pipe
