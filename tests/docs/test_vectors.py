# SPDX-License-Identifier: EUPL-1.2
"""The report of a test run counts published vectors as they were run, in one process or several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
HEADER = "import pytest\n\nvector = pytest.mark.vector\n\n"
PASSING = """
@vector("NowCast", "AirMonitor")
def test_one():
    pass

@pytest.mark.parametrize("case", [1, 2, pytest.param(3, marks=vector("units", "2008/50/EC"))])
@vector("US AQI", "EPA-454/B-24-002")
def test_three(case):
    pass

def test_no_vector():
    pass
"""
FAILING = """
@pytest.fixture
def broken():
    yield
    raise RuntimeError

@vector("NowCast", "AirMonitor")
def test_fails():
    raise AssertionError

@vector("NowCast", "AirMonitor")
def test_cleans_up_badly(broken):
    pass

@vector("QARTOD", "ioos_qc")
def test_is_skipped():
    pytest.skip("not here")
"""


def report(folder: Path, files: dict[str, str], *arguments: str) -> str:
    """Return what pytest says of some test files beside our conftest."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = vector: of somebody else\n")
    (folder / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    for name, text in files.items():
        (folder / name).write_text(HEADER + text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("processes", [(), ("-n", "2", "--dist", "loadfile")])
def test_the_report_counts_by_topic(tmp_path: Path, processes: tuple[str, ...]) -> None:
    """In the order of the topics; a test with two vectors counts in both, a plain one in none."""
    found = report(tmp_path, {"test_a.py": PASSING, "test_b.py": FAILING}, *processes)

    assert (
        "published vectors: 5 passed (US AQI 3, NowCast 1, units 1), 2 failed (NowCast 2), "
        "1 not run (QARTOD 1)" in found.splitlines()
    )


def test_only_what_was_run_counts(tmp_path: Path) -> None:
    """And without a vector nothing is said."""
    files = {"test_a.py": PASSING}

    assert "published vectors: 1 passed (NowCast 1), 0 failed" in report(
        tmp_path, files, "-k", "test_one"
    )
    assert "published vectors" not in report(tmp_path, files, "-k", "test_no_vector")


@pytest.mark.parametrize("mark", ['"Nowcast", "AirMonitor"', '"NowCast"', '"NowCast", ""'])
def test_a_vector_without_topic_or_source_stops_the_run(tmp_path: Path, mark: str) -> None:
    """A source nobody can find would be no source."""
    found = report(tmp_path, {"test_a.py": f"@vector({mark})\ndef test_one():\n    pass\n"})

    assert "has a topic of tests/conftest.py and a source" in found
