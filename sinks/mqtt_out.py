# SPDX-License-Identifier: EUPL-1.2
"""Outbox to MQTT: the newest aggregates and health indices and every alert event, as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lamppost.batch import STATISTICS, AggregateBatch
from lamppost.component import register
from lamppost.flags import FLAG_NAMES
from lamppost.frames import arrow_batch
from lamppost.log import AGGREGATES, ALERTS, INDICES, RULES, SERIES, STATIONS, Entry
from lamppost.periods import resolution_name, resolutions
from lamppost.times import format_instant

from .index_messages import Hour, StationHours, index_fields
from .instant_texts import local_text
from .mqtt_client import BrokerSettings, Publisher
from .series_names import NamedSink, policy_of, unit_of

_QOS: Final = 1
# Stands in topics for the station of an alert that is about Lamppost itself.
_SYSTEM: Final = "lamppost"
_NUMBERS: Final = ("expected", "coverage", "mean", "min", "max", "sd", "total", *STATISTICS)
_COUNTS: Final = ("count", "suspect", "excluded", "revision")
# Characters with a meaning in topics, and our own escape.
_UNSAFE: Final = re.compile(r"[/+#%\x00-\x1f\x7f]")


class MqttOutSettings(BrokerSettings):
    """Where to publish.

    Attributes:
        prefix: first part of the topics.
    """

    prefix: str = Field(default="lamppost", pattern=r"^[^+#\x00]+$")


@register("sink")
class MqttOutSink(NamedSink):
    """Publishes the newest aggregates, the newest health indices and every alert event, at QoS 1.

    Topics: ``<prefix>/aggregates/<station>/<quantity>/<window>``,
    ``<prefix>/indices/<station>/<index>`` and ``<prefix>/alerts/<severity>/<station>``. A
    correction of a window that is no longer the newest is not published; a message can arrive twice
    and says by itself what it is about. A number that is unknown, or does not apply, is left out.
    """

    name: ClassVar[str] = "mqtt_out"
    wants: ClassVar[tuple[str, ...]] = (SERIES, STATIONS, RULES, AGGREGATES, INDICES, ALERTS)
    Settings: ClassVar[type[MqttOutSettings]] = MqttOutSettings

    def __init__(self, settings: MqttOutSettings) -> None:
        """Connect to nothing yet."""
        super().__init__()
        self._prefix = settings.prefix
        self._publisher = Publisher(settings)
        self._newest: dict[tuple[int, int], tuple[int, int]] = {}
        self._hours = StationHours()

    def write(self, entries: Sequence[Entry], cursor: int) -> None:  # noqa: ARG002 - kept by the runner
        """Publish what entries say.

        Raises:
            NotConnected: the broker is away; publish all of it again later.
            PartialWrite: the broker refused some messages, by their position in this call.
        """
        newest, hours = dict(self._newest), self._hours
        messages: list[tuple[str, bytes]] = []
        for entry in entries:
            self.names.learn(entry)
            if entry.kind == INDICES:
                columns = arrow_batch(entry.body)
                later = hours.after(columns, self.names)
                policy = policy_of(columns, self.names)
                messages += (self._index(*told, policy) for told in later.told(hours))
                hours = later
            else:
                messages += self._messages(entry, newest)
        if messages:
            self._publisher.publish_all(messages, _QOS)
        self._newest, self._hours = newest, hours

    def close(self) -> None:
        """Say goodbye to the broker."""
        self._publisher.close()

    def _messages(
        self, entry: Entry, newest: dict[tuple[int, int], tuple[int, int]]
    ) -> Iterator[tuple[str, bytes]]:
        if entry.kind == AGGREGATES:
            yield from self._aggregates(entry.body, newest)
        elif entry.kind == ALERTS:
            yield from (self._alert(event) for event in json.loads(entry.body))

    def _aggregates(
        self, body: bytes, newest: dict[tuple[int, int], tuple[int, int]]
    ) -> Iterator[tuple[str, bytes]]:
        columns = arrow_batch(body)
        policy = policy_of(columns, self.names)
        batch = AggregateBatch.from_arrow(columns)
        batch = batch.take(~batch.withdrawn)
        batch = batch.take(_newest_rows(batch))
        resolution = resolutions(batch.length, batch.calendar)
        for row in range(len(batch)):
            key = int(batch.series[row]), int(resolution[row])
            age = int(batch.start[row]), int(batch.revision[row])
            if age >= newest.get(key, age):
                newest[key] = age
                yield self._aggregate(batch, row, policy)

    def _aggregate(self, batch: AggregateBatch, row: int, policy: str) -> tuple[str, bytes]:
        key = self.names.series[int(batch.series[row])]
        start, length = int(batch.start[row]), int(batch.length[row])
        calendar = int(batch.calendar[row])
        window = resolution_name(length, calendar)
        fields: dict[str, Any] = {
            "station": key.sensor,
            "quantity": key.quantity,
            "qualifiers": key.qualifiers,
            "unit": unit_of(key.quantity),
            "window": window,
            "window_start": format_instant(start),
            "window_end": format_instant(start + length),
            **(_local(start, length, self.names.zone()) if calendar else {}),
            **_numbers(batch, row),
            **{name: int(getattr(batch, name)[row]) for name in _COUNTS},
            "quality": FLAG_NAMES.get(int(batch.flag[row]), "missing"),
            "method": self.names.method(),
            "policy": policy,
        }
        return self._topic("aggregates", key.sensor, key.quantity, window), _json(fields)

    def _index(self, key: tuple[str, int], hour: Hour, policy: str) -> tuple[str, bytes]:
        fields = index_fields(key, hour, self.names, policy)
        return self._topic("indices", key[0], fields["index"]), _json(fields)

    def _alert(self, event: dict[str, Any]) -> tuple[str, bytes]:
        spelled = {
            **{name: value if _is_json(value) else None for name, value in event.items()},
            "at": format_instant(event["at"]),
            "since": format_instant(event["since"]),
        }
        return self._topic("alerts", event["severity"], event["sensor"] or _SYSTEM), _json(spelled)

    def _topic(self, *levels: str) -> str:
        safe = (_UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", level) for level in levels)
        return "/".join([self._prefix, *safe])


def _newest_rows(batch: AggregateBatch) -> npt.NDArray[np.int64]:
    """Return the row of the newest window and revision of each series and resolution, ascending."""
    resolution = resolutions(batch.length, batch.calendar)
    order = np.lexsort((batch.revision, batch.start, resolution, batch.series))
    series, resolution = batch.series[order], resolution[order]
    last = np.ones(len(order), bool)
    last[:-1] = (series[1:] != series[:-1]) | (resolution[1:] != resolution[:-1])
    return np.sort(order[last]).astype(np.int64)


@lru_cache(maxsize=64)
def _local(start: int, length: int, zone: str) -> dict[str, str]:
    """Return the instants of a window as the city's clocks show them; most series share it."""
    begin, end = map(str, local_text(np.array([start, start + length]), zone).to_pylist())
    return {"window_start_local": begin, "window_end_local": end}


def _numbers(batch: AggregateBatch, row: int) -> dict[str, float]:
    """Return the statistics that a window has."""
    found = {name: float(getattr(batch, name)[row]) for name in _NUMBERS}
    return {name: value for name, value in found.items() if _is_json(value)}


def _is_json(value: object) -> bool:
    """Tell what JSON can say from NaN and infinity."""
    return not isinstance(value, float) or math.isfinite(value)


def _json(fields: dict[str, Any]) -> bytes:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()
