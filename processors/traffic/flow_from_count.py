# SPDX-License-Identifier: EUPL-1.2
"""Flow from counts, for detectors that send nothing but counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lamppost.batch import FloatArray, Int64Array, JudgedBatch
from lamppost.component import Settings, register
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import SeriesState, Snapshot, nested, part
from lamppost.stations import Station
from lamppost.times import NO_TIME

from ._derivations import NOTHING, RoadDerivation
from ._together import Road

_LAST = np.iinfo(np.int64).max


class FlowFromCountSettings(Settings):
    """Nothing can be set."""


@register("derivation")
class FlowFromCount(RoadDerivation[FlowFromCountSettings]):
    """Works out flow from vehicle counts, for detectors that send no flow themselves.

    ``q = 3600 * count / T`` in veh/h. T is the qualifier ``period_s`` of the series, else the
    ``period_s`` of its station in the registry; without either nothing is derived.

    Source: by definition of flow.

    Known failures: where a message was lost or T is wrong, so is the flow: T is what is told, not
    the time since the last count. The first count of a series is not used: only the second shows
    whether a detector sends flow itself. Counts of single classes are left alone.
    """

    name: ClassVar[str] = "flow_from_count"
    Settings: ClassVar[type[FlowFromCountSettings]] = FlowFromCountSettings
    inputs: ClassVar[Mapping[str, int]] = {"vehicle_count": 0}
    quantity: ClassVar[str] = "flow"

    def __init__(
        self,
        settings: FlowFromCountSettings,
        series: SeriesTable,
        stations: Mapping[str, Station],
    ) -> None:
        """Prepare the memory of who sends flow."""
        super().__init__(settings, series, stations)
        self._series = series
        self._count_of: Int64Array = np.empty(0, np.int64)
        self._state = SeriesState(own=np.bool_(False), first=np.int64(NO_TIME))

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float] | None:
        """Return nothing: counts are made flows when they are brought together."""
        del key, station
        return (np.nan,)

    def value(self, road: Road) -> FloatArray:
        """Return the flow."""
        flow: FloatArray = road.values[0]
        return np.where(flow >= 0, flow, np.nan)

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Derive flow from the counts of detectors that have sent none so far."""
        self._look_up()
        counts = self._count_of[judged.series]
        concerned = np.flatnonzero(counts >= 0)
        if not len(concerned):
            return NOTHING
        is_count = counts[concerned] == judged.series[concerned]
        flows, rows = concerned[~is_count], concerned[is_count]
        kept = self._alone(judged, counts, flows, rows)
        return super().derive(judged.take(rows[kept]))

    def snapshot(self) -> Snapshot:
        """Return who sends flow, and the first instant of each count."""
        return {**super().snapshot(), **nested("own", self._state.snapshot())}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over who sends flow."""
        super().restore(snapshot)
        self._state.restore(part("own", snapshot))

    def _alone(
        self, judged: JudgedBatch, counts: Int64Array, flows: Int64Array, rows: Int64Array
    ) -> BoolArray:
        """Return which counts come from a detector that has sent no flow up to then."""
        state = self._state
        state.grow(len(self._series))
        flow_at = np.full(len(state), _LAST)
        np.minimum.at(flow_at, counts[flows], flows)
        code = counts[rows]
        alone = ~state["own"][code] & (flow_at[code] > rows)
        state["own"][counts[flows]] = True
        begun, at = np.unique(code, return_index=True)
        fresh = state["first"][begun] == NO_TIME
        state["first"][begun[fresh]] = judged.time[rows[at[fresh]]]
        kept: BoolArray = alone & (judged.time[rows] != state["first"][code])
        return kept

    def _look_up(self) -> None:
        """Find for each series of counts or flows the one of counts."""
        known = len(self._count_of)
        if known == len(self._series):
            return
        added = np.full(len(self._series) - known, -1, np.int64)
        self._count_of = np.append(self._count_of, added)
        for code in range(known, len(self._series)):
            key = self._series[code]
            if key.quantity in {"flow", "vehicle_count"}:
                self._link(key)

    def _link(self, key: SeriesKey) -> None:
        count = self._series.find(SeriesKey(key.sensor, "vehicle_count", key.qualifiers))
        flow = self._series.find(SeriesKey(key.sensor, "flow", key.qualifiers))
        if count is not None:
            for code in (count, flow):
                if code is not None and code < len(self._count_of):
                    self._count_of[code] = count
