# SPDX-License-Identifier: EUPL-1.2
"""Deliveries and frames: what devices sent, untouched, and its stored form (Arrow IPC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_FIELDS: list[pa.Field[Any]] = [
    pa.field("route", pa.string(), nullable=False),
    pa.field("headers", pa.string()),
    pa.field("payload", pa.binary(), nullable=False),
    pa.field("received_at", pa.int64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
]
DELIVERY_SCHEMA = pa.schema(_FIELDS)

# The mark of a message, and a length of 0 (Arrow columnar format, "IPC Streaming Format").
_END_OF_STREAM: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(slots=True)
class Deliveries:
    """Messages in order of receipt, as parallel columns.

    Attributes:
        routes: MQTT topic or URL path of each message.
        headers: JSON object of the HTTP headers that matter, or None.
        payloads: the bytes as sent.
        received_at: instants of receipt, ns UTC.
        sources: which door each came through ("mqtt", "http", "import").
    """

    routes: list[str] = field(default_factory=list)
    headers: list[str | None] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.payloads)

    def add(
        self,
        route: str,
        payload: bytes,
        received_at: int,
        *,
        source: str,
        headers: str | None = None,
    ) -> None:
        """Append one message."""
        self.routes.append(route)
        self.payloads.append(payload)
        self.received_at.append(received_at)
        self.sources.append(source)
        self.headers.append(headers)

    def take(self, rows: Sequence[int]) -> Deliveries:
        """Return the messages at some positions."""
        return Deliveries(
            [self.routes[row] for row in rows],
            [self.headers[row] for row in rows],
            [self.payloads[row] for row in rows],
            [self.received_at[row] for row in rows],
            [self.sources[row] for row in rows],
        )

    def received(self) -> npt.NDArray[np.int64]:
        """Return the instants of receipt as an array, shape (n,)."""
        return np.array(self.received_at, np.int64)

    def to_bytes(self) -> bytes:
        """Return the frame: one Arrow IPC stream with one record batch."""
        return arrow_bytes(self.to_arrow())

    def to_arrow(self) -> pa.RecordBatch:
        """Return the messages as an Arrow record batch."""
        return pa.RecordBatch.from_arrays(
            [
                pa.array(self.routes, pa.string()),
                pa.array(self.headers, pa.string()),
                pa.array(self.payloads, pa.binary()),
                pa.array(self.received_at, pa.int64()),
                pa.array(self.sources, pa.string()),
            ],
            schema=DELIVERY_SCHEMA,
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> Deliveries:
        """Read a frame."""
        return cls.from_arrow(arrow_batch(body))

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> Deliveries:
        """Read messages of the published schema."""
        columns: list[list[Any]] = [column.to_pylist() for column in batch.columns]
        routes, headers, payloads, received_at, sources = columns
        return cls(routes, headers, payloads, received_at, sources)


def arrow_bytes(batch: pa.RecordBatch) -> bytes:
    """Return a record batch as an Arrow IPC stream; equal batches give equal bytes.

    Put together here, because a stream written to a buffer is copied each time that one grows.
    Columns of dictionaries would need messages of their own; there are none.
    """
    return b"".join((batch.schema.serialize(), batch.serialize(), _END_OF_STREAM))


def arrow_batch(body: bytes) -> pa.RecordBatch:
    """Read the single record batch of an Arrow IPC stream."""
    with pa.ipc.open_stream(body) as reader:
        return reader.read_next_batch()


def arrow_table(bodies: Sequence[bytes]) -> pa.Table:
    """Read several streams of one schema as one table."""
    return pa.Table.from_batches([arrow_batch(body) for body in bodies])
