# SPDX-License-Identifier: MIT
"""Shows that a skipped test fails where everything has to run, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import HANG, ROOT

HOOKS = "from tests.completeness import pytest_make_collect_report, pytest_runtest_makereport\n"
TESTS = {
    "test_marked.py": "import pytest\n@pytest.mark.skip(reason='no screen')\ndef test_a(): pass",
    "test_needing.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_b(): pass",
    "test_within.py": "import pytest\ndef test_c(): pytest.skip('no node')",
    "test_good.py": "import pytest\n@pytest.mark.xfail\ndef test_d(): assert False\ndef test_e(): pass",
}


def ended(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "IPCFAST_TESTS_COMPLETE"}
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env={**environment, "PYTHONPATH": paths, **variables},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"conftest.py": HOOKS, **TESTS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_whoever_lacks_something_runs_the_rest(folder: Path) -> None:
    run = ended(folder)
    assert run.returncode == 0, run.stdout
    assert "1 passed, 3 skipped, 1 xfailed" in run.stdout


def test_where_everything_has_to_run_a_skip_is_a_failure(folder: Path) -> None:
    run = ended(folder, IPCFAST_TESTS_COMPLETE="1")
    assert run.returncode != 0
    assert "no_such_module" in run.stdout
    (folder / "test_needing.py").unlink()  # pytest runs nothing when it cannot collect all
    run = ended(folder, IPCFAST_TESTS_COMPLETE="1")
    assert run.returncode == 1
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in run.stdout
    assert "no screen" in run.stdout
    assert "no node" in run.stdout
