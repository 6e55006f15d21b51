# SPDX-License-Identifier: EUPL-1.2
"""The Numenta Anomaly Benchmark's rules, by its published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.nab import corpus, scored
from benchmarks.nab_scoring import (
    PROFILES,
    Marked,
    best_threshold,
    normalised,
    onsets,
    position_score,
    probation,
)

NAB = pytest.mark.vector("detection", "numenta/NAB 1.1, README and paper")
STANDARD = PROFILES["standard"]


def called(rows: int, *which: int) -> np.ndarray:
    """Return scores of 1 at some rows, 0 elsewhere."""
    score = np.zeros(rows)
    score[list(which)] = 1.0
    return score


@NAB
@pytest.mark.parametrize(("place", "score"), [(-1, 0.98661), (0, 0), (1, -0.98661)])
def test_how_early_a_row_is(place: float, score: float) -> None:
    """At the left edge of a window, at its right edge, and a width after it."""
    assert position_score(np.array([place], float))[0] == pytest.approx(score, abs=5e-6)


@NAB
def test_the_first_rows_are_not_scored() -> None:
    """15 % of the file, 750 rows at most; nothing in them is right or wrong."""
    file = Marked.of(1_000, [(500, 599)])

    assert (probation(1_000), probation(100_000)) == (150, 750)
    assert file.raw(called(1_000, 149), 1, STANDARD) == -1
    assert file.raw(called(1_000, 150), 1, STANDARD) == pytest.approx(-1 - 0.11)


@NAB
def test_only_the_best_row_of_a_window_counts() -> None:
    """The first; a missed window costs, in the profile for few misses twice as much."""
    file = Marked.of(1_000, [(500, 599)])

    assert file.raw(called(1_000, 500), 1, STANDARD) == pytest.approx(1)
    assert file.raw(called(1_000, 500, 550, 599), 1, STANDARD) == pytest.approx(1)
    late = float(position_score(np.array([-0.01]))[0]) / 0.98661
    assert file.raw(called(1_000, 599), 1, STANDARD) == pytest.approx(late, rel=1e-5)
    assert file.raw(called(1_000), 1, PROFILES["low_FN"]) == -2


@NAB
def test_every_wrong_row_costs() -> None:
    """Little just after a window, all of it before any and three widths after one."""
    file = Marked.of(1_000, [(300, 399)])
    found = file.raw(called(1_000, 300), 1, STANDARD)

    def cost(*rows: int) -> float:
        return found - file.raw(called(1_000, 300, *rows), 1, STANDARD)

    assert cost(200) == pytest.approx(0.11)
    assert cost(200, 201) == pytest.approx(0.22)
    assert cost(399 + 99) == pytest.approx(0.11 * 0.98661, abs=1e-6)
    assert cost(399 + 297) == pytest.approx(0.11)
    assert 0 < cost(401) < 0.02


@NAB
def test_a_corpus_is_brought_to_a_scale_of_100() -> None:
    """0 says nothing, 100 calls the first row of every window and no other."""
    files = [Marked.of(1_000, [(300, 399), (700, 799)]), Marked.of(500, [])]
    perfect = [called(1_000, 300, 700), np.zeros(500)]

    for profile in PROFILES.values():
        assert normalised(files, perfect, 1, profile) == pytest.approx(100)
        assert normalised(files, perfect, 2, profile) == pytest.approx(0)
        assert best_threshold(files, perfect, profile) <= 1


def test_an_alarm_is_told_at_its_onset_and_at_new_highs() -> None:
    """And again after a quiet time."""
    score = np.array([0, 3, 2, 4, 4, 0, 0, 0, 1, 0, 2])

    assert onsets(score, 3).tolist() == [0, 3, 0, 4, 0, 0, 0, 0, 1, 0, 2]


def test_a_folder_is_read_and_scored(tmp_path: Path) -> None:
    """Files with labels, each in units of its own first rows."""
    (tmp_path / "data" / "some").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    random = np.random.default_rng(1)
    value = random.normal(5_000, 100, 1_000)
    value[600] = 9_000
    stamps = np.datetime64("2014-01-01T00:00:00") + np.arange(1_000) * np.timedelta64(300, "s")
    lines = [f"{str(at).replace('T', ' ')},{one}" for at, one in zip(stamps, value, strict=True)]
    text = "\n".join(["timestamp,value", *lines]) + "\n"
    (tmp_path / "data" / "some" / "one.csv").write_text(text)
    window = f'["{stamps[580]}.000000", "{stamps[620]}.000000"]'.replace("T", " ")
    labels = f'{{"some/absent.csv": [], "some/one.csv": [{window}]}}'
    (tmp_path / "labels" / "combined_windows.json").write_text(labels)

    files = corpus(tmp_path)
    (score,) = scored(files)

    assert int(score.argmax()) == 600
    assert np.flatnonzero(files[0].marked.window == 0).tolist() == list(range(580, 621))
    assert normalised([files[0].marked], [score], float(score.max()), STANDARD) > 0
