# SPDX-License-Identifier: EUPL-1.2
"""Batches hold their columns to type and length, and survive Arrow to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.batch import (
    FIXED,
    STATISTICS,
    AggregateBatch,
    Columns,
    IndexBatch,
    JudgedBatch,
    ReadingBatch,
)
from lamppost.frames import arrow_batch, arrow_bytes

from .strategies import LAW, columns, same

KINDS = (ReadingBatch, JudgedBatch, AggregateBatch, IndexBatch)
BATCHES = st.sampled_from(KINDS).flatmap(columns)
SEVERAL = st.sampled_from(KINDS).flatmap(lambda kind: st.lists(columns(kind), max_size=4))


def equal(first: Columns, second: Columns) -> bool:
    """Return whether two batches are of one kind and equal to the byte."""
    return type(first) is type(second) and all(
        same(getattr(first, name), getattr(second, name)) for name in first.dtypes()
    )


def make_readings(rows: int) -> ReadingBatch:
    """Return readings with nothing special about them."""
    return ReadingBatch(
        series=np.arange(rows, dtype=np.int32),
        time=np.arange(rows, dtype=np.int64),
        received=np.arange(rows, dtype=np.int64),
        value=np.linspace(0.0, 1.0, rows),
        flag=np.ones(rows, np.uint8),
        reasons=np.zeros(rows, np.uint32),
    )


@LAW
@given(BATCHES)
def test_a_batch_survives_the_way_to_arrow_bytes_and_back(batch: Columns) -> None:
    """NaN, infinity and minus zero included."""
    body = arrow_bytes(batch.to_arrow())

    assert equal(type(batch).from_arrow(arrow_batch(body)), batch)


@LAW
@given(BATCHES)
def test_equal_batches_give_equal_bytes(batch: Columns) -> None:
    """Cut from a larger batch or made anew: the outbox can be compared byte for byte."""
    doubled = type(batch).concat([batch, batch])

    anew = type(batch)(**{name: getattr(batch, name).copy() for name in batch.dtypes()})
    cut = doubled.take(slice(len(batch), None))

    assert arrow_bytes(anew.to_arrow()) == arrow_bytes(batch.to_arrow())
    assert arrow_bytes(cut.to_arrow()) == arrow_bytes(batch.to_arrow())


@LAW
@given(SEVERAL)
def test_joined_batches_can_be_cut_apart_again(batches: list[Columns]) -> None:
    """Order and rows are kept."""
    if not batches:
        return
    joined = type(batches[0]).concat(batches)

    start = 0
    for batch in batches:
        assert equal(joined.take(slice(start, start + len(batch))), batch)
        start += len(batch)
    assert len(joined) == start


@LAW
@given(columns(ReadingBatch), st.data())
def test_rows_are_taken_by_position_or_by_mask(batch: Columns, data: st.DataObject) -> None:
    """Both ways the same rows."""
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(batch), max_size=len(batch))), np.bool_
    )

    assert equal(batch.take(mask), batch.take(np.flatnonzero(mask)))
    assert len(batch.take(mask)) == mask.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_the_empty_batch_has_every_column(kind: type[Columns]) -> None:
    """Of the right type, and it survives Arrow."""
    empty = kind.empty()

    assert len(empty) == 0
    assert {name: str(getattr(empty, name).dtype) for name in kind.dtypes()} == kind.dtypes()
    assert equal(kind.from_arrow(arrow_batch(arrow_bytes(empty.to_arrow()))), empty)


def windows(**columns: np.ndarray) -> AggregateBatch:
    """Return two windows of which only what every series has is given."""
    needed = [name for name in AggregateBatch.dtypes() if name not in STATISTICS]
    return AggregateBatch(**{**dict.fromkeys(needed, np.zeros(2)), **columns})


def test_statistics_that_are_not_given_are_nan_and_left_out_of_the_bytes() -> None:
    """A column that says nothing costs nothing, and is there again when the batch is read."""
    batch = windows(q50=np.array([1.0, np.nan]))

    published = batch.to_arrow()
    again = AggregateBatch.from_arrow(published)

    assert set(AggregateBatch.dtypes()) - set(published.schema.names) == set(STATISTICS) - {"q50"}
    assert np.isnan(again.first).all()
    assert equal(again, batch)


def test_windows_published_before_there_were_calendars_are_of_fixed_length() -> None:
    """An outbox of an earlier version is read."""
    published = windows().to_arrow().drop_columns(["calendar"])

    assert AggregateBatch.from_arrow(published).calendar.tolist() == [FIXED, FIXED]


@pytest.mark.parametrize("name", ReadingBatch.dtypes())
def test_columns_of_different_lengths_are_refused(name: str) -> None:
    """Whichever column is too short, the message names one."""
    arrays = {column: np.zeros(3) for column in ReadingBatch.dtypes()}

    with pytest.raises(ValueError, match=r"ReadingBatch\.\w+ has \d rows, not \d"):
        ReadingBatch(**{**arrays, name: np.zeros(2)})


@pytest.mark.parametrize("name", ReadingBatch.dtypes())
def test_columns_cannot_be_written(name: str) -> None:
    """A check must not change what others see."""
    batch = make_readings(3)

    with pytest.raises(ValueError, match="read-only"):
        getattr(batch, name)[0] = 1


def test_locking_a_batch_does_not_lock_the_callers_array() -> None:
    """Components go on using their own buffers."""
    own = np.zeros(1)

    ReadingBatch(
        **{name: own if name == "value" else np.zeros(1) for name in ReadingBatch.dtypes()}
    )
    own[0] = 5.0

    assert own[0] == 5.0


def test_columns_are_held_to_their_types() -> None:
    """Plain lists will do."""
    batch = ReadingBatch(
        series=[1], time=[2], received=[3], value=[4], flag=[1], reasons=[2**32 - 1]
    )

    assert {name: str(getattr(batch, name).dtype) for name in batch.dtypes()} == batch.dtypes()
    assert batch.reasons[0] == 2**32 - 1


def test_unscored_readings_carry_no_evidence() -> None:
    """Every column of the detectors is NaN, everything else is kept."""
    readings = make_readings(3)

    judged = JudgedBatch.unscored(readings, revision=2)

    for name in ReadingBatch.dtypes():
        assert same(getattr(judged, name), getattr(readings, name))
    for name in ("score", "expected", "band_low", "band_high"):
        assert np.isnan(getattr(judged, name)).all()
    assert judged.revision.tolist() == [2, 2, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_names_the_columns_in_published_order(kind: type[Columns]) -> None:
    """No column may be null: NaN says missing."""
    schema = kind.schema()

    assert schema.names == list(kind.dtypes())
    assert not any(field.nullable for field in schema)


def test_the_base_class_has_no_columns_of_its_own() -> None:
    """Only its kinds can be made."""
    with pytest.raises(TypeError):
        Columns()
