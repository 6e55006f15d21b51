# SPDX-License-Identifier: EUPL-1.2
"""What an index says about concentrations, and which of several answers counts."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lamppost.batch import FlagArray, FloatArray

NUDGE: Final = 1e-6
"""Part of a step: a mean of decimal numbers can fall short of its true value by binary digits."""


class Values(NamedTuple):
    """An index and what it was computed from.

    Attributes:
        concentration: as the index takes it: truncated or rounded, canonical unit.
        value: of the index; NaN where there is none.
        category: 1 (best) upwards; 0 where there is no value.
        beyond: 1 where the value lies above the end of the index.
    """

    concentration: FloatArray
    value: FloatArray
    category: FlagArray
    beyond: FlagArray

    def where(self, kept: npt.NDArray[np.bool_], other: Values) -> Values:
        """Return these values, those of ``other`` where they are not kept."""
        return Values(
            np.where(kept, self.concentration, other.concentration),
            np.where(kept, self.value, other.value),
            np.where(kept, self.category, other.category),
            np.where(kept, self.beyond, other.beyond),
        )

    def exceeds(self, other: Values) -> npt.NDArray[np.bool_]:
        """Return where these values stand above others, or in for their absence.

        Of two equal values the one within its table counts.
        """
        ours, theirs = (
            np.where(np.isnan(found.value), -np.inf, found.value) for found in (self, other)
        )
        above: npt.NDArray[np.bool_] = ours > theirs
        above |= (ours == theirs) & (self.beyond < other.beyond)
        return above


class Table(Protocol):
    """Says what concentrations of one pollutant mean."""

    def values(self, concentration: FloatArray) -> Values:
        """Return the index of concentrations in the canonical unit; NaN gives no value."""
        ...

    def explain(self, concentration: float) -> list[str]:
        """Return, in sentences, how the value of one concentration comes about."""
        ...
