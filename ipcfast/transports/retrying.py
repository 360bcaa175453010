# SPDX-License-Identifier: MIT
"""What all clients share that look for a server: how often, how long, and what is said in vain."""

from __future__ import annotations

from collections.abc import Callable

from ipcfast.errors import AddressNotFound, ChannelClosed
from ipcfast.transports.address import Address
from ipcfast.transports.waiting import remaining

__all__ = [
    "LOOK_SECONDS",
    "RETRY_FIRST_SECONDS",
    "check_wanted",
    "longer_pause",
    "nobody_listens",
    "remaining",
    "waited",
]

# Between two attempts to find the server: short at first, because a server that is just starting is there
# soon.
RETRY_FIRST_SECONDS = 0.001
RETRY_LONGEST_SECONDS = 0.05
# How often whoever waits looks whether the connection is still wanted.
LOOK_SECONDS = 0.05


def longer_pause(pause: float) -> float:
    """Return how long to wait before the attempt after the next."""
    return min(2 * pause, RETRY_LONGEST_SECONDS)


def check_wanted(address: Address, is_given_up: Callable[[], bool]) -> None:
    """Raise ChannelClosed once nobody wants the connection any more."""
    if is_given_up():
        raise ChannelClosed(f"the channel to {address.text} was closed while it connected")


def waited(timeout: float | None) -> str:
    """Return how long somebody waited, as the end of a clause; nothing where he did not."""
    return f", waited for {round(timeout, 3):g} s" if timeout else ""


def nobody_listens(
    address: Address,
    timeout: float | None,
    *,
    path: str = "",
    where: str = "",
    hint: str = "",
    errno: int | None = None,
) -> AddressNotFound:
    """Return the error for a server that has not come in time.

    Args:
        address: Where it was looked for.
        timeout: For how long.
        path: Of the socket, where the address does not tell.
        where: What else belongs to the place.
        hint: What else can be done.
        errno: What the system said last.
    """
    place = f"{address.text} ({path})" if path else address.text
    return AddressNotFound(
        f"nobody listens at {place}{where}{waited(timeout)}: "
        f"start the server first, or connect with a longer timeout{hint}",
        errno=errno,
        filename=path or address.text,
    )
