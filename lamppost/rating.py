# SPDX-License-Identifier: EUPL-1.2
"""Which of the series that measure the same thing is rated: the corrected one, or the raw one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from .indices import CORRECTED
from .series import SeriesKey, qualifiers_mapping, qualifiers_text
from .wording import exactly

_CHANNEL: Final = "channel"
_LAST: Final = 1_000_000


class Rating(BaseModel):
    """What is rated where a series has corrected ones beside it.

    To be rated is to be held against limits, told in health indices and alerted about.

    Attributes:
        series: corrected (the raw one stands in where they are silent), raw, or both, each for
            itself.
        prefer: methods of correction, the best first, where a series is corrected by several; those
            that are not named come behind, by the alphabet.
        current_s: how long a preferred series counts as current after its last valid window.
        year_share: part of the windows of the most complete one that a preferred series must have
            of a year to be held against limits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    empty_means: ClassVar[dict[str, str]] = {"prefer": "no method is better than another"}

    series: Literal["corrected", "raw", "both"] = "corrected"
    prefer: tuple[str, ...] = ("local_fit",)
    current_s: float = Field(default=10_800.0, ge=0, le=1e9)
    year_share: float = Field(default=0.75, ge=0, le=1)

    @property
    def sentence(self) -> str:
        """Which series is rated, for people."""
        if self.series == "both":
            return "raw and corrected series are rated and alerted about, each for itself"
        if self.series == "raw":
            return "raw series are rated and alerted about, corrected ones only shown"
        order = f" ({', '.join(self.prefer)} before others)" if self.prefer else ""
        return (
            f"corrected series are rated and alerted about in place of raw ones{order};"
            f" raw ones {exactly(self.current_s)} after the last corrected value"
        )

    def rank(self, qualifiers: str) -> tuple[int, str]:
        """Return how good a series is among those that measure the same; the lowest is rated.

        >>> Rating().rank("corrected=local_fit") < Rating().rank("corrected=lrapa")
        True
        >>> Rating().rank("corrected=lrapa") < Rating().rank("channel=a")
        True
        """
        if self.series == "both":
            return 0, ""
        method = qualifiers_mapping(qualifiers).get(CORRECTED)
        if method is None:
            return (-1 if self.series == "raw" else _LAST), ""
        named = self.prefer.index(method) if method in self.prefer else len(self.prefer)
        return named, method

    def choices(self, keys: Sequence[SeriesKey]) -> Iterator[list[list[int]]]:
        """Yield the positions of series that measure the same thing, by rank, the best first.

        Things that all series measure alike are no choice.
        """
        together: dict[SeriesKey, list[int]] = {}
        for place, key in enumerate(keys):
            together.setdefault(measured_thing(key), []).append(place)
        for places in together.values():
            by_rank: dict[tuple[int, str], list[int]] = {}
            for place in places if len(places) > 1 else ():
                by_rank.setdefault(self.rank(keys[place].qualifiers), []).append(place)
            if len(by_rank) > 1:
                yield [by_rank[rank] for rank in sorted(by_rank)]


def measured_thing(key: SeriesKey) -> SeriesKey:
    """Return what a series has in common with those that measure the same thing.

    >>> measured_thing(SeriesKey("pa-1", "pm2_5", "channel=ab;corrected=lrapa;inlet=low"))
    SeriesKey(sensor='pa-1', quantity='pm2_5', qualifiers='inlet=low')
    """
    if not key.qualifiers:
        return key
    rest = qualifiers_mapping(key.qualifiers)
    for name in (CORRECTED, _CHANNEL):
        rest.pop(name, None)
    return SeriesKey(key.sensor, key.quantity, qualifiers_text(rest))
