# SPDX-License-Identifier: EUPL-1.2
"""Readings made from readings: what makes them, the series they get, what they inherit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .batch import DERIVED, REDERIVED, FlagArray, FloatArray, Int32Array, JudgedBatch, ReasonArray
from .component import Stateful
from .fits import Fit
from .flags import CORRECTION, Reason
from .grouping import BoolArray
from .series import SeriesKey, SeriesTable, qualifiers_mapping, qualifiers_text


class Derivation(Stateful, Protocol):
    """Makes readings of new series from judged readings, which stay as they are.

    Called by the engine after the checks and before detectors and windows, which see what it makes
    as series like any other. Must not block, read a clock or raise for bad input.

    Law: which derived readings there are in the end, and what they say, does not depend on where
    batches are cut. A reading may wait in the state for others it needs.

    Attributes:
        reasons: reasons of its own, beside those of its input.
    """

    name: ClassVar[str]
    reasons: ClassVar[tuple[Reason, ...]]

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Return what follows from readings, in the order in which it follows.

        Args:
            judged: readings in order of arrival. A verdict that changes later comes as a row of its
                own, revision AMENDED, behind its reading; a number that replaces another has
                revision CORRECTED. No row is itself derived.

        Returns:
            Rows of series with the sensor and the qualifiers of their input and one more that names
            the method (:class:`DerivedSeries` numbers them), with the worst flag
            and all reasons of their input (:func:`derived`). The first row of an
            instant has revision DERIVED, those that replace it REDERIVED; the last one stands.
            What has no number or failed is published as missing.
        """
        ...


@runtime_checkable
class SaysMethod(Protocol):
    """A derivation that says more of its method than its name."""

    def about(self) -> Mapping[str, object]:
        """Return facts for people who use the results: version, formula, source; as JSON allows."""
        ...


@runtime_checkable
class FitsLines(Protocol):
    """A derivation that compares sensors with references while it runs."""

    def fits(self) -> list[Fit]:
        """Return what it has found since this was asked last, to be published."""
        ...


@runtime_checkable
class FollowsStations(Protocol):
    """A derivation that keeps what it worked out of the stations it was built with."""

    def stations_changed(self) -> None:
        """Work it out anew: the stations are others now."""
        ...


Naming = Callable[[SeriesKey], SeriesKey | None]
"""Names the series derived from one; None where nothing is derived from it."""

METHOD_QUALIFIERS = ("corrected", "derived")
"""Qualifiers that name the method a series was made by. No device's series has one."""


def is_derived(qualifiers: str) -> bool:
    """Return whether a series was made by a method; one that a device calls so is refused.

    >>> is_derived("channel=a;corrected=lrapa"), is_derived("channel=a")
    (True, False)
    """
    if not qualifiers:
        return False
    given = qualifiers_mapping(qualifiers)
    return any(name in given for name in METHOD_QUALIFIERS)


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
        return not is_derived(key.qualifiers) and bool(self._naming(key))


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
