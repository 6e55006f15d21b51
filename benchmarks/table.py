# SPDX-License-Identifier: EUPL-1.2
"""Rows as a table: for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .rows import Row

HEADINGS: Final = (
    "what",
    "measured (spread)",
    "unit",
    "budget",
    "beside",
    "ratio (limit)",
    "verdict",
)


def cells(row: Row) -> tuple[str, ...]:
    """Return one line of the table."""
    peer, sign = row.peer, "≤" if row.better == "less" else "≥"
    limit = f" ({sign} {peer.limit:g})" if peer and peer.limit is not None else ""
    return (
        row.what,
        f"{number(row.measured)} ({number(row.low)} – {number(row.high)})",
        row.unit,
        "" if row.budget is None else f"{sign} {number(row.budget)}",
        f"{peer.name}: {number(peer.value)}" if peer else "",
        f"{peer.ratio:.2f}{limit}" if peer else "",
        row.verdict,
    )


def number(value: float) -> str:
    """Return a number with three digits that count.

    >>> [number(value) for value in (0.03456, 1.5, 21.04, 1234567.8)]
    ['0.035', '1.50', '21.0', '1,234,568']
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def as_text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table for a page, with how each group was measured below it."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    ways = dict.fromkeys(f"- **{row.group}**: {row.how}" for row in rows)
    return table + "\n\nHow:\n\n" + "\n".join(ways)
