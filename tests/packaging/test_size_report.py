# SPDX-License-Identifier: EUPL-1.2
"""The size report counts as it says, and notices what breaks a limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = '''"""Docstring."""


def half(value: float) -> float:
    """Return the half."""
    # A comment.
    if value > 0:
        return value / 2
    return 0.0
'''
NESTED = """def deep(rows: list[int]) -> None:
    for row in rows:
        if row:
            with row:
                while row:
                    try:
                        row()
                    finally:
                        pass
"""
ELIFS = "def flat(x: int) -> int:\n    if x == 0:\n        x = 9\n" + "".join(
    f"    elif x == {number}:\n        x = {number}\n" for number in range(1, 9)
)


def report(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run the report on one file, in a checkout of its own."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "size_report.py"
    script.write_text((ROOT / "scripts" / "size_report.py").read_text("utf-8"), encoding="utf-8")
    (tmp_path / "lamppost").mkdir()
    (tmp_path / "lamppost" / "example.py").write_text(source, encoding="utf-8")
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)


def test_figures_are_counted_as_described(tmp_path: Path) -> None:
    """One file of nine lines: a body of three, one comment and two docstrings per four of code."""
    result = report(tmp_path, GOOD)

    row = " ".join(result.stdout.splitlines()[1].split())
    assert result.returncode == 0, result.stderr
    assert row == "lamppost 1 9/9/9 3/3/3 1 (1) 25.0 50.0 100 % 100 %"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def long() -> None:\n" + "    x = 1\n" * 61, "61 lines, limit 60"),
        ("def short() -> None:\n    x = 1\n" + "x = 1\n" * 499, "501 lines, limit 500"),
        (NESTED, "nested 5 deep, limit 4"),
        ("def f(x) -> None:\n    x = 1\n", "not fully annotated"),
        ("def f(x: int):\n    x = 1\n", "not fully annotated"),
        ("class A:\n    def f(self, *xs) -> None:\n        x = 1\n", "not fully annotated"),
    ],
)
def test_a_broken_limit_fails_and_names_the_place(
    source: str, complaint: str, tmp_path: Path
) -> None:
    """Each limit is reported with file and figure."""
    result = report(tmp_path, source)

    assert result.returncode == 1
    assert complaint in result.stderr
    assert "lamppost/example.py" in result.stderr


def test_elif_is_not_nesting(tmp_path: Path) -> None:
    """A chain of elif reads as one level."""
    assert report(tmp_path, ELIFS).returncode == 0
