# SPDX-License-Identifier: EUPL-1.2
"""Messages about aggregates and alerts: what they say, and that they say no more than applies."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamppost.batch import DAY, STATISTICS
from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.times import HOUR_NS
from lamppost.zones import first_instant, load_zone
from sinks.mqtt_out import MqttOutSettings, MqttOutSink
from tests.outbox_entries import (
    NAN,
    START_NS,
    aggregates_entry,
    alerts_entry,
    indices_entry,
    rules_entry,
    series_entry,
)
from tests.services import Mosquitto
from tests.subscriber import Subscriber

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "published_messages.md"
MOST_BYTES = 1_000
ZONE = "Europe/Berlin"
Heard = Callable[..., list[tuple[str, dict[str, Any]]]]


@pytest.fixture(name="heard")
def _heard(mosquitto: Mosquitto) -> Iterator[Heard]:
    """Publish entries, and return topics and bodies as a subscriber gets them."""
    subscriber = Subscriber(mosquitto, "city/#")
    sink = MqttOutSink(MqttOutSettings(port=mosquitto.port, prefix="city"))
    keys = [
        SeriesKey("aq/1+", "pm2_5", "channel=a"),
        SeriesKey("tr-1", "speed"),
        SeriesKey("aq/1+", "no2"),
    ]
    sink.prime([series_entry(1, keys), rules_entry(2, zone=ZONE, method="1")])

    def publish(*entries: Entry, messages: int) -> list[tuple[str, dict[str, Any]]]:
        sink.write(entries, entries[-1].seq)
        return [
            (topic, json.loads(body, parse_constant=pytest.fail))
            for topic, body in subscriber.received(messages)
        ]

    yield publish
    sink.close()
    subscriber.close()


def test_the_newest_aggregates_and_every_alert_are_published(heard: Heard) -> None:
    """Topics and payloads say what they are about; names cannot break out of their level."""
    starts = [START_NS + HOUR_NS, START_NS]
    hour, alert = heard(
        aggregates_entry(3, start=starts, mean=[20.0, 10.0], sd=NAN),
        alerts_entry(4, severity="critical", observed=math.inf),
        aggregates_entry(5, start=[START_NS], revision=[1]),
        messages=2,
    )

    assert hour[0] == "city/aggregates/aq%2F1%2B/pm2_5/1h"
    assert hour[1]["station"] == "aq/1+"
    assert (hour[1]["mean"], hour[1]["unit"]) == (20.0, "ug/m3")
    assert hour[1]["window_start"] == "2026-11-21T01:00:00Z"
    assert (hour[1]["quality"], hour[1]["method"]) == ("good", "1")
    assert alert[0] == "city/alerts/critical/aq-017"
    assert alert[1]["at"] == "2026-11-21T00:00:00Z"
    assert alert[1]["observed"] is None


def test_only_statistics_that_apply_are_said(heard: Heard) -> None:
    """Each exactly; a number that is unknown is not there, instead of a null for each."""
    given = {"q50": [50.1], "harmonic": [48.2], "first": [51.0], "last": [0.1 + 0.2]}
    ((_, body),) = heard(aggregates_entry(3, series=[1], sd=[NAN], **given), messages=1)

    assert {name: body[name] for name in given} == {name: value for name, (value,) in given.items()}
    assert not {"sd", *STATISTICS}.difference(given) & body.keys()
    assert None not in body.values()


def test_a_day_of_the_city_is_told_in_local_time_too(heard: Heard) -> None:
    """An hour is not: it is one of UTC."""
    start = first_instant(date(2026, 10, 25), load_zone(ZONE))
    (_, day), (_, hour) = heard(
        aggregates_entry(3, start=[start], length=[25 * HOUR_NS], calendar=[DAY]),
        aggregates_entry(4, start=[start]),
        messages=2,
    )

    assert day["window"] == "day"
    assert (day["window_start"], day["window_end"]) == (
        "2026-10-24T22:00:00Z",
        "2026-10-25T23:00:00Z",
    )
    assert (day["window_start_local"], day["window_end_local"]) == (
        "2026-10-25T00:00:00+02:00",
        "2026-10-26T00:00:00+01:00",
    )
    assert "window_start_local" not in hour


def test_indices_of_stations_name_who_is_responsible(heard: Heard) -> None:
    """The hour after the first one heard, again as its pollutants come; worst pollutant first."""
    end = START_NS + HOUR_NS
    ((topic, first), (_, second)) = heard(
        indices_entry(3, end=[START_NS]),
        indices_entry(4, series=[0], end=[end], value=[40.0], category=[1]),
        indices_entry(5, series=[0], end=[START_NS], revision=[1]),
        indices_entry(6, series=[2], end=[end], value=[87.0], category=[2]),
        messages=2,
    )

    assert topic == "city/indices/aq%2F1%2B/us_aqi"
    assert (first["value"], first["responsible"]) == (40.0, ["pm2_5"])
    assert (second["value"], second["responsible"]) == (87.0, ["no2"])
    assert second["hour_end"] == "2026-11-21T01:00:00Z"
    assert [found["quantity"] for found in second["pollutants"]] == ["pm2_5", "no2"]
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in second if f"`{name}`" not in page] == []
    assert [name for name in second["pollutants"][0] if f"`{name}`" not in page] == []


def test_messages_stay_small_and_every_name_in_them_is_documented(heard: Heard) -> None:
    """With every statistic there is, and with none."""
    full = {name: [place + 1 / 3] for place, name in enumerate(STATISTICS)}
    numbers = ("mean", "min", "max", "sd", "total")
    found = heard(
        aggregates_entry(3, calendar=[DAY], **full),
        aggregates_entry(4, series=[1], count=[0], flag=[9], **{key: [NAN] for key in numbers}),
        messages=2,
    )

    page = PAGE.read_text(encoding="utf-8")
    for _, body in found:
        assert len(json.dumps(body, separators=(",", ":")).encode()) < MOST_BYTES
        assert [name for name in body if f"`{name}`" not in page] == []
    assert found[1][1]["quality"] == "missing"
    assert not {*numbers, *STATISTICS} & found[1][1].keys()
    assert np.isfinite(found[1][1]["expected"])
