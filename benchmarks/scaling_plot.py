# SPDX-License-Identifier: EUPL-1.2
"""A picture of rates over the number of series, a curve for each way of measuring, in plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from .rows import Point, Row
from .table import number

_WIDTH: Final = 960
_HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 560, 30, 360
_STEPS: Final = 5
# Distinct also without colours: see the dashes.
_COLOURS: Final = ("#1b5e8c", "#2f7d5b", "#8a5a00", "#b3402e", "#5b4b8a", "#374151", "#0f766e")
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3")

_Placed = Sequence[tuple[Point, float]]


def draw(rows: Sequence[Row]) -> str:
    """Return the rows that have a point, sizes from left to right on a logarithmic scale.

    The dashed line across is the budget.
    """
    placed = [(row.point, row.measured) for row in rows if row.point is not None]
    budgets = {row.budget for row in rows if row.point is not None and row.budget is not None}
    most = max([1.0, *(rate for _, rate in placed), *budgets])
    curves: dict[str, list[tuple[Point, float]]] = {}
    for point, rate in placed:
        curves.setdefault(point.curve, []).append((point, rate))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
            ' font-family="sans-serif" font-size="12" role="img">'
        ),
        "<title>Readings a second of one core, by number of series</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        *_scales({point.size for point, _ in placed}, most),
        *(_line(_y(budget, most), "#b3402e", "4 4") for budget in sorted(budgets)),
    ]
    for place, (curve, points) in enumerate(curves.items()):
        parts += _curve(place, curve, points, most)
    return "\n".join([*parts, "</svg>", ""])


def _scales(sizes: set[int], most: float) -> list[str]:
    parts = []
    step = _round(most / _STEPS)
    for rate in range(0, int(most) + 1, step):
        y = _y(rate, most)
        parts.append(_line(y, "#e5e7eb", ""))
        parts.append(_text(_LEFT - 8, y + 4, f"{rate:,}", "end"))
    parts += [_text(_x(size), _BOTTOM + 20, f"{size:,} series", "middle") for size in sorted(sizes)]
    return [*parts, _text(_LEFT, _TOP - 12, "readings/s", "end")]


def _curve(place: int, curve: str, points: _Placed, most: float) -> list[str]:
    colour, dash = _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)]
    spots = [(_x(point.size), _y(rate, most), point, rate) for point, rate in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in spots)
    key = _TOP + 18 * place
    return [
        (
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"'
            f' stroke-dasharray="{dash}"/>'
        ),
        *(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">'
            f"<title>{escape(curve)}, {point.size:,} series: {number(rate)} readings/s</title>"
            "</circle>"
            for x, y, point, rate in spots
        ),
        (
            f'<line x1="{_RIGHT + 50}" x2="{_RIGHT + 80}" y1="{key}" y2="{key}" stroke="{colour}"'
            f' stroke-width="2" stroke-dasharray="{dash}"/>'
        ),
        _text(_RIGHT + 88, key + 4, curve, "start"),
    ]


def _round(step: float) -> int:
    """Return the largest of 1, 2, 5, 10, 20, ... that is not larger."""
    power: int = 10 ** max(0, math.floor(math.log10(step)))
    return max(power, *(factor * power for factor in (2, 5) if factor * power <= step), 1)


def _line(y: float, colour: str, dash: str) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_RIGHT + 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"'
        f' stroke-dasharray="{dash}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(size: int) -> float:
    """Place sizes from a thousand to a hundred thousand."""
    return _LEFT + 30 + (_RIGHT - _LEFT - 30) * (math.log10(size) - 3) / 2


def _y(rate: float, most: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * rate / most
