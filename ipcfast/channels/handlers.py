# SPDX-License-Identifier: MIT
"""Calls the handlers of a channel, in order, whatever they raise."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from ipcfast.protocol.messages import IpcMessage

__all__ = ["BytesHandler", "BytesHandlers", "MessageHandler", "MessageHandlers", "call"]

MessageHandlers = tuple[Callable[[IpcMessage], object], ...]
BytesHandlers = tuple[Callable[[bytes], object], ...]
MessageHandler = TypeVar("MessageHandler", bound=Callable[[IpcMessage], object])
BytesHandler = TypeVar("BytesHandler", bound=Callable[[bytes], object])


def call(
    channel: object,
    handlers: tuple[Callable[[Any], object], ...],
    message: object,
    logger: logging.Logger,
    *,
    survives: type[BaseException] = Exception,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Call the handlers with the message, until ``is_over`` says so.

    What one raises is logged and concerns neither the other handlers nor the caller, where it is of the kind
    ``survives``.
    """
    for handler in handlers:
        if is_over():
            return
        try:
            handler(message)
        except survives:
            logger.exception("%r: handler %r failed", channel, handler)
