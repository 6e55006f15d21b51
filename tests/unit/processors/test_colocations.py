# SPDX-License-Identifier: EUPL-1.2
"""Corrections against a real reference instrument beside a real sensor."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lamppost.batch import JudgedBatch, ReadingBatch
from lamppost.policy import load_policy
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, SECOND_NS
from processors.derivation import DerivationStage
from processors.quality.stage import Judgement
from tests.processor_cases import build

ROOT = Path(__file__).parents[3]
TOUCAN = ROOT.parent / "shared" / "data" / "epa_toucan"
POLICY = load_policy(ROOT / "policy")
KEYS = (
    SeriesKey("toucan", "pm2_5"),
    SeriesKey("toucan", "humidity"),
    SeriesKey("reference", "pm2_5"),
)

pytestmark = pytest.mark.skipif(not TOUCAN.is_dir(), reason="the recordings are not here")


class Errors(NamedTuple):
    """How far hourly or daily means lie from the reference."""

    rmse: float
    bias: float


def instant(text: str) -> int:
    """Return an instant of the recordings, both in standard time of the place."""
    return round(datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=UTC).timestamp())


def number(text: str) -> float:
    """Return a number of the recordings, NaN where there is none."""
    return float(text) if text else float("nan")


@cache
def recording() -> ReadingBatch:
    """Return August 2019: a sensor a minute and the reference an hour, in order of time.

    Source: EPA's example of a co-location, "toco_toucan_RT01_raw.csv" and
    "airnowtech_example_reference_data.csv". An hour of the reference is told at its end.
    """
    found: list[tuple[int, int, float]] = []
    with (TOUCAN / "toco_toucan_RT01_raw.csv").open(encoding="utf-8-sig") as file:
        for row in csv.reader(file):
            if len(row) >= 8 and row[0][:1].isdigit() and "/" in row[0] and ":" in row[0]:
                found += [(instant(row[0]), code, number(row[3 + 2 * code])) for code in (0, 1)]
    with (TOUCAN / "airnowtech_example_reference_data.csv").open(encoding="utf-8-sig") as file:
        for line in csv.DictReader(file):
            if line["Param"].startswith("PM2.5"):
                begin = instant(f"{line['Date (LST)']} {line['Time (LST)']}")
                found.append((begin + 3599, 2, number(line["Value"])))
    found.sort()
    time = np.array([row[0] for row in found], np.int64) * SECOND_NS
    value = np.array([row[2] for row in found])
    return ReadingBatch(
        series=np.array([row[1] for row in found], np.int32),
        time=time,
        received=time,
        value=value,
        flag=np.where(np.isnan(value), 9, 1).astype(np.uint8),
        reasons=np.isnan(value).astype(np.uint32),
    )


def corrected(corrections: Mapping[str, Any]) -> dict[str, JudgedBatch]:
    """Return what corrections make of the recording, by qualifiers."""
    series = SeriesTable(KEYS)
    made = [build("derivation", name, raw, series, {}) for name, raw in corrections.items()]
    stage = DerivationStage(made, series)
    batch = recording()
    parts = []
    for start in range(0, len(batch), 20_000):
        part = batch.take(slice(start, start + 20_000))
        parts.append(stage.derive(Judgement(part, ReadingBatch.empty(), part.flag)).last)
    whole = JudgedBatch.concat(parts)
    return {
        series[code].qualifiers: whole.take(whole.series == code)
        for code in range(len(KEYS), len(series))
    }


def means(time: np.ndarray, value: np.ndarray, length: int) -> dict[int, float]:
    """Return the mean of every hour or day that is at least three quarters full."""
    whole = length // HOUR_NS * 60
    known = np.isfinite(value)
    windows, place, counts = np.unique(
        time[known] // length, return_inverse=True, return_counts=True
    )
    sums = np.bincount(place, value[known])
    full = counts >= 0.75 * (whole if counts.max() > 24 else whole // 60)
    return dict(zip(windows[full].tolist(), (sums / counts)[full].tolist(), strict=True))


def errors(time: np.ndarray, value: np.ndarray, length: int, since: int = 0) -> Errors:
    """Compare with the reference."""
    batch = recording()
    own = batch.series == 2
    reference = means(batch.time[own], batch.value[own], length)
    sensor = means(time[time >= since], value[time >= since], length)
    both = sorted(reference.keys() & sensor.keys())
    assert len(both) > (20 * 24 if length == HOUR_NS else 5) // 2
    away = np.array([sensor[window] - reference[window] for window in both])
    return Errors(float(np.sqrt(np.mean(away**2))), float(np.mean(away)))


def raw(length: int, since: int = 0) -> Errors:
    """Return the errors of the sensor as it is."""
    batch = recording()
    own = batch.series == 0
    return errors(batch.time[own], batch.value[own], length, since)


def pinned_barkjohn(length: int, since: int) -> Errors:
    """Return the errors of the pinned formula, though it is not made for this sensor."""
    batch = recording()
    x, humidity = batch.series == 0, batch.series == 1
    value = np.maximum(0.524 * batch.value[x] - 0.0862 * batch.value[humidity] + 5.75, 0)
    return errors(batch.time[x], value, length, since)


def test_the_default_policy_leaves_a_sensor_without_cf1_as_it_is() -> None:
    """So it is never worse than raw; the pinned formula would be."""
    assert corrected(POLICY.corrections) == {}

    for length in (HOUR_NS, DAY_NS):
        assert pinned_barkjohn(length, 0).rmse > raw(length).rmse


@pytest.mark.parametrize("length", [HOUR_NS, DAY_NS])
def test_a_local_fit_beats_raw_and_the_pinned_formula(length: int) -> None:
    """Each day is corrected by the days before it only, as in operation."""
    pair = {"sensor": "toucan", "reference": "reference", "quantity": "pm2_5"}
    found = corrected({"local_fit": {"pairs": [pair], "min_r2": 0.3, "min_readings": 1}})
    fitted = found["corrected=local_fit"]
    since = int(fitted.time[0])

    local = errors(fitted.time, fitted.value, length, since)

    before, pinned = raw(length, since), pinned_barkjohn(length, since)
    assert local.rmse <= min(before.rmse, pinned.rmse)
    assert abs(local.bias) <= min(abs(before.bias), abs(pinned.bias))
