# SPDX-License-Identifier: EUPL-1.2
"""Rows of an imported archive as columns: a line of JSON that says what they mean, then numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field, Strict, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from lamppost.component import Example, register
from lamppost.decoded import Columns, Decoded, Measurement
from lamppost.frames import Deliveries
from lamppost.imports import IMPORT_ROUTE
from lamppost.refusal_codes import Code
from lamppost.state import Snapshot
from lamppost.times import BAD_TIME, NO_TIME, SECOND_NS

from .native_json import Name, SensorName

MOST_ROWS: Final = 65_536
"""Rows in one message."""

RowCode = Literal["malformed", "time_implausible"]
"""What can be wrong with a row by itself, whatever the policy says."""

_MOST_MEANINGS: Final = 65_536
_SHAPES_KEPT: Final = 4_096
_EARLIEST: Final = -2_208_988_800 * SECOND_NS
_LATEST: Final = 7_258_118_400 * SECOND_NS

_QualifiersText = Annotated[
    str, StringConstraints(max_length=512, pattern=r"^(?:[^;=\p{Cc}]+=[^;=\p{Cc}]+(?:;|$))*$")
]
Meaning = tuple[SensorName, Name, _QualifiersText, Name | None]
"""Sensor, quantity, qualifiers and unit, as a message may name them."""

_Row = tuple[Annotated[int, Strict(), Field(ge=0)], RowCode, str, str]


class Head(TypedDict):
    """The first line of a message.

    Attributes:
        rows: how many readings follow.
        meanings: sensor, quantity, qualifiers and unit (null: the canonical one), by number.
        refused: rows that are no readings: line in the file, code, what is wrong, its text.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc] # pydantic's documented way

    rows: Annotated[int, Strict(), Field(ge=0, le=MOST_ROWS)]
    meanings: Annotated[list[Meaning], Field(max_length=_MOST_MEANINGS)]
    refused: Annotated[list[_Row], Field(max_length=MOST_ROWS)]


_HEAD: TypeAdapter[Head] = TypeAdapter(Head)
_COLUMNS: Final = (("<i4", 4), ("<i8", 8), ("<f8", 8))
_ROW_BYTES: Final = sum(size for _, size in _COLUMNS)


def archive_bytes(
    meanings: Sequence[Measurement],
    meaning: npt.NDArray[np.int64],
    time: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    refused: Sequence[tuple[int, RowCode, str, str]] = (),
) -> bytes:
    """Return a message: readings, and rows of the file that are none.

    Args:
        meanings: what the numbers of ``meaning`` stand for; only those in use are written.
        meaning: number of what each reading means, shape (n,).
        time: instants, ns UTC, shape (n,).
        value: numbers in the unit of the file, shape (n,).
        refused: line, code, problem and text of each row that is no reading.
    """
    used, numbers = np.unique(meaning, return_inverse=True)
    head = {
        "rows": len(value),
        "meanings": [meanings[number] for number in used.tolist()],
        "refused": refused,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    columns = zip((numbers, time, value), _COLUMNS, strict=True)
    return b"\n".join(
        [text, b"".join(column.astype(kind).tobytes() for column, (kind, _) in columns)]
    )


@register("format")
class ArchiveColumns:
    """Reads what ``lamppost import`` makes of the rows of files.

    A line of JSON says what the numbers mean; meaning, time and value follow as little-endian
    columns. Rows that could not be read travel in the same line, with their place in the file.
    """

    name: ClassVar[str] = "archive_columns"
    examples: ClassVar[tuple[Example, ...]] = (
        Example(
            IMPORT_ROUTE,
            archive_bytes(
                [
                    Measurement("aq-017", "pm2_5"),
                    Measurement("aq-017", "no2", "channel=a", "ppb"),
                ],
                np.array([0, 1]),
                np.array([1_795_294_800, 1_795_294_860]) * SECOND_NS,
                np.array([12.1, 40.0]),
            ),
            (("aq-017", "pm2_5", 12.1), ("aq-017", "no2", 40.0)),
        ),
    )

    def decode(self, deliveries: Deliveries, rows: Sequence[int], out: Decoded) -> None:
        """Append the readings of the messages at ``rows``."""
        for row in rows:
            self._read(row, deliveries.payloads[row], out)

    def _read(self, row: int, payload: bytes, out: Decoded) -> None:
        text, _, body = payload.partition(b"\n")
        try:
            head = _HEAD.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            code: Code = "malformed" if first["type"] == "json_invalid" else "schema"
            path = ".".join(str(part) for part in first["loc"])
            out.refuse(row, code, f"{path}: {first['msg']}" if path else first["msg"])
            return
        count = head["rows"]
        if len(body) != count * _ROW_BYTES or not (count or head["refused"]):
            out.refuse(row, "malformed", f"{len(body)} bytes are not {count} readings")
            return
        meaning, time, value = _columns(body, count)
        if count and not 0 <= meaning.min() <= meaning.max() < len(head["meanings"]):
            out.refuse(row, "malformed", "a reading of no meaning")
            return
        for line, code, problem, shown in head["refused"]:
            out.refuse(row, code, f"line {line}: {problem}: {shown}" if shown else problem)
        numbers = _numbers(head["meanings"], out)
        out.extend_columns(
            Columns(np.full(count, row, np.int64), numbers[meaning], _believable(time), value)
        )

    def snapshot(self) -> Snapshot:
        """Return nothing: each message stands for itself."""
        return {}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over nothing."""


def _columns(
    body: bytes, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    found = []
    offset = 0
    for kind, size in _COLUMNS:
        found.append(np.frombuffer(body, kind, count, offset))
        offset += size * count
    meaning, time, value = found
    return meaning.astype(np.int64), time.astype(np.int64), value.astype(np.float64)


def _believable(time: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return instants; what lies outside the centuries in which they are safe is no time."""
    safe = (time >= _EARLIEST) & (time <= _LATEST)
    return np.where(safe | (time == NO_TIME), time, BAD_TIME)


def _numbers(meanings: Sequence[Meaning], out: Decoded) -> npt.NDArray[np.int64]:
    shape = tuple(meanings)
    known = out.shapes.get(shape)
    if known is None:
        if len(out.shapes) >= _SHAPES_KEPT:
            out.shapes.clear()
        known = out.shapes[shape] = tuple(out.number(*meaning) for meaning in meanings)
    return np.array(known, np.int64)
