# SPDX-License-Identifier: EUPL-1.2
"""Many texts to instants at once: the spellings devices mostly use, without a call for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Final

import numpy as np
import numpy.typing as npt

from .times import SECOND_NS, parse_instant

_Instants = npt.NDArray[np.int64]
_ZERO: Final = ord("0")


class _Spelling:
    """Dates in UTC whose digits always stand in the same places.

    Attributes:
        length: characters of a text.
    """

    def __init__(self, template: str, *, fraction_ns: int) -> None:
        """Take a text with every digit 0, and what the digits behind the seconds count."""
        self.length = len(template)
        self._template = np.frombuffer(template.encode(), np.uint8)
        self._is_digit = self._template == _ZERO
        self._fraction_ns = fraction_ns
        sizes = [4, 2, 2, 2, 2, 2]
        sizes.append(int(self._is_digit.sum()) - sum(sizes))
        places = np.concatenate([10 ** np.arange(size)[::-1] for size in sizes])
        # As floats, which are multiplied several times as fast and hold such numbers exactly.
        self._weights = np.repeat(np.eye(len(sizes)), sizes, axis=0) * places[:, None]

    def parse(self, texts: Sequence[str]) -> _Instants | None:
        """Return the instants of texts of this length, None if any is not spelled like this."""
        joined = "".join(texts)
        if not joined.isascii():
            return None
        grid = np.frombuffer(joined.encode(), np.uint8).reshape(-1, self.length)
        digits = grid[:, self._is_digit] - _ZERO  # what is below "0" wraps to far above 9
        signs = ~self._is_digit
        if (digits > 9).any() or (grid[:, signs] != self._template[signs]).any():
            return None
        return self._instants((digits.astype(np.float64) @ self._weights).astype(np.int64))

    def _instants(self, fields: _Instants) -> _Instants | None:
        year, month, day, hour, minute, second, fraction = fields.T
        months = 12 * (year - 1970) + month - 1
        first, after = _day_number(months), _day_number(months + 1)
        true = (year >= 1900) & (year < 2200) & (month >= 1) & (month <= 12)
        true &= (day >= 1) & (day <= after - first) & (hour < 24) & (minute < 60) & (second < 60)
        if not true.all():
            return None
        seconds = (((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second
        instants: _Instants = seconds * SECOND_NS + fraction * self._fraction_ns
        return instants


_SPELLINGS: Final = (
    _Spelling("0000-00-00T00:00:00Z", fraction_ns=0),
    _Spelling("0000-00-00T00:00:00.000Z", fraction_ns=1_000_000),
)


def parse_instants(stamps: Sequence[str | float]) -> _Instants:
    """Return what :func:`lamppost.times.parse_instant` makes of each, shape (n,).

    >>> parse_instants(["1970-01-01T00:00:01Z", "1970-01-01T00:00:00.002Z"]).tolist()
    [1000000000, 2000000]
    """
    distinct = set(stamps)
    if 4 * len(distinct) <= len(stamps):
        known = {stamp: parse_instant(stamp) for stamp in distinct}
        return np.array([known[stamp] for stamp in stamps], np.int64)
    texts = [stamp if isinstance(stamp, str) else "" for stamp in stamps]
    lengths = list(map(len, texts))
    instants = np.empty(len(stamps), np.int64)
    left = np.ones(len(stamps), np.bool_)
    for spelling in _SPELLINGS:
        if (rows := lengths.count(spelling.length)) == 0:
            continue
        alike = np.array(lengths) == spelling.length
        some = texts if rows == len(texts) else list(compress(texts, alike))
        parsed = spelling.parse(some)
        if parsed is not None:
            instants[alike], left[alike] = parsed, False
    for row in np.flatnonzero(left).tolist():
        instants[row] = parse_instant(stamps[row])
    return instants


def _day_number(months: _Instants) -> _Instants:
    """Return the days from 1970 to the first day of months counted from January 1970."""
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)
