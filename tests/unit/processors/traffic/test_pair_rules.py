# SPDX-License-Identifier: EUPL-1.2
"""Laws of every rule about pairs of stations: cuts, restarts, many pairs at once, what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.alerts import Signal
from lamppost.batch import JudgedBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from tests.processor_cases import NAN, build, step
from tests.processor_conformance import assert_same
from tests.traffic_cases import PAIR, chain, end_of, interval, traffic_table

RULES = ("california_7", "california_8", "apid", "standard_normal_deviate", "bottleneck")
QUICK: dict[str, dict[str, Any]] = {
    "apid": {"persistence_s": 60},
    "standard_normal_deviate": {"warm_up": 5},
    "bottleneck": {"interval_s": 60, "wait_s": 20, "of_last": 3, "at_least": 2},
}
COUNT = 4

every_rule = pytest.mark.parametrize("rule", RULES)


def made(rule: str, stations: dict[str, Station]) -> Any:  # noqa: ANN401 - any rule
    """Return a rule quick enough for short series."""
    return build("alert", rule, QUICK.get(rule, {}), traffic_table(stations), stations)


def eventful(seed: int, count: int = COUNT, intervals: int = 40) -> list[JudgedBatch]:
    """Return intervals of a corridor on which something happens, with gaps."""
    random = np.random.default_rng(seed)
    occupancy = random.normal(12, 1, (intervals, count))
    speed = random.normal(60, 3, (intervals, count))
    for _ in range(3):
        start, place = int(random.integers(8, intervals)), int(random.integers(0, count))
        rows = slice(start, start + int(random.integers(3, 14)))
        occupancy[rows, : place + 1] = random.choice([38.0, 70.0, 20.0])
        occupancy[rows, place + 1 :] = random.choice([5.0, 12.0, 33.0])
        speed[rows, : place + 1] = 12.0
    for column in (occupancy, speed):
        column[random.random(column.shape) < 0.04] = np.nan
    quiet = int(random.integers(10, intervals))
    occupancy[quiet : quiet + 6], speed[quiet : quiet + 6] = np.nan, np.nan
    return [interval(i, occupancy[i], speed[i]) for i in range(intervals)]


def heard(rule: Any, batches: list[JudgedBatch], first: int = 0) -> list[Signal]:  # noqa: ANN401
    """Return what a rule says when each interval is followed by a tick."""
    return [
        signal
        for number, judged in enumerate(batches, first)
        for signal in rule.evaluate(step(end_of(number + 1), ticked=True, judged=judged))
    ]


@every_rule
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_cuts_do_not_matter(rule: str, seed: int) -> None:
    """A tick after each interval, or one at the end; whole batches, or single readings."""
    batches = eventful(seed)
    expected = heard(made(rule, chain(COUNT)), batches)
    at_once, singly = made(rule, chain(COUNT)), made(rule, chain(COUNT))
    whole = JudgedBatch.concat(batches)

    for row in range(len(whole)):
        singly.evaluate(step(end_of(0), judged=whole.take(slice(row, row + 1))))

    last = step(end_of(len(batches)), ticked=True)
    assert repr(at_once.evaluate(step(last.now, ticked=True, judged=whole))) == repr(expected)
    assert repr(singly.evaluate(last)) == repr(expected)


@every_rule
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), stop=st.integers(0, 40), ticked=st.booleans())
def test_a_restart_does_not_matter(rule: str, seed: int, stop: int, ticked: bool) -> None:  # noqa: FBT001
    """Restored in the middle of an interval or at its end, it goes on as if nothing had been."""
    batches = eventful(seed)
    expected = heard(made(rule, chain(COUNT)), batches)
    before, after = made(rule, chain(COUNT)), made(rule, chain(COUNT))

    said = heard(before, batches[:stop])
    if stop < len(batches) and not ticked:
        before.evaluate(step(end_of(stop), judged=batches[stop]))
        batches[stop] = JudgedBatch.empty()
    after.restore(before.snapshot())
    said += heard(after, batches[stop:], stop)

    assert repr(said) == repr(expected)
    assert_same(after.snapshot(), _restored(rule, after).snapshot())


def _restored(rule: str, other: Any) -> Any:  # noqa: ANN401
    again = made(rule, chain(COUNT))
    again.restore(other.snapshot())
    return again


@every_rule
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_pairs_do_not_see_each_other(rule: str, seed: int) -> None:
    """What is said of a pair is what is said of it alone, but for the length of the queue."""
    batches = eventful(seed)
    together = heard(made(rule, chain(COUNT)), batches)

    for place in range(1, COUNT):
        stations = {name: chain(COUNT)[name] for name in (f"tr-{place}", f"tr-{place + 1}")}
        alone = build("alert", rule, QUICK.get(rule, {}), traffic_table(chain(COUNT)), stations)
        own = [(s.at, s.active) for s in together if s.subject == f"tr-{place}"]

        assert [(s.at, s.active) for s in heard(alone, batches)] == own


@every_rule
def test_something_is_found(rule: str) -> None:
    """The series above are no empty exercise."""
    assert any(s.active for seed in range(3) for s in heard(made(rule, chain(4)), eventful(seed)))


@every_rule
def test_without_pairs_nothing_is_collected(rule: str) -> None:
    """A city without pairs pays nothing."""
    stations = {"tr-1": Station(sensor="tr-1", latitude=0, longitude=0)}

    alert = made(rule, stations)

    assert heard(alert, eventful(1, 1)) == []
    assert not len(alert.snapshot()["intervals/slots"])


@every_rule
def test_signals_say_what_was_measured(rule: str) -> None:
    """Every sentence names both stations, and no number is missing."""
    signals = heard(made(rule, chain(4)), eventful(0)) + heard(made(rule, chain(4)), eventful(2))

    for signal in signals:
        assert f"tr-{int(signal.subject[-1]) + 1}" in signal.sentence
        assert "nan" not in signal.sentence
        assert signal.clears_when
        assert not (signal.active and np.isnan(signal.observed))


def test_the_sentence_explains() -> None:
    """As an operator reads it."""
    alert = build("alert", "california_8", {}, traffic_table(PAIR), PAIR)
    up, down = [12, 12, 13, 14, 30, 38], [12, 12, 12, 12, 8, 5]

    signals = heard(alert, [interval(i, both) for i, both in enumerate(zip(up, down, strict=True))])

    (signal,) = signals
    assert signal.sentence == (
        "occupancy 38 % at Mill, 5 % at Harbour, 0.8 km downstream: difference 33 (limit 8), "
        "relative 0.87 >= 0.5 since occupancy downstream fell, and no wave of congestion was "
        "passing"
    )
    assert (signal.subject, signal.observed, signal.expected) == ("tr-1", 38, 5)


def test_what_holds_ends_when_nothing_is_known_any_more() -> None:
    """A station that falls silent says nothing about an incident."""
    alert = made("california_7", PAIR)
    up, down = [12, 12, 13, 14, 30, 38, 40], [12, 12, 12, 12, 8, 5, 5]
    batches = [interval(i, both) for i, both in enumerate(zip(up, down, strict=True))]

    signals = heard(alert, [*batches, *[JudgedBatch.empty()] * 30])

    assert [signal.active for signal in signals] == [True, True, True, False]
    assert signals[-1].sentence == "what happens between Mill and Harbour is no longer known"


def test_a_pair_that_leaves_the_registry_ends() -> None:
    """And says so, once."""
    stations = dict(PAIR)
    alert = made("california_7", stations)
    up, down = [12, 12, 13, 14, 30, 38, 40, 40], [12, 12, 12, 12, 8, 5, 5, 5]
    batches = [interval(i, both) for i, both in enumerate(zip(up, down, strict=True))]
    heard(alert, batches[:7])
    stations["tr-1"] = stations["tr-1"].model_copy(update={"downstream": ""})

    signals = heard(alert, batches[7:], 7)

    (signal,) = signals
    assert not signal.active
    assert signal.sentence == "what happens between Mill and Harbour is no longer known"


def test_failed_readings_are_not_seen() -> None:
    """A detector locked on is no jam."""
    alert = made("california_7", PAIR)
    up, down = [12, 12, 13, 14, 90, 90, 90], [12, 12, 12, 12, 8, 5, 5]
    batches = [interval(i, both) for i, both in enumerate(zip(up, down, strict=True))]
    failed = [
        JudgedBatch(**{n: getattr(b, n) for n in JudgedBatch.dtypes() if n != "flag"},
                    flag=np.where(b.value == 90, 4, 1).astype(np.uint8))
        for b in batches
    ]  # fmt: skip

    assert heard(alert, failed) == []


def test_lanes_are_averaged_and_other_directions_left_out() -> None:
    """Station means are over lanes; the registry says which direction the corridor runs."""
    stations = {
        name: station.model_copy(update={"direction": "1"}) for name, station in PAIR.items()
    }
    keys = [
        SeriesKey("tr-1", "occupancy", "direction=1;lane=1"),
        SeriesKey("tr-1", "occupancy", "direction=1;lane=2"),
        SeriesKey("tr-1", "occupancy", "direction=2"),
        SeriesKey("tr-1", "occupancy", "class=lorry;direction=1"),
        SeriesKey("tr-2", "occupancy", "direction=1"),
    ]
    alert = build("alert", "california_7", {}, SeriesTable(keys), stations)
    judged = interval(0, [10.0, 30.0, 90.0], [20.0, 90.0, NAN])

    alert.evaluate(step(end_of(1), ticked=True, judged=judged))

    assert alert.snapshot()["measured/means"][:, 0, 0].tolist() == [15.0, 90.0]


def test_an_interval_is_judged_after_its_wait() -> None:
    """Not before: what comes within wait_s of its end still counts."""
    alert = made("california_7", PAIR)
    early = step(end_of(0) + 19 * SECOND_NS, ticked=True, judged=interval(0, [10.0, 10.0]))
    alert.evaluate(early)

    alert.evaluate(step(early.now, judged=interval(0, [20.0, 10.0])))
    alert.evaluate(step(end_of(0) + 20 * SECOND_NS, ticked=True))
    alert.evaluate(step(end_of(0) + 21 * SECOND_NS, judged=interval(0, [99.0, 99.0])))
    alert.evaluate(step(end_of(1) + 20 * SECOND_NS, ticked=True))

    assert alert.snapshot()["measured/means"][0, :2, 0].tolist() == [15.0, 15.0]
