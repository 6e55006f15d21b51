# SPDX-License-Identifier: EUPL-1.2
"""Real recordings over a real broker into real stores, against a recomputation from the file."""

from __future__ import annotations

import csv
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from lamppost import log
from lamppost.log import Record
from lamppost.times import DAY_NS
from tests.installation import Installation
from tests.services import Mosquitto, VictoriaMetrics

EXCERPTS = Path(__file__).parents[1] / "data"
# The whole recordings, where they lie beside the project.
RECORDINGS = Path(__file__).parents[3] / "shared" / "data"
WINDOWS = {"1h": 3600, "6h": 6 * 3600, "24h": 24 * 3600}
STATISTICS = ("count", "mean", "min", "max", "sd", "total")

# Six years of the I-94 recording are thousands of open-data files.
pytestmark = pytest.mark.timeout(600)

# quantity -> [(Unix second, value)]
Series = dict[str, list[tuple[int, float]]]
# (station, quantity, window, start second) -> statistics
Windows = dict[tuple[str, str, str, int], dict[str, float]]


def recording(whole: str, excerpt: str) -> Path:
    """Return the whole recording where it is at hand, else the tests' own excerpt."""
    return RECORDINGS / whole if (RECORDINGS / whole).is_file() else EXCERPTS / excerpt


UCI = recording("uci_airquality/AirQualityUCI.csv", "uci_air_quality_14_days.csv")
I94 = recording("i94_volume/Metro_Interstate_Traffic_Volume.csv", "i94_traffic_14_days.csv")


def uci_readings() -> Series:
    """Return the UCI excerpt in canonical units; -200 stands for no measurement."""
    nox_ug = 46.0055 / 24.0551
    columns = {
        "CO_GT": ("co", 1000.0),
        "C6H6_GT": ("benzene", 1.0),
        "NOx_GT": ("nox", nox_ug),
        "NO2_GT": ("no2", 1.0),
        "T": ("temperature", 1.0),
        "RH": ("humidity", 1.0),
    }
    found: Series = defaultdict(list)
    with UCI.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            second = seconds(f"{row['Date']} {row['Time']}", "%d/%m/%Y %H:%M:%S")
            for column, (quantity, factor) in columns.items():
                if float(row[column]) != -200:
                    found[quantity].append((second, float(row[column]) * factor))
    return found


def i94_readings() -> Series:
    """Return the I-94 excerpt in canonical units; an hour that stands twice counts once."""
    last: dict[str, dict[int, float]] = {"flow": {}, "temperature": {}}
    with I94.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            second = seconds(row["date_time"], "%d/%m/%Y %H:%M")
            last["flow"][second] = float(row["traffic_volume"])
            if float(row["temp"]) > 0:  # nobody measured absolute zero beside a road
                last["temperature"][second] = float(row["temp"]) - 273.15
    return {quantity: sorted(readings.items()) for quantity, readings in last.items()}


def seconds(text: str, form: str) -> int:
    """Return Unix seconds of a time taken as UTC."""
    return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())


def recompute(station: str, series: Series) -> Windows:
    """Return every window of every length by brute force."""
    windows: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for quantity, readings in series.items():
        for second, value in readings:
            for name, length in WINDOWS.items():
                windows[station, quantity, name, second // length * length].append(value)
    return {key: statistics(values) for key, values in windows.items()}


def statistics(values: list[float]) -> dict[str, float]:
    """Return the statistics of some values."""
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values)
    sd = math.sqrt(spread / (len(values) - 1)) if len(values) > 1 else math.nan
    return {
        "count": len(values),
        "mean": mean,
        "min": min(values),
        "max": max(values),
        "sd": sd,
        "total": math.fsum(values),
    }


