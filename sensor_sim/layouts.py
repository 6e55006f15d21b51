# SPDX-License-Identifier: EUPL-1.2
"""The layouts of recordings: which columns of a CSV file hold the time and which quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layout:
    """How to read one kind of CSV file.

    Attributes:
        name: what the recording is, for people.
        time_columns: columns whose texts, joined by a space, are the time.
        columns: quantity by source column.
        units: unit of a quantity where it is not the usual one.
    """

    name: str
    time_columns: tuple[str, ...]
    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)

    def fits(self, header: list[str]) -> bool:
        """Tell whether a file with this header has every column that is needed."""
        return {*self.time_columns, *self.columns} <= set(header)


# A missing value is -200 in this file, and is kept: a real device would send it.
UCI_AIR_QUALITY = Layout(
    name="UCI Air Quality",
    time_columns=("Date", "Time"),
    columns={
        "CO_GT": "co",
        "C6H6_GT": "benzene",
        "NOx_GT": "nox",
        "NO2_GT": "no2",
        "T": "temperature",
        "RH": "humidity",
    },
    units={
        "co": "mg/m3",
        "benzene": "ug/m3",
        "nox": "ppb",
        "no2": "ug/m3",
        "temperature": "Cel",
        "humidity": "%",
    },
)

# An hour with several kinds of weather has several rows; all are kept.
I94_TRAFFIC = Layout(
    name="Metro Interstate Traffic Volume",
    time_columns=("date_time",),
    columns={"traffic_volume": "flow", "temp": "temperature"},
    units={"flow": "veh/h", "temperature": "K"},
)

AARHUS_TRAFFIC = Layout(
    name="Aarhus traffic",
    time_columns=("TIMESTAMP",),
    columns={
        "vehicleCount": "vehicle_count",
        "avgSpeed": "speed",
        "avgMeasuredTime": "travel_time",
    },
    units={"vehicle_count": "1", "speed": "km/h", "travel_time": "s"},
)

KNOWN_LAYOUTS = (UCI_AIR_QUALITY, I94_TRAFFIC, AARHUS_TRAFFIC)


def layout_of(header: list[str]) -> Layout | None:
    """Return the known layout that a header belongs to, if any."""
    return next((layout for layout in KNOWN_LAYOUTS if layout.fits(header)), None)
