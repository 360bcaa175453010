# SPDX-License-Identifier: MIT
"""The client's side of TCP: tries a host's addresses until a deadline, and proves the shared secret."""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import time
from collections.abc import Callable, Collection

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import (
    AddressNotFound,
    ChannelTimeout,
    ConnectError,
    FrameError,
    IoError,
    IpcChannelError,
    PermissionDenied,
)
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Options
from ipcfast.transports.retrying import (
    LOOK_SECONDS,
    RETRY_FIRST_SECONDS,
    check_wanted,
    longer_pause,
    nobody_listens,
    remaining,
    waited,
)
from ipcfast.transports.secret import ClientProof
from ipcfast.transports.tcp import adopted, prepare
from ipcfast.transports.tcp_names import Candidate, HostNames, no_such_host

__all__ = ["TcpOpening"]

# What the single attempt of a call without time gets for its way through the network.
ATTEMPT_SECONDS = 0.05
# After this the next address of a host is tried beside one that has not answered.
STAGGER_SECONDS = 0.25
REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED}
# What the network says when nobody is there (yet). With anything else an address is not tried again.
ABSENT = REFUSED | {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
    errno.EADDRNOTAVAIL,
}
UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR}


class Attempt:
    """One address of the host: tried, and after a refusal tried again.

    Attributes:
        candidate: The address.
        due: When it is tried next (monotonic); infinity: never again.
        connection: The connection that is under way.
        code: How the last try ended; None before that.
    """

    def __init__(self, candidate: Candidate, due: float) -> None:
        self.candidate = candidate
        self.due = due
        self.connection: socket.socket | None = None
        self.code: int | None = None
        self._pause = RETRY_FIRST_SECONDS

    @property
    def is_undecided(self) -> bool:
        """Whether an answer is still to come, be it the first or another."""
        return self.connection is not None or self.code is None

    def begin(self) -> bool:
        """Ask for the connection; True: it is there already."""
        try:
            self.connection = socket.socket(self.candidate.family, socket.SOCK_STREAM)
            prepare(self.connection)
            code = self.connection.connect_ex(self.candidate.sockaddr)
        except OSError as error:
            return self._end(error.errno or errno.EINVAL)
        return code not in UNDER_WAY and self._end(code)

    def finish(self) -> bool:
        """Take the answer that has come; True: the connection is there."""
        assert self.connection is not None
        return self._end(self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _end(self, code: int) -> bool:
        if code == 0:
            code = self._code_of_connected()
        self.code = code
        if code == 0:
            return True
        self.close()
        self.due = time.monotonic() + self._pause if code in ABSENT else math.inf
        self._pause = longer_pause(self._pause)
        return False

    def _code_of_connected(self) -> int:
        assert self.connection is not None
        try:
            # Nobody listens at a port of those that the system gives out to clients, and it gave us that one.
            is_own = self.connection.getsockname() == self.connection.getpeername()
        except OSError:
            return errno.ECONNRESET  # it was connected for a moment
        return errno.ECONNREFUSED if is_own else 0

    def close(self) -> None:
        """Give up what is under way. Idempotent."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class Exchange:
    """The proofs that both sides of a connection give each other; gone on with where it stopped.

    Attributes:
        connection: The connection.
    """

    def __init__(self, connection: socket.socket, secret: bytes) -> None:
        self.connection = connection
        self._proof = ClientProof(secret)
        self._due = self._proof.begin()
        self._come = b""

    def advance(self, deadline: float | None, check: Callable[[], None]) -> bool:
        """Go on until the server has proved itself; False: it has not at the deadline.

        Raises:
            FrameError, PermissionDenied: As ClientProof.
            OSError: The connection has ended.
        """
        while self._proof.wanted:
            if self._due:
                self.connection.sendall(self._due)  # the first bytes of a connection, which it has room for
                self._due = b""
            try:
                data = self.connection.recv(self._proof.wanted - len(self._come))
            except BlockingIOError:
                check()
                left = remaining(deadline)
                if left == 0.0:
                    return False
                ready_ones([self.connection], selectors.EVENT_READ, at_most(LOOK_SECONDS, left))
                continue
            if not data:
                raise ConnectionResetError("the connection has ended")
            self._come += data
            if len(self._come) == self._proof.wanted:
                self._due, self._come = self._proof.feed(self._come), b""
        return True


class TcpOpening:
    """A connection to a host and port in the making; what one call has begun the next one goes on with.

    All addresses of the host are tried, one beside the other where one does not answer at once, again and
    again: the server may be just starting. Not for several threads at a time.
    """

    def __init__(self, address: Address, options: Options) -> None:
        if address.endpoint()[1] == 0:
            raise ValueError(
                f"{address.text}: port 0 is for listening; connect to the port that the listener tells"
            )
        self._address = address
        self._options = options
        self._names = HostNames(address)
        self._attempts: list[Attempt] = []
        self._exchange: Exchange | None = None

    def advance(
        self,
        deadline: float | None,
        answer_deadline: float | None,
        timeout: float | None,
        is_given_up: Callable[[], bool],
    ) -> StreamChannel:
        """Find the server until the deadline (monotonic), and prove the secret, if any, until the other one.

        Where there is no time at all, but some for the answer, the network gets 50 ms for the one attempt.

        Raises:
            ChannelTimeout: The host was not resolved, did not answer, or did not prove itself in time. The
                next call goes on.
            AddressNotFound: The host is not known, cannot be reached, or nobody listened there all the while.
            PermissionDenied: The server has another secret, or does not know it.
            ConnectError: The connection ended while the secret was proved.
            ChannelClosed: ``is_given_up`` said so.
            IoError: The system refused.
        """
        if self._exchange is None:
            connection = self._find(deadline, answer_deadline, timeout, is_given_up)
            if self._options.secret is None:
                return adopted(connection, self._options)
            self._exchange = Exchange(connection, self._options.secret)
        try:
            self._prove(self._exchange, answer_deadline, is_given_up)
        except ChannelTimeout:
            raise
        except BaseException:
            self.close()
            raise
        exchange, self._exchange = self._exchange, None
        return adopted(exchange.connection, self._options)

    def close(self) -> None:
        """Give up what is under way. Idempotent."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.connection.close()
        self._give_up_attempts()

    def _give_up_attempts(self) -> None:
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.close()

    # ---- finding the server

    def _find(
        self,
        deadline: float | None,
        answer_deadline: float | None,
        timeout: float | None,
        is_given_up: Callable[[], bool],
    ) -> socket.socket:
        patience = deadline  # for what is under way
        if deadline is not None:
            grace = time.monotonic() + ATTEMPT_SECONDS
            patience = max(deadline, grace if answer_deadline is None else min(grace, answer_deadline))
        while True:
            check_wanted(self._address, is_given_up)
            is_over = remaining(deadline) == 0.0
            connection = self._try(remaining(patience if self._is_undecided() else deadline))
            if connection is not None:
                return connection
            if is_over and (remaining(patience) == 0.0 or not self._is_undecided()):
                raise self._in_vain(timeout)

    def _is_undecided(self) -> bool:
        return self._names.is_awaited or any(attempt.is_undecided for attempt in self._attempts)

    def _try(self, left: float | None) -> socket.socket | None:
        """Begin what is due, and wait a little for whatever comes next."""
        look = at_most(LOOK_SECONDS, left)
        self._follow(self._names.look(look), left)
        if self._names.is_awaited:
            return None
        attempts = self._attempts
        now = time.monotonic()
        for attempt in attempts:
            is_next = attempt.code is None and all(other.connection is None for other in attempts)
            if attempt.connection is None and (attempt.due <= now or is_next) and attempt.begin():
                return self._won(attempt)
        if attempts and all(attempt.due == math.inf and attempt.connection is None for attempt in attempts):
            raise self._impossible()
        under_way = {attempt.connection: attempt for attempt in attempts if attempt.connection is not None}
        pause = max(0.0, min([now + look, *(a.due for a in attempts if a.connection is None)]) - now)
        for connection in ready_ones(under_way, selectors.EVENT_WRITE, pause):
            if under_way[connection].finish():
                return self._won(under_way[connection])
        return None

    def _follow(self, candidates: list[Candidate], left: float | None) -> None:
        """Try these addresses from now on, in that order."""
        if [attempt.candidate for attempt in self._attempts] == candidates:
            return
        old = {attempt.candidate: attempt for attempt in self._attempts}
        now = time.monotonic()
        stagger = at_most(STAGGER_SECONDS, None if left is None else left / len(candidates))
        self._attempts = [
            old.pop(candidate) if candidate in old else Attempt(candidate, now + position * stagger)
            for position, candidate in enumerate(candidates)
        ]
        for gone in old.values():
            gone.close()

    def _won(self, attempt: Attempt) -> socket.socket:
        connection, attempt.connection = attempt.connection, None
        assert connection is not None
        self._give_up_attempts()
        return connection

    def _impossible(self) -> IoError:
        """Return the error for a host none of whose addresses the system lets us try again."""
        code = self._attempts[0].code
        assert code is not None
        self._give_up_attempts()
        return IoError(
            f"cannot connect to {self._address.text}: {os.strerror(code)}",
            errno=code,
            filename=self._address.text,
        )

    def _in_vain(self, timeout: float | None) -> IpcChannelError:
        text = self._address.text
        if self._names.is_awaited:
            return ChannelTimeout(f"the host of {text} could not be resolved in time{waited(timeout)}")
        if not self._attempts:
            assert self._names.problem is not None
            return no_such_host(self._address, self._names.problem)
        codes = [attempt.code for attempt in self._attempts]
        if self._is_undecided() or all(code == errno.ETIMEDOUT for code in codes):
            return ChannelTimeout(
                f"{text} did not answer{waited(timeout)}: its machine may be off or behind a firewall, "
                "or its server accepts too slowly"
            )
        self._give_up_attempts()
        for code in codes:
            if code in REFUSED:
                return nobody_listens(self._address, timeout, errno=code)
        assert codes[0] is not None
        return AddressNotFound(
            f"cannot reach {text}{waited(timeout)}: {os.strerror(codes[0])}", errno=codes[0], filename=text
        )

    # ---- proving the secret

    def _prove(self, exchange: Exchange, deadline: float | None, is_given_up: Callable[[], bool]) -> None:
        text = self._address.text
        try:
            if exchange.advance(deadline, lambda: check_wanted(self._address, is_given_up)):
                return
        except PermissionDenied as error:
            raise PermissionDenied(f"{text}: {error}", filename=text) from error
        except FrameError as error:
            raise ConnectError(
                f"the server at {text} does not prove a shared secret: {error}", filename=text
            ) from error
        except IpcChannelError:
            raise
        except OSError as error:
            raise ConnectError(
                f"the server at {text} ended the connection before it had proved itself: does it have a"
                f" shared secret? ({error})",
                errno=error.errno,
                filename=text,
            ) from error
        raise ChannelTimeout(
            f"the server at {text} did not prove the secret in time: is it calling accept()?"
        )


def at_most(seconds: float, left: float | None) -> float:
    """Return the shorter of the two; None is for ever."""
    return seconds if left is None else min(seconds, left)


def ready_ones(connections: Collection[socket.socket], event: int, seconds: float) -> list[socket.socket]:
    """Wait until something can be done on one of the connections; return those, none when the time is up."""
    if not connections:
        time.sleep(seconds)
        return []
    # which needs no descriptor of its own, where there is such a thing
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        for connection in connections:
            selector.register(connection, event, connection)
        return [key.data for key, _ in selector.select(seconds)]
