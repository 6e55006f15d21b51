# SPDX-License-Identifier: EUPL-1.2
"""The engine: inbox entries in, outbox records out. Pure: no clock, no network, no database.

The same entries in the same order give the same records, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import pyarrow as pa
from pydantic import ValidationError

from lamppost import log
from lamppost.alerts import AcknowledgeCommand, AlertEvent, Signal
from lamppost.balance import LEDGER_RULE_ID, BalanceCommand, received_signal
from lamppost.batch import Columns, IndexBatch
from lamppost.commands import COMMAND_TYPES
from lamppost.errors import ConfigError
from lamppost.flooding import EXCESSES, FLOODING_RULE_ID, read_throttled
from lamppost.frames import Deliveries, arrow_bytes
from lamppost.indices import TABLES_KEY, named_tables
from lamppost.log import Entry, Record
from lamppost.policy import Policy
from lamppost.quarantine import (
    QUARANTINE_SCHEMA,
    REPLAYED_SOURCE,
    DropCommand,
    Refusal,
    Replay,
    read_replay,
    state_changes,
)
from lamppost.refusal_codes import Code
from lamppost.series import SeriesKey, SeriesTable
from lamppost.shelf import MemoryShelf, Shelf
from lamppost.state import nested, part
from lamppost.stations import Registry, Station
from lamppost.system_rules import POLICY_RULE_ID
from lamppost.times import format_instant

from .admission import Admission
from .decoding import DecodedFrame, Decoder
from .flood_watch import FloodWatch
from .ledger import Ledger
from .pipeline import Judged, Pipeline
from .policy_trial import PolicyTrial, kept_sentence, set_aside_sentence, set_aside_signal
from .rules_entry import rules_document
from .snapshots import pack, unpack
from .tally import Tally

_ENGINE_SOURCE: Final = "engine"


class Engine:
    """Applies inbox entries, one at a time."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        """Start with an empty policy: everything is quarantined until one arrives.

        Args:
            shelf: where rows lie that need not be in memory; without one they stay there.
        """
        self._shelf = shelf or MemoryShelf()
        self._series = SeriesTable()
        self._published_series = 0
        self._stations = Registry()
        self._admission = Admission(self._series, self._stations)
        self._ledger = Ledger()
        self._floods = FloodWatch()
        self._tally = Tally(self._series)
        self._now = 0
        self._trial = PolicyTrial()
        self._use(_EMPTY, self._pipeline_of(_EMPTY))

    @property
    def now(self) -> int:
        """Engine time: the newest instant of an entry, ns UTC."""
        return self._now

    @property
    def series(self) -> SeriesTable:
        """The series seen so far."""
        return self._series

    @property
    def ledger(self) -> Ledger:
        """What became of everything received."""
        self._tally.settle(self._ledger)
        return self._ledger

    def apply(self, entry: Entry) -> list[Record]:
        """Return what the system says because of an entry."""
        self._now = max(self._now, entry.at)
        match entry.kind:
            case log.FRAME:
                records = self._frame(Deliveries.from_bytes(entry.body))
            case log.TICK:
                records = self._tick()
            case log.COMMAND:
                records = self._command(entry)
            case log.POLICY:
                records = self._policy_entry(entry)
            case log.REGISTRATION:
                records = self._registration(entry)
            case log.REPLAY:
                records = self._replay(entry)
            case log.THROTTLED:
                records = self._throttled(entry)
            case log.EXCESS:
                records = self._excess(entry)
            case _:
                detail = f"inbox entry {entry.seq} ({entry.kind}) cannot be used"
                records = self._quarantine_entry(entry, "damaged", detail)
        if self._trial.passes(entry.kind):
            records += self._policy_alert("the policy in force works", active=False)
        return [*self._new_series(), *records]

    def policy_at_fault(self, entry: Entry) -> bool:
        """Return whether it is the policy, not the entry, that the engine fails under."""
        return self._trial.instead(entry.kind, entry.at) is not None

    def withdraw_policy(self, entry: Entry) -> list[Record]:
        """Go back, before an entry that fails, to the policy that worked; quarantine the other."""
        self._now = max(self._now, entry.at)
        former, failed = self._trial.instead(entry.kind, entry.at), self._policy
        if former is None:
            return []
        version = self._version
        try:
            records = self._take(former)
        except ConfigError:  # a plugin it needs is gone
            return self.keep_policy(entry)
        self._trial.go_back(former)
        sentence = set_aside_sentence(entry, version, self._version)
        given = Entry(entry.seq, log.POLICY, self._now, failed.canonical().encode())
        return [
            *records,
            *self._quarantine_entry(given, "bad_policy", sentence),
            *self._policy_alert(sentence, active=True),
        ]

    def keep_policy(self, entry: Entry) -> list[Record]:
        """Stay, before an entry that fails, with a policy that cannot give way, and say so."""
        self._now = max(self._now, entry.at)
        self._trial.stay()
        return self._policy_alert(kept_sentence(entry, self._version), active=True)

    def _policy_alert(self, sentence: str, *, active: bool) -> list[Record]:
        signal = set_aside_signal(self._now, sentence, active=active)
        return self._alert_events(self._system_says(POLICY_RULE_ID, signal))

    def set_aside(self, entry: Entry) -> list[Record]:
        """Quarantine an entry the engine has failed on, message by message, without using it."""
        self._now = max(self._now, entry.at)
        self._trial.fails(entry.kind)
        detail = f"inbox entry {entry.seq} ({entry.kind})"
        try:
            holds = entry.kind in {log.FRAME, log.THROTTLED}
            deliveries = Deliveries.from_bytes(entry.body) if holds else None
        except pa.ArrowInvalid:
            deliveries = None
        if deliveries is None:
            return self._quarantine_entry(entry, "engine_error", detail)
        refused = [Refusal(row, "engine_error", detail) for row in range(len(deliveries))]
        self._book_refusals(deliveries.sources, refused, [])
        return self._quarantine(deliveries, refused)

    def _frame(self, deliveries: Deliveries, door: str = "") -> list[Record]:
        decoded = self._decoder.decode(deliveries, self._now)
        judged = self._pipeline.judge(
            decoded.readings, self._now, decoded.imported, decoded.claimed
        )
        too_old = self._too_old(decoded, judged)
        doors = [door] * len(deliveries) if door else deliveries.sources
        self._book_readings(doors, decoded, judged)
        self._book_refusals(doors, decoded.refused, too_old)
        return [
            *self._listed(log.FITS, [fit.model_dump() for fit in judged.fits]),
            *self._columns(log.READINGS, judged.readings),
            *self._listed(log.DETAILS, [one._asdict() for one in judged.details]),
            *self._alert_events(judged.alerts),
            *self._quarantine(deliveries, [*decoded.refused, *too_old]),
        ]

    def _replay(self, entry: Entry) -> list[Record]:
        try:
            deliveries, replay = read_replay(entry.body)
        except ValueError as error:
            return self._quarantine_entry(entry, "bad_command", f"not a replay: {error}")
        return [*self._frame(deliveries, REPLAYED_SOURCE), self._states("replayed", replay)]

    def _throttled(self, entry: Entry) -> list[Record]:
        """Quarantine what a device sent over its limit, without looking into it."""
        try:
            deliveries, devices = read_throttled(entry.body)
        except ValueError as error:
            return self._quarantine_entry(entry, "bad_command", f"nobody's messages: {error}")
        detail = "the device sent more than it may"
        refused = [Refusal(row, "rate_limited", detail, who) for row, who in enumerate(devices)]
        self._book_refusals(deliveries.sources, refused, [])
        return self._quarantine(deliveries, refused)

    def _excess(self, entry: Entry) -> list[Record]:
        """Count what a door has refused; the alert about it comes with the next tick."""
        try:
            excesses = EXCESSES.validate_json(entry.body)
        except ValidationError as error:
            return self._quarantine_entry(entry, "bad_command", error.errors()[0]["msg"])
        for excess in excesses:
            for column in ("received", "refused"):
                self._book_refusal(excess.source, excess.device, column, excess.refused)
        self._floods.add(excesses, self._now)
        return []

    def _tick(self) -> list[Record]:
        advanced = self._pipeline.advance(self._now)
        ledger, imbalance = self._close_books()
        alerts = [
            *advanced.alerts,
            *imbalance,
            *self._system_says(FLOODING_RULE_ID, *self._floods.tick(self._now)),
        ]
        return [
            *self._columns(log.AGGREGATES, advanced.aggregates),
            *self._index_values(advanced.indices),
            *self._columns(log.CLOCKS, advanced.clocks),
            *self._alert_events(alerts),
            *([Record(log.LEDGER, self._now, ledger)] if ledger else []),
        ]

    def _close_books(self) -> tuple[bytes, list[AlertEvent]]:
        """Return, when it is time, the rows of the ledger and what is to be said of their balance.

        In between the ledger lacks what the tally holds: it would seem not to balance, more or less
        so by when a snapshot was taken.
        """
        if not self._ledger.due(self._now):
            return b"", []
        self._tally.settle(self._ledger)
        rows = self._ledger.publish(self._now)
        imbalance = received_signal(self._ledger.broken(), self._now)
        text = rows.to_json() if len(rows) else b""
        return text, self._system_says(LEDGER_RULE_ID, imbalance)

    def _command(self, entry: Entry) -> list[Record]:
        try:
            command = COMMAND_TYPES.validate_json(entry.body)
        except ValidationError as error:
            return self._quarantine_entry(entry, "bad_command", error.errors()[0]["msg"])
        match command:
            case AcknowledgeCommand():
                return self._acknowledge(entry, command)
            case DropCommand():
                return [self._states("dropped", command)]
            case BalanceCommand():
                signal = command.signal(self._now)
                return self._alert_events(self._system_says(LEDGER_RULE_ID, signal))

    def _system_says(self, rule_id: str, *signals: Signal) -> list[AlertEvent]:
        return self._pipeline.system_says(rule_id, signals, self._now)

    def _acknowledge(self, entry: Entry, command: AcknowledgeCommand) -> list[Record]:
        event = self._pipeline.acknowledge(command, self._now)
        if event is None:
            detail = f"there is no open alert {command.alert_id}"
            return self._quarantine_entry(entry, "bad_command", detail)
        return self._alert_events([event])

    def _states(
        self, state: Literal["replayed", "dropped"], command: Replay | DropCommand
    ) -> Record:
        said: dict[str, object] = {"at": self._now, "by": command.by, "reason": command.reason}
        return self._json(log.QUARANTINE_STATES, state_changes(state, command.messages, said))

    def _policy_entry(self, entry: Entry) -> list[Record]:
        """Take a policy that can be used; any other leaves the former in force."""
        try:
            policy = Policy.model_validate_json(entry.body)
            records = self._take(policy)
        except (ConfigError, ValidationError) as error:
            problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            return self._quarantine_entry(entry, "bad_policy", str(problem))
        self._trial.take(policy, entry.at)
        return records

    def _take(self, policy: Policy) -> list[Record]:
        """Put a policy in force.

        Raises:
            ConfigError: it cannot be used; the former one stays.
        """
        pipeline = self._pipeline_of(policy)
        ended, withdrawn = pipeline.inherit(self._pipeline, self._now)
        # The last words of the former policy: its windows are named by its time zone.
        last_words = self._columns(log.AGGREGATES, withdrawn)
        self._use(policy, pipeline)
        return [*last_words, self._rules_record(), *self._alert_events(ended)]

    def _registration(self, entry: Entry) -> list[Record]:
        given = [Station.model_validate(fields) for fields in json.loads(entry.body)]
        self._stations.register(given)
        self._admission.register()
        self._pipeline.stations_changed()
        return [self._json(log.STATIONS, [station.model_dump() for station in given])]

    def _pipeline_of(self, policy: Policy) -> Pipeline:
        return Pipeline(policy, self._series, self._stations, self._shelf)

    def _use(self, policy: Policy, pipeline: Pipeline) -> None:
        self._policy, self._version = policy, policy.version
        self._pipeline = pipeline
        self._decoder = Decoder(policy, pipeline.formats, self._admission)

    def _rules_record(self) -> Record:
        pipeline = self._pipeline
        rules = rules_document(self._policy, pipeline.methods(), pipeline.windows())
        return self._json(log.RULES, rules)

    def _new_series(self) -> list[Record]:
        start = self._published_series
        if start == len(self._series):
            return []
        self._published_series = len(self._series)
        return [Record(log.SERIES, self._now, arrow_bytes(self._series.to_arrow(start)))]

    def _too_old(self, decoded: DecodedFrame, judged: Judged) -> list[Refusal]:
        refusals = []
        for row in judged.arrived.too_old:
            key = self._series[int(decoded.readings.series[row])]
            instant = format_instant(int(decoded.readings.time[row]))
            detail = f"{key.quantity} of {instant} lies beyond the correction horizon"
            refusals.append(
                Refusal(int(decoded.delivery[row]), "beyond_horizon", detail, key.sensor)
            )
        return refusals

    def _book_readings(self, doors: Sequence[str], decoded: DecodedFrame, judged: Judged) -> None:
        """Book every reading that came in, and what became of those that went through arrival."""
        arrived, series = judged.arrived, decoded.readings.series
        door = self._tally.doors(doors)[decoded.delivery]
        for column, rows in (
            ("received", slice(None)),
            ("accepted", arrived.kept),
            ("duplicate", arrived.duplicates),
        ):
            self._tally.add(column, series[rows], door[rows], self._now)

    def _book_refusals(
        self, doors: Sequence[str], unread: Iterable[Refusal], too_old: Iterable[Refusal]
    ) -> None:
        for refusal in unread:
            self._book_refusal(doors[refusal.delivery], refusal.sensor, "received")
            self._book_refusal(doors[refusal.delivery], refusal.sensor, "quarantined")
        for refusal in too_old:
            self._book_refusal(doors[refusal.delivery], refusal.sensor, "quarantined")

    def _book_refusal(self, door: str, sensor: str, column: str, items: int = 1) -> None:
        if sensor and not self._admission.knows(sensor):
            sensor = self._ledger.stranger(door, sensor, self._now)
        self._ledger.count(door, sensor, self._now, column, items)

    def _columns(self, kind: str, batch: Columns, **more: str) -> list[Record]:
        if not len(batch):
            return []
        arrow = batch.to_arrow().replace_schema_metadata({"policy": self._version, **more})
        return [Record(kind, self._now, arrow_bytes(arrow))]

    def _index_values(self, indices: IndexBatch) -> list[Record]:
        if not len(indices):
            return []
        # Which table made a value stands with it: the rules may change, and Lamppost with them.
        tables = named_tables(indices, self._pipeline.index_tables())
        return self._columns(log.INDICES, indices, **{TABLES_KEY: tables})

    def _alert_events(self, events: list[AlertEvent]) -> list[Record]:
        return self._listed(log.ALERTS, [event.model_dump() for event in events])

    def _listed(self, kind: str, items: list[dict[str, Any]]) -> list[Record]:
        return [self._json(kind, items)] if items else []

    def _quarantine(self, deliveries: Deliveries, refused: list[Refusal]) -> list[Record]:
        # One row for each message and code, however many of its readings it concerns: the message
        # is kept whole in each. Rows stand in order of receipt, which replays keep.
        grouped: dict[tuple[int, str], list[Refusal]] = {}
        for refusal in refused:
            grouped.setdefault((refusal.delivery, refusal.code), []).append(refusal)
        rows = [
            {
                "received_at": deliveries.received_at[refusal.delivery],
                "source": deliveries.sources[refusal.delivery],
                "route": deliveries.routes[refusal.delivery],
                "headers": deliveries.headers[refusal.delivery],
                "payload": deliveries.payloads[refusal.delivery],
                "sensor": refusal.sensor,
                "code": refusal.code,
                "detail": refusal.detail + (f" (and {len(more)} more)" if more else ""),
            }
            for _, (refusal, *more) in sorted(grouped.items(), key=lambda item: item[0][0])
        ]
        return self._quarantine_rows(rows)

    def _quarantine_entry(self, entry: Entry, code: Code, detail: str) -> list[Record]:
        self._book_refusal(_ENGINE_SOURCE, "", "received")
        self._book_refusal(_ENGINE_SOURCE, "", "quarantined")
        row = {
            "received_at": entry.at,
            "source": _ENGINE_SOURCE,
            "route": entry.kind,
            "headers": None,
            "payload": entry.body,
            "sensor": "",
            "code": code,
            "detail": detail,
        }
        return self._quarantine_rows([row])

    def _quarantine_rows(self, rows: list[dict[str, Any]]) -> list[Record]:
        if not rows:
            return []
        batch = pa.RecordBatch.from_pylist(rows, schema=QUARANTINE_SCHEMA)
        return [Record(log.QUARANTINE, self._now, arrow_bytes(batch))]

    def _json(self, kind: str, content: object) -> Record:
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return Record(kind, self._now, text.encode())

    def shelved(self) -> set[str]:
        """Return the names of what lies on the shelf."""
        return self._pipeline.shelved()

    def snapshot(self) -> bytes:
        """Return the whole state."""
        self._tally.settle(self._ledger)
        facts = {
            "now": self._now,
            "policy": self._policy.canonical(),
            "series": [list(key) for key in self._series],
            "published_series": self._published_series,
            "stations": [station.model_dump() for station in self._stations.values()],
            "ledger": self._ledger.facts(),
            "floods": self._floods.facts(),
            "admission": self._admission.facts(),
            "trial": self._trial.facts(),
        }
        return pack(nested("pipeline", self._pipeline.snapshot()), facts)

    @classmethod
    def from_snapshot(cls, body: bytes, shelf: Shelf | None = None) -> Engine:
        """Return the engine that handed out a snapshot, as it was."""
        arrays, facts = unpack(body)
        engine = cls(shelf)
        engine._load(facts)
        engine._pipeline.restore(part("pipeline", arrays))
        return engine

    def _load(self, facts: Mapping[str, Any]) -> None:
        self._now = facts["now"]
        self._series = SeriesTable(SeriesKey(*key) for key in facts["series"])
        self._tally = Tally(self._series)
        self._published_series = facts["published_series"]
        stations = [Station.model_validate(fields) for fields in facts["stations"]]
        self._stations = Registry()
        self._stations.register(stations)
        self._admission = Admission(self._series, self._stations)
        if "admission" in facts:
            self._admission.restore(facts["admission"])
        self._ledger.restore(facts["ledger"])
        if "floods" in facts:
            self._floods.restore(facts["floods"])
        policy = Policy.model_validate_json(facts["policy"])
        self._use(policy, self._pipeline_of(policy))
        if "trial" in facts:
            self._trial.restore(facts["trial"], policy)


_EMPTY: Final = Policy(windows={"event_time": {}})
