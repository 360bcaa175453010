# SPDX-License-Identifier: MIT
"""A foreign program, a name that nobody else has, and the channel of ours that meets the program there."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ipcfast import LocalSocketChannel
from tests.compatibility.foreign import LANGUAGES, Foreign
from tests.peers import HANG

_numbers = itertools.count()


@pytest.fixture
def name() -> Iterator[str]:
    """Such programs know no private directory; what is left there is removed."""
    name = f"compatibility-{os.getpid()}-{next(_numbers)}"
    yield name
    for suffix in ("", ".lock"):  # a lock file stays by design, but this name is never used again
        Path(f"/tmp/auroraview_{name}{suffix}").unlink(missing_ok=True)


@pytest.fixture
def path(name: str) -> str:
    """Where programs of the documents look for that name."""
    return f"/tmp/auroraview_{name}"


@pytest.fixture(scope="package")
def living() -> Iterator[dict[str, Foreign]]:
    """Programs that a test has left as they were: starting one takes longer than most tests."""
    living: dict[str, Foreign] = {}
    yield living
    for program in living.values():
        with program:
            pass


@pytest.fixture(params=LANGUAGES)
def foreign(request: pytest.FixtureRequest, living: dict[str, Foreign]) -> Iterator[Foreign]:
    program = living.pop(request.param, None) or Foreign(request.param)
    with ExitStack() as stack:
        stack.enter_context(program)
        yield program
        if program.is_reusable():
            stack.pop_all()
            living[request.param] = program


@pytest.fixture(params=["our-listener", "our-client"])
def channel(
    request: pytest.FixtureRequest, foreign: Foreign, name: str, path: str
) -> Iterator[LocalSocketChannel]:
    """Our end of a connection with the program, whoever has listened."""
    if request.param == "our-listener":
        with LocalSocketChannel.server(name) as listener:
            foreign.do("connect", path)
            with listener.accept(HANG) as accepted:
                assert isinstance(accepted, LocalSocketChannel)
                yield accepted
    else:
        foreign.do("listen", path)
        with LocalSocketChannel.connect(name) as connected:
            foreign.do("accept")
            yield connected
