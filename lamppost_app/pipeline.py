# SPDX-License-Identifier: EUPL-1.2
"""The processors of one policy, in order: arrival, quality, detection, windows, indices, alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lamppost.alerts import AcknowledgeCommand, AlertEvent, Signal
from lamppost.batch import (
    CORRECTED,
    AggregateBatch,
    IndexBatch,
    Int64Array,
    JudgedBatch,
    ReadingBatch,
)
from lamppost.clock_skew import NO_CLOCKS, ClockBatch
from lamppost.component import (
    Alert,
    Component,
    Format,
    Kind,
    LooksBack,
    Observed,
    Settings,
    Stateful,
    find,
    registered,
)
from lamppost.errors import ConfigError
from lamppost.flags import CORRECTION
from lamppost.grouping import BoolArray
from lamppost.imports import IMPORT_FORMAT
from lamppost.policy import Policy
from lamppost.series import SeriesTable
from lamppost.shelf import MemoryShelf, Shelf
from lamppost.state import Snapshot, nested, part
from lamppost.stations import Station
from lamppost.system_rules import SYSTEM_RULES
from lamppost.times import format_length
from lamppost.zones import CityCalendar
from processors.alerts.book import AlertBook
from processors.arrival import Arrival, Arrived
from processors.detection.stage import DetectionStage
from processors.quality.stage import QualityStage
from processors.skew import SkewEstimate
from processors.windows.event_time import EventTimeWindows

from .components import discover_processing
from .imported_past import ImportedPast, is_long_past


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one batch of readings.

    Attributes:
        arrived: which readings went on, and why others did not.
        readings: judged readings, amendments of earlier ones last.
        alerts: what happened to alerts.
    """

    arrived: Arrived
    readings: JudgedBatch
    alerts: list[AlertEvent]


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a step of time brought.

    Attributes:
        aggregates: windows closed or revised.
        indices: health indices.
        clocks: what is noticeably new about clocks.
        alerts: what happened to alerts.
    """

    aggregates: AggregateBatch
    indices: IndexBatch
    clocks: ClockBatch
    alerts: list[AlertEvent]


def _corrections_last(judged: JudgedBatch) -> JudgedBatch:
    """Give corrected values a revision above that of an amended verdict on the former value."""
    corrected = judged.reasons & CORRECTION.mask != 0
    if not corrected.any():
        return judged
    return replace(judged, revision=np.where(corrected, CORRECTED, judged.revision))


# Names that policies of an earlier version use; they may still stand in an inbox.
_RENAMED: Final = {"tumbling": "event_time"}


class Pipeline:
    """Everything between decoding and the outbox, under one policy.

    Raises:
        ConfigError: the policy names a component that does not exist, or a wrong setting.
    """

    def __init__(
        self,
        policy: Policy,
        series: SeriesTable,
        stations: Mapping[str, Station],
        shelf: Shelf | None = None,
    ) -> None:
        """Build every component the policy names; what memory does not hold goes on the shelf."""
        discover_processing()
        self._policy = policy
        self._version = policy.version
        self._series = series
        self._shelf = shelf or MemoryShelf()
        self.formats: dict[str, Format] = {
            route.format: find("format", route.format, f"routes.{number}.format").cls()
            for number, route in enumerate(policy.routes)
        }
        if policy.routes:
            self.formats.setdefault(IMPORT_FORMAT, find("format", IMPORT_FORMAT, "import").cls())
        self._past = ImportedPast(series)
        self._skew = SkewEstimate(series)
        self._aggregator = self._one_aggregator()
        self._arrival = Arrival(series, self._aggregator)
        self._stations = stations
        self._quality = QualityStage(self._build("check", policy.quality, "quality"), series)
        self._detection = DetectionStage(
            self._build("detector", policy.detection, "detection"), series
        )
        self._indices = self._build("index", policy.indices, "indices")
        for index in self._indices:
            if isinstance(index, LooksBack):
                index.look_back(self._aggregator.hours)
        self._rules: dict[str, Alert] = {
            rule_id: self._rule(rule_id, stations) for rule_id in policy.alerts
        }
        self._book = AlertBook()

    def judge(
        self,
        readings: ReadingBatch,
        now: int,
        imported: BoolArray | None = None,
        claimed: Int64Array | None = None,
    ) -> Judged:
        """Take a batch of decoded readings through quality and detection into the windows.

        What was ``imported`` is judged like everything else, but nobody is alerted about it,
        detectors learn from its last days only, and it says nothing about clocks.

        Args:
            readings: decoded.
            now: engine time, ns UTC.
            imported: which of them come out of a file.
            claimed: the instant each device gave; by default the one that was believed.
        """
        arrived = self._arrival.sort_out(readings, imported)
        self._hear_clocks(arrived, readings.time if claimed is None else claimed, imported)
        judgement = self._quality.judge(arrived.readings, arrived.in_order)
        compared = arrived.in_order
        if imported is not None and imported.any():
            compared = compared & ~is_long_past(arrived.readings.time, imported[arrived.kept], now)
        judged, amended = self._detection.score(judgement, compared)
        judged = _corrections_last(judged)
        both = JudgedBatch.concat([judged, amended]) if len(amended) else judged
        # One after the other: only the batch itself is sorted already.
        self._aggregator.add(judged)
        self._aggregator.add(amended)
        news = both
        if imported is not None and imported.any():
            old = imported[arrived.kept]
            self._past.note(arrived.readings.take(old))
            news = both.take(~np.append(old, np.zeros(len(amended), np.bool_)))
        alerts = self._alert(now, news, AggregateBatch.empty(), IndexBatch.empty(), ticked=False)
        return Judged(arrived, both, alerts)

    def _hear_clocks(
        self, arrived: Arrived, claimed: Int64Array, imported: BoolArray | None
    ) -> None:
        readings = arrived.readings
        series, claimed, received = readings.series, claimed[arrived.kept], readings.received
        if imported is not None and imported.any():
            live = ~imported[arrived.kept]
            series, claimed, received = series[live], claimed[live], received[live]
        self._skew.hear(series, claimed, received)

    def advance(self, now: int) -> Advanced:
        """Let time pass: close windows, publish indices, look at clocks and for silence."""
        clocks = self._skew.advance(now)
        aggregates = self._aggregator.advance(now)
        indices = IndexBatch.concat([index.update(aggregates) for index in self._indices])
        news = self._past.newer_windows(aggregates), self._past.newer_indices(indices)
        alerts = self._alert(now, JudgedBatch.empty(), *news, ticked=True, clocks=clocks.renewed)
        return Advanced(aggregates, indices, clocks.said, alerts)

    def acknowledge(self, command: AcknowledgeCommand, now: int) -> AlertEvent | None:
        """Take an operator's acknowledgement; None when there is no such open alert."""
        return self._book.acknowledge(command, now)

    def system_says(self, rule_id: str, signals: Sequence[Signal], now: int) -> list[AlertEvent]:
        """Take in what a rule of Lamppost's own says; no policy can switch it off."""
        return self._book.apply(rule_id, SYSTEM_RULES[rule_id], self._version, signals, now)

    def _alert(
        self,
        now: int,
        judged: JudgedBatch,
        aggregates: AggregateBatch,
        indices: IndexBatch,
        *,
        ticked: bool,
        clocks: ClockBatch = NO_CLOCKS,
    ) -> list[AlertEvent]:
        heard = self._arrival.last_received
        observed = Observed(now, ticked, judged, aggregates, indices, heard, clocks)
        events: list[AlertEvent] = []
        for rule_id, rule in self._rules.items():
            signals = rule.evaluate(observed)
            spec = self._policy.alerts[rule_id]
            events += self._book.apply(rule_id, spec, self._version, signals, now)
        return events + (self._book.tick(now) if ticked else [])

    def _one_aggregator(self) -> EventTimeWindows:
        where = "windows"
        named = {_RENAMED.get(name, name): raw for name, raw in self._policy.windows.items()}
        if set(named) != {"event_time"}:
            known = ", ".join(registered("aggregator"))
            raise ConfigError(
                "must name exactly one aggregator", where=where, hint=f"known: {known}"
            )
        ((name, raw),) = named.items()
        component = find("aggregator", name, f"{where}.{name}")
        settings = component.parse(raw, f"{where}.{name}")
        made: EventTimeWindows = component.cls(
            settings, self._series, self._shelf, CityCalendar(self._policy.time.zone)
        )
        return made

    def _build(
        self,
        kind: Kind,
        named: Mapping[str, Mapping[str, Any]],
        where: str,
    ) -> list[Any]:
        return [
            self._make(find(kind, name, f"{where}.{name}"), raw, f"{where}.{name}")
            for name, raw in named.items()
        ]

    def _make(self, component: Component, raw: Mapping[str, Any], where: str) -> Stateful:
        settings: Settings = component.parse(raw, where)
        city = getattr(component.cls, "scope", "series") == "city"
        around = (self._stations,) if city else ()
        made: Stateful = component.cls(settings, self._series, *around)
        return made

    def _rule(self, rule_id: str, stations: Mapping[str, Station]) -> Alert:
        spec = self._policy.alerts[rule_id]
        where = f"alerts.{rule_id}"
        if rule_id in SYSTEM_RULES:
            raise ConfigError("this name is taken by a rule of Lamppost itself", where=where)
        component = find("alert", spec.use, f"{where}.use")
        settings = component.parse(spec.settings, f"{where}.settings")
        self._require(settings, f"{where}.settings")
        rule: Alert = component.cls(settings, self._series, stations)
        return rule

    def _require(self, settings: Settings, where: str) -> None:
        """Refuse a rule about windows or indices that this policy does not make."""
        for key, length in settings.windows_needed().items():
            if length not in self._aggregator.lengths:
                known = ", ".join(map(format_length, self._aggregator.lengths))
                problem = f"there is no window of {format_length(length)}"
                hint = f"known: {known} (windows.event_time)"
                raise ConfigError(problem, where=f"{where}.{key}", hint=hint)
        for key, name in settings.indices_needed().items():
            find("index", name, f"{where}.{key}")
            if name not in self._policy.indices:
                problem = f"the index {name} is not switched on"
                hint = f"name it under indices; on: {', '.join(self._policy.indices) or 'none'}"
                raise ConfigError(problem, where=f"{where}.{key}", hint=hint)

    def _parts(self) -> dict[str, tuple[Stateful, str]]:
        """Return every stateful part by name, with what its state depends on."""
        policy = self._policy
        alerts = {
            f"alerts.{rule_id}": (rule, repr(policy.alerts[rule_id]))
            for rule_id, rule in self._rules.items()
        }
        indices = {
            f"indices.{name}": (index, repr(policy.indices[name]))
            for name, index in zip(policy.indices, self._indices, strict=True)
        }
        formats = {f"formats.{name}": (found, "") for name, found in self.formats.items()}
        return {
            **formats,
            "arrival": (self._arrival, ""),
            "imported": (self._past, ""),
            "skew": (self._skew, ""),
            "quality": (self._quality, repr(policy.quality)),
            "detection": (self._detection, repr(policy.detection)),
            "windows": (self._aggregator, repr((policy.windows, policy.time.zone))),
            **indices,
            **alerts,
            "book": (self._book, ""),
        }

    def shelved(self) -> set[str]:
        """Return the names of what lies on the shelf."""
        return self._aggregator.shelved()

    def snapshot(self) -> Snapshot:
        """Return the state of every part under its name."""
        arrays: Snapshot = {}
        for name, (stateful, _) in self._parts().items():
            arrays.update(nested(name, stateful.snapshot()))
        return arrays

    def restore(self, snapshot: Snapshot) -> None:
        """Take over the state of every part."""
        for name, (stateful, _) in self._parts().items():
            stateful.restore(part(name, snapshot))

    def inherit(self, former: Pipeline, now: int) -> list[AlertEvent]:
        """Take over the state of each part whose settings did not change.

        Returns:
            What becomes of alerts whose rule changed or is gone.
        """
        theirs = former._parts()
        kept = set()
        for name, (stateful, settings) in self._parts().items():
            if name in theirs and theirs[name][1] == settings:
                stateful.restore(theirs[name][0].snapshot())
                kept.add(name)
        if "windows" not in kept:
            self._aggregator.adopt(former._aggregator)
        for name, ours, before in (
            ("quality", self._policy.quality, former._policy.quality),
            ("detection", self._policy.detection, former._policy.detection),
        ):
            changed = tuple(f"{part}/" for part in ours if ours[part] != before.get(part))
            whole = theirs[name][0].snapshot().items()
            same = {key: array for key, array in whole if not key.startswith(changed)}
            self._parts()[name][0].restore(same)
        unchanged = {rule_id for rule_id in self._rules if f"alerts.{rule_id}" in kept}
        return self._book.retire({*unchanged, *SYSTEM_RULES}, now)
