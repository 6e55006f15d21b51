# SPDX-License-Identifier: EUPL-1.2
"""Windows laid together by series, week by week, so that a long curve is read from few places.

Windows arrive hour by hour, those of all series together. In that order a year of one series lies
all over the file. Each week of a resolution is therefore written anew once it is over, in order of
series and start, some series at a time. Minutes stay as they come: they are many, and nobody asks
for a year of them.
"""

from __future__ import annotations

from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lamppost.times import DAY_NS, HOUR_NS

from .store_parts import MOST_ROWS

WEEK_NS: Final = 7 * DAY_NS
_AFTER_NS: Final = DAY_NS

MANY: Final = 2000
"""So many windows at once, new or revised, are an import; fewer of a past week are merely late."""

UNSORTED_DEFINITION: Final = "CREATE TABLE unsorted (resolution BIGINT, week BIGINT)"

_FOUND: Final = f"""
INSERT INTO unsorted
SELECT length, start // {WEEK_NS} AS week FROM staged
WHERE calendar = 0 AND length >= {HOUR_NS} GROUP BY ALL
HAVING count(*) >= {MANY} OR (min(revision) = 0 AND (week + 1) * {WEEK_NS} + {_AFTER_NS} > ?)
EXCEPT FROM unsorted
"""  # noqa: S608 - numbers of this module only
_OLDEST: Final = f"""
SELECT resolution, week FROM unsorted WHERE (week + 1) * {WEEK_NS} + {_AFTER_NS} <= ?
ORDER BY week, resolution LIMIT 1
"""  # noqa: S608 - numbers of this module only
_OF_WEEK: Final = "FROM aggregates WHERE calendar = 0 AND length = ? AND start >= ? AND start < ?"
_OF_SOME: Final = f"{_OF_WEEK} AND series > ? AND series <= ?"
_LAST: Final = f"""
SELECT coalesce(max(series) FILTER (so_far <= ?), min(series)), max(series) FROM (
    SELECT series, sum(count(*)) OVER (ORDER BY series) AS so_far {_OF_WEEK} AND series > ?
    GROUP BY series
)
"""  # noqa: S608 - names of this module only
_KEYS: Final = ("laying_resolution", "laying_week", "laying_after")
_FINISHED: Final = "DELETE FROM meta WHERE starts_with(key, 'laying_')"


def note_unsorted(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
    """Remember the weeks that new windows lie in; ``rows`` are registered as ``staged``."""
    now = pc.max(rows.column("published")).as_py()
    connection.execute(_FOUND, [now])


def lay_together(connection: duckdb.DuckDBPyConnection, now: int) -> bool:
    """Lay some series of the oldest unsorted week that is over together.

    Returns:
        Whether there were any.
    """
    found = _under_way(connection) or _begun(connection, now)
    if found is None:
        return False
    resolution, week, after = found
    bounds = [resolution, week * WEEK_NS, (week + 1) * WEEK_NS]
    some = connection.execute(_LAST, [MOST_ROWS, *bounds, after]).fetchone()
    last, end = some or (None, None)
    if last is not None:
        _write_anew(connection, [*bounds, after, last])
        connection.execute("UPDATE meta SET value = ? WHERE key = 'laying_after'", [last])
    if last == end:
        connection.execute(_FINISHED)
    return True


def _write_anew(connection: duckdb.DuckDBPyConnection, bounds: list[int]) -> None:
    connection.execute(
        f"CREATE TEMP TABLE together AS SELECT * {_OF_SOME} ORDER BY series, start", bounds
    )
    connection.execute(f"DELETE {_OF_SOME}", bounds)
    connection.execute("INSERT INTO aggregates BY NAME FROM together")
    connection.execute("DROP TABLE together")


def _under_way(connection: duckdb.DuckDBPyConnection) -> tuple[int, int, int] | None:
    """Return the resolution and week being laid together, and the series done last."""
    found = dict(
        connection.execute("FROM meta WHERE key IN (SELECT unnest(?))", [_KEYS]).fetchall()
    )
    return (found[_KEYS[0]], found[_KEYS[1]], found[_KEYS[2]]) if found else None


def _begun(connection: duckdb.DuckDBPyConnection, now: int) -> tuple[int, int, int] | None:
    """Take the oldest week that is over from the unsorted ones: what comes now is noted anew."""
    found = connection.execute(_OLDEST, [now]).fetchone()
    if found is None:
        return None
    connection.execute("DELETE FROM unsorted WHERE resolution = ? AND week = ?", list(found))
    begun = (*found, -1)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", list(zip(_KEYS, begun, strict=True)))
    return begun
