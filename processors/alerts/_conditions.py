# SPDX-License-Identifier: EUPL-1.2
"""Concentrations of gases, brought to the conditions at which a limit is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lamppost.batch import FloatArray
from lamppost.units import CONDITIONS, Conditions, to_conditions


@dataclass(frozen=True, slots=True)
class Brought:
    """The way from values as they are kept to the conditions of a limit.

    Attributes:
        quantity: what is measured.
        wanted: conditions of the limit; None where it is written for values as they are kept.
        given: conditions at which values are kept.
    """

    quantity: str
    wanted: Conditions | None
    given: Conditions = "eu_20c"

    def weighed_at(self, conditions: Conditions) -> Brought:
        """Return the way from values that are kept at some conditions."""
        return replace(self, given=conditions)

    def of(self, values: FloatArray) -> FloatArray:
        """Return values at the conditions of the limit."""
        return values if self._factor == 1.0 else values * self._factor

    @property
    def words(self) -> str:
        """What to say behind a limit that values had to be brought to; empty elsewhere.

        >>> Brought("no2", "eu_20c", "us_25c").words
        ' (both at 20 °C and 101.325 kPa (EU); measured at 25 °C and 101.325 kPa (US))'
        """
        if self.wanted is None or self._factor == 1.0:
            return ""
        return f" (both at {CONDITIONS[self.wanted]}; measured at {CONDITIONS[self.given]})"

    @property
    def _factor(self) -> float:
        if self.wanted is None:
            return 1.0
        return to_conditions(self.quantity, self.given, self.wanted)
