# SPDX-License-Identifier: EUPL-1.2
"""The figures of the checks: in step with the code, small, and one for each check."""

from __future__ import annotations

import pytest

import processors
from lamppost.component import discover, registered
from scripts.figure_examples import EXAMPLES
from scripts.figures import FOLDER, figures, main

LARGEST = 60_000


def test_the_figures_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    """What a check flags has not changed behind its picture's back."""
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_every_check_has_a_small_figure() -> None:
    """Nothing but pictures of checks lies there, and a page stays quick to load."""
    discover(processors)
    ours = {name for name, found in registered("check").items() if _is_ours(found.cls)}

    assert set(EXAMPLES) == ours
    assert {path.stem for path in FOLDER.iterdir()} == ours
    assert max(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST


def test_a_figure_shows_what_its_check_flags() -> None:
    """Each has a legend that names what it gives, and is the same when drawn again."""
    drawn = figures()

    flagged = {"sentinel": ">missing<"}
    for name, picture in drawn.items():
        words = (flagged[name],) if name in flagged else (">suspect<", ">fail<")
        assert any(word in picture for word in words), name
    assert drawn == figures()


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith("processors.quality.")
