# SPDX-License-Identifier: EUPL-1.2
"""Lamppost's own JSON: one sensor, one or many times, many quantities, units optional."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain, groupby, repeat
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Final, NamedTuple, NotRequired

import numpy as np
from pydantic import (
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from lamppost.component import Example, register
from lamppost.decoded import Columns, Decoded
from lamppost.frames import Deliveries
from lamppost.instants import parse_instants
from lamppost.series import qualifiers_text
from lamppost.state import Snapshot
from lamppost.times import NO_TIME, parse_instant

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")
]
# A name becomes an address of the portal and is read by people: no segment of it may be "." or
# "..", no blank may surround it, and nothing in it may be invisible or turn the text around. One
# pattern without lookaheads, which the validator does not have, keeps this as fast as no check.
_HIDDEN: Final = r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}"
_ANY: Final = rf"[^/{_HIDDEN}]"
_INKED: Final = rf"[^/\s{_HIDDEN}]"
_NO_DOT: Final = rf"[^/.{_HIDDEN}]"
_INKED_NO_DOT: Final = rf"[^/.\s{_HIDDEN}]"
_DOTTED: Final = rf"\.(?:{_NO_DOT}{_ANY}*|\.{_ANY}+)"
_WHOLE: Final = rf"{_INKED_NO_DOT}(?:{_ANY}*{_INKED})?|\.(?:{_INKED_NO_DOT}|{_ANY}+{_INKED})"
_OPENING: Final = rf"(?:{_INKED_NO_DOT}{_ANY}*|{_DOTTED})?"
_MIDDLE: Final = rf"(?:/(?:{_NO_DOT}{_ANY}*|{_DOTTED})?)*"
_LAST: Final = rf"(?:{_INKED_NO_DOT}|{_NO_DOT}{_INKED}|\.{_INKED_NO_DOT}|{_ANY}{{2,}}{_INKED})?"
# The same for readers of the published schema, whose patterns have lookaheads but no categories.
_PUBLISHED: Final = (
    r"^(?!\s)(?!(?:.*/)?\.\.?(?:/|$))[^\x00-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f"
    r"\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]+(?<!\s)$"
)
SensorName = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=128,
        pattern=rf"^(?:{_WHOLE}|{_OPENING}{_MIDDLE}/{_LAST})$",
    ),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128, "pattern": _PUBLISHED}),
]
# "=" and ";" separate qualifiers in the name of a series.
Qualifier = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f;=]+$")
]
# No JSON fits two members of these unions, so the first that fits is the one; by default pydantic
# tries them all.
_FIRST: Final = Field(union_mode="left_to_right")
Float = Annotated[float, Strict()]
Numbers = Annotated[list[Float | None], Field(min_length=1)]
Instant = Annotated[Annotated[str, StringConstraints(max_length=64)] | Float, _FIRST]


class Message(TypedDict):
    """What one message says."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc] # pydantic's documented way

    sensor: Annotated[
        SensorName,
        Field(
            description="Identity of the device; no blanks around it, no invisible characters, and"
            ' "." or ".." not between slashes.'
        ),
    ]
    time: NotRequired[
        Annotated[
            Instant | list[Instant],
            _FIRST,
            Field(
                description="RFC 3339 text with zone, or Unix seconds; one, or as many as values."
                " Left out: the time of receipt counts."
            ),
        ]
    ]
    values: Annotated[
        dict[Name, Annotated[Float | Numbers, _FIRST] | None],
        Field(
            min_length=1,
            max_length=256,
            description="Number, or list of numbers, by canonical quantity name.",
        ),
    ]
    units: NotRequired[
        Annotated[
            dict[Name, Name], Field(description="Unit by quantity, where it is not the canonical.")
        ]
    ]
    qualifiers: NotRequired[
        Annotated[
            dict[Qualifier, Qualifier],
            Field(description="What tells several series apart: channel, lane, direction, class."),
        ]
    ]


_Shape = tuple[Hashable, ...]

