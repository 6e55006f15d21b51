# SPDX-License-Identifier: EUPL-1.2
"""Questions to the store about health indices: of single pollutants, and of a station as a whole.

The value of a station is put together when it is asked for, by the rule of
:func:`lamppost.indices.combine`: whatever was corrected since is in it, at any hour.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from lamppost.indices import CORRECTED
from lamppost.times import HOUR_NS
from sinks.store_reader import Row, StoreReader

from .queries_data import CHOSEN, JOINS, NAMES, DataFilter

CURRENT_NS: Final = 3 * HOUR_NS
"""A value that ended earlier says nothing about now."""

_IS_CORRECTED: Final = f"contains(';' || qualifiers, ';{CORRECTED}=')"
# Of several pollutants that are as bad, all that differ.
_DECIDING: Final = """
coalesce(string_agg(DISTINCT {column}, ';' ORDER BY {column}) FILTER (responsible),
    string_agg(DISTINCT {column}, ';' ORDER BY {column}))"""
# What `found` gives: sensor, quantity, qualifiers, area and the columns of indices.
_COMBINED: Final = f"""
WITH found AS ({{found}}),
counted AS (
    SELECT *, value IS NOT NULL AND ({_IS_CORRECTED} OR NOT bool_or(
        {_IS_CORRECTED} AND value IS NOT NULL
    ) OVER (PARTITION BY station, "index", "end", quantity)) AS counts
    FROM found
),
ranked AS (
    SELECT *, counts AND value = max(value) FILTER (counts)
        OVER (PARTITION BY station, "index", "end") AS responsible
    FROM counted
)
SELECT station, area, "index", "end", max(value) FILTER (counts) AS value,
    coalesce(max(category) FILTER (responsible), 0) AS category,
    coalesce(string_agg(DISTINCT quantity, ';' ORDER BY quantity) FILTER (responsible), '')
        AS responsible,
    coalesce(string_agg(DISTINCT quantity, ';' ORDER BY quantity) FILTER (counts), '')
        AS pollutants,
    string_agg(DISTINCT quantity, ';' ORDER BY quantity) AS measured,
    coalesce(min(beyond) FILTER (responsible), 0) AS beyond,
    max(revision) AS revision, arg_max(policy, entry) AS policy,
    {_DECIDING.format(column="averaging")} AS averaging,
    {_DECIDING.format(column="table_version")} AS table_version
FROM ranked GROUP BY station, area, "index", "end"
"""  # noqa: S608 - fixed text


def index_values(reader: StoreReader, sensor: str, at: int) -> list[Row]:
    """Return a station's index values as they were at an instant, by index, the highest first.

    Each index gives the newest hour it has in the day before.
    """
    return reader.rows(
        f"""
        SELECT quantity, qualifiers, indices.* FROM indices JOIN series USING (series)
        WHERE sensor = $sensor AND "end" <= $at AND "end" > $at - {24 * HOUR_NS}
        QUALIFY "end" = max("end") OVER (PARTITION BY "index")
        ORDER BY "index", value DESC NULLS LAST, quantity, qualifiers
        """,  # noqa: S608 - a number of this module only
        {"sensor": sensor, "at": at},
    )


def station_values(reader: StoreReader, sensor: str, at: int) -> dict[int, Row]:
    """Return the value of each index of a station as a whole, of the same hours, by number."""
    found = f"""
        SELECT {NAMES}, indices.* FROM indices {JOINS}
        WHERE series.sensor = $sensor AND "end" <= $at AND "end" > $at - {24 * HOUR_NS}
        QUALIFY "end" = max("end") OVER (PARTITION BY "index")
    """  # noqa: S608 - fixed text
    rows = reader.rows(_COMBINED.format(found=found), {"sensor": sensor, "at": at})
    return {row["index"]: row for row in rows}


def current_values(reader: StoreReader, number: int, now: int) -> dict[str, Row]:
    """Return the value of one index of every station that has one now."""
    found = f"""
        SELECT {NAMES}, latest_indices.* FROM latest_indices {JOINS}
        WHERE "index" = $number AND "end" > $now - {CURRENT_NS}
        QUALIFY "end" = max("end") OVER (PARTITION BY series.sensor)
    """  # noqa: S608 - fixed text
    rows = reader.rows(_COMBINED.format(found=found), {"number": number, "now": now})
    return {row["station"]: row for row in rows}


def index_page(
    reader: StoreReader,
    chosen: DataFilter,
    *,
    number: int | None,
    between: tuple[int, int],
    after: tuple[int, int, int],
    limit: int,
) -> pa.Table:
    """Return index values whose averaging ends in a half-open period, by end, series and index.

    Args:
        reader: of the store.
        chosen: which series.
        number: of the index; None for all.
        between: the period.
        after: end, series and index the page begins behind.
        limit: rows.
    """
    return reader.table(
        f"SELECT {NAMES}, indices.* EXCLUDE (entry)"  # noqa: S608 - fixed text
        f' FROM indices {JOINS} WHERE {CHOSEN} AND "end" >= $first AND "end" < $last'
        ' AND ($number IS NULL OR "index" = $number)'
        ' AND ("end", series, "index") > ($end, $series, $index)'
        ' ORDER BY "end", series, "index" LIMIT $limit',
        {
            **chosen.values,
            "number": number,
            "first": max(between[0], after[0]),
            "last": between[1],
            "end": after[0],
            "series": after[1],
            "index": after[2],
            "limit": limit,
        },
    )


def station_page(
    reader: StoreReader,
    chosen: DataFilter,
    *,
    number: int | None,
    between: tuple[int, int],
    after: tuple[int, str, int],
    limit: int,
) -> pa.Table:
    """Return the values of whole stations by end, station and index.

    Args:
        reader: of the store.
        chosen: which stations; the quantity is none of them.
        number: of the index; None for all.
        between: half-open period of the ends.
        after: end, station and index the page begins behind.
        limit: rows.
    """
    found = f"""
        SELECT {NAMES}, indices.* FROM indices {JOINS}
        WHERE {CHOSEN} AND "end" >= $first AND "end" < $last
            AND ($number IS NULL OR "index" = $number)
    """  # noqa: S608 - fixed text
    return reader.table(
        f"""
        SELECT * FROM ({_COMBINED.format(found=found)})
        WHERE ("end", station, "index") > ($end, $after, $index)
        ORDER BY "end", station, "index" LIMIT $limit
        """,  # noqa: S608 - fixed text
        {
            **DataFilter(chosen.station, "", chosen.area).values,
            "number": number,
            "first": max(between[0], after[0]),
            "last": between[1],
            "end": after[0],
            "after": after[1],
            "index": after[2],
            "limit": limit,
        },
    )
