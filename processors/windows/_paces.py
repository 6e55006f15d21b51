# SPDX-License-Identifier: EUPL-1.2
"""The gap that was usual before each reading, by the readings before it, whenever those came."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.times import DAY_NS, MILLISECOND_NS

from ._cadence import GAPS, REACH_NS, Cadence, gaps_before, usual_gaps
from ._places import Places
from ._rows import IntArray, RowArray, joined, ordered, picked, united_ranges
from ._table import Table

_AROUND: Final = GAPS + 1


class Paces:
    """Gives readings that leave their shortest window their pace.

    Nearly all are newer than what their series had before, and its last gaps are at hand. One that
    is not gets its pace from the readings it falls between, and changes that of the next eight.
    """

    def __init__(self, default_ns: int, readings: Table) -> None:
        """Start without having learnt anything.

        Args:
            default_ns: the longest gap to assume while a series' own cadence is not known.
            readings: those that have left their shortest window before.
        """
        self._default_ns = default_ns
        self._readings = readings
        self.cadence = Cadence(default_ns)

    def assign(self, rows: RowArray, series_count: int) -> RowArray:
        """Fill in the pace of readings sorted by series and time.

        Returns:
            Readings that had left before, with the pace they have now that it is another one.
        """
        self.cadence.grow(series_count)
        behind = rows["time"] <= self.cadence.newest(rows["series"])
        changed = rows[:0]
        if behind.any():
            again = picked(rows, behind)
            changed = self._look_up(again)
            rows["pace"][behind] = again["pace"]
        onward = np.flatnonzero(~behind)
        usual = self.cadence.learn(rows["series"][onward], rows["time"][onward])
        rows["pace"][onward] = _in_milliseconds(usual)
        return changed

    def _look_up(self, again: RowArray) -> RowArray:
        """Fill in the pace of readings that are not newer than all of their series."""
        held, former = self._readings.find(again["series"], again["time"])
        again["pace"] = np.where(held, former["pace"], 0)
        if held.all():
            return again[:0]
        new = picked(again, ~held)
        together = ordered(joined([self._near(new), again], again.dtype))
        places = Places.of(together)
        # Beyond a week nobody's pace goes by a new one, and not all that lies there was looked for.
        at, end = places.ranges(together, new["series"], new["time"], new["time"] + REACH_NS + 1)
        concerned = united_ranges(at, np.minimum(at + _AROUND, end))
        gaps = gaps_before(together)
        usual = usual_gaps(gaps[concerned], self._default_ns)
        together["pace"][concerned] = _in_milliseconds(usual)
        codes = np.unique(new["series"])
        self.cadence.relearn(codes, gaps[places.spans(codes)[1] - 1])
        _, own = places.locate(together, again["series"], again["time"])
        again["pace"] = together["pace"][own]
        return self._repaced(picked(together, np.setdiff1d(concerned, own)))

    def _repaced(self, others: RowArray) -> RowArray:
        """Return readings that had left before, where they have another pace now.

        Those found around an instant may be former versions: each run is looked through by itself.
        """
        _, changed = self._readings.find(others["series"], others["time"])
        is_other = changed["pace"] != others["pace"]
        changed["pace"] = others["pace"]
        return picked(changed, is_other)

    def _near(self, new: RowArray) -> RowArray:
        """Return the readings around new ones, nine to either side, and the last nine of each."""
        series = np.append(new["series"], new["series"])
        newest = self.cadence.newest(new["series"])
        time = np.append(new["time"], newest)
        order = np.lexsort((time, series))
        series, time = series[order], time[order]
        found = self._readings.around(series, time, _AROUND, DAY_NS)
        low, at, high = _counted(found, series, time)
        few = at - low < _AROUND
        few |= (high - at < _AROUND) & (time + DAY_NS < np.append(newest, newest)[order])
        if not few.any():
            return found
        further = self._readings.around(series[few], time[few], _AROUND, REACH_NS)
        return ordered(joined([found, further], found.dtype))


def _in_milliseconds(usual: IntArray) -> IntArray:
    """Return gaps in whole milliseconds, at least one: exact for every device there is."""
    return np.maximum(usual // MILLISECOND_NS, 1)


def _counted(
    rows: RowArray, series: npt.NDArray[Any], time: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Return where the rows of a day before some instants begin, where they end, and those after.

    What lies further away may have gaps: only rows that reach into the day were looked through.
    """
    places = Places.of(rows)
    low, at = places.ranges(rows, series, time - DAY_NS, time)
    return low, at, places.ranges(rows, series, time, time + DAY_NS)[1]
