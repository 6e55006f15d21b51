# SPDX-License-Identifier: EUPL-1.2
"""Recordings are read as they stand: every row, every sentinel, every doubled hour."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lamppost.errors import ConfigError
from sensor_sim.recordings import RecordingError, open_recording

DATA = Path(__file__).parents[2] / "data"
AIR = DATA / "uci_air_quality_14_days.csv"
ROAD = DATA / "i94_traffic_14_days.csv"


def written(folder: Path, text: str) -> Path:
    """Write a small recording."""
    path = folder / "recording.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_air_quality_recording_has_its_rows_and_its_first_values() -> None:
    """336 hours from 10 March 2004, 18:00, with the units of the original."""
    readings = open_recording(AIR).readings()

    assert len(readings) == 336
    assert readings.time_ns[0] == np.datetime64("2004-03-10T18:00", "ns").astype(np.int64)
    first = {quantity: values[0] for quantity, values in readings.columns.items()}
    assert first == {
        "co": 2.6, "benzene": 11.9, "nox": 166.0, "no2": 113.0, "temperature": 13.6,
        "humidity": 48.9,
    }  # fmt: skip
    assert readings.units["nox"] == "ppb"
    assert readings.units["co"] == "mg/m3"


def test_the_sentinel_of_the_air_quality_recording_is_kept() -> None:
    """-200 is sent as a real device would send it."""
    readings = open_recording(AIR).readings()

    assert (readings.columns["co"] == -200).sum() > 0
    assert not np.isnan(readings.columns["co"]).any()


def test_the_traffic_recording_keeps_doubled_hours() -> None:
    """336 rows, of which some share their hour."""
    readings = open_recording(ROAD).readings()

    assert len(readings) == 336
    assert len(np.unique(readings.time_ns)) < 336
    assert readings.columns["flow"][:2].tolist() == [5545.0, 4516.0]
    assert readings.columns["temperature"][0] == 288.28
    assert readings.units == {"flow": "veh/h", "temperature": "K"}


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        ("UTC", "2012-10-02T09:00"),
        ("America/Chicago", "2012-10-02T14:00"),
        ("Europe/Berlin", "2012-10-02T07:00"),
    ],
)
def test_times_without_a_zone_are_taken_in_the_stated_one(zone: str, utc: str) -> None:
    """The first row is nine in the morning, there."""
    readings = open_recording(ROAD, zone=zone).readings()

    assert readings.time_ns[0] == np.datetime64(utc, "ns").astype(np.int64)


def test_messages_hold_every_row_in_the_order_of_the_file() -> None:
    """Batches of 100 add up to the recording."""
    recording = open_recording(ROAD)

    messages = list(recording.messages("tr-i94", 100))
    bodies = [json.loads(message.payload) for message in messages]

    assert [len(body["time"]) for body in bodies] == [100, 100, 100, 36]
    assert {message.topic for message in messages} == {"v1/tr-i94/readings"}
    flows = [flow for body in bodies for flow in body["values"]["flow"]]
    assert flows == recording.readings().columns["flow"].tolist()
    assert bodies[0]["units"]["temperature"] == "K"


def test_the_aarhus_layout_is_known_by_its_header(tmp_path: Path) -> None:
    """Counts, speeds and travel times of a street segment."""
    path = written(
        tmp_path,
        "status,avgMeasuredTime,avgSpeed,extID,medianMeasuredTime,TIMESTAMP,vehicleCount,_id,"
        "REPORT_ID\nOK,74,50,668,74,2014-08-01T07:50:00,5,20746220,158324\n",
    )

    readings = open_recording(path, zone="Europe/Copenhagen").readings()

    assert readings.time_ns[0] == np.datetime64("2014-08-01T05:50", "ns").astype(np.int64)
    first = {quantity: values[0] for quantity, values in readings.columns.items()}
    assert first == {"vehicle_count": 5.0, "speed": 50.0, "travel_time": 74.0}


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31 13:00:00+01:00",
        "2026-01-31T06:30:00.000-0530",
        "2026-01-31T12:00",
        "31/01/2026 12:00",
        "31/1/2026 12:00:00",
        "1769860800",
        "1769860800000",
    ],
)
def test_any_csv_can_be_read_with_a_stated_layout(tmp_path: Path, time: str) -> None:
    """ISO, day first and epoch times name the same instant; empty cells are absent."""
    path = written(tmp_path, f"when,dust,mood\n{time},12.5,good\n{time},,bad\n")
    recording = open_recording(path, time_column="when", columns={"dust": "pm2_5"})

    readings = recording.readings()
    (message,) = recording.messages("aq-1")

    assert readings.time_ns.tolist() == [1_769_860_800 * 10**9] * 2
    assert np.array_equal(readings.columns["pm2_5"], [12.5, np.nan], equal_nan=True)
    assert json.loads(message.payload)["values"] == {"pm2_5": [12.5, None]}


def test_clock_changes_are_followed(tmp_path: Path) -> None:
    """Summer time is two hours off UTC in Berlin, winter time one; a doubled hour is the first."""
    path = written(tmp_path, "t,v\n2025-07-01T12:00,1\n2025-12-01T12:00,1\n2025-10-26T02:30,1\n")

    recording = open_recording(path, zone="Europe/Berlin", time_column="t", columns={"v": "pm10"})

    hours = (recording.readings().time_ns // (60 * 10**9)) % 1440 / 60
    assert hours.tolist() == [10.0, 11.0, 0.5]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("t,v\n2026-01-31T12:00,1\nyesterday,1\n", r"column 't', row 3: .*'yesterday'"),
        ("t,v\n31/02/2026 12:00,1\n", r"column 't', row 2: .*'31/02/2026 12:00'"),
        ("t,v\n2026-02-30T12:00,1\n", r"column 't', row 2"),
        ("t,v\n12.30 pm,1\n", r"column 't', row 2: .*'12.30 pm'"),
        ("t,v\n31/01/2026 12:00,1\n31/01/26 12:05,1\n", r"column 't', row 3"),
        ("t,v\n2026-02-03T12:00Z,1\n2026-02-03T12:00,1\n", r"column 't', row 3"),
        ("t,v\n2026-01-31T12:00,1\n2026-01-31T12:05,much\n", r"column 'v', row 3: 'much'"),
        ("t,v\n2026-01-31T12:00\n", r"row 2 has 1 cells, the header has 2"),
        ("t,w\n2026-01-31T12:00,1\n", r"no column 'v'; the file has: t, w"),
    ],
)
def test_an_unreadable_cell_is_named_with_file_column_and_row(
    tmp_path: Path, text: str, complaint: str
) -> None:
    """The error says where to look, and is a ConfigError and a ValueError."""
    path = written(tmp_path, text)
    recording = open_recording(path, time_column="t", columns={"v": "pm10"})

    with pytest.raises(RecordingError, match=complaint) as raised:
        recording.readings()

    assert str(path) in str(raised.value)
    assert isinstance(raised.value, ConfigError)
    assert isinstance(raised.value, ValueError)


def test_unknown_headers_files_and_zones_are_refused(tmp_path: Path) -> None:
    """Each mistake has its own words."""
    path = written(tmp_path, "a,b\n1,2\n")

    with pytest.raises(RecordingError, match="fits no known layout"):
        open_recording(path)
    with pytest.raises(RecordingError, match="cannot open"):
        open_recording(tmp_path / "absent.csv")
    with pytest.raises(RecordingError, match="unknown time zone 'Mars/Base'"):
        open_recording(path, zone="Mars/Base")
    with pytest.raises(RecordingError, match="together"):
        open_recording(path, time_column="a")


def test_an_empty_recording_has_no_messages(tmp_path: Path) -> None:
    """A header alone is a recording of nothing."""
    path = written(tmp_path, "t,v\n")
    recording = open_recording(path, time_column="t", columns={"v": "pm10"})

    assert len(recording.readings()) == 0
    assert list(recording.messages("aq-1")) == []
