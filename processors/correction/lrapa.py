# SPDX-License-Identifier: EUPL-1.2
"""LRAPA: the linear correction of Lane County, Oregon, for Plantower particle sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lamppost.batch import JudgedBatch
from lamppost.component import Settings, register
from lamppost.derived import DerivedSeries, derived, named
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable
from lamppost.state import Snapshot
from lamppost.stations import Station


class LrapaSettings(Settings):
    """Nothing can be set yet."""


@register("derivation")
class Lrapa:
    """Corrects PM2.5 (CF=1) by half of it less 0.66 µg/m³."""

    name: ClassVar[str] = "lrapa"
    reasons: ClassVar[tuple[Reason, ...]] = ()
    Settings: ClassVar[type[LrapaSettings]] = LrapaSettings

    def __init__(
        self, settings: LrapaSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare the names of the corrected series."""
        del settings, stations
        self._corrected = DerivedSeries(series, _corrected)

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Correct every row of PM2.5 (CF=1)."""
        rows = judged.take(self._corrected.concerns(judged.series))
        return derived(rows, self._corrected.of(rows.series), 0.5 * rows.value - 0.66)

    def snapshot(self) -> Snapshot:
        """Return nothing: each value is corrected by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""


def _corrected(key: SeriesKey) -> SeriesKey | None:
    if key.quantity != "pm2_5_cf1":
        return None
    return named(key, "corrected", "lrapa", "pm2_5")