def in_database(database: VictoriaMetrics, station: str) -> Windows:
    """Return what the time series database holds of a station."""
    found: Windows = defaultdict(dict)
    for statistic in STATISTICS:
        for block in database.query(f'aggregates_{statistic}{{station="{station}"}}'):
            metric = block["metric"]
            if metric["window"] not in WINDOWS:
                continue
            for milliseconds, value in zip(block["timestamps"], block["values"], strict=True):
                key = (station, metric["quantity"], metric["window"], milliseconds // 1000)
                found[key][statistic] = value
    return {key: {"sd": math.nan} | row for key, row in found.items() if row["count"]}


def in_open_data(folder: Path) -> Windows:
    """Return the hourly windows the open-data files hold."""
    files = [str(path) for path in sorted(folder.glob("aggregates/window=1h/**/*.parquet"))]
    columns = ["station", "quantity", "window_start", *STATISTICS]
    found: Windows = {}
    for row in ds.dataset(files, format="parquet").to_table(columns=columns).to_pylist():
        if row["count"]:
            key = (row["station"], row["quantity"], "1h", int(row["window_start"].timestamp()))
            found[key] = {name: math.nan if row[name] is None else row[name] for name in STATISTICS}
    return found


def assert_same(found: Windows, truth: Windows) -> None:
    """Compare to 1e-9, relative to the values that went in."""
    assert found.keys() == truth.keys()
    for key, expected in truth.items():
        scale = max(abs(expected["min"]), abs(expected["max"]))
        for name, value in expected.items():
            near = pytest.approx(value, rel=1e-9, abs=1e-9 * scale, nan_ok=True)
            assert found[key][name] == near, (key, name)


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
) -> Iterator[Installation]:
    """An installation both recordings were published to, everything delivered."""
    folder = tmp_path_factory.mktemp("whole-path")
    # Half a day of one temperature, as the I-94 recording has, fails the flat-line check and would
    # be kept out of the statistics, rightly; here it is the arithmetic that is looked at.
    running = Installation(
        folder,
        mosquitto,
        victoria_metrics,
        lengths=("15min", *WINDOWS),  # rules of the policy look at 15 minutes
        without_checks=("flat_line",),
    )
    running.start()
    try:
        running.simulate(UCI, "uci", mosquitto)
        running.simulate(I94, "i94", mosquitto)
        time.sleep(1)
        # Windows of the last hours stay open until their series' clock passes them: let days go by.
        running.inbox.append([Record(log.TICK, time.time_ns() + 2 * DAY_NS, b"")])
        running.wait_until_delivered("influxdb", "open_data", "store", seconds=450.0)
        yield running
    finally:
        code = running.stop()
    assert code == 0, running.output()


def test_the_time_series_database_holds_the_brute_force_aggregates(
    installation: Installation, victoria_metrics: VictoriaMetrics
) -> None:
    """Every window of both recordings, in InfluxDB's v2 protocol, to 1e-9."""
    assert installation.answers()
    victoria_metrics.query("aggregates_count")

    assert_same(in_database(victoria_metrics, "uci"), recompute("uci", uci_readings()))
    assert_same(in_database(victoria_metrics, "i94"), recompute("i94", i94_readings()))


def test_the_open_data_files_hold_the_brute_force_aggregates(installation: Installation) -> None:
    """Every published window of both recordings, to 1e-9."""
    found = in_open_data(installation.folder / "data" / "open-data")

    truth = recompute("uci", uci_readings()) | recompute("i94", i94_readings())
    assert_same(found, {key: row for key, row in truth.items() if key[2] == "1h"})


def test_the_api_holds_the_brute_force_aggregates(installation: Installation) -> None:
    """Every hourly window of one series, through the API's pages."""
    truth = recompute("i94", i94_readings())
    path: str | None = (
        "/api/v1/aggregates?station=i94&quantity=flow&window=24h&limit=500"
        "&from=2012-01-01T00:00:00Z&to=2019-01-01T00:00:00Z"
    )
    found: Windows = {}
    while path:
        page = installation.get(path)
        for item in page["items"]:
            start = int(datetime.fromisoformat(item["start"]).timestamp())
            row = {name: item[name] for name in STATISTICS}
            found["i94", "flow", "24h", start] = {
                name: math.nan if value is None else value for name, value in row.items()
            }
        path = page["next"]

    wanted = {key: row for key, row in truth.items() if key[1:3] == ("flow", "24h")}
    assert_same(found, wanted)


def test_the_ledger_balances(installation: Installation) -> None:
    """Received = accepted + duplicate + quarantined + refused, in every row."""
    rows = installation.get("/api/v1/ledger")["items"]

    assert {row["station"] for row in rows} >= {"uci", "i94"}
    for row in rows:
        outcomes = ("accepted", "duplicate", "quarantined", "refused")
        assert row["received"] == sum(row[outcome] for outcome in outcomes)
