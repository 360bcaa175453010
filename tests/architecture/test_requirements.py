# SPDX-License-Identifier: MIT
"""Holds docs/requirements.md to the tree: every number once, every name importable, every test there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
NUMBERS = [f"{letter}{number}" for letter, last in (("R", 323), ("O", 21)) for number in range(1, last + 1)]
HEADINGS = ("number", "area", "---")
LINES = [[cell.strip() for cell in line.split("|")] for line in re.findall(r"^\|(.*)\|$", TABLES, re.M)]
LEFT = [line for line in LINES if line[-1] == "not built yet"]
ROWS = [line for line in LINES if line[0] not in HEADINGS and line not in LEFT]


def numbers_in(text: str) -> list[str]:
    """Every number of a text such as "R6, R85-R87"."""
    found = []
    for part in text.split(","):
        span = re.fullmatch(r"\s*([RO])(\d+)(?:-\1(\d+))?\s*", part)
        assert span, f"{part!r} is neither a number nor a range"
        letter, first, last = span.groups()
        assert last is None or int(first) < int(last), part
        found += [f"{letter}{number}" for number in range(int(first), int(last or first) + 1)]
    return found


def quoted(cell: str) -> list[str]:
    """What a cell names: a list of words in backticks, and nothing beside them."""
    assert re.fullmatch(r"`[^`]+`(, `[^`]+`)*", cell), f"{cell!r} is no list of `names`"
    return re.findall(r"`([^`]+)`", cell)


def is_there(name: str) -> bool:
    """Whether a public name can be imported, or is a path of the tree."""
    if not re.fullmatch(r"ipcfast(\.\w+)+", name):
        return (ROOT / name).exists()
    parts = name.split(".")
    thing: object = importlib.import_module(parts[0])
    for count, part in enumerate(parts[1:], 2):
        if hasattr(thing, part):
            thing = getattr(thing, part)
        elif part in getattr(thing, "__dataclass_fields__", {}):
            return count == len(parts)
        else:
            try:
                thing = importlib.import_module(".".join(parts[:count]))
            except ImportError:
                return False
    return True


def test_every_number_stands_in_one_place() -> None:
    found = [number for line in ROWS for number in numbers_in(line[0])]
    assert all(line[0] in NUMBERS for line in ROWS), "a row is about one number"
    found += [number for line in LEFT for number in numbers_in(line[1])]
    assert sorted(found) == sorted(NUMBERS)


def test_every_decision_that_is_cited_is_told() -> None:
    told = set(re.findall(r"^- \*\*(D\d+),", TABLES, re.M))
    cited: dict[str, str] = {}
    suffixes = {".py", ".pyx", ".pyi", ".pxd", ".h", ".c", ".md"}
    for folder in ("ipcfast", "csrc", "tests", "docs", "bench"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes and "build" not in path.parts:
                for number in re.findall(r"\bD\d{1,2}\b", path.read_text(encoding="utf-8")):
                    cited.setdefault(number, path.relative_to(ROOT).as_posix())
    assert {number: path for number, path in cited.items() if number not in told} == {}


def test_no_cell_is_empty() -> None:
    assert [line for line in ROWS if len(line) != 4 or not all(line)] == []
    assert [line for line in LEFT if len(line) != 3 or not all(line)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_row_names_what_exists(row: list[str]) -> None:
    assert [name for name in quoted(row[2]) if not is_there(name)] == []
    for test in quoted(row[3]):
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), f"{path} is missing"
        text = (ROOT / path).read_text(encoding="utf-8")
        definition = rf"^ *((def|class) {name}\b|{name}(\(\) {{| = |: ))"
        assert name.isidentifier(), f"{test} names nothing in the file"
        assert re.search(definition, text, re.M), f"{test} is missing"
