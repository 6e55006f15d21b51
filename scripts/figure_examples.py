# SPDX-License-Identifier: EUPL-1.2
"""Example series on which a check shows what it flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lamppost.series import SeriesKey
from lamppost.stations import Station

Floats = npt.NDArray[np.float64]
_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Line:
    """One series of an example.

    Attributes:
        key: its name.
        time: seconds since the example begins, ascending, shape (n,).
        value: in the quantity's unit, shape (n,).
        judged: whether its flags are drawn; the rest stands beside it in grey.
    """

    key: SeriesKey
    time: Floats
    value: Floats
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """What is drawn of one check.

    Attributes:
        caption: what there is to see.
        settings: of the check, as a policy would say.
        lines: the series.
        stations: where their sensors stand, for checks that ask.
    """

    caption: str
    settings: Mapping[str, Any]
    lines: tuple[Line, ...]
    stations: Mapping[str, Station] = field(default_factory=dict)


def _noise(size: int, sd: float, seed: int = 1) -> Floats:
    drawn: Floats = np.random.default_rng(seed).normal(0, sd, size)
    return drawn


def _steps(size: int, step_s: float) -> Floats:
    steps: Floats = np.arange(size, dtype=np.float64) * step_s
    return steps


def _line(quantity: str, value: Floats, step_s: float, digits: int = 1) -> Line:
    return Line(SeriesKey("aq-1", quantity), _steps(len(value), step_s), np.round(value, digits))


def _daily(time: Floats, mean: float, swing: float, peak_h: float = 15.0) -> Floats:
    wave: Floats = mean + swing * np.cos(2 * np.pi * (time / _DAY - peak_h / 24))
    return wave


def _gross_range() -> Example:
    smoke = 20 + 1_150 * np.exp(-(((np.arange(180) - 100) / 25) ** 2)) + _noise(180, 4)
    smoke[[30, 150]] = -40
    spans = {"fail_span": [-15, 5000], "suspect_span": [0, 1000]}
    said = "An hour of wildfire smoke is suspect at most; a negative mass is impossible."
    return Example(said, {"quantities": {"pm2_5": spans}}, (_line("pm2_5", smoke, _MINUTE),))


def _sentinel() -> Example:
    value = _daily(_steps(144, 600), 12, 6) + _noise(144, 0.3)
    value[[40, 41, 42, 90]] = -127
    said = "A sensor that has lost its cable answers -127 °C."
    settings = {"quantities": {"temperature": [-127]}}
    return Example(said, settings, (_line("temperature", value, 600),))


def _saturation() -> Example:
    value = np.minimum(_daily(_steps(192, 1_800), 75, 15, peak_h=4) + _noise(192, 1.5), 99.0)
    value[60:] = 99.9 - np.abs(_noise(132, 0.08, seed=2))
    limits = {"high": 99.5, "suspect_s": 43_200, "fail_s": 172_800}
    said = "Full of water: first no more than a night of fog, after two days certainly not."
    return Example(said, {"quantities": {"humidity": limits}}, (_line("humidity", value, 1_800),))


def _climatology() -> Example:
    day = np.arange(365.0)
    value = 10 - 11 * np.cos(2 * np.pi * (day - 20) / 365) + _noise(365, 2.5)
    value[[25, 26, 27]] = 24
    value[200] = -3
    months = {month: [-15, 18] for month in (1, 2, 11, 12)}
    months |= {month: [-5, 30] for month in (3, 4, 5, 9, 10)} | {6: [4, 38], 7: [6, 40], 8: [6, 40]}
    seasons = [
        {"period": "month", "span": [month, month], "suspect_span": span}
        for month, span in sorted(months.items())
    ]
    said = "24 °C would be usual in May and is suspect in January; frost in July likewise."
    settings = {"quantities": {"temperature": seasons}}
    return Example(said, settings, (_line("temperature", value, _DAY),))


def _spike() -> Example:
    value = 15 + _noise(120, 0.4)
    value[[30, 75]] += [6, 25]
    limits = {"suspect": 4, "fail": 12}
    said = "By the average of both neighbours; those of a large spike stand apart, too."
    settings = {"quantities": {"temperature": limits}}
    return Example(said, settings, (_line("temperature", value, _MINUTE),))


def _rate_of_change() -> Example:
    value = 60 + _noise(120, 0.8)
    value[40:70] += 30
    value[95] -= 25
    said = "Each step is flagged where it happens, up or down; what follows is not."
    settings = {"quantities": {"humidity": {"suspect_per_s": 0.25}}}
    return Example(said, settings, (_line("humidity", value, _MINUTE),))


def _flat_line() -> Example:
    value = _daily(_steps(144, 600), 14, 5) + _noise(144, 0.2)
    value[50:120] = np.round(value[50], 1)
    limits = {"suspect_s": 10_800, "fail_s": 28_800, "min_readings": 10}
    said = "The same value for three hours is suspect, for eight hours it fails."
    settings = {"quantities": {"temperature": limits}}
    return Example(said, settings, (_line("temperature", value, 600),))


def _attenuated_signal() -> Example:
    value = 1013 + 3 * np.sin(_steps(200, 900) / 30_000) + _noise(200, 0.25)
    value[90:] = 1013.6 + _noise(110, 0.02, seed=3)
    limits = {"window_s": 21_600, "suspect": 0.5, "fail": 0.2}
    said = "Not constant, and yet dead: in six hours it moves less than pressure does."
    settings = {"quantities": {"pressure": limits}}
    return Example(said, settings, (_line("pressure", value, 900, 2),))


def _gap() -> Example:
    time = _steps(180, _MINUTE)
    kept = np.flatnonzero((time < 2_400) | ((time > 4_200) & (time < 6_000)) | (time > 9_900))
    value = 18 + _noise(180, 1.5)
    line = Line(SeriesKey("aq-1", "pm2_5"), time[kept], np.round(value[kept], 1))
    said = "The readings that end half an hour and more than an hour of silence."
    return Example(said, {"default": {"suspect_s": 1_200, "fail_s": 3_600}}, (line,))


def _percentile_range() -> Example:
    time = _steps(270, 4 * _HOUR)
    value = _daily(time, 14, 4) + _noise(270, 1)
    value[216:234] -= 12
    settings = {
        "quantities": {"temperature": {"span": [-30, 50], "pad": 3}},
        "min_readings": 50,
    }
    said = "Far below what the weeks before have shown: unusual, which need not be wrong."
    return Example(said, settings, (_line("temperature", value, 4 * _HOUR),))


def _channel_agreement() -> Example:
    time = _steps(120, 2 * _MINUTE)
    air = 14 + 6 * np.sin(time / 3_000)
    channels = {"a": air + _noise(120, 0.6), "b": air + _noise(120, 0.6, seed=2)}
    channels["b"][70:] += np.linspace(0, 35, 50)
    lines = tuple(
        Line(SeriesKey("aq-1", "pm2_5", f"channel={name}"), time, np.round(value, 1))
        for name, value in channels.items()
    )
    said = "Two sensors in one housing part ways: which one is wrong, nobody knows."
    return Example(said, {"quantities": {"pm2_5": {}}}, lines)


def _neighbours() -> Example:
    time = _steps(96, 900)
    air = _daily(time, 15, 5, peak_h=7)
    stations = {
        f"aq-{number}": Station(
            sensor=f"aq-{number}", kind="air_quality", latitude=48 + number / 100, longitude=8
        )
        for number in range(1, 7)
    }
    lines = []
    for number in range(6, 0, -1):
        value = air + _noise(96, 1.5, seed=number) + number
        if number == 1:
            value[40:60] += 45
        key = SeriesKey(f"aq-{number}", "pm2_5")
        lines.append(Line(key, time, np.round(value, 1), judged=number == 1))
    said = "Five stations around (grey) saw nothing of it: a bonfire, or a spider."
    return Example(said, {"quantities": {"pm2_5": {}}}, tuple(lines), stations)


def _traffic_plausibility() -> Example:
    time = _steps(144, 600)
    rush = np.exp(-(((time / _HOUR - 8) / 2) ** 2)) + np.exp(-(((time / _HOUR - 17) / 2.5) ** 2))
    flow = np.round(60 + 1_100 * rush + _noise(144, 40))
    flow[6:24] = 0
    speed = np.where(flow > 0, np.round(52 - 12 * rush + _noise(144, 2, seed=2)), 0)
    occupancy = np.where(flow > 0, flow * 6 / (10 * np.maximum(speed, 1)), 0)
    occupancy[96:120] *= 5
    lines = tuple(
        Line(SeriesKey("tr-1", name), time, np.round(value, 1))
        for name, value in (("flow", flow), ("occupancy", occupancy), ("speed", speed))
    )
    said = "A speed of 0 on an empty road is no measurement; later, vehicles would be 30 m long."
    return Example(said, {"vehicle_length_m": [2.7, 18]}, lines)


def _detector_health() -> Example:
    time = _steps(144, 300)
    flow = np.round(400 + 200 * np.sin(time / 9_000) + _noise(144, 40))
    flow[60:110] = 0
    occupancy = np.round(flow * 6 / 500 + np.abs(_noise(144, 0.5, seed=2)), 1)
    occupancy[60:110] = 0
    occupancy[20:36] = 100
    lines = tuple(
        Line(SeriesKey("tr-1", name), time, value)
        for name, value in (("flow", flow), ("occupancy", occupancy))
    )
    settings = {
        "period_s": {"flow": 300, "occupancy": 300},
        "no_hits": {"trigger_s": 7_200, "clear_s": 30},
        "locked_on": {"trigger_s": 1_800, "clear_s": 3_600},
    }
    said = "Occupied without a break, and an hour until that is forgiven; later nobody at all."
    return Example(said, settings, lines)


def _zone_offset() -> Example:
    time = _steps(13 * 24, _HOUR)
    lines = []
    for number in range(6, 0, -1):
        ahead_h = 3 if number == 1 else 0
        value = _daily(time + ahead_h * _HOUR, 14, 5) + _noise(len(time), 0.6, seed=number)
        key = SeriesKey(f"aq-{number}", "temperature")
        lines.append(Line(key, time, np.round(value, 1), judged=number == 1))
    said = "Three hours ahead of five others (grey): after a second look it is certain."
    return Example(said, {"quantities": {"temperature": 2}}, tuple(lines))


EXAMPLES: Final[dict[str, Callable[[], Example]]] = {
    "attenuated_signal": _attenuated_signal,
    "channel_agreement": _channel_agreement,
    "climatology": _climatology,
    "detector_health": _detector_health,
    "flat_line": _flat_line,
    "gap": _gap,
    "gross_range": _gross_range,
    "neighbours": _neighbours,
    "percentile_range": _percentile_range,
    "rate_of_change": _rate_of_change,
    "saturation": _saturation,
    "sentinel": _sentinel,
    "spike": _spike,
    "traffic_plausibility": _traffic_plausibility,
    "zone_offset": _zone_offset,
}
"""By name of the check."""
