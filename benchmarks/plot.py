# SPDX-License-Identifier: EUPL-1.2
"""A picture of the rows: each as a bar against its budget or its peer, in plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from .rows import Row
from .table import number

_WIDTH: Final = 960
_LABELS: Final = 470
_LINE: Final = 26
_TOP: Final = 56
_DECADES: Final = 1.0
_COLOURS: Final = {"met": "#2f7d5b", "missed": "#b3402e", "": "#6b7280"}


def draw(rows: Sequence[Row]) -> str:
    """Return the rows that have something to be compared with, on one logarithmic scale.

    To the right of the middle line a row is better than its budget (or, without one, than the limit
    of its ratio, or than its peer), to the left worse.
    """
    shown = [(row, goodness(row)) for row in rows if goodness(row) is not None]
    height = _TOP + _LINE * len(shown) + 16
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            ' font-family="sans-serif" font-size="12" role="img">'
        ),
        "<title>Measured against budget or peer</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        *_scale(height),
    ]
    for line, (row, good) in enumerate(shown):
        parts += _bar(row, good or 1.0, _TOP + _LINE * line)
    return "\n".join([*parts, "</svg>", ""])


def goodness(row: Row) -> float | None:
    """Return how many times better a row is than what it is held against; None without that."""
    if row.budget is not None:
        ratio = row.measured / row.budget
    elif row.peer is not None:
        ratio = row.peer.ratio / (row.peer.limit or 1.0)
    else:
        return None
    return 1 / ratio if row.better == "less" else ratio


def _scale(height: int) -> list[str]:
    parts = []
    for decade, words in (
        (-1, "10 times worse"),
        (0, "budget, limit or peer"),
        (1, "10 times better"),
    ):
        x = _x(10.0**decade)
        parts.append(
            f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{_TOP - 12}" y2="{height - 8}" stroke="#9ca3af"'
            f' stroke-dasharray="{"" if decade == 0 else "3 3"}"/>'
        )
        parts.append(
            f'<text x="{x:.0f}" y="{_TOP - 20}" text-anchor="middle" fill="#374151">{words}</text>'
        )
    return parts


def _bar(row: Row, good: float, y: int) -> list[str]:
    middle, end = _x(1.0), _x(good)
    colour = _COLOURS[row.verdict]
    against = f"budget {number(row.budget)}" if row.budget is not None else ""
    if not against and row.peer is not None:
        against = f"{row.peer.name}: {number(row.peer.value)}"
    hint = f"{row.what}: {number(row.measured)} {row.unit}; {against}"
    return [
        f"<g><title>{escape(hint)}</title>",
        (
            f'<text x="{_LABELS - 50}" y="{y + 14}" text-anchor="end" fill="#111827">'
            f"{escape(_short(row.what))}</text>"
        ),
        (
            f'<rect x="{min(middle, end):.1f}" y="{y + 3}" width="{max(abs(end - middle), 1):.1f}"'
            f' height="{_LINE - 10}" fill="{colour}"/>'
        ),
        f'<text x="{_WIDTH - 70}" y="{y + 14}" fill="#111827">{number(row.measured)}</text></g>',
    ]


def _short(what: str) -> str:
    return what if len(what) <= 62 else f"{what[:60]}…"


def _x(good: float) -> float:
    half = (_WIDTH - _LABELS - 80) / 2
    decades = max(-_DECADES, min(_DECADES, math.log10(good))) if good > 0 else -_DECADES
    return _LABELS + half * (1 + decades / _DECADES) * 0.9
