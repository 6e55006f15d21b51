# SPDX-License-Identifier: EUPL-1.2
"""Numbers that devices send in place of measurements, and who knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .batch import FloatArray, Int32Array, Int64Array
    from .flags import Reason


@runtime_checkable
class FindsCodes(Protocol):
    """A check that knows numbers which stand for no measurement.

    Such a number is taken for a missing one from its arrival on: no other processor sees it.
    """

    reasons: ClassVar[tuple[Reason, ...]]

    def codes(self, series: Int32Array, value: FloatArray) -> Int64Array:
        """Return the rows whose number is a code, which has the check's first reason."""
        ...
