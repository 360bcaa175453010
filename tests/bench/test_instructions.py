# SPDX-License-Identifier: MIT
"""Shows how counts are held to budgets, and that budgets which are not known fail nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import instructions

LOOP = instructions.Loop("a loop", lambda count: [], (1, 2), tolerance=0.05)


@pytest.fixture
def budgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of budgets of the test's own, and a loop that takes 100 instructions."""
    path = tmp_path / "budgets.json"
    path.write_text("{}", encoding="utf-8")
    monkeypatch.setattr(instructions, "BUDGETS", path)
    monkeypatch.setattr(instructions, "loops", lambda: [LOOP])
    monkeypatch.setattr(instructions, "instructions_each", lambda loop: 100.0)
    monkeypatch.setattr(instructions, "tools", lambda: "these tools")
    monkeypatch.setattr(instructions, "no_compiler", lambda: "")
    monkeypatch.setattr(instructions.shutil, "which", lambda name: name)
    monkeypatch.delenv("CI", raising=False)
    return path


@pytest.mark.parametrize("budget, status", [(96.0, 0), (95.0, 1), (100.0, 0), (200.0, 0)])
def test_only_what_is_above_the_tolerance_fails(budgets: Path, budget: float, status: int) -> None:
    budgets.write_text(json.dumps({"these tools": {"a loop": budget}}), encoding="utf-8")
    assert instructions.main([]) == status


@pytest.mark.parametrize("known", [{}, {"other tools": {"a loop": 1.0}}, {"these tools": {"another": 1.0}}])
def test_unknown_tools_and_loops_are_told_and_fail_nothing(
    budgets: Path, known: dict[str, dict[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    budgets.write_text(json.dumps(known), encoding="utf-8")
    assert instructions.main([]) == 0
    assert "no budget" in capsys.readouterr().out


def test_recording_keeps_what_other_tools_have(budgets: Path) -> None:
    budgets.write_text(json.dumps({"other tools": {"a loop": 1.0}}), encoding="utf-8")
    assert instructions.main(["--record"]) == 0
    assert json.loads(budgets.read_text(encoding="utf-8")) == {
        "other tools": {"a loop": 1.0},
        "these tools": {"a loop": 100.0},
    }


def test_not_counting_fails_in_ci_only(budgets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    assert instructions.main([]) == 0
    monkeypatch.setenv("CI", "true")
    assert instructions.main([]) == 1
