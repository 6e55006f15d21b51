# SPDX-License-Identifier: EUPL-1.2
"""What lies in quarantine, read from the logs; replaying and dropping it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Log, Record
from lamppost.quarantine import DropCommand, MessageId, Replay, replay_bytes

from .cursors import Cursors
from .decoding import topic_pattern
from .sqlite_log import SqliteLog

WAITING: Final = "waiting"
REPLAYED: Final = "replayed"
DROPPED: Final = "dropped"
STATES: Final = (WAITING, REPLAYED, DROPPED)
ENGINE_SOURCE: Final = "engine"
_SINK: Final = "sink"
_ID: Final = re.compile(r"(?P<sink>sink-)?(?P<entry>\d{1,18})-(?P<row>\d{1,9})")
_CHUNK_MESSAGES: Final = 4096
_CHUNK_BYTES: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class Held:
    """One message in quarantine, or one thing a sink refused.

    Attributes:
        kind: "message" or "sink".
        id: outbox entry and row; for a sink's refusal, entry of the cursor file and position.
        received_at: receipt of the message, or time of the refusal, ns UTC.
        source: the door it came through, or the sink.
        route, headers, payload: as received; a sink's refusal has its reason only.
        sensor: identity, as far as it could be read.
        code, detail: why.
        state: waiting, replayed or dropped.
        changed: when, by whom and why it got there.
    """

    kind: str
    id: MessageId
    received_at: int
    source: str
    route: str
    headers: str | None
    payload: bytes
    sensor: str
    code: str
    detail: str
    state: str = WAITING
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The identity as people type it."""
        return f"{_SINK}-{self.id}" if self.kind == _SINK else str(self.id)

    @property
    def message(self) -> tuple[int, int, str, str, str | None, bytes]:
        """What tells one message of an entry from another."""
        return (
            self.id.entry,
            self.received_at,
            self.source,
            self.route,
            self.headers,
            self.payload,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of them; empty means all.

    Attributes:
        code: one of the codes.
        sensor: identity.
        route: MQTT topic filter or path.
        since: received at this instant or later, ns UTC.
        state: one of :data:`STATES`.
    """

    code: str = ""
    sensor: str = ""
    route: str = ""
    since: int = 0
    state: str = ""

    def admits(self, held: Held) -> bool:
        """Tell whether a message is one of those."""
        return (
            self.code in {"", held.code}
            and self.sensor in {"", held.sensor}
            and self.state in {"", held.state}
            and held.received_at >= self.since
            and (not self.route or topic_pattern(self.route).fullmatch(held.route) is not None)
        )


class QuarantineRoom:
    """Reads quarantine from the outbox and the cursor file while the system runs."""

    def __init__(self, outbox: SqliteLog, cursors: Cursors) -> None:
        """Take the two files."""
        self._outbox = outbox
        self._cursors = cursors

    def held(self, choice: Choice) -> Iterator[Held]:
        """Yield what the choice admits, in order of arrival; sinks' refusals come last."""
        states = self.states()
        for entry in self._outbox.scan(log.QUARANTINE):
            yield from (held for held in messages_of(entry, states) if choice.admits(held))
        for entry in self._cursors.scan(log.QUARANTINE):
            yield from (held for held in _refusals(entry) if choice.admits(held))

    def states(self) -> dict[MessageId, dict[str, Any]]:
        """Return what was decided about messages, the last word on each."""
        return {
            MessageId(row["message"], row["row"]): row
            for entry in self._outbox.scan(log.QUARANTINE_STATES)
            for row in json.loads(entry.body)
        }

    def find(self, names: Sequence[str]) -> list[Held]:
        """Return messages by their identities, in that order.

        Raises:
            ConfigError: there is none of that identity.
        """
        states = self.states()
        return [self._find(name, states) for name in names]

    def _find(self, name: str, states: dict[MessageId, dict[str, Any]]) -> Held:
        match = _ID.fullmatch(name)
        if match is None:
            hint = "lamppost quarantine list shows identities, such as 1234-0"
            raise ConfigError(f"{name!r} is no identity of a message", hint=hint)
        wanted = MessageId(int(match["entry"]), int(match["row"]))
        source = self._cursors if match["sink"] else self._outbox
        for entry in source.read(wanted.entry - 1, 1):
            if entry.seq == wanted.entry and entry.kind == log.QUARANTINE:
                found = _refusals(entry) if match["sink"] else messages_of(entry, states)
                for held in found:
                    if held.id == wanted:
                        return held
        hint = "the oldest are forgotten first; see [quarantine] in the settings"
        raise ConfigError(f"there is no message {name} in quarantine", hint=hint)

    def whole(self, chosen: Sequence[Held]) -> list[Held]:
        """Return all rows of the chosen messages: one message has a row for each problem."""
        wanted = {held.message for held in chosen}
        states = self.states()
        found: list[Held] = []
        for number in sorted({held.id.entry for held in chosen}):
            for entry in self._outbox.read(number - 1, 1):
                found += [held for held in messages_of(entry, states) if held.message in wanted]
        return sorted(found, key=lambda held: (held.received_at, held.id))


def replay(inbox: Log, chosen: Sequence[Held], *, by: str, reason: str, now: int) -> int:
    """Enter messages in the inbox again as they came; return how many.

    Args:
        inbox: where to.
        chosen: every row of each message, in the order they came.
        by: who wants it.
        reason: why, if anything is to be said.
        now: instant of the entry, ns UTC.
    """
    messages = 0
    for chunk in _chunks(chosen):
        deliveries = Deliveries()
        for held in {held.message: held for held in chunk}.values():
            deliveries.add(
                held.route,
                held.payload,
                held.received_at,
                source=held.source,
                headers=held.headers,
            )
        said = Replay(messages=tuple(held.id for held in chunk), by=by, reason=reason)
        inbox.append([Record(log.REPLAY, now, replay_bytes(deliveries, said))])
        messages += len(deliveries)
    return messages


def drop(inbox: Log, chosen: Sequence[Held], *, by: str, reason: str, now: int) -> None:
    """Enter in the inbox that messages will never be of use."""
    for start in range(0, len(chosen), _CHUNK_MESSAGES):
        part = chosen[start : start + _CHUNK_MESSAGES]
        command = DropCommand(
            command="drop_quarantined",
            messages=tuple(held.id for held in part),
            by=by,
            reason=reason,
        )
        inbox.append([Record(log.COMMAND, now, command.model_dump_json().encode())])


def _chunks(chosen: Sequence[Held]) -> Iterator[list[Held]]:
    """Yield messages in parts that make frames of an ordinary size, no message cut in two."""
    chunk: list[Held] = []
    size = 0
    for held in chosen:
        fits = len(chunk) < _CHUNK_MESSAGES and size + len(held.payload) <= _CHUNK_BYTES
        if chunk and not fits and held.message != chunk[-1].message:
            yield chunk
            chunk, size = [], 0
        chunk.append(held)
        size += len(held.payload)
    if chunk:
        yield chunk


def messages_of(
    entry: Entry, states: Mapping[MessageId, dict[str, Any]] | None = None
) -> Iterator[Held]:
    """Yield the messages of an outbox entry; none where it is of another kind."""
    if entry.kind != log.QUARANTINE:
        return
    for row, fields in enumerate(arrow_batch(entry.body).to_pylist()):
        message = MessageId(entry.seq, row)
        changed = (states or {}).get(message, {})
        yield Held(
            kind="message",
            id=message,
            **fields,
            state=changed.get("state", WAITING),
            changed=changed,
        )


def _refusals(entry: Entry) -> Iterator[Held]:
    if entry.kind != log.QUARANTINE:
        return
    content = json.loads(entry.body)
    for place, reason in content["refused"].items():
        yield Held(
            kind=_SINK,
            id=MessageId(entry.seq, int(place)),
            received_at=entry.at,
            source=content["sink"],
            route=f"outbox up to {content['position']}",
            headers=None,
            payload=b"",
            sensor="",
            code="sink_refused",
            detail=reason,
        )