_NAN: Final = float("nan")
_NONE: Final[dict[str, str]] = {}
MOST_VALUES: Final = 50_000
"""Numbers in one message: more than a month of minutes."""
_TOO_DEEP: Final = "recursion limit"
"""What the validator says of anything nested more than some 200 levels deep."""
_SHAPES_KEPT: Final = 131_072
_TOGETHER: Final = 1024
"""Messages validated at once: as many as the processor's cache holds with all that they say."""
_BETWEEN: Final = b",\n"
_SENSOR_OF: Final = itemgetter("sensor")
_VALUES_OF: Final = itemgetter("values")
_GET: Final[Callable[..., Any]] = dict.get
_QUOTE: Final = ord('"')
_OPEN: Final = ord("{")
_CLOSE: Final = ord("}")
# Names repeat from message to message; texts are mostly times, which seldom do.
_MESSAGES: TypeAdapter[list[Message]] = TypeAdapter(
    list[Message], config=ConfigDict(cache_strings="keys")
)
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


@register("format")
class NativeJson:
    """Reads Lamppost's own JSON messages.

    Many messages are validated at once; when something in them is wrong they are cut in halves
    until the bad ones stand alone, so a bad message costs only itself.
    """

    name: ClassVar[str] = "native_json"
    examples: ClassVar[tuple[Example, ...]] = (
        Example(
            "v1/aq-017/readings",
            b'{"sensor":"aq-017","time":"2026-11-21T21:00:00Z","values":{"pm2_5":12.1,"no2":40},'
            b'"units":{"no2":"ppb"}}',
            (("aq-017", "pm2_5", 12.1), ("aq-017", "no2", 40.0)),
        ),
        Example(
            "v1/tr-002/readings",
            b'{"sensor":"tr-002","time":[1795294800,1795294860],'
            b'"values":{"vehicle_count":[11,14]},"qualifiers":{"lane":"1"}}',
            (("tr-002", "vehicle_count", 11.0), ("tr-002", "vehicle_count", 14.0)),
        ),
    )

    def decode(self, deliveries: Deliveries, rows: Sequence[int], out: Decoded) -> None:
        """Append the readings of the messages at ``rows``."""
        for start in range(0, len(rows), _TOGETHER):
            self._decode_some(deliveries, rows[start : start + _TOGETHER], out)

    def _decode_some(self, deliveries: Deliveries, rows: Sequence[int], out: Decoded) -> None:
        payloads = _at(deliveries.payloads, rows)
        body = _joined(payloads)
        if _stand_alone(body, payloads):
            self._decode_joined(body, payloads, rows, out)
            return
        whole = []
        for row, payload in zip(rows, payloads, strict=True):
            if _is_object(payload):
                whole.append((row, payload))
            else:
                out.refuse(row, "malformed", "not a JSON object")
        # Those with a list are read one by one: see _stand_alone.
        for joinable, run in groupby(whole, lambda pair: b"[" not in pair[1]):
            for part in [list(run)] if joinable else [[pair] for pair in run]:
                some_rows, some = [row for row, _ in part], [payload for _, payload in part]
                self._decode_joined(_joined(some), some, some_rows, out)

    def _decode_joined(
        self, body: bytes, payloads: Sequence[bytes], rows: Sequence[int], out: Decoded
    ) -> None:
        if not rows:
            return
        try:
            messages = _MESSAGES.validate_json(body)
        except ValidationError as error:
            if len(rows) == 1:
                _refuse(error, rows[0], out)
                return
            messages = []
        told = _told(messages)
        clear = len(messages) == len(rows) and _is_all_told(body, told)
        if len(messages) == len(rows) == 1:
            if clear or not _refuse_doubled(body, rows[0], messages[0], out):
                _read(rows[0], messages[0], out)
        elif clear:
            _read_all(rows, told, out)
        elif len(rows) == 1:
            out.refuse(rows[0], "malformed", "more than one JSON object")
        else:
            middle = len(rows) // 2
            for half in (slice(middle), slice(middle, None)):
                some = payloads[half]
                self._decode_joined(_joined(some), some, rows[half], out)

    def snapshot(self) -> Snapshot:
        """Return nothing: each message stands for itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over nothing."""


