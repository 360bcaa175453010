# SPDX-License-Identifier: MIT
"""Holds the import rule of ARCHITECTURE.md: data and imports pass through the layers in one direction.

Reads `import` in .py and both `import` and `cimport` in .pyx and .pxd, which no import linter does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# layer -> the layers right below it; what lies below those may be imported too
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "_native": {"errors"},
    "transports": {"_native"},
    "protocol": {"errors"},
    "channels": {"transports", "protocol"},
    "processes": {"channels"},
    "__init__": {"processes"},
    "integrations": {"processes"},
    "cli": {"__init__"},
    "__main__": {"cli"},
}
# (importing layer, imported module): the one binding that has no C core behind it. It only walks over values
# and would stand in protocol, if compiled code did not have one place.
EXCEPTIONS = {("protocol", "_native.json_values")}
CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from\s+(\S+)\s+c?import\s+(\([^)]*\)|.+)|c?import\s+(.+))", re.MULTILINE
)


def allowed(layer: str) -> set[str]:
    """Everything a layer may import: itself, and all that lies below it."""
    return {layer}.union(*(allowed(below) for below in BELOW[layer]))


def imported_modules(path: Path) -> Iterator[str]:
    """Give each module that a file imports, as a dotted name; relative ones start with a dot."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                yield from (f"{module}.{alias.name}" if node.level == 0 else module for alias in node.names)
        return
    for module, names, plain in CYTHON_IMPORT.findall(path.read_text(encoding="utf-8")):
        for name in filter(None, re.split(r"[,\s()]+", names or plain)):
            yield f"{module}.{name}" if module else name


def violations(package: Path) -> list[str]:
    """Name every import in the package that points sideways, upwards, or is relative."""
    found = []
    for path in sorted(path for path in package.rglob("*") if path.suffix in {".py", ".pyx", ".pxd"}):
        where = path.relative_to(package)
        layer = where.parts[0].partition(".")[0]
        for module in imported_modules(path):
            if module.startswith("."):
                found.append(f"{where}: relative import {module}")
            elif module == package.name or module.startswith(package.name + "."):
                parts = module.split(".")
                if (layer, ".".join(parts[1:3])) in EXCEPTIONS:
                    continue
                target = (module + ".").split(".")[1]
                target = target if target in BELOW else "__init__"
                if layer not in BELOW or target not in allowed(layer):
                    found.append(f"{where}: {layer} imports {target}")
    return found


def test_layers_are_respected() -> None:
    assert violations(ROOT / "ipcfast") == []


def test_the_rule_is_about_the_layers_that_exist() -> None:
    entries = {path.name.partition(".")[0] for path in (ROOT / "ipcfast").iterdir()}
    assert entries - {"py", "__pycache__"} == set(BELOW)


def test_the_checker_sees_what_is_wrong(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    for name, text in {
        "errors.py": "import pkg.protocol.codec",
        "protocol/codec.py": "def late():\n    from pkg.transports.ring import Ring",
        "transports/ring.py": "from . import stream",
        "_native/ring.pyx": "from pkg.channels.shared cimport (\n    Shared)\ncimport pkg.errors",
        "_native/ring.pxd": "cimport pkg.transports.ring, libc.stdint",
        "protocol/fine.py": "from pkg._native.json_values import is_plain",
        "protocol/wrong.py": "from pkg._native import json_values\nimport pkg._native.json",
        "channels/fine.py": '"""import pkg.cli"""\nfrom pkg import errors\nimport pkg._native.ring',
        "channels/sender.py": "from pkg import connect",
        "cli/fine.py": "from pkg import connect",
        "extras/new.py": "import pkg.errors",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert violations(package) == [
        "_native/ring.pxd: _native imports transports",
        "_native/ring.pyx: _native imports channels",
        "channels/sender.py: channels imports __init__",
        "errors.py: errors imports protocol",
        "extras/new.py: extras imports errors",
        "protocol/codec.py: protocol imports transports",
        "protocol/wrong.py: protocol imports _native",
        "transports/ring.py: relative import .",
    ]
