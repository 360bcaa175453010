# SPDX-License-Identifier: MIT
"""A connected pair of stream channels for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipcfast._native.stream_channel import StreamChannel


@pytest.fixture
def pair() -> Iterator[tuple[StreamChannel, StreamChannel]]:
    one, other = StreamChannel.pair()
    yield one, other
    one.close()
    other.close()
