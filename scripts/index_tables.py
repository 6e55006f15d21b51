# SPDX-License-Identifier: EUPL-1.2
"""The tables of the health indices for the documentation, as the indices themselves hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lamppost.component import Component, registered
from lamppost.quantities import QUANTITIES
from lamppost.wording import printed_unit
from processors.indices._bands import Bands
from processors.indices._breakpoints import Breakpoints
from processors.indices._sub_indices import SubIndex

from .markdown import table


def overview() -> str:
    """Return every index with its number, table and pollutants."""
    rows = (
        (
            f"[`{found.name}`](components/index/{found.name}.md)",
            str(found.cls.number),
            found.cls.scale.title,
            found.cls.scale.version,
            found.cls.scale.source,
            "; ".join(
                f"{QUANTITIES[quantity].label} {', '.join(periods)}"
                for quantity, periods in found.cls.scale.averaging.items()
            ),
        )
        for found in registered("index").values()
    )
    heads = ("index", "number", "name", "table", "source", "averaged over")
    return table(heads, rows)


def tables() -> str:
    """Return the categories and bounds of every index."""
    return "\n".join(
        part for found in registered("index").values() for part in _index(found, found.name)
    )


def _index(found: Component, name: str) -> Iterator[str]:
    scale = found.cls.scale
    yield f"### `{name}`: {scale.title}\n"
    rows = (
        (str(number), category.name, f"`{category.colour}`")
        for number, category in enumerate(scale.categories, start=1)
    )
    yield table(("category", "name", "colour"), rows)
    subs = [
        (quantity, sub)
        for quantity, given in getattr(found.cls, "pollutants", {}).items()
        for sub in given
    ]
    if all(isinstance(sub.table, Breakpoints) for _, sub in subs):
        yield table(
            ("pollutant", "averaged over", "unit, truncated to", "bands", "index"),
            (row for quantity, sub in subs for row in _breakpoints(quantity, sub)),
        )
        return
    most = max(len(sub.table.bounds) for _, sub in subs if isinstance(sub.table, Bands))
    heads = ("pollutant", "averaged over", *(f"bound {n}" for n in range(1, most + 1)))
    yield table(heads, (_bands(quantity, sub, most) for quantity, sub in subs))


def _breakpoints(quantity: str, sub: SubIndex) -> Iterator[Sequence[str]]:
    if isinstance(sub.table, Breakpoints):
        yield (
            QUANTITIES[quantity].label,
            sub.period,
            f"{printed_unit(sub.table.unit)}, {sub.table.step}",
            "; ".join(f"{low} to {high}" for low, high in sub.table.bands),
            "; ".join(f"{low} to {high}" for low, high in sub.table.index),
        )


def _bands(quantity: str, sub: SubIndex, most: int) -> Sequence[str]:
    if not isinstance(sub.table, Bands):
        return ()
    levels = sub.table.levels or range(1, len(sub.table.bounds) + 1)
    pairs = zip(sub.table.bounds, levels, strict=False)
    cells = [f"{bound:g} (level {level})" for bound, level in pairs]
    return (QUANTITIES[quantity].label, sub.period, *cells, *[""] * (most - len(cells)))
