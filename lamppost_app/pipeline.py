# SPDX-License-Identifier: EUPL-1.2
"""The processors of one policy, in order, from arrival to alerts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
    Observed,
    Settings,
    Stateful,
    find,
    registered,
)
from lamppost.derived import Derivation
from lamppost.details import Detail
from lamppost.errors import ConfigError
from lamppost.fits import Fit
from lamppost.flags import CORRECTION
from lamppost.grouping import BoolArray
from lamppost.imports import IMPORT_FORMAT
from lamppost.index_needs import LooksBack, NamesTables, RunsOn, Weighs
from lamppost.indices import IndexTable
from lamppost.periods import resolution_name
from lamppost.policy import Policy
from lamppost.series import SeriesTable
from lamppost.shelf import MemoryShelf, Shelf
from lamppost.state import Snapshot, nested, part
from lamppost.stations import Station
from lamppost.system_rules import SYSTEM_RULES
from lamppost.zones import CityCalendar
from processors.alerts.book import AlertBook
from processors.arrival import Arrival, Arrived
from processors.derivation import DerivationStage, Derived
from processors.detection.stage import DetectionStage
from processors.quality.stage import QualityStage
from processors.rating import RatedSeries
from processors.skew import SkewEstimate
from processors.windows.event_time import EventTimeWindows

from .components import RENAMED, discover_processing
from .imported_past import ImportedPast, is_long_past


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one batch of readings.

    Attributes:
        arrived: which readings went on, and why others did not.
        readings: judged readings, then what is derived from them, changes of earlier ones last.
        alerts: what happened to alerts.
        fits: lines found between sensors and references.
        details: the numbers behind some of the reasons given to readings.
    """

    arrived: Arrived
    readings: JudgedBatch
    alerts: list[AlertEvent]
    fits: list[Fit]
    details: list[Detail]


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


def check_advice(policy: Policy) -> None:
    """Refuse advice that is not about every category of an index.

    Raises:
        ConfigError: naming the key path.
    """
    for name, languages in policy.advice.items():
        scale = find("index", name, f"advice.{name}").cls.scale
        for language, texts in languages.items():
            where = f"advice.{name}.{language}"
            if not re.fullmatch("[a-z]{2}", language):
                raise ConfigError("a language has two letters, as in en", where=where)
            if len(texts) != len(scale.categories):
                names = ", ".join(category.name for category in scale.categories)
                problem = (
                    f"has {len(texts)} texts, and the index {len(scale.categories)} categories"
                )
                raise ConfigError(problem, where=where, hint=f"one for each of: {names}")


