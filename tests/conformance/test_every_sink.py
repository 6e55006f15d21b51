# SPDX-License-Identifier: EUPL-1.2
"""What every sink must do, whoever wrote it.

A new sink gets one line in ``HARNESSES``: how to make it, and how to see what it stored.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

import sinks
from lamppost.component import Component, Sink, discover, registered
from lamppost.log import OUTBOX_KINDS, READINGS, RULES, SERIES, STATIONS, Entry
from lamppost.series import SeriesKey
from lamppost.times import HOUR_NS, MINUTE_NS
from tests.outbox_entries import (
    START_NS,
    aggregates_entry,
    alerts_entry,
    clocks_entry,
    indices_entry,
    readings_entry,
    rules_entry,
    series_entry,
    stations_entry,
)
from tests.services import Mosquitto
from tests.write_server import WriteServer

discover(sinks)
SINKS = registered("sink")
NAMING = (SERIES, STATIONS, RULES)

KEYS = [SeriesKey("a", "no2"), SeriesKey("a", "pm2_5", "channel=b"), SeriesKey("é, =", "no2")]
STATION = {"sensor": "a", "latitude": 51.5, "longitude": -0.1}
ENTRIES = [
    series_entry(1, KEYS[:1]),
    stations_entry(2, STATION),
    rules_entry(3),
    readings_entry(4, time=START_NS + MINUTE_NS * np.arange(5)),
    aggregates_entry(5),
    series_entry(6, KEYS, start=1),
    aggregates_entry(7, series=[1, 2], start=START_NS + HOUR_NS, length=[HOUR_NS, 15 * MINUTE_NS]),
    alerts_entry(8, sensor="a"),
    indices_entry(9, series=[1]),
    aggregates_entry(10, mean=[13.0], revision=1),
    stations_entry(11, {**STATION, "name": "North gate"}),
    readings_entry(12, series=[2], value=[2.5], flag=[3], reasons=[4]),
    alerts_entry(13, sensor="a", kind="resolved", at=START_NS + HOUR_NS),
    clocks_entry(14, series=[0, 2], skew=[-HOUR_NS, 5], spread=[7, 0]),
    clocks_entry(15, series=[0], skew=[3], until=START_NS + HOUR_NS),
]


@dataclass
class Bench:
    """One empty destination and the sinks that write to it, one after the other.

    Attributes:
        folder: free to use.
        request: gives access to fixtures of services.
        stack: closes what was opened.
    """

    folder: Path
    request: pytest.FixtureRequest
    stack: ExitStack
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Harness:
    """How to test one sink.

    Attributes:
        settings: of a sink that writes to the bench's destination.
        content: what that destination holds, comparable, when the sink has been closed.
    """

    settings: Callable[[Bench], dict[str, Any]]
    content: Callable[[Bench], object]


def _influx_settings(bench: Bench) -> dict[str, Any]:
    server = bench.notes.setdefault("server", None) or bench.stack.enter_context(WriteServer())
    bench.notes["server"] = server
    return {"url": server.url}


def _files(bench: Bench) -> object:
    # The position moves with every write; what is published must not.
    return {
        path.relative_to(bench.folder).as_posix(): path.read_bytes()
        for path in sorted(bench.folder.rglob("*"))
        if path.is_file() and path.name != ".cursor.json"
    }


def _tables(bench: Bench) -> object:
    with duckdb.connect(str(bench.folder / "store.duckdb"), read_only=True) as database:
        names = [row[0] for row in database.execute("SHOW TABLES").fetchall() if row[0] != "meta"]
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in names
        }


class _Board:
    """A subscriber that keeps the last message about each subject."""

    def __init__(self, broker: Mosquitto, prefix: str) -> None:
        self.messages: dict[tuple[str, ...], bytes] = {}
        self._subscribed, self._marked = threading.Event(), threading.Event()
        self._mark = f"{prefix}/mark"
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._note
        self._client.connect(broker.host, broker.port)
        self._client.subscribe(f"{prefix}/#", qos=1)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def content(self) -> object:
        """Wait until everything published so far has arrived."""
        self._marked.clear()
        self._client.publish(self._mark, b"", qos=1)
        assert self._marked.wait(10)
        return dict(self.messages)

    def close(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        if message.topic == self._mark:
            self._marked.set()
            return
        body = json.loads(message.payload)
        subject = (message.topic, body.get("qualifiers", ""), str(body.get("at", "")))
        self.messages[subject] = message.payload


def _mqtt_settings(bench: Bench) -> dict[str, Any]:
    broker: Mosquitto = bench.request.getfixturevalue("mosquitto")
    if "board" not in bench.notes:
        bench.notes["prefix"] = f"city-{time.monotonic_ns()}"
        bench.notes["board"] = board = _Board(broker, bench.notes["prefix"])
        bench.stack.callback(board.close)
    return {"port": broker.port, "prefix": bench.notes["prefix"]}


HARNESSES = {
    "influxdb": Harness(_influx_settings, lambda bench: dict(bench.notes["server"].stored)),
    "mqtt_out": Harness(_mqtt_settings, lambda bench: bench.notes["board"].content()),
    "open_data": Harness(lambda bench: {"dir": bench.folder}, _files),
    "store": Harness(lambda bench: {"path": bench.folder / "store.duckdb"}, _tables),
}


@pytest.fixture(params=sorted(SINKS))
def component(request: pytest.FixtureRequest) -> Component:
    """Each registered sink."""
    return SINKS[request.param]


@pytest.fixture
def bench(
    component: Component, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Bench]]:
    """Make empty destinations."""
    assert component.name in HARNESSES, "a new sink needs a line in HARNESSES"
    with ExitStack() as stack:
        made: list[Bench] = []

        def make() -> Bench:
            folder = tmp_path / f"bench-{len(made)}"
            folder.mkdir()
            made.append(Bench(folder, request, stack))
            return made[-1]

        yield make


def deliver(
    component: Component, bench: Bench, batches: Sequence[Sequence[Entry]], after: int = 0
) -> None:
    """Write batches as the runner does, with a sink that starts behind position ``after``."""
    settings = component.parse(HARNESSES[component.name].settings(bench), "test")
    sink: Sink = component.cls(settings)
    if hasattr(sink, "prime"):
        sink.prime([entry for entry in ENTRIES if entry.kind in NAMING and entry.seq <= after])
    for batch in batches:
        sink.write([entry for entry in batch if entry.kind in sink.wants], batch[-1].seq)
    sink.close()


def content(component: Component, bench: Bench) -> object:
    """Return what a destination holds."""
    return HARNESSES[component.name].content(bench)


def test_the_sink_says_what_it_is(component: Component) -> None:
    """A name, a sentence, known kinds, and a meaning for every setting."""
    assert component.name == component.name.lower()
    assert component.summary.endswith(".")
    assert component.cls.wants
    assert set(component.cls.wants) <= set(OUTBOX_KINDS)
    documentation = component.settings.__doc__ or ""
    for name, setting in component.settings.model_fields.items():
        inherited = any(name in (base.__doc__ or "") for base in component.settings.__mro__)
        assert name in documentation or setting.description or inherited, f"{name} has no text"


def test_something_is_stored(component: Component, bench: Callable[[], Bench]) -> None:
    """The suite's own entries leave a mark in every sink."""
    place = bench()
    deliver(component, place, [ENTRIES])
    assert content(component, place)


