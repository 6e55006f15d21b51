# SPDX-License-Identifier: EUPL-1.2
"""Scores of the Numenta Anomaly Benchmark, version 1.1, by its published rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PROBATION: Final = (0.15, 750)
_BEST: Final = 2 / (1 + np.exp(-5)) - 1  # position score at the left edge of a window: 0.98661


class Profile(NamedTuple):
    """What a found window brings, and what a wrong row and a missed window cost."""

    found: float
    wrong: float
    missed: float


PROFILES: Final[Mapping[str, Profile]] = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low_FP": Profile(1.0, 0.22, 1.0),
    "low_FN": Profile(1.0, 0.11, 2.0),
}


def position_score(place: Floats) -> Floats:
    """Return how early a row is: nearly 1 at the left edge (-1), 0 at the right, -1 long after.

    >>> position_score(np.array([-1.0, 0.0, 1.0])).round(5).tolist()
    [0.98661, 0.0, -0.98661]
    """
    return 2.0 / (1.0 + np.exp(5.0 * place)) - 1.0


def probation(rows: int) -> int:
    """Return how many rows at the start of a file are not scored.

    >>> probation(4_000), probation(14_000)
    (600, 750)
    """
    share, most = _PROBATION
    return min(int(share * rows), most)


@dataclass(frozen=True)
class Marked:
    """One file: what a row is worth when it is called unusual.

    Attributes:
        window: number of the window each row is in, -1 outside, shape (rows,).
        worth: position score in windows, as a share of the best; the negative one outside.
        windows: how many there are.
    """

    window: Integers
    worth: Floats
    windows: int

    @classmethod
    def of(cls, rows: int, windows: Sequence[tuple[int, int]]) -> Marked:
        """Take the first and last row of each window, in order."""
        window, worth = np.full(rows, -1), np.full(rows, -1.0)
        begins = [*[left for left, _ in windows], rows]
        for number, (left, right) in enumerate(windows):
            width = right - left + 1
            inside = np.arange(left, right + 1)
            window[inside] = number
            worth[inside] = position_score(-(right - inside + 1) / width) / _BEST
            after = np.arange(right + 1, begins[number + 1])
            late = (after - right) / max(width - 1, 1)
            worth[after] = np.where(late >= 3, -1.0, position_score(late))
        return cls(window, worth, len(windows))

    def raw(self, score: Floats, threshold: float, profile: Profile) -> float:
        """Return what the rows from a threshold on are worth together."""
        start = probation(len(score))
        called = start + np.flatnonzero(score[start:] >= threshold)
        window = self.window[called]
        wrong = profile.wrong * float(self.worth[called[window < 0]].sum())
        # In a window only the best row counts, which is the first.
        found, first = np.unique(window[window >= 0], return_index=True)
        right = profile.found * float(self.worth[called[window >= 0][first]].sum())
        return right + wrong - profile.missed * (self.windows - len(found))


def normalised(
    files: Sequence[Marked], scores: Sequence[Floats], threshold: float, profile: Profile
) -> float:
    """Return the score of a corpus: 0 for a detector that says nothing, 100 for a perfect one."""
    raw = sum(one.raw(score, threshold, profile) for one, score in zip(files, scores, strict=True))
    windows = sum(one.windows for one in files)
    nothing, perfect = -profile.missed * windows, profile.found * windows
    return 100.0 * (raw - nothing) / (perfect - nothing)


def best_threshold(files: Sequence[Marked], scores: Sequence[Floats], profile: Profile) -> float:
    """Return the threshold of a corpus with the highest score, among quantiles of what was said."""
    said = np.concatenate(scores)
    said = said[said > 0]
    if not len(said):
        return np.inf
    tried = np.unique(np.quantile(said, 1 - np.geomspace(1e-5, 0.2, 200)))
    return float(max(tried, key=lambda one: normalised(files, scores, one, profile)))


def onsets(score: Floats, quiet: int) -> Floats:
    """Keep of a run of high scores the first and whatever exceeds it; a quiet time ends a run.

    Every wrong row costs, so an alarm is told once.

    >>> onsets(np.array([0.0, 2, 1, 3, 0, 0, 0, 1]), 3).tolist()
    [0.0, 2.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0]
    """
    kept, highest, at = np.zeros_like(score), 0.0, -quiet
    for row in np.flatnonzero(score > 0).tolist():
        if row - at > quiet:
            highest = 0.0
        if score[row] > highest:
            kept[row] = highest = float(score[row])
            at = row
    return kept