def _at(payloads: Sequence[bytes], rows: Sequence[int]) -> Sequence[bytes]:
    if _is_run(rows):
        return payloads[rows[0] : rows[-1] + 1]
    return [payloads[row] for row in rows]


def _is_run(rows: Sequence[int]) -> bool:
    """Return whether rows follow each other; one by one they need not be counted out then."""
    return isinstance(rows, range) and rows.step == 1


def _joined(payloads: Sequence[bytes]) -> bytes:
    return b"[" + _BETWEEN.join(payloads) + b"]"


def _stand_alone(body: bytes, payloads: Sequence[bytes]) -> bool:
    """Return whether no payload of a joined body can lean on its neighbour.

    The line feed between two ends a text left open, the brace that begins the next ends an object
    left open, and a list cannot be left open where there is no "[".
    """
    signs = np.frombuffer(body, np.uint8)
    lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
    ends = np.cumsum(lengths + len(_BETWEEN)) - 1
    opened, closed = signs[ends - lengths] == _OPEN, signs[ends - 1] == _CLOSE
    return body.find(b"[", 1) < 0 and bool(opened.all() and closed.all())


def _is_object(payload: bytes) -> bool:
    stripped = payload.strip(b" \t\r\n")
    return stripped[:1] == b"{" and stripped[-1:] == b"}"


class _Told(NamedTuple):
    """What messages without lists say, message by message.

    Attributes:
        messages: as the validator returned them.
        tables: their values by name.
        stamps: their times, "" where there is none.
        named: how many members they have together.
        plain: whether these are all a sensor, values and a time: no units and no qualifiers.
    """

    messages: Sequence[Message]
    tables: list[dict[str, Any]]
    stamps: list[Any]
    named: int
    plain: bool


def _told(messages: Sequence[Message]) -> _Told:
    # In the loops of C: they run once for every message there is.
    tables = list(map(_VALUES_OF, messages))
    stamps: list[Any] = list(map(_GET, messages, repeat("time"), repeat("")))
    named = sum(map(len, messages))
    plain = named == 3 * len(messages) - stamps.count("")
    return _Told(messages, tables, stamps, named, plain)


def _is_all_told(body: bytes, told: _Told) -> bool:
    """Return whether every name and text of a body is in its messages: None was named twice.

    JSON does not say what an object means that names something twice; the reader of it takes the
    last. Then there are more quotation marks than names and texts. An escaped one looks the same.
    """
    messages, stamps = told.messages, told.stamps
    quoted = len(messages) + told.named + sum(map(len, told.tables))
    quoted += list(map(type, stamps)).count(str) - stamps.count("")
    if not told.plain or len(messages) == 1:
        for message, stamp in zip(messages, stamps, strict=True):
            quoted += 2 * len(message.get("units", _NONE)) + 2 * len(
                message.get("qualifiers", _NONE)
            )
            if isinstance(stamp, list):
                quoted += sum([one.__class__ is str for one in stamp])
    return 2 * quoted == np.count_nonzero(np.frombuffer(body, np.uint8) == _QUOTE)


def _refuse_doubled(body: bytes, row: int, message: Message, out: Decoded) -> bool:
    """Refuse a message that names something twice; return whether it does."""
    doubled: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        counts = Counter(name for name, _ in pairs)
        doubled.extend(name for name, count in counts.items() if count > 1)

    # As floats, because the reader of whole numbers refuses very long ones.
    json.loads(body, object_pairs_hook=look, parse_int=float)
    if not doubled:
        return False
    out.refuse(row, "duplicate_key", f"{doubled[0]!r} stands twice", message["sensor"])
    return True


def _refuse(error: ValidationError, row: int, out: Decoded) -> None:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid" and _TOO_DEEP in first["msg"]:
        out.refuse(row, "too_deep", first["msg"])
        return
    if first["type"] == "json_invalid":
        out.refuse(row, "malformed", first["msg"])
        return
    path = ".".join(str(part) for part in first["loc"][1:])
    out.refuse(row, "schema", f"{path}: {first['msg']}")


