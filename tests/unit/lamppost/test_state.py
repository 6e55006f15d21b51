# SPDX-License-Identifier: EUPL-1.2
"""Per-series state: how it grew leaves no trace, and a snapshot stands for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.state import SeriesState

from .strategies import LAW, same

SIZES = st.lists(st.integers(0, 300), max_size=6)
WRITES = st.lists(st.tuples(st.integers(0, 299), st.integers(-9, 9)), max_size=10)


def make_state() -> SeriesState:
    """Return a state with a column of instants and a column of three numbers a row."""
    return SeriesState(newest=np.int64(-7), window=np.array([1.0, np.nan, 3.0]))


def write(state: SeriesState, writes: list[tuple[int, int]]) -> None:
    """Write into rows, growing as far as each needs."""
    for row, value in writes:
        state.grow(row + 1)
        state["newest"][row] = value
        state["window"][row, 1] = value


def equal(first: SeriesState, second: SeriesState) -> bool:
    """Return whether two states hold the same rows."""
    return len(first) == len(second) and all(
        same(first[name], second[name]) for name in ("newest", "window")
    )


@LAW
@given(SIZES)
def test_steps_of_growth_leave_no_trace(sizes: list[int]) -> None:
    """Growing bit by bit equals growing at once, and never shrinks."""
    step_by_step, at_once = make_state(), make_state()

    for size in sizes:
        step_by_step.grow(size)
    at_once.grow(max(sizes, default=0))

    assert equal(step_by_step, at_once)
    assert (step_by_step["newest"] == -7).all()


@LAW
@given(WRITES, SIZES)
def test_growth_in_between_changes_no_row(writes: list[tuple[int, int]], sizes: list[int]) -> None:
    """A row keeps what was written, whenever others appeared."""
    plain, interrupted = make_state(), make_state()

    write(plain, writes)
    for position, size in enumerate(sizes):
        write(interrupted, writes[position : position + 1])
        interrupted.grow(size)
    write(interrupted, writes)
    plain.grow(len(interrupted))

    assert equal(plain, interrupted)


@LAW
@given(WRITES, WRITES)
def test_restoring_a_snapshot_and_going_on_equals_never_having_stopped(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    """The law of every stateful component, for its base."""
    whole, stopped, restored = make_state(), make_state(), make_state()
    write(restored, [(250, 5)])

    write(whole, before + after)
    write(stopped, before)
    restored.restore(stopped.snapshot())
    write(restored, after)

    assert equal(restored, whole)


def test_a_snapshot_does_not_change_with_the_state() -> None:
    """Nor the state with the snapshot it was restored from."""
    state, other = make_state(), make_state()
    state.grow(2)

    snapshot = state.snapshot()
    state["newest"][0] = 5
    other.restore(snapshot)
    other["newest"][1] = 6

    assert snapshot["newest"].tolist() == [-7, -7]
    assert snapshot["newest"].dtype == np.int64


def test_columns_of_different_lengths_are_refused() -> None:
    """Such a snapshot is damaged."""
    damaged = {"newest": np.zeros(2, np.int64), "window": np.zeros((3, 3))}

    with pytest.raises(ValueError, match="different lengths"):
        make_state().restore(damaged)


def test_writing_into_a_column_changes_the_state() -> None:
    """Columns are views, whatever room there is behind them."""
    state = make_state()
    state.grow(3)

    state["newest"][:] = [1, 2, 3]

    assert state["newest"].tolist() == [1, 2, 3]
    assert len(state) == 3
