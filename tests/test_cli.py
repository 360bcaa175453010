# SPDX-License-Identifier: MIT
"""Holds the program ``ipcfast``: its arguments, its help, and its exit status."""

from __future__ import annotations

import pytest

from ipcfast import cli
from ipcfast.cli import main


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["demo", "--unknown"], ["demo", "a", "b"]])
def test_wrong_arguments_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: ipcfast" in capsys.readouterr().err


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "demo" in capsys.readouterr().out


def test_help_of_the_demo_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    printed = capsys.readouterr().out
    assert "site-packages" in printed
    assert "__pycache__" in printed


def test_ctrl_c_anywhere_is_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.demo, "run", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "ipcfast: interrupted\n"
