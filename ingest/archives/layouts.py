# SPDX-License-Identifier: EUPL-1.2
"""Layouts of archives: which column of a file says what, recognised from its header."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lamppost.errors import ConfigError
from lamppost.quantities import QUANTITIES


class Measured(NamedTuple):
    """What a column of a wide file holds; no unit means the canonical one."""

    quantity: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read one kind of file. A column that is not there is named by the empty text.

    Attributes:
        name: what ``--layout`` calls it.
        times: columns whose texts, joined by a space, are the time.
        station: column that names the sensor.
        template: name of the sensor, in which ``{id}`` stands for that column.
        quantity, value, unit: columns of a file with one number in each row.
        columns: what each column of a file with many numbers in a row holds.
        qualifiers: columns that tell several series of a sensor apart, by qualifier.
        qualifiers_text: column that holds them as Lamppost writes them.
        names: canonical quantity by the name used in the file.
        zone: zone of times that name none, where whoever wrote the file says so.
        window_end: column with the end of the window an aggregate is about.
        window: column with the resolution of that window, where there is one.
        guarded: whether, in text files, an apostrophe stands before what looks like a formula.
        unused: columns that hold nothing to import.
    """

    name: str
    times: tuple[str, ...]
    station: str = ""
    template: str = "{id}"
    quantity: str = ""
    value: str = ""
    unit: str = ""
    columns: Mapping[str, Measured] = field(default_factory=dict)
    qualifiers: Mapping[str, str] = field(default_factory=dict)
    qualifiers_text: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    window_end: str = ""
    window: str = ""
    guarded: bool = False
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person who imports says about the files; empty where nothing was said.

    Attributes:
        layout: name of a layout.
        sensor: name of the sensor, or a template with ``{id}``.
        time_columns: columns of the time.
        columns: what columns hold.
        qualifiers: columns that tell series apart.
    """

    layout: str = ""
    sensor: str = ""
    time_columns: tuple[str, ...] = ()
    columns: Mapping[str, Measured] = field(default_factory=dict)
    qualifiers: tuple[str, ...] = ()


_STATIONS: Final = ("station", "sensor", "sensor_id", "station_id", "device", "device_id")
_TIMES: Final = ("time", "timestamp", "datetime", "date_time", "date_utc", "time_utc")
_QUANTITIES: Final = ("quantity", "parameter", "variable", "pollutant")
_UNITS: Final = ("unit", "units")
_QUALIFIERS: Final = ("channel", "lane", "direction", "class")
# In files of a release, and in answers of the programming interface.
_WINDOW_COLUMNS: Final = (("window_start", "window_end"), ("start", "end"))
_IN_BRACKETS: Final = re.compile(r"(.*?)\s*[\[(]([^\])]*)[\])]")

# As other networks and people write them.
_ALIASES: Final = {
    "pm1.0": "pm1",
    "pm25": "pm2_5",
    "pm2.5": "pm2_5",
    "relativehumidity": "humidity",
    "relative_humidity": "humidity",
    "temp": "temperature",
    "pb": "lead",
    "as": "arsenic",
    "cd": "cadmium",
    "ni": "nickel",
    "bap": "benzo_a_pyrene",
    "b(a)p": "benzo_a_pyrene",
    "benzo(a)pyrene": "benzo_a_pyrene",
    "c6h6": "benzene",
}
_SENSOR_COMMUNITY: Final = {
    "P0": Measured("pm1"),
    "P1": Measured("pm10"),
    "P2": Measured("pm2_5"),
    "P4": Measured("pm4"),
    "temperature": Measured("temperature"),
    "humidity": Measured("humidity"),
    "pressure": Measured("pressure", "Pa"),
    "noise_LAeq": Measured("noise_laeq"),
    "noise_LA_min": Measured("noise_lamin"),
    "noise_LA_max": Measured("noise_lamax"),
}
LAYOUTS: Final = {
    "tidy": "one number in each row: station, time, quantity, value",
    "wide": "a time and one column for each quantity",
    "sensor.community": "one sensor's day: sensor_id;sensor_type;location;lat;lon;timestamp;...",
    "openaq": "one location's day: location_id,sensors_id,location,datetime,...,value",
    "open-data": "aggregates as Lamppost publishes them; the mean counts as a reading",
}


class NotReadings(ConfigError):
    """A file of ours that is a good one, and none to import."""


_OF_OURS: Final = (
    (
        {"index", "category", "beyond"},
        "health indices cannot be imported: they are worked out",
        "import the aggregates or readings they came from",
    ),
    (
        {"rule_set", "rule", "averaging", "permitted"},
        "how years stand against limits cannot be imported: it is worked out",
        "import the aggregates or readings it came from",
    ),
    (
        {"latitude", "longitude", "period_s", "owner"},
        "a list of stations holds no readings",
        "the setting stations names a GeoJSON file of them",
    ),
)


def layout_of(header: Sequence[str], wishes: Wishes, where: str) -> Layout:
    """Return the layout of a file.

    Raises:
        ConfigError: it is none of those there are, or something has to be said about it.
        NotReadings: it holds something of ours that is not imported.
    """
    if wishes.layout and wishes.layout not in LAYOUTS:
        hint = f"known: {', '.join(LAYOUTS)}"
        raise ConfigError(f"there is no layout {wishes.layout!r}", where="--layout", hint=hint)
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise ConfigError(f"two columns are called {doubled[0]!r}", where=where)
    for columns, problem, hint in _OF_OURS:
        if not wishes.layout and columns <= set(header):
            raise NotReadings(problem, where=where, hint=hint)
    named = wishes.layout or _recognised(header)
    made = {
        "sensor.community": _sensor_community,
        "openaq": _openaq,
        "open-data": _open_data,
        "tidy": _tidy,
        "wide": _wide,
    }[named](header, wishes, where)
    for column in _used(made):
        if column not in header:
            problem = f"the layout {named} needs a column {column!r}; there are {_listed(header)}"
            raise ConfigError(problem, where=where, hint="--layout names another")
    return made


def unread(layout: Layout, header: Sequence[str]) -> list[str]:
    """Return the columns nobody looks into and nobody has said need not be."""
    return [name for name in header if name not in {*_used(layout), *layout.unused}]


def _used(layout: Layout) -> list[str]:
    columns = [*layout.times, layout.station, layout.quantity, layout.value, layout.unit]
    columns += [*layout.columns, *layout.qualifiers.values(), layout.qualifiers_text]
    return [name for name in [*columns, layout.window_end, layout.window] if name]


def _recognised(header: Sequence[str]) -> str:
    names = set(header)
    if {"sensor_id", "sensor_type", "location", "timestamp"} <= names:
        return "sensor.community"
    if {"location_id", "sensors_id", "datetime", "parameter", "value"} <= names:
        return "openaq"
    if any({start, end, "quantity", "mean"} <= names for start, end in _WINDOW_COLUMNS):
        return "open-data"
    return "tidy" if "value" in names and _one_of(_QUANTITIES, header) else "wide"


def _sensor_community(header: Sequence[str], wishes: Wishes, where: str) -> Layout:
    found = {name: what for name, what in _SENSOR_COMMUNITY.items() if name in header}
    long = {"value_type", "value"} <= set(header)
    if not found and not long:
        raise ConfigError(f"no column of a known quantity among {_listed(header)}", where=where)
    # Times are UTC without saying so: that is how the network writes its archive.
    return Layout(
        "sensor.community",
        ("timestamp",),
        station="sensor_id",
        template=wishes.sensor or "sc-{id}",
        quantity="value_type" if long else "",
        value="value" if long else "",
        columns={} if long else found,
        names={name: what.quantity for name, what in _SENSOR_COMMUNITY.items()},
        zone="UTC",
        unused=tuple(name for name in header if name not in found),
    )


def _openaq(header: Sequence[str], wishes: Wishes, _where: str) -> Layout:
    return Layout(
        "openaq",
        ("datetime",),
        station="location_id",
        template=wishes.sensor or "openaq-{id}",
        quantity="parameter",
        value="value",
        unit=_one_of(_UNITS, header),
        # A location may have several instruments for one quantity.
        qualifiers={"channel": "sensors_id"},
        names=_ALIASES,
        unused=("location", "lat", "lon"),
    )


def _open_data(header: Sequence[str], wishes: Wishes, _where: str) -> Layout:
    files, answers = _WINDOW_COLUMNS
    start, end = answers if "start" in header and "window_start" not in header else files
    return Layout(
        "open-data",
        (start,),
        station="station",
        template=wishes.sensor or "{id}",
        quantity="quantity",
        value="mean",
        unit=_one_of(_UNITS, header),
        qualifiers_text="qualifiers" if "qualifiers" in header else "",
        window_end=end,
        window="window" if "window" in header else "",
        guarded=True,
        unused=tuple(header),
    )


def _tidy(header: Sequence[str], wishes: Wishes, where: str) -> Layout:
    station = _one_of(_STATIONS, header)
    return Layout(
        "tidy",
        _times(header, wishes, where),
        station=station,
        template=_template(station, wishes, where),
        quantity=_one_of(_QUANTITIES, header) or "quantity",
        value="value",
        unit=_one_of(_UNITS, header),
        qualifiers=_qualifiers(header, wishes),
        qualifiers_text="qualifiers" if "qualifiers" in header else "",
        names=_ALIASES,
    )


def _wide(header: Sequence[str], wishes: Wishes, where: str) -> Layout:
    station = _one_of(_STATIONS, header)
    columns = dict(wishes.columns) or _measured(header)
    if not columns:
        known = "pm2_5, or PM2.5 [ug/m3]"
        hint = f"name quantities in the header ({known}), or say --column SRC=QUANTITY"
        raise ConfigError(f"no column of a known quantity among {_listed(header)}", where=where,
                          hint=hint)  # fmt: skip
    return Layout(
        "wide",
        _times(header, wishes, where),
        station=station,
        template=_template(station, wishes, where),
        columns=columns,
        qualifiers=_qualifiers(header, wishes),
    )


def _measured(header: Sequence[str]) -> dict[str, Measured]:
    """Return the columns whose names are quantities, a unit in brackets perhaps behind."""
    found = {}
    for column in header:
        bracketed = _IN_BRACKETS.fullmatch(column.strip())
        name, unit = (bracketed[1], bracketed[2]) if bracketed else (column.strip(), None)
        quantity = canonical(name, _ALIASES)
        if quantity in QUANTITIES and quantity != "raw":
            found[column] = Measured(quantity, unit)
    return found


def canonical(name: str, names: Mapping[str, str]) -> str:
    """Return the canonical name of a quantity; an unknown one stays as it is."""
    return names.get(name) or names.get(name.lower()) or (
        name.lower() if name.lower() in QUANTITIES else name
    )  # fmt: skip


def _times(header: Sequence[str], wishes: Wishes, where: str) -> tuple[str, ...]:
    if wishes.time_columns:
        return wishes.time_columns
    date, time = _one_of(("date",), header), _one_of(("time",), header)
    if date and time:
        return (date, time)
    found = _one_of(_TIMES, header) or date
    if found:
        return (found,)
    hint = "--time-column names it; twice, for a date and a time"
    raise ConfigError(f"no column of a time among {_listed(header)}", where=where, hint=hint)


def _template(station: str, wishes: Wishes, where: str) -> str:
    if not station and not wishes.sensor:
        hint = "--sensor NAME says whose readings these are"
        raise ConfigError("no column names the sensor", where=where, hint=hint)
    return wishes.sensor or "{id}"


def _qualifiers(header: Sequence[str], wishes: Wishes) -> dict[str, str]:
    wanted = [*wishes.qualifiers, *(name for name in header if name in _QUALIFIERS)]
    return {name: name for name in wanted}


def _one_of(names: Sequence[str], header: Sequence[str]) -> str:
    lowered = {name.strip().lower(): name for name in reversed(header)}
    return next((lowered[name] for name in names if name in lowered), "")


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in header[:12])
    return f"{shown} and {len(header) - 12} more" if len(header) > 12 else shown
