# SPDX-License-Identifier: EUPL-1.2
"""Vehicle classes by length: how many motorcycles, cars, vans and lorries passed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import FloatArray, JudgedBatch
from lamppost.component import Settings, register
from lamppost.derived import DerivedSeries, derived, named
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping, qualifiers_text
from lamppost.state import Snapshot
from lamppost.stations import Station

from ._derivations import M_PER_FOOT, NOTHING

CLASSES: Final = ("motorcycle", "short", "medium", "long")

_SHORT_FROM_FT: Final = 7.0
_MEDIUM_FROM_FT: Final = 20.0
_LONG_FROM_FT: Final = 43.0


class VehicleClassesSettings(Settings):
    """Nothing can be set."""


def class_of(length_m: FloatArray) -> npt.NDArray[np.int64]:
    """Return the place of the class among CLASSES; -1 where there is no length.

    >>> class_of(np.array([2.0, 4.5, 10.0, 16.5])).tolist()
    [0, 1, 2, 3]
    """
    feet = length_m / M_PER_FOOT
    place = (feet > _SHORT_FROM_FT).astype(np.int64)
    place += feet >= _MEDIUM_FROM_FT
    place += feet >= _LONG_FROM_FT
    return np.where(length_m > 0, place, -1)


@register("derivation")
class VehicleClasses:
    """Counts vehicles by class, by length: up to 7 feet, below 20, below 43 (IRIS), and longer.

    Each reading of ``vehicle_length`` becomes one of ``vehicle_count`` for every class: 1 for its
    own and 0 for the others. So the total of a window is the number of vehicles of a class, and the
    mean its share. Up to 7 feet (2.13 m) motorcycle, below 20 (6.10 m) short, below 43 (13.11 m)
    medium, else long.

    Source: IRIS of the Minnesota department of transportation.

    Known failures: detectors measure length by speed; an error of speed moves vehicles over a
    bound. Two vehicles of one lane with the same time count once. Axle classes (the 13 of FHWA, the
    8 + 1 of TLS) need axles and cannot be told from length.
    """

    name: ClassVar[str] = "vehicle_classes"
    reasons: ClassVar[tuple[Reason, ...]] = ()
    Settings: ClassVar[type[VehicleClassesSettings]] = VehicleClassesSettings

    def __init__(
        self,
        settings: VehicleClassesSettings,
        series: SeriesTable,
        stations: Mapping[str, Station],
    ) -> None:
        """Prepare the names of the series, one for each class."""
        del settings, stations
        self._counts = [DerivedSeries(series, partial(_count, name)) for name in CLASSES]

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Count every vehicle in its class."""
        at = np.flatnonzero(self._counts[0].concerns(judged.series))
        if not len(at):
            return NOTHING
        rows = judged.take(at)
        of_class = class_of(rows.value)
        made = [
            derived(rows, counts.of(rows.series), _ones(of_class, place))
            for place, counts in enumerate(self._counts)
        ]
        order = np.argsort(np.tile(np.arange(len(rows)), len(CLASSES)), kind="stable")
        return JudgedBatch.concat(made).take(order)

    def snapshot(self) -> Snapshot:
        """Return nothing: each vehicle is counted by itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take nothing over."""


def _ones(of_class: npt.NDArray[np.int64], place: int) -> FloatArray:
    ones: FloatArray = np.where(of_class < 0, np.nan, (of_class == place).astype(np.float64))
    return ones


def _count(name: str, key: SeriesKey) -> SeriesKey | None:
    qualifiers = qualifiers_mapping(key.qualifiers)
    if key.quantity != "vehicle_length" or "class" in qualifiers:
        return None
    classed = key._replace(qualifiers=qualifiers_text({**qualifiers, "class": name}))
    return named(classed, "derived", "vehicle_classes", "vehicle_count")
