# SPDX-License-Identifier: EUPL-1.2
"""Deliveries survive storage untouched, and equal frames have equal bytes."""

from __future__ import annotations

import copy

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.frames import (
    DELIVERY_SCHEMA,
    Deliveries,
    arrow_batch,
    arrow_bytes,
    arrow_table,
)

from .strategies import LAW, deliveries


@LAW
@given(deliveries())
def test_deliveries_survive_the_way_to_bytes_and_back(drawn: Deliveries) -> None:
    """Topics, headers, payloads, instants and doors, whatever is in them."""
    assert Deliveries.from_bytes(drawn.to_bytes()) == drawn


@LAW
@given(deliveries())
def test_equal_deliveries_give_equal_bytes(drawn: Deliveries) -> None:
    """A replayed inbox can be compared byte for byte."""
    assert copy.deepcopy(drawn).to_bytes() == drawn.to_bytes()


@LAW
@given(deliveries(), st.integers(0, 5))
def test_a_frame_is_the_stream_that_arrow_writes(drawn: Deliveries, start: int) -> None:
    """Byte for byte, also of part of a batch and with metadata."""
    whole = drawn.to_arrow().replace_schema_metadata({"policy": "abc"})

    for batch in (drawn.to_arrow(), whole, whole.slice(start, 3)):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        assert arrow_bytes(batch) == sink.getvalue().to_pybytes()


def test_messages_are_kept_in_order_of_receipt() -> None:
    """Columns have one length, the number of messages."""
    frame = Deliveries()

    frame.add("a", b"1", 10, source="mqtt")
    frame.add("/b", b"2", 20, source="http", headers='{"x":"y"}')

    assert len(frame) == 2
    assert frame.routes == ["a", "/b"]
    assert frame.headers == [None, '{"x":"y"}']
    assert frame.payloads == [b"1", b"2"]
    assert frame.sources == ["mqtt", "http"]
    assert frame.received().tolist() == [10, 20]
    assert frame.received().dtype == np.int64


def test_two_frames_share_nothing() -> None:
    """A default list of one must not be the list of all."""
    Deliveries().add("a", b"1", 1, source="mqtt")

    assert len(Deliveries()) == 0


def test_several_streams_make_one_table() -> None:
    """In the order given."""
    frames = [Deliveries() for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.add(f"t/{number}", b"", number, source="mqtt")

    table = arrow_table([frame.to_bytes() for frame in frames])

    assert table.column("route").to_pylist() == ["t/0", "t/1", "t/2"]


def test_the_published_schema_stays() -> None:
    """Columns and types of a stored frame."""
    assert [(field.name, str(field.type), field.nullable) for field in DELIVERY_SCHEMA] == [
        ("route", "string", False),
        ("headers", "string", True),
        ("payload", "binary", False),
        ("received_at", "int64", False),
        ("source", "string", False),
    ]


def test_metadata_of_a_batch_survives() -> None:
    """The version of the policy travels there."""
    batch = pa.RecordBatch.from_pydict({"a": [1]}).replace_schema_metadata({"policy": "abc"})

    assert arrow_batch(arrow_bytes(batch)).schema.metadata == {b"policy": b"abc"}


def test_bytes_that_are_no_frame_are_refused() -> None:
    """They are never read as something."""
    with pytest.raises(pa.ArrowInvalid):
        arrow_batch(b"not arrow at all")
