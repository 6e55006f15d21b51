# SPDX-License-Identifier: EUPL-1.2
"""What an index can ask of the pipeline, or offer it, beyond turning hours into values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from .batch import AggregateBatch, IndexBatch, Int32Array, Int64Array
from .indices import IndexTable
from .units import Conditions


class Hours(Protocol):
    """Gives the hours that are held of series, as far back as they can be corrected."""

    def __call__(self, series: Int32Array, start: Int64Array, end: Int64Array) -> AggregateBatch:
        """Return the newest revision of the hours that begin in a span of each series, sorted.

        Args:
            series: codes, ascending, each once.
            start: first instant of the half-open span of each, ns UTC.
            end: end of it, ns UTC.
        """
        ...


class HeldHours(Protocol):
    """Holds hours of series, and what those were that it has just corrected."""

    @property
    def hours(self) -> Hours:
        """The hours as they are."""
        ...

    @property
    def former_hours(self) -> Hours:
        """Of the hours that changed when time last advanced, what they were before."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """An index that needs hours further back than it remembers."""

    def look_back(self, held: HeldHours) -> None:
        """Take what to ask for them."""
        ...


@runtime_checkable
class Weighs(Protocol):
    """An index whose tables depend on the temperature at which gases were weighed."""

    def weigh_at(self, conditions: Conditions) -> None:
        """Take masses of gases to be given at some conditions; without it at the EU's."""
        ...


@runtime_checkable
class NamesTables(Protocol):
    """An index that says of each value which of its tables made it."""

    @property
    def named_tables(self) -> Sequence[IndexTable]:
        """The tables in force; the first has number 1 in published rows."""
        ...


@runtime_checkable
class RunsOn(Protocol):
    """An index that has something to say about hours in which a series was silent."""

    def run_on(self, closed: Int64Array) -> IndexBatch:
        """Return the values of hours that have closed without a window.

        Args:
            closed: until when the windows of each series code have closed, ns UTC.
        """
        ...
