# SPDX-License-Identifier: MIT
"""Tests the calling of handlers: their order, what they raise, and when they are called no more."""

from __future__ import annotations

import logging

import pytest

from ipcfast.channels.handlers import call

LOGGER = logging.getLogger("ipcfast.tests.handlers")


def test_all_are_called_in_their_order_whatever_they_raise(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []

    def failing(message: object) -> None:
        seen.append(("failing", message))
        raise ValueError("of the handler")

    call("channel", (seen.append, failing, seen.append), "x", LOGGER)
    assert seen == ["x", ("failing", "x"), "x"]
    (record,) = caplog.records
    assert (record.name, record.levelno) == (LOGGER.name, logging.ERROR)
    assert "channel" in record.getMessage()
    assert "failing" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_is_survived_only_where_it_is_asked_for(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[object] = []

    def leaving(message: object) -> None:
        raise error

    with pytest.raises(error):
        call("channel", (leaving, seen.append), 1, LOGGER)
    assert (seen, caplog.records) == ([], [])
    call("channel", (leaving, seen.append), 2, LOGGER, survives=BaseException)
    assert seen == [2]
    assert len(caplog.records) == 1


def test_nobody_is_called_when_it_is_over() -> None:
    seen: list[object] = []
    call("channel", (seen.append,) * 5, "x", LOGGER, is_over=lambda: len(seen) == 2)
    assert seen == ["x"] * 2
    call("channel", (), "x", LOGGER)
