# SPDX-License-Identifier: EUPL-1.2
"""A snapshot's stored form gives back what it was given, and is the same each time."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lamppost.state import nested, part
from lamppost_app.snapshots import pack, unpack

NAMES = st.text("ab./_", min_size=1, max_size=8).filter(lambda name: not name.startswith("/"))
ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(name) for name in ("int64", "float64", "uint8", "bool", "int32")]),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4),
)
FACTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


def equal(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    """Return whether two snapshots are equal to the byte."""
    return set(first) == set(second) and all(
        first[name].dtype == second[name].dtype
        and first[name].shape == second[name].shape
        and first[name].tobytes() == second[name].tobytes()
        for name in first
    )


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, ARRAYS, max_size=4), FACTS)
def test_what_was_packed_comes_out(arrays: dict[str, np.ndarray], facts: dict[str, object]) -> None:
    """Types, shapes, NaN and the document."""
    unpacked, document = unpack(pack(arrays, facts))

    assert equal(unpacked, arrays)
    assert document == facts


def test_equal_snapshots_have_equal_bytes() -> None:
    """Whenever they are taken, and in whatever order the facts were collected."""
    arrays = {"a": np.arange(3)}

    first = pack(arrays, {"x": 1, "y": [2]})
    time.sleep(2.1)  # a zip archive keeps times to two seconds
    second = pack(arrays, {"y": [2], "x": 1})

    assert first == second


def test_objects_are_never_stored() -> None:
    """Reading them back would run code."""
    with pytest.raises(ValueError, match="allow_pickle"):
        pack({"a": np.array([object()])}, {})


def test_objects_are_never_read() -> None:
    """Not even when somebody put them into the file."""
    buffer = io.BytesIO()
    np.savez(buffer, **{"": np.frombuffer(b"{}", np.uint8), "a": np.array([{}], dtype=object)})

    with pytest.raises(ValueError, match="allow_pickle"):
        unpack(buffer.getvalue())


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["windows", "window", "windows.event_time", "alerts.a", "alerts.ab"]),
        st.dictionaries(NAMES, ARRAYS, max_size=3),
    )
)
def test_every_part_gets_back_its_own_arrays(
    parts: dict[str, dict[str, np.ndarray]],
) -> None:
    """Also where one name begins like another."""
    together: dict[str, np.ndarray] = {}
    for name, snapshot in parts.items():
        together.update(nested(name, snapshot))

    for name, snapshot in parts.items():
        assert equal(part(name, together), snapshot)
