# SPDX-License-Identifier: MIT
"""Holds the workflows: one wheels.yml, actions pinned by commit, and CI that runs what a developer runs.

Of the scripts of CI it holds what would go wrong unseen: a Python that is missing, a lane that nobody reads.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
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


def workflow_text(name: str) -> str:
    return (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")


def test_the_tests_run_on_every_python_that_is_supported() -> None:
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert "Free Threading" in PYPROJECT
    (matrix,) = re.findall(r"^ +python: \[(.+)\]$", workflow_text("ci.yml"), re.MULTILINE)
    assert re.findall(r'"(.+?)"', matrix) == [*classified, classified[-1] + "t"]
    (built,) = re.findall(r"^build = \[(.+)\]$", PYPROJECT, re.MULTILINE)
    tags = [tag.replace("cp3", "3.") for tag in re.findall(r'"(cp\w+)-\*"', built)]
    assert tags == [*classified, classified[-1] + "t"]


def test_every_change_of_the_package_builds_wheels() -> None:
    (paths,) = re.findall(r"paths: \[(.+)\]", workflow_text("wheels.yml"))
    assert {"csrc/**", "ipcfast/**", "setup.py", "pyproject.toml"} <= set(re.findall(r'"(.+?)"', paths))


def test_a_release_is_what_its_tag_says(tmp_path: Path) -> None:
    (command,) = re.findall(r"run: (test -f .+)", workflow_text("wheels.yml"))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "ipcfast-1.2.3.tar.gz").touch()
    for tag, status in (("v1.2.3", 0), ("v1.2.4", 1)):
        ended = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env={**os.environ, "TAG": tag}, check=False
        )
        assert ended.returncode == status


def in_the_library(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run what comes after `. .ci/lib.bash`, as .ci/run does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONS"}
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; . .ci/lib.bash; {script}"],
        cwd=ROOT,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_missing_python_is_in_the_summary_and_fails_where_it_is_named() -> None:
    ended = in_the_library("on_python 9.9; echo went on")
    assert (ended.returncode, ended.stdout.count("Python 9.9: not on this machine")) == (0, 2), ended.stdout
    ended = in_the_library("on_python 9.9; echo went on", PYTHONS="9.9")
    assert ended.returncode == 1, ended.stdout
    assert "went on" not in ended.stdout


def test_what_the_other_lane_said_is_shown_once_whoever_fails() -> None:
    ended = in_the_library('echo "a C test failed" >"$other_lane"; exit 3')
    assert (ended.returncode, ended.stdout.count("a C test failed")) == (3, 1), ended.stdout
    ended = in_the_library('echo "all C tests passed" >"$other_lane"; show_other_lane')
    assert (ended.returncode, ended.stdout.count("all C tests passed")) == (0, 1), ended.stdout


def test_the_slow_set_reaches_its_end_when_a_goal_is_missed() -> None:
    slow = (ROOT / ".ci" / "slow").read_text(encoding="utf-8")
    assert re.search(r"^bench\(\) \{ make bench ARGS=--report-only; \}", slow, re.MULTILINE)
    assert re.search(r"in_order model .* bench; fi$", slow, re.MULTILINE)
