# SPDX-License-Identifier: EUPL-1.2
"""What hypothesis draws for the tests of the kernel: columns, names and hostile payloads."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lamppost.batch import Columns
from lamppost.flags import FLAG_NAMES
from lamppost.frames import Deliveries
from lamppost.series import SeriesKey

LAW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
"""Laws are about results; how long a busy machine takes to check them says nothing."""

KNOWN_FLAGS = st.sampled_from(sorted(FLAG_NAMES))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
SERIES_KEYS = st.builds(SeriesKey, NAMES, NAMES, st.text("ab=;12", max_size=6))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def columns(draw: st.DrawFn, kind: type[Columns], max_rows: int = 8) -> Columns:
    """Draw a batch with arbitrary content in every column, NaN and infinity included."""
    rows = draw(st.integers(0, max_rows))
    arrays = {
        name: draw(hnp.arrays(np.dtype(dtype), rows)) for name, dtype in kind.dtypes().items()
    }
    return kind(**arrays)


@st.composite
def deliveries(draw: st.DrawFn, max_messages: int = 6) -> Deliveries:
    """Draw messages with arbitrary topics, headers and bytes."""
    drawn = Deliveries()
    for _ in range(draw(st.integers(0, max_messages))):
        headers = draw(st.none() | TEXTS)
        drawn.add(
            draw(TEXTS),
            draw(st.binary(max_size=40)),
            draw(INT64),
            source=draw(TEXTS),
            headers=headers,
        )
    return drawn


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two arrays are equal to the byte."""
    one, other = np.asarray(first), np.asarray(second)
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )
