# SPDX-License-Identifier: EUPL-1.2
"""One cause, one verdict, one alert: raw and corrected series through the whole engine."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from lamppost import log
from lamppost.batch import IndexBatch
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import AlertRule, Policy, Route
from lamppost.rating import Rating
from lamppost.series import SeriesTable
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from lamppost_app.pipeline import Pipeline

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
POLICY = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    corrections={"lrapa": {}},
    windows={"event_time": {}},
    indices={"eaqi": {}},
    alerts={
        "smoke": AlertRule(
            use="threshold",
            title="Smoke",
            settings={"quantity": "pm2_5", "window": "1h", "above": 75},
        )
    },
)
RAW, CORRECTED = "", "corrected=lrapa"


def frame(
    minutes: Sequence[int], *, raw: bool = True, corrected: bool = True, share: float = 1.0
) -> Record:
    """Return a frame of smoke: ATM 150 and, where it can be corrected, CF=1 of 240."""
    at = BEGIN + minutes[-1] * MINUTE_NS
    values = {"pm2_5": [150.0 * share] * len(minutes)} if raw else {}
    if corrected:
        values["pm2_5_cf1"] = [240.0 * share] * len(minutes)
    times = [format_instant(BEGIN + minute * MINUTE_NS) for minute in minutes]
    message = {"sensor": "pa-1", "time": times, "values": values}
    deliveries = Deliveries()
    deliveries.add("v1/pa-1/readings", json.dumps(message).encode(), at, source="mqtt")
    return Record(log.FRAME, at, deliveries.to_bytes())


def told(policy: Policy, frames: Sequence[Record], ticks: int = 3) -> tuple[list[str], list[str]]:
    """Return whose alerts fired and whose index values were published, by qualifiers."""
    engine = Engine()
    engine.apply(Entry(1, log.POLICY, BEGIN, policy.canonical().encode()))
    said = [
        one
        for record in [
            *frames,
            *(Record(log.TICK, BEGIN + hour * HOUR_NS, b"") for hour in range(2, 2 + ticks)),
        ]
        for one in engine.apply(Entry(1, *record))
    ]
    alerts = [
        event["qualifiers"]
        for one in said
        if one.kind == log.ALERTS
        for event in json.loads(one.body)
        if event["kind"] == "firing"
    ]
    values = [
        engine.series[code].qualifiers
        for one in said
        if one.kind == log.INDICES
        for code in IndexBatch.from_arrow(arrow_batch(one.body)).series.tolist()
    ]
    return sorted(alerts), sorted(set(values))


@pytest.mark.parametrize(
    ("series", "expected"),
    [("corrected", [CORRECTED]), ("raw", [RAW]), ("both", [RAW, CORRECTED])],
)
def test_smoke_is_one_alert_and_one_verdict_unless_the_policy_wants_both(
    series: str, expected: list[str]
) -> None:
    """The raw readings go on being judged and published; they are not rated."""
    rating = Rating.model_validate({"series": series})

    alerts, values = told(POLICY.model_copy(update={"rating": rating}), [frame(range(60))])

    assert alerts == expected
    assert values == expected


def test_without_a_corrected_series_the_raw_one_is_rated() -> None:
    """A correction that is switched on says nothing about sensors it cannot correct."""
    assert told(POLICY, [frame(range(60), corrected=False)]) == ([RAW], [RAW])


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_what_is_rated_does_not_depend_on_where_batches_are_cut(cut: int) -> None:
    """Windows decide, and they close with ticks."""
    frames = [frame(range(start, min(start + cut, 60))) for start in range(0, 60, cut)]

    assert told(POLICY, frames) == ([CORRECTED], [CORRECTED])


UNUSUAL = POLICY.model_copy(
    update={
        "detection": {"robust_baseline": {"quantities": {"pm2_5": {"warm_up": 60, "noise": 2}}}},
        "alerts": {"unusual": AlertRule(use="anomaly", title="?", settings={"stale_s": 86_400})},
    }
)


@pytest.mark.parametrize(
    ("series", "expected"),
    [("corrected", [CORRECTED]), ("raw", [RAW]), ("both", [RAW, CORRECTED])],
)
@pytest.mark.parametrize("cut", [1, 60])
def test_what_is_unusual_is_one_alert(cut: int, series: str, expected: list[str]) -> None:
    """Of the series that is rated: four hours of clean air, and then smoke."""
    records = []
    for hour in range(5):
        share, begin = 1.0 if hour == 4 else 0.05, 60 * hour
        starts = range(begin, begin + 60, cut)
        records += [frame(range(start, start + cut), share=share) for start in starts]
        records.append(Record(log.TICK, BEGIN + (hour + 1) * HOUR_NS, b""))
    rating = Rating.model_validate({"series": series})

    alerts, _ = told(UNUSUAL.model_copy(update={"rating": rating}), records)

    assert alerts == expected


def test_a_device_that_sends_nothing_but_what_is_corrected_is_watched() -> None:
    """Its particles have another name before they are corrected."""
    records = [frame(range(240), raw=False, share=0.05), frame(range(240, 300), raw=False)]

    alerts, _ = told(UNUSUAL, records)

    assert alerts == [CORRECTED]


def test_an_unknown_correction_to_prefer_is_a_configuration_error() -> None:
    """A typing mistake would otherwise choose another one without a word."""
    rating = Rating(prefer=("lrappa",))

    with pytest.raises(ConfigError, match=r"rating\.prefer"):
        Pipeline(POLICY.model_copy(update={"rating": rating}), SeriesTable(), {})
