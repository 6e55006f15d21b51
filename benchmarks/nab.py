# SPDX-License-Identifier: EUPL-1.2
"""What the detector finds of the Numenta Anomaly Benchmark, where its files are at hand."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import processors
from lamppost.component import Rows, discover, find
from lamppost.grouping import Groups
from lamppost.series import SeriesKey, SeriesTable

from .nab_scoring import (
    PROFILES,
    Floats,
    Integers,
    Marked,
    Profile,
    best_threshold,
    normalised,
    onsets,
    probation,
)
from .rows import Peer, Row
from .timing import Plan

GROUP: Final = "nab"
FOLDER: Final = "LAMPPOST_NAB"
_QUIET: Final = 150  # rows without a higher score after which an alarm may be told again
_PEER: Final = "Windowed Gaussian, whole corpus"
_PUBLISHED: Final = {"standard": 39.6, "low_FP": 20.9, "low_FN": 47.4}
# As the default policy for particles, but that a day is learnt for longer; noise in units of the
# spread of the first rows, since the files have no units.
_SETTINGS: Final = {"half_life_s": 5_400, "warm_up": 90, "noise": 2, "hourly_profile": True,
                    "relearn_s": 86_400}  # fmt: skip
_HOW: Final = (
    "robust_baseline with one set of settings for all files, each in units of the spread of its"
    " first 15 %; an alarm is told at its onset and at new highs."
)


@dataclass(frozen=True)
class File:
    """One file of the corpus."""

    group: str
    time: Integers
    value: Floats
    marked: Marked


def measure(plan: Plan) -> list[Row]:
    """Score the detector on the files in the folder the environment names; none without."""
    del plan
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"{FOLDER} names no folder with data/ and labels/;", end=" ", file=sys.stderr)
        return []
    files = corpus(Path(folder))
    scores = [onsets(score, _QUIET) for score in scored(files)]
    return [
        row for name, profile in PROFILES.items() for row in _rows(files, scores, name, profile)
    ]


def corpus(folder: Path) -> list[File]:
    """Read the files that have labels, in units of the spread of their first rows."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return [
        _file(folder / "data" / name, name.partition("/")[0], windows)
        for name, windows in sorted(labels.items())
        if (folder / "data" / name).exists()
    ]


def scored(files: Sequence[File]) -> list[Floats]:
    """Return how unusual the detector calls each row, 0 where it says nothing."""
    discover(processors)
    series = SeriesTable(SeriesKey(str(number), "pm2_5") for number in range(len(files)))
    component = find("detector", "robust_baseline", GROUP)
    settings = component.parse({"quantities": {"pm2_5": _SETTINGS}}, GROUP)
    sizes = [len(one.value) for one in files]
    rows = Rows(
        Groups.by_series(np.repeat(np.arange(len(files), dtype=np.int32), sizes)),
        np.concatenate([one.time for one in files]),
        np.concatenate([one.value for one in files]),
        np.ones(sum(sizes), np.uint8),
    )
    score = np.nan_to_num(np.abs(component.cls(settings, series).score(rows).score))
    return np.split(score, np.cumsum(sizes)[:-1])


def _file(path: Path, group: str, windows: Sequence[tuple[str, str]]) -> File:
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    time = np.array([row["timestamp"] for row in rows], "datetime64[ns]")
    value = np.array([float(row["value"]) for row in rows])
    edges = [
        (
            int(np.searchsorted(time, np.datetime64(first))),
            int(np.searchsorted(time, np.datetime64(last), side="right")) - 1,
        )
        for first, last in windows
    ]
    begin = value[: probation(len(value))]
    spread = max(float(begin.std()), 1e-3 * abs(float(begin.mean())), 1e-6)
    return File(
        group,
        time.astype(np.int64),
        (value - np.median(begin)) / spread,
        Marked.of(len(value), edges),
    )


def _rows(
    files: Sequence[File], scores: Sequence[Floats], name: str, profile: Profile
) -> list[Row]:
    marked = [one.marked for one in files]
    tuned = normalised(marked, scores, best_threshold(marked, scores, profile), profile)
    peer = Peer(_PEER, _PUBLISHED[name], tuned / _PUBLISHED[name])
    of_all = f"NAB {name}, {len(files)} of 58 files"
    return [
        _row(f"{of_all}, threshold of the same files", tuned, peer),
        _row(f"{of_all}, threshold of the other groups", _held_out(files, scores, profile), None),
    ]


def _held_out(files: Sequence[File], scores: Sequence[Floats], profile: Profile) -> float:
    """Return the score with each group's threshold found on all other groups."""
    raw, windows = 0.0, 0
    for group in sorted({one.group for one in files}):
        others = [place for place, one in enumerate(files) if one.group != group]
        threshold = best_threshold(
            [files[place].marked for place in others], [scores[place] for place in others], profile
        )
        for place in set(range(len(files))) - set(others):
            raw += files[place].marked.raw(scores[place], threshold, profile)
            windows += files[place].marked.windows
    nothing = -profile.missed * windows
    return 100.0 * (raw - nothing) / (profile.found * windows - nothing)


def _row(what: str, score: float, peer: Peer | None) -> Row:
    return Row(
        group=GROUP,
        what=what,
        measured=score,
        low=score,
        high=score,
        unit="of 100",
        better="more",
        how=_HOW,
        peer=peer,
    )
