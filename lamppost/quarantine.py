# SPDX-License-Identifier: EUPL-1.2
"""Quarantine: what could not be used, byte for byte, with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from .frames import Deliveries, arrow_batch, arrow_bytes
from .refusal_codes import Code

REPLAYED_SOURCE: Final = "replay"
"""The door under which the ledger books what was read again; messages keep their own."""

_EXCERPT_BYTES: Final = 160
# E-mail addresses; hardware addresses; long words of letters and digits, but for instants; serials.
_PRIVATE: Final = re.compile(
    r"[\w.+-]+@[\w.-]+"
    r"|[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5,}"
    r"|(?!\d{4}-\d\d-\d\d)(?=[\w-]*\d)(?=[\w-]*[a-zA-Z])[\w-]{12,}"
    r"|\d{14,}"
)
_EXACT: Final = re.compile(r"(\d\.\d\d)\d+")

_REPLAY_KEY: Final = b"replay"

_FIELDS: list[pa.Field[Any]] = [
    pa.field("received_at", pa.int64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("route", pa.string(), nullable=False),
    pa.field("headers", pa.string()),
    pa.field("payload", pa.binary(), nullable=False),
    pa.field("sensor", pa.string(), nullable=False),
    pa.field("code", pa.string(), nullable=False),
    pa.field("detail", pa.string(), nullable=False),
]
QUARANTINE_SCHEMA = pa.schema(_FIELDS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing refused while decoding a frame.

    Attributes:
        delivery: position of the message in its frame.
        code: why.
        detail: what exactly, for the owner of the device.
        sensor: identity, as far as it could be read.
    """

    delivery: int
    code: Code
    detail: str
    sensor: str = ""


class MessageId(NamedTuple):
    """Identity of a quarantined message: outbox entry, and row in it. It never changes."""

    entry: int
    row: int

    def __str__(self) -> str:
        """Return the form people type."""
        return f"{self.entry}-{self.row}"


class Replay(BaseModel):
    """An operator says: read these again.

    Attributes:
        messages: which, as (outbox entry, row).
        by: who says so.
        reason: why, if anything was said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: tuple[MessageId, ...] = Field(min_length=1)
    by: str
    reason: str = ""


class DropCommand(BaseModel):
    """An operator says: these will never be of use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Literal["drop_quarantined"]
    messages: tuple[MessageId, ...] = Field(min_length=1)
    by: str
    reason: str


def excerpt(payload: bytes) -> str:
    r"""Return the beginning of a message as text that is safe to show to everybody.

    Control characters become dots; identities, tokens, addresses and exact coordinates, which a
    stranger has no business with, are cut short.

    >>> excerpt(b'{"lat":52.370216,"mac":"aa:bb:cc:dd:ee:ff","no2":"4o"}\x00')
    '{"lat":52.37…,"mac":"aa:b…","no2":"4o"}·'
    """
    text = payload[:_EXCERPT_BYTES].decode(errors="replace")
    text = _EXACT.sub(r"\1…", _PRIVATE.sub(lambda found: f"{found[0][:4]}…", text))
    shown = "".join(char if char.isprintable() else "·" for char in text)
    return shown + ("…" if len(payload) > _EXCERPT_BYTES else "")


def replay_bytes(deliveries: Deliveries, replay: Replay) -> bytes:
    """Return the body of a replay entry: the messages as they came, and who wants them read."""
    metadata = {_REPLAY_KEY: replay.model_dump_json().encode()}
    return arrow_bytes(deliveries.to_arrow().replace_schema_metadata(metadata))


def read_replay(body: bytes) -> tuple[Deliveries, Replay]:
    """Return the messages of a replay entry, and who wants them read.

    Raises:
        ValueError: the entry does not say.
    """
    batch = arrow_batch(body)
    said = (batch.schema.metadata or {}).get(_REPLAY_KEY, b"")
    return Deliveries.from_arrow(batch), Replay.model_validate_json(said)


def state_changes(
    state: Literal["replayed", "dropped"], messages: Sequence[MessageId], said: dict[str, object]
) -> list[dict[str, object]]:
    """Return the rows of an outbox entry that says what became of messages."""
    return [{"message": entry, "row": row, "state": state, **said} for entry, row in messages]
