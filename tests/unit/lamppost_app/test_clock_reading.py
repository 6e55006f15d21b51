# SPDX-License-Identifier: EUPL-1.2
"""Whose clock is wrong, as ``lamppost doctor`` finds it in the outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lamppost import log
from lamppost.clock_skew import ClockBatch
from lamppost.frames import arrow_bytes
from lamppost.log import Record
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS, SECOND_NS, parse_instant
from lamppost_app.clock_reading import read_clocks
from lamppost_app.commands.doctor import Finding, examine
from lamppost_app.settings import (
    DataSettings,
    DoctorSettings,
    HttpSettings,
    MqttSettings,
    Settings,
)
from lamppost_app.sqlite_log import SqliteLog

NOW = parse_instant("2026-11-21T12:00:00Z")
SENSORS = ("aq-1", "aq-1", "aq-2", "aq-3", "slow\x1b[2J")
SLOW = Station(sensor="slow\x1b[2J", kind="traffic", latitude=0, longitude=0, period_s=3600)


def clocks(skews_s: Mapping[int, float], at: int = NOW) -> Record:
    """Return what the engine says of the clocks of some series."""
    batch = ClockBatch(
        series=np.array(list(skews_s)),
        skew=np.array([round(skew * SECOND_NS) for skew in skews_s.values()]),
        spread=np.zeros(len(skews_s)),
        readings=np.full(len(skews_s), 5),
        until=np.full(len(skews_s), at),
    )
    return Record(log.CLOCKS, at, arrow_bytes(batch.to_arrow()))


def names(*sensors: str) -> Record:
    """Return what the engine says of new series, one quantity more for a sensor named again."""
    keys = [
        SeriesKey(sensor, ("pm10", "no2")[sensors[:place].count(sensor)])
        for place, sensor in enumerate(sensors)
    ]
    return Record(log.SERIES, NOW, arrow_bytes(SeriesTable(keys).to_arrow()))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with neither broker nor portal."""
    return Settings(
        data=DataSettings(dir=tmp_path),
        mqtt=MqttSettings(enabled=False),
        http=HttpSettings(enabled=False),
    )


def says(settings: Settings, *records: Record) -> None:
    """Append to the outbox."""
    outbox = SqliteLog(settings.outbox_path)
    outbox.append(records)
    outbox.close()


def found(settings: Settings) -> list[Finding]:
    """Return what the doctor says of clocks."""
    return [finding for finding in examine(settings) if "clock" in finding.what]


def test_the_newest_estimate_of_the_worst_series_counts(settings: Settings) -> None:
    """A device is as wrong as the worst of its series now is."""
    says(
        settings,
        names(*SENSORS),
        clocks({0: 0.1, 1: -3_600, 2: -90, 3: 0.2}, NOW - HOUR_NS),
        clocks({2: 0.3}),
    )
    outbox = SqliteLog(settings.outbox_path)

    told = read_clocks(outbox, 60.0)
    outbox.close()

    assert {sensor: state.kind for sensor, state in told.states.items()} == {
        "aq-1": "ahead",
        "aq-2": "right",
        "aq-3": "right",
    }
    assert list(told.wrong) == ["aq-1"]


def test_the_doctor_names_devices_and_what_is_wrong_with_them(settings: Settings) -> None:
    """The worst first; for their owners to put right, so the exit code stays."""
    says(settings, names(*SENSORS), clocks({0: -3_600, 2: 75, 3: 0.2, 4: 61}))

    (finding,) = found(settings)

    assert finding == Finding(
        "device clocks",
        right=True,
        detail="3 of 4 known are off by more than 1 min",
        more=(
            "aq-1: clock 1 h ahead: probably local time sent as UTC",
            "aq-2: clock 1 min behind",
            "slow\N{REPLACEMENT CHARACTER}[2J: clock 1 min behind",
        ),
        note=True,
    )
    assert finding.mark == "look "


def test_slow_stations_are_given_their_own_time(settings: Settings) -> None:
    """A reading that names the beginning of its hour is not late."""
    stations = json.dumps([SLOW.model_dump()]).encode()
    says(
        settings,
        names(*SENSORS),
        Record(log.STATIONS, NOW, stations),
        clocks({3: 0.2, 4: 7_000}),
    )

    (finding,) = found(settings)

    assert (finding.detail, finding.mark) == ("2 known, all within 1 min", "right")


def test_the_limit_is_a_setting(settings: Settings) -> None:
    """Whoever wants to know about seconds can."""
    says(settings, names(*SENSORS), clocks({0: -7.0}))
    doctor = DoctorSettings(clock_limit_s=5)

    (finding,) = found(settings.model_copy(update={"doctor": doctor}))

    assert finding.more == ("aq-1: clock 7 s ahead",)


def test_a_sensor_that_is_gone_is_not_named(settings: Settings) -> None:
    """Clocks are told every day; what is older says nothing about now."""
    says(settings, names(*SENSORS), clocks({0: -3_600}, NOW - 2 * DAY_NS), clocks({3: 0.1}))

    (finding,) = found(settings)

    assert finding.detail == "1 known, all within 1 min"


def test_when_most_are_off_by_the_same_it_is_our_own_clock(settings: Settings) -> None:
    """That is a fault here: an installation does not run with it."""
    sensors = [f"tr-{number}" for number in range(12)]
    skews = dict.fromkeys(range(11), -300.0) | {11: -3_600.0}
    says(settings, names(*sensors), clocks(skews))

    devices, ours = found(settings)

    assert devices.more == ("tr-11: clock 1 h ahead: probably local time sent as UTC",)
    assert ours == Finding(
        "this machine's clock",
        right=False,
        detail="most of 12 sensors say that it is 5 min behind; compare it with NTP",
    )


def test_most_that_are_slow_by_themselves_say_nothing_about_our_clock(
    settings: Settings,
) -> None:
    """Hourly stations that name the beginning of the hour."""
    sensors = [f"tr-{number}" for number in range(12)]
    hourly = [SLOW.model_copy(update={"sensor": sensor}).model_dump() for sensor in sensors]
    says(
        settings,
        names(*sensors),
        Record(log.STATIONS, NOW, json.dumps(hourly).encode()),
        clocks(dict.fromkeys(range(12), 3_700.0)),
    )

    (finding,) = found(settings)

    assert finding.mark == "right"


def test_many_are_counted(settings: Settings) -> None:
    """Twenty lines, and how many more."""
    sensors = [f"tr-{number:02d}" for number in range(60)]
    skews = {number: -61.0 * (number + 1) if number < 25 else 0.0 for number in range(60)}
    says(settings, names(*sensors), clocks(skews))

    (finding,) = found(settings)

    assert len(finding.more) == 21
    assert finding.more[0].startswith("tr-24: ")
    assert finding.more[-1] == "and 5 more"


def test_an_outbox_without_clocks_says_nothing(settings: Settings) -> None:
    """A fresh installation has none yet."""
    says(settings, names(*SENSORS))

    assert found(settings) == []


def test_an_estimate_of_a_series_whose_name_is_lost_is_passed_over(settings: Settings) -> None:
    """The doctor says elsewhere that an entry is damaged."""
    says(settings, names(*SENSORS), clocks({0: 0.1, 77: -3_600.0}))

    (finding,) = found(settings)

    assert finding.detail == "1 known, all within 1 min"
