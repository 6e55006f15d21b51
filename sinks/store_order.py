# SPDX-License-Identifier: EUPL-1.2
"""Windows laid together by series, week by week, so that a long curve is read from few places.

Windows arrive hour by hour, those of all series together. In that order a year of one series lies
all over the file. Each week of a resolution is therefore written anew once it is over, in order of
series and start. Minutes stay as they come: they are many, and nobody asks for a year of them.
"""

from __future__ import annotations

from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lamppost.times import DAY_NS, HOUR_NS

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


def note_unsorted(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
    """Remember the weeks that new windows lie in; ``rows`` are registered as ``staged``."""
    now = pc.max(rows.column("published")).as_py()
    connection.execute(_FOUND, [now])


def sort_a_week(connection: duckdb.DuckDBPyConnection, now: int) -> bool:
    """Lay the oldest unsorted week that is over together; return whether there was one."""
    found = connection.execute(_OLDEST, [now]).fetchone()
    if found is None:
        return False
    resolution, week = found
    bounds = [resolution, week * WEEK_NS, (week + 1) * WEEK_NS]
    connection.execute(
        f"CREATE TEMP TABLE together AS SELECT * {_OF_WEEK} ORDER BY series, start",
        bounds,
    )
    connection.execute(f"DELETE {_OF_WEEK}", bounds)
    connection.execute("INSERT INTO aggregates BY NAME FROM together")
    connection.execute("DROP TABLE together")
    connection.execute("DELETE FROM unsorted WHERE resolution = ? AND week = ?", list(found))
    return True