def _read_all(rows: Sequence[int], told: _Told, out: Decoded) -> None:
    """Read messages without lists, column by column: a call for each would cost more than it does.

    What a message's numbers mean follows from its sensor, the names of its values, its units and
    its qualifiers, which repeat from message to message.
    """
    shapes: Iterable[_Shape] = map(_shape, told.messages)
    if told.plain:
        shapes = zip(map(_SENSOR_OF, told.messages), _names(told.tables), strict=False)
    meanings: list[Any] = list(map(out.shapes.get, shapes))
    if None in meanings:
        meanings = [_learn(message, out) for message in told.messages]
    delivery = np.arange(rows[0], rows[0] + len(rows))
    if not _is_run(rows):
        delivery = np.array(rows, np.int64)
    time = parse_instants(told.stamps)
    value = np.array(list(chain.from_iterable(map(dict.values, told.tables))), np.float64)
    if len(value) > len(rows):
        sizes = list(map(len, told.tables))
        delivery, time = np.repeat(delivery, sizes), np.repeat(time, sizes)
    meaning = np.array(list(chain.from_iterable(meanings)), np.int64)
    out.extend_columns(Columns(delivery, meaning, time, value))


def _names(tables: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    """Return the names of the values of each message; mostly those of the first over and over.

    No message names anything twice, so equal names one after the other are equal names in each.
    """
    first = tuple(tables[0])
    if list(chain.from_iterable(tables)) == [*first] * len(tables):
        return repeat(first)
    return map(tuple, tables)


def _shape(message: Message) -> _Shape:
    units, qualifiers = message.get("units"), message.get("qualifiers")
    shape = (message["sensor"], tuple(message["values"]))
    if not units and not qualifiers:
        return shape
    return (*shape, tuple((units or _NONE).items()), tuple((qualifiers or _NONE).items()))


def _learn(message: Message, out: Decoded) -> tuple[int, ...]:
    """Return the numbers of a message's meanings, and remember them."""
    shape = _shape(message)
    known = out.shapes.get(shape)
    if known is None:
        if len(out.shapes) >= _SHAPES_KEPT:
            out.shapes.clear()
        units, qualifiers = message.get("units", _NONE), message.get("qualifiers", _NONE)
        known = out.shapes[shape] = tuple(
            out.number(
                message["sensor"], quantity, qualifiers_text(qualifiers), units.get(quantity)
            )
            for quantity in message["values"]
        )
    return known


def _read(row: int, message: Message, out: Decoded) -> None:
    stamp = message.get("time")
    units = message.get("units") or _NONE
    given = message.get("qualifiers")
    qualifiers = qualifiers_text(given) if given else ""
    if isinstance(stamp, list):
        asked = len(stamp) * len(message["values"])
        if asked > MOST_VALUES:
            detail = f"{asked} numbers; at most {MOST_VALUES} in one message"
            out.refuse(row, "too_many_values", detail, message["sensor"])
            return
        _read_many(row, message, [parse_instant(item) for item in stamp], qualifiers, out)
        return
    sensor = message["sensor"]
    instant = NO_TIME if stamp is None else parse_instant(stamp)
    for quantity, value in message["values"].items():
        if isinstance(value, list):
            out.refuse(row, "schema", f"values.{quantity}: a list of numbers, one time", sensor)
            continue
        meaning = out.number(sensor, quantity, qualifiers, units.get(quantity))
        out.add(row, meaning, _NAN if value is None else value, instant)


def _read_many(row: int, message: Message, times: list[int], qualifiers: str, out: Decoded) -> None:
    """Read instant by instant, as if each had come by itself: checks compare what came together."""
    sensor, units = message["sensor"], message.get("units") or _NONE
    meanings: list[int] = []
    columns: list[list[float]] = []
    for quantity, values in message["values"].items():
        if not isinstance(values, list) or len(values) != len(times):
            out.refuse(row, "schema", f"values.{quantity}: not as many numbers as times", sensor)
            continue
        meanings.append(out.number(sensor, quantity, qualifiers, units.get(quantity)))
        columns.append([_NAN if value is None else value for value in values])
    out.extend(
        row, meanings, times, [value for instant in zip(*columns, strict=True) for value in instant]
    )
