# SPDX-License-Identifier: MIT
"""Holds the public names: sorted, importable, documented, and every error among them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipcfast
from ipcfast import errors

DESCRIPTORS = (property, classmethod, staticmethod)


def public_members(kind: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties that a class has from this package, not from the standard library."""
    for base in kind.__mro__:
        if base.__module__.startswith("ipcfast"):
            for name, member in vars(base).items():
                if not name.startswith("_") and (callable(member) or isinstance(member, DESCRIPTORS)):
                    yield name, getattr(kind, name)


def has_text(thing: object) -> bool:
    """A docstring that somebody wrote: a dataclass makes its own from the signature."""
    text = inspect.getdoc(thing) or ""
    return bool(text.strip()) and not text.startswith(f"{getattr(thing, '__name__', '')}(")


def test_all_is_sorted_and_without_doubles() -> None:
    assert ipcfast.__all__ == sorted(set(ipcfast.__all__))


@pytest.mark.parametrize("name", ipcfast.__all__)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    thing = getattr(ipcfast, name)
    if not inspect.isclass(thing) and not inspect.isroutine(thing):
        return  # a constant, such as __version__
    assert has_text(thing), f"ipcfast.{name} has no docstring"
    if inspect.isclass(thing):
        bare = [member for member, value in public_members(thing) if not has_text(value)]
        assert bare == [], f"without docstring in {name}: {bare}"


def test_the_version_is_the_one_of_the_package() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'^version = "(.+)"$', text, re.MULTILINE)
    assert ipcfast.__version__ == version


def test_every_error_is_exported() -> None:
    defined = {
        name
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and issubclass(thing, BaseException) and not name.startswith("_")
    }
    assert defined == set(errors.__all__)
    assert defined <= set(ipcfast.__all__)


def test_every_error_stands_below_one_root() -> None:
    assert all(issubclass(getattr(errors, name), ipcfast.IpcChannelError) for name in errors.__all__)


def test_the_errors_are_there_after_a_bare_import() -> None:
    program = (
        "import ipcfast; print(ipcfast.errors.SendFailed is ipcfast.SendFailed, 'errors' in dir(ipcfast))"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60)
    assert printed.strip() == "True True"
    assert not hasattr(ipcfast, "no_such_name")


def test_star_import_gives_exactly_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from ipcfast import *", names)
    assert set(ipcfast.__all__) <= set(names)
    assert {name for name in names if not name.startswith("_")} <= set(ipcfast.__all__)


def test_importing_costs_no_optional_dependency() -> None:
    program = (
        "import sys, ipcfast\n"
        "print(sorted({'msgspec', 'numpy', 'asyncio', 'multiprocessing', 'tkinter'} & set(sys.modules)))"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60)
    assert printed.strip() == "[]"