def _derivations_last(judged: JudgedBatch, derived: Derived) -> JudgedBatch:
    """Give derived readings what was known of them in the end, beside the evidence they have."""
    count = len(derived.last)
    if not count:
        return judged
    # The series stay the same array: what was sorted by it need not be sorted again.
    known = {
        name: np.append(getattr(judged, name)[:-count], getattr(derived.last, name))
        for name in ("value", "flag", "reasons", "revision", "uncertainty")
    }
    return replace(judged, **known)


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
        for name in policy.rating.prefer:
            find("derivation", name, "rating.prefer")
        self._rating = RatedSeries(policy.rating, series)
        self._aggregator = self._one_aggregator()
        self._arrival = Arrival(series, self._aggregator)
        self._stations = stations
        self._quality = QualityStage(self._build("check", policy.quality, "quality"), series)
        self._derivation = DerivationStage(self._all_derivations(stations), series)
        self._detection = DetectionStage(
            self._build("detector", policy.detection, "detection"), series
        )
        self._indices = self._build("index", policy.indices, "indices")
        # Asked once: to ask of an object whether it fits a protocol takes long.
        self._running_on = [index for index in self._indices if isinstance(index, RunsOn)]
        check_advice(policy)
        for index in self._indices:
            if isinstance(index, LooksBack):
                index.look_back(self._aggregator)
            if isinstance(index, Weighs):
                index.weigh_at(policy.units.gas_conditions)
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
        decoded = self._quality.without_codes(readings)
        arrived = self._arrival.sort_out(decoded.readings, imported)
        self._hear_clocks(arrived, readings.time if claimed is None else claimed, imported)
        judgement = self._quality.judge(arrived.readings, arrived.in_order)
        details = [*decoded.of_rows(arrived.kept), *judgement.details]
        derived = self._derivation.derive(judgement)
        old = self._note_past(arrived, derived, imported)
        judgement = derived.beside(judgement)
        compared = np.append(arrived.in_order, derived.in_order)
        if old is not None:
            compared &= ~is_long_past(judgement.readings.time, old, now)
        revised = self._detection.repeat(derived.revised, derived.newest)
        judged, amended = self._detection.score(judgement, compared)
        judged = _derivations_last(_corrections_last(judged), derived)
        changed = [part for part in (amended, revised) if len(part)]
        both = JudgedBatch.concat([judged, *changed]) if changed else judged
        # One after the other: only the batch itself is sorted already.
        for told in (judged, *changed):
            self._aggregator.add(told)
        news = both = both.numbers_of_measurements()
        if old is not None:
            verdicts = np.zeros(len(amended), np.bool_)
            known = self._past.holds(revised)
            news = both.take(~np.concatenate([old, verdicts, known]))
        news = self._rating.readings(news)
        alerts = self._alert(now, news, AggregateBatch.empty(), IndexBatch.empty(), ticked=False)
        return Judged(arrived, both, alerts, self._derivation.fits(), details)

    def _note_past(
        self, arrived: Arrived, derived: Derived, imported: BoolArray | None
    ) -> BoolArray | None:
        """Say which rows of a batch and of what is derived from it are history; None where none."""
        if imported is None or not imported.any():
            return None
        old = imported[arrived.kept]
        self._past.note(arrived.readings.take(old))
        # Derived readings name no input; a sensor whose past is imported has its derived past too.
        sensors = set(self._sensors(arrived.readings.take(old)))
        past = np.array([name in sensors for name in self._sensors(derived.first)], np.bool_)
        self._past.note(derived.first.take(past))
        return np.append(old, past)

    def _sensors(self, readings: ReadingBatch | JudgedBatch) -> list[str]:
        return [self._series[code].sensor for code in readings.series.tolist()]

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
        self._rating.take_in(aggregates)
        # Indices hear of every series: one that is rated again has its hours already.
        indices = self._rating.indices(self._index_values(aggregates))
        rated = self._rating.windows(aggregates)
        heard = self._aggregator.clock("newest")
        news = self._past.newer_windows(rated), self._past.newer_indices(indices, heard)
        alerts = self._alert(now, JudgedBatch.empty(), *news, ticked=True, clocks=clocks.renewed)
        return Advanced(aggregates, indices, clocks.said, alerts)

    def _index_values(self, aggregates: AggregateBatch) -> IndexBatch:
        closed = self._aggregator.clock("watermark")
        parts = []
        for index in self._indices:
            parts.append(index.update(aggregates))
            if index in self._running_on:
                parts.append(index.run_on(closed))
        return IndexBatch.concat([part for part in parts if len(part)] or parts[:1])

    def index_tables(self) -> dict[int, list[IndexTable]]:
        """Return the tables of each index by its number, before them what an unnumbered one is."""
        return {
            index.number: [
                IndexTable("", index.scale.version),
                *(index.named_tables if isinstance(index, NamesTables) else ()),
            ]
            for index in self._indices
        }

    def methods(self) -> dict[str, dict[str, object]]:
        """Return what is said of the methods of derived series, by the name in their qualifiers."""
        return self._derivation.methods()

    def windows(self) -> list[str]:
        """Return the resolutions of the windows there are, the calendar's last."""
        return [resolution_name(length) for length in self._aggregator.lengths]

    def stations_changed(self) -> None:
        """Take note that stations were registered; the mapping given at the start holds them."""
        self._derivation.stations_changed()

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
        named = {RENAMED.get(name, name): raw for name, raw in self._policy.windows.items()}
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

    def _all_derivations(self, stations: Mapping[str, Station]) -> list[Derivation]:
        sections = {
            "corrections": self._policy.corrections,
            "derivations": self._policy.derivations,
        }
        for name in self._policy.corrections.keys() & self._policy.derivations.keys():
            raise ConfigError("also stands under corrections", where=f"derivations.{name}")
        return [
            self._derive_by(name, raw, f"{section}.{name}", stations)
            for section, named in sections.items()
            for name, raw in named.items()
        ]

    def _derive_by(
        self, name: str, raw: Mapping[str, Any], where: str, stations: Mapping[str, Station]
    ) -> Derivation:
        component = find("derivation", name, where)
        made: Derivation = component.cls(component.parse(raw, where), self._series, stations)
        return made

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
        if isinstance(rule, Weighs):
            rule.weigh_at(self._policy.units.gas_conditions)
        return rule

    def _require(self, settings: Settings, where: str) -> None:
        """Refuse a rule about windows or indices that this policy does not make."""
        for key, length in settings.windows_needed().items():
            if length not in self._aggregator.lengths:
                known = ", ".join(self.windows())
                problem = f"there is no window of {resolution_name(length)}"
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
            "derivation": (
                self._derivation,
                repr((policy.corrections, policy.derivations)),
            ),
            "detection": (self._detection, repr(policy.detection)),
            "rating": (self._rating, repr(policy.rating)),
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

    def inherit(self, former: Pipeline, now: int) -> tuple[list[AlertEvent], AggregateBatch]:
        """Take over the state of each part whose settings did not change.

        Returns:
            What becomes of alerts whose rule changed or is gone, and windows that are none any
            more.
        """
        theirs = former._parts()
        kept = set()
        for name, (stateful, settings) in self._parts().items():
            # Hourly means and revisions of an index stay what they are under other settings.
            if name in theirs and (theirs[name][1] == settings or name.startswith("indices.")):
                stateful.restore(theirs[name][0].snapshot())
                kept.add(name)
        withdrawn = AggregateBatch.empty()
        if "windows" not in kept:
            withdrawn = self._aggregator.adopt(former._aggregator)
        for name, ours, before in (
            ("quality", self._policy.quality, former._policy.quality),
            (
                "derivation",
                self._policy.corrections | self._policy.derivations,
                former._policy.corrections | former._policy.derivations,
            ),
            ("detection", self._policy.detection, former._policy.detection),
        ):
            changed = tuple(f"{part}/" for part in ours if ours[part] != before.get(part))
            whole = theirs[name][0].snapshot().items()
            same = {key: array for key, array in whole if not key.startswith(changed)}
            self._parts()[name][0].restore(same)
        unchanged = {rule_id for rule_id in self._rules if f"alerts.{rule_id}" in kept}
        return self._book.retire({*unchanged, *SYSTEM_RULES}, now), withdrawn
