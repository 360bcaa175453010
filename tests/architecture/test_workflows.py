# SPDX-License-Identifier: MIT
"""Holds the workflows: one wheels.yml, actions pinned by commit, and CI that runs what a developer runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"^\s*(?:-\s+)?uses:\s*(.+?)\s*$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def test_wheels_yml_is_a_byte_copy_of_the_one_that_runs() -> None:
    assert (ROOT / "wheels.yml").read_bytes() == (ROOT / ".github" / "workflows" / "wheels.yml").read_bytes()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_names_its_version(workflow: Path) -> None:
    uses = USES.findall(workflow.read_text(encoding="utf-8"))
    assert uses
    assert [use for use in uses if not PINNED.fullmatch(use)] == []


def test_one_action_has_one_version_everywhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    versions: dict[str, set[str]] = {}
    for use in USES.findall(text):
        action, _, version = use.partition("@")
        versions.setdefault(action, set()).add(version)
    assert {action: found for action, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("script", ["run", "slow"])
def test_continuous_integration_runs_the_scripts_of_the_tree(script: str) -> None:
    assert f"run: .ci/{script}" in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / script).stat().st_mode & 0o111
