# SPDX-License-Identifier: MIT
"""The binding of process trees: finding, asking, killing, waiting; processes/ has the rest."""

from __future__ import annotations

import gc
import os
import pickle
import signal

import pytest

from ipcfast import errors
from ipcfast._native.process import NULL_DEVICE, ChildProcess
from ipcfast._native.process_tree import ProcessTree
from tests.peers import HANG, open_descriptors


def family() -> tuple[ChildProcess, int]:
    """A shell with two below it that ignore SIGTERM, and a pipe that ends with the last of them."""
    reading, writing = os.pipe()
    script = b"trap '' TERM; sleep 100 & sleep 100 & trap - TERM; echo; wait"
    child = ChildProcess.start(
        [b"/bin/sh"], [b"sh", b"-c", script], None, None, standard=[NULL_DEVICE, writing, None]
    )
    os.close(writing)
    assert os.read(reading, 1) == b"\n"
    return child, reading


def test_asked_waited_for_and_killed() -> None:
    gc.collect()
    before = open_descriptors()
    child, reading = family()
    tree = ProcessTree(child)
    assert len(tree) == 0
    tree.find()
    assert len(tree) == 2
    assert not tree.wait(0)
    tree.terminate()
    assert not tree.wait(0.05)
    assert child.wait(HANG) == -signal.SIGTERM
    assert not tree.wait(0)
    tree.kill()
    assert tree.wait(HANG)
    assert os.read(reading, 1) == b""
    os.close(reading)
    del tree, child
    assert open_descriptors() == before


def test_what_it_refuses() -> None:
    child, reading = family()
    tree = ProcessTree(child)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(tree)
    tree.kill()
    assert tree.wait(HANG)
    os.close(reading)
    child.abandon()
    for call in (tree.find, tree.terminate, tree.kill, tree.wait):
        with pytest.raises(errors.IoError):
            call()
