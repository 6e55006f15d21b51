# SPDX-License-Identifier: EUPL-1.2
"""Each series by its own clock: wrong ones harm only themselves."""

from __future__ import annotations

import numpy as np

from lamppost.batch import JudgedBatch, ReadingBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

START = 1_790_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
OFFSETS_S = {"right": 0, "behind": -3600, "ahead": 3600, "jumping": 0}


def windows(**given: object) -> EventTimeWindows:
    """Return windows of four series."""
    series = SeriesTable(SeriesKey(name, "pm10") for name in OFFSETS_S)
    return EventTimeWindows(EventTimeSettings.model_validate(given), series)


def readings(rows: list[tuple[int, int, int]]) -> JudgedBatch:
    """Return readings of rows of series, device time and receipt (ns from the start)."""
    columns = np.array(rows, np.int64).reshape(-1, 3)
    return JudgedBatch.unscored(
        ReadingBatch(
            series=columns[:, 0].astype(np.int32),
            time=START + columns[:, 1],
            received=START + columns[:, 2],
            value=np.ones(len(rows)),
            flag=np.ones(len(rows), np.uint8),
            reasons=np.zeros(len(rows), np.uint32),
        )
    )


def test_a_wrong_clock_harms_only_itself() -> None:
    """An hour behind, an hour ahead and jumping: everybody's minutes close by their own clock."""
    aggregator = windows(lengths=("1min",), allowed_lateness_s=30)
    closed: dict[int, list[tuple[int, int]]] = {code: [] for code in range(4)}
    for minute in range(30):
        now = minute * MINUTE_NS + 10 * SECOND_NS
        offsets = [*list(OFFSETS_S.values())[:3], (minute % 3 - 1) * 1800]
        aggregator.add(
            readings([(code, now + off * SECOND_NS, now) for code, off in enumerate(offsets)])
        )
        for second in range(0, 60, 10):
            at = now + second * SECOND_NS
            said = aggregator.advance(START + at)
            for code, start in zip(said.series.tolist(), said.start.tolist(), strict=True):
                closed[code].append(((start - START) // MINUTE_NS, at // SECOND_NS))

    for code, name in enumerate(("right", "behind", "ahead")):
        shift = OFFSETS_S[name] // 60
        assert [start - shift for start, _ in closed[code]] == list(range(29)), name
        # Minute m is over at 60 (m + 1) s and waits for 30 s, on its own clock.
        assert [at for _, at in closed[code]] == [60 * m + 90 for m in range(29)], name
    assert closed[3], "the one that jumps has windows, too"


def test_allowed_lateness_is_flinks() -> None:
    """Window [0, 600), lateness 3600 s: taken in while the watermark is below 4200 s."""
    for newest_ns, revised in ((4200 * SECOND_NS - 1, 0), (4200 * SECOND_NS, 1)):
        aggregator = windows(lengths=("10min",), allowed_lateness_s=3600)
        aggregator.add(readings([(0, 0, newest_ns), (0, newest_ns, newest_ns)]))
        first = aggregator.advance(START + newest_ns)
        aggregator.add(readings([(0, 599 * SECOND_NS, newest_ns)]))
        again = aggregator.advance(START + newest_ns)

        assert (len(first), len(again)) == (revised, revised), newest_ns
        assert again.revision.tolist() == [1] * revised
