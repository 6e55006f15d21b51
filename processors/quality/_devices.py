# SPDX-License-Identifier: EUPL-1.2
"""What type of device each series comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lamppost.batch import Int32Array, Int64Array
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping
from lamppost.stations import Station

ANY_DEVICE: Final = 0
"""The number of a type that has no table of its own; those that have one follow in order."""
UNNAMED: Final = -1
"""The number of a type that neither a series nor its station names."""


class Devices:
    """Numbers the types of device that have a name in the settings.

    A series names its type by a qualifier, else its station does. Stations may change at any time.
    """

    def __init__(
        self,
        series: SeriesTable,
        stations: Mapping[str, Station],
        names: Sequence[str],
        qualifier: str,
    ) -> None:
        """Take the types that are told apart, in order of their numbers from 1 on."""
        self._series = series
        self._stations = stations
        self._number = {name.casefold(): number for number, name in enumerate(names, start=1)}
        self._qualifier = qualifier
        self._known: list[Station] = []
        self._of_series: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def of(self, codes: Int32Array) -> Int64Array:
        """Return the number of each series' type: ANY_DEVICE without table, else UNNAMED."""
        # Comparing lists of the very same objects costs next to nothing.
        stations = list(self._stations.values())
        if stations != self._known:
            self._known = stations
            self._of_series = np.empty(0, np.int64)
        known = len(self._of_series)
        added = [self._type_of(self._series[code]) for code in range(known, len(self._series))]
        if added:
            self._of_series = np.append(self._of_series, np.array(added, np.int64))
        return self._of_series[codes]

    def _type_of(self, key: SeriesKey) -> int:
        named = qualifiers_mapping(key.qualifiers).get(self._qualifier)
        if named is None:
            station = self._stations.get(key.sensor)
            named = "" if station is None else station.device
        return self._number.get(named.casefold(), ANY_DEVICE) if named else UNNAMED
