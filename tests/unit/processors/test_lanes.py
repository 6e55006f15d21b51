# SPDX-License-Identifier: EUPL-1.2
"""Lanes: rows by round."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lamppost.grouping import Groups
from processors._lanes import Lanes


@given(st.lists(st.integers(0, 5), max_size=40))
def test_every_row_stands_in_the_lane_of_its_series_and_the_round_of_its_turn(
    series: list[int],
) -> None:
    """Rounds together hold each row once, in order of arrival."""
    groups = Groups.by_series(np.array(series, np.int32))
    lanes = Lanes.of(groups)
    seen: dict[int, list[int]] = {}

    for rows, lane in lanes.rounds():
        assert rows.stop - rows.start == lane.stop - lane.start
        for row, group in zip(lanes.order[rows], lanes.groups[lane], strict=True):
            assert groups.series[row] == groups.codes[group]
            seen.setdefault(int(group), []).append(int(row))

    assert sorted(row for rows in seen.values() for row in rows) == list(range(len(series)))
    assert all(rows == sorted(rows) for rows in seen.values())
