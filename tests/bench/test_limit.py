# SPDX-License-Identifier: MIT
"""Holds the limit to be the same program as the package: compiled alike, over the same sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def flags_in_setup(argument: str) -> list[str]:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == argument
    )
    found: list[str] = ast.literal_eval(value)
    return found


def flags_in_makefile(name: str) -> list[str]:
    text = (ROOT / "bench" / "c" / "Makefile").read_text(encoding="utf-8")
    (value,) = re.findall(rf"^{name} = (.*)$", text, re.MULTILINE)
    return value.split()


def test_the_limit_is_compiled_as_the_package_is() -> None:
    assert flags_in_makefile("CFLAGS") == flags_in_setup("extra_compile_args")
    assert flags_in_makefile("LDFLAGS") == flags_in_setup("extra_link_args")
