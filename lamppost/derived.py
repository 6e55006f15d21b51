# SPDX-License-Identifier: EUPL-1.2
"""Readings made from readings: the series they get, and what they inherit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .batch import DERIVED, REDERIVED, FlagArray, FloatArray, Int32Array, JudgedBatch, ReasonArray
from .flags import CORRECTION
from .grouping import BoolArray
from .series import SeriesKey, SeriesTable, qualifiers_mapping, qualifiers_text

Naming = Callable[[SeriesKey], SeriesKey | None]
"""Names the series derived from one; None where nothing is derived from it."""

METHOD_QUALIFIERS = ("corrected", "derived")
"""Qualifiers that name the method a series was made by. No device's series has one."""


def named(key: SeriesKey, qualifier: str, method: str, quantity: str | None = None) -> SeriesKey:
    """Return the series a method makes from another: the same sensor, one more qualifier.

    >>> named(SeriesKey("aq-1", "pm2_5_cf1", "channel=a"), "corrected", "lrapa", "pm2_5")
    SeriesKey(sensor='aq-1', quantity='pm2_5', qualifiers='channel=a;corrected=lrapa')
    """
    qualifiers = {**qualifiers_mapping(key.qualifiers), qualifier: method}
    return SeriesKey(key.sensor, quantity or key.quantity, qualifiers_text(qualifiers))


class DerivedSeries:
    """The derived series of each series, as a column over series codes.

    What a series leads to is asked once, when it first appears; it gets a code when it is needed.
    """

    def __init__(self, series: SeriesTable, naming: Naming) -> None:
        """Take the table of series, which may grow, and what is derived from which."""
        self._series = series
        self._naming = naming
        self._concerned: BoolArray = np.empty(0, np.bool_)
        self._codes: Int32Array = np.empty(0, np.int32)

    def concerns(self, series: Int32Array) -> BoolArray:
        """Return from which rows something is derived, by their series codes."""
        self._grow()
        concerned: BoolArray = self._concerned[series]
        return concerned

    def of(self, series: Int32Array) -> Int32Array:
        """Return the code of the derived series of each row; all must be concerned."""
        self._grow()
        codes: Int32Array = self._codes[series]
        if len(codes) and codes.min() < 0:
            unknown = series[codes < 0]
            for code in unknown[np.sort(np.unique(unknown, return_index=True)[1])].tolist():
                key = self._naming(self._series[code])
                if key is not None:
                    self._codes[code] = self._series.code(key)
            codes = self._codes[series]
        return codes

    def _grow(self) -> None:
        known = len(self._codes)
        if known == len(self._series):
            return
        added = [self._concerns(self._series[code]) for code in range(known, len(self._series))]
        self._concerned = np.append(self._concerned, np.array(added, np.bool_))
        self._codes = np.append(self._codes, np.full(len(added), -1, np.int32))

    def _concerns(self, key: SeriesKey) -> bool:
        made = qualifiers_mapping(key.qualifiers)
        return not any(name in made for name in METHOD_QUALIFIERS) and bool(self._naming(key))


def derived(
    source: JudgedBatch,
    series: Int32Array,
    value: FloatArray,
    *,
    flag: FlagArray | None = None,
    reasons: ReasonArray | None = None,
    uncertainty: FloatArray | None = None,
) -> JudgedBatch:
    """Return readings made from the rows of a batch, one from each.

    Args:
        source: the rows they are made from; they inherit time and receipt.
        series: codes of the derived series, shape (n,).
        value: in the canonical unit of the derived quantity, NaN where there is none.
        flag: worst flag of all inputs; that of ``source`` when not given.
        reasons: reasons of all inputs; those of ``source`` when not given.
        uncertainty: standard uncertainty of each value, NaN where none is stated.
    """
    nothing = np.full(len(source), np.nan)
    given = source.reasons if reasons is None else reasons
    return JudgedBatch(
        series=series,
        time=source.time,
        received=source.received,
        value=value,
        flag=source.flag if flag is None else flag,
        # The revision says whether it was derived anew; the device replaced something else.
        reasons=given & ~CORRECTION.mask,
        score=nothing,
        expected=nothing,
        band_low=nothing,
        band_high=nothing,
        revision=revision_of(source.revision),
        uncertainty=nothing if uncertainty is None else uncertainty,
    )


def revision_of(revision: npt.NDArray[np.int32]) -> Int32Array:
    """Return the revision of what is derived from rows of some revision alone."""
    return np.where(revision == 0, DERIVED, REDERIVED).astype(np.int32)