def test_writing_twice_equals_writing_once(
    component: Component, bench: Callable[[], Bench]
) -> None:
    """Within one life of the sink, and again after a restart that lost its position."""
    once, twice = bench(), bench()
    deliver(component, once, [ENTRIES])
    deliver(component, twice, [ENTRIES, ENTRIES])
    deliver(component, twice, [ENTRIES])
    assert _comparable(content(component, once)) == _comparable(content(component, twice))


def test_a_sink_that_keeps_readings_counts_what_it_holds(
    component: Component, bench: Callable[[], Bench]
) -> None:
    """Each accepted reading once, however often it is written; the books depend on it."""
    place = bench()
    sink: Sink = component.cls(component.parse(HARNESSES[component.name].settings(place), "test"))
    wanted = [entry for entry in ENTRIES if entry.kind in sink.wants]
    first, second = sink.write(wanted, 13), sink.write(wanted, 13)
    sink.close()
    keeps = READINGS in sink.wants
    assert (first is not None) == (second is not None) == keeps
    if first is not None and second is not None:
        assert sum(first.stored.values()) == sum(second.stored.values()) == 6


@settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(cuts=st.sets(st.integers(1, len(ENTRIES) - 1)))
def test_any_batching_gives_the_same_content(
    component: Component, bench: Callable[[], Bench], cuts: set[int]
) -> None:
    """Where the runner cuts the outbox cannot be seen at the destination."""
    whole, cut = bench(), bench()
    edges = [0, *sorted(cuts), len(ENTRIES)]
    batches = [ENTRIES[low:high] for low, high in itertools.pairwise(edges)]
    deliver(component, whole, [ENTRIES])
    deliver(component, cut, batches)
    assert _comparable(content(component, whole)) == _comparable(content(component, cut))


@pytest.mark.parametrize("at", [3, 6, 9])
def test_a_restart_anywhere_changes_nothing(
    component: Component, bench: Callable[[], Bench], at: int
) -> None:
    """A primed sink knows what was named before its position."""
    whole, restarted = bench(), bench()
    deliver(component, whole, [ENTRIES])
    deliver(component, restarted, [ENTRIES[:at]])
    deliver(component, restarted, [ENTRIES[at:]], after=at)
    assert _comparable(content(component, whole)) == _comparable(content(component, restarted))


def test_kinds_it_does_not_know_are_ignored(
    component: Component, bench: Callable[[], Bench]
) -> None:
    """A newer engine may say more than an older sink understands."""
    plain, extended = bench(), bench()
    deliver(component, plain, [ENTRIES])
    settings = component.parse(HARNESSES[component.name].settings(extended), "test")
    sink: Sink = component.cls(settings)
    sink.write([Entry(0, "from_the_future", START_NS, b"\xff"), *ENTRIES], ENTRIES[-1].seq)
    sink.close()
    assert _comparable(content(component, plain)) == _comparable(content(component, extended))


def test_a_position_of_its_own_is_the_last_it_was_given(
    component: Component, bench: Callable[[], Bench]
) -> None:
    """Stored with the data, and there after a restart."""
    place = bench()
    settings = component.parse(HARNESSES[component.name].settings(place), "test")
    first: Sink = component.cls(settings)
    own = first.cursor() is not None
    first.write(ENTRIES, 17)
    first.close()
    second: Sink = component.cls(settings)
    assert second.cursor() == (17 if own else None)
    second.close()


def _comparable(found: object) -> object:
    """Topics begin with a name of their own bench; leave that out."""
    if not isinstance(found, dict):
        return found
    return {_without_prefix(key): value for key, value in found.items()}


def _without_prefix(key: object) -> object:
    if isinstance(key, tuple) and str(key[0]).startswith("city-"):
        return (str(key[0]).split("/", 1)[1], *key[1:])
    return key
