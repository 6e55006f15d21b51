# SPDX-License-Identifier: EUPL-1.2
"""History wakes nobody up, whatever is made of it."""

from __future__ import annotations

import numpy as np

from lamppost.batch import IndexBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from lamppost_app.imported_past import ImportedPast
from tests.processor_cases import START_NS, readings


def test_a_silent_hour_after_an_import_is_history_until_the_series_is_heard() -> None:
    """It has a value, of imported hours alone."""
    past = ImportedPast(SeriesTable([SeriesKey("aq-1", "pm2_5")]))
    imported = readings([900.0] * 60)
    past.note(imported)
    until = int(imported.time[-1])
    silent = IndexBatch(
        series=np.zeros(1, np.int32), index=np.ones(1), end=np.array([START_NS + 2 * HOUR_NS]),
        revision=np.zeros(1, np.int32), concentration=np.array([900.0]), value=np.array([500.0]),
        category=np.array([6]), coverage=np.ones(1), beyond=np.zeros(1),
    )  # fmt: skip

    assert len(past.newer_indices(silent, np.array([until]))) == 0
    assert len(past.newer_indices(silent, np.array([until + HOUR_NS]))) == 1
