# SPDX-License-Identifier: EUPL-1.2
"""From an older layout of the embedded store to the next: what was changed, by that layout.

These statements are written out: what a file of an old version looks like does not change when the
tables do. Columns nobody filled then are empty, and when a row was published is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_QUARANTINE_STATES: Final = """CREATE TABLE quarantine_states ("message" BIGINT, "row" INTEGER,
    "state" VARCHAR, "at" BIGINT, "by" VARCHAR, "reason" VARCHAR, "entry" BIGINT)"""

_CLOCKS: Final = """CREATE TABLE clocks ("series" INTEGER, "skew" BIGINT, "spread" BIGINT,
    "readings" INTEGER, "until" BIGINT, "entry" BIGINT)"""

_FITS: Final = """CREATE TABLE fits ("sensor" VARCHAR, "quantity" VARCHAR, "qualifiers" VARCHAR,
    "reference" VARCHAR, "method" VARCHAR, "first_hour" BIGINT, "end" BIGINT, "start" BIGINT,
    "until" BIGINT, "n" INTEGER, "slope" DOUBLE, "offset" DOUBLE, "r2" DOUBLE, "rmse" DOUBLE,
    "largest" DOUBLE, "lag_h" INTEGER, "outcome" VARCHAR, "entry" BIGINT)"""

_HOUR_NS: Final = 3_600_000_000_000
_WEEK_NS: Final = 168 * _HOUR_NS
_STATISTICS: Final = (
    "first", "last", "q05", "q25", "q50", "q75", "q95",
    "time_weighted", "harmonic", "volume_weighted", "resultant", "rate",
)  # fmt: skip


def _with_calendar(table: str) -> tuple[str, ...]:
    return (
        f"ALTER TABLE {table} ADD COLUMN calendar UTINYINT DEFAULT 0",
        *(f'ALTER TABLE {table} ADD COLUMN "{name}" DOUBLE' for name in _STATISTICS),
    )


def _revisions(table: str, key: str) -> str:
    return (
        f"CREATE VIEW {table}_revisions AS SELECT *,"  # noqa: S608 - names of this module only
        " lead(entry) OVER later AS replaced_by, lead(published) OVER later AS replaced_at"
        f" FROM (FROM {table} UNION ALL BY NAME FROM {table}_history)"
        f" WINDOW later AS (PARTITION BY {key} ORDER BY revision, entry)"
    )


MIGRATIONS: Final[Mapping[int, tuple[str, ...]]] = {
    1: (_QUARANTINE_STATES,),
    2: (*_with_calendar("aggregates"), *_with_calendar("latest_aggregates")),
    3: (
        *(
            f"ALTER TABLE {table} ADD COLUMN published BIGINT"
            for table in ("aggregates", "latest_aggregates", "indices", "latest_indices")
        ),
        "CREATE TABLE aggregates_history AS FROM aggregates LIMIT 0",
        "CREATE TABLE indices_history AS FROM indices LIMIT 0",
        _revisions("aggregates", 'series, "start", length, calendar'),
        _revisions("indices", 'series, "index", "end"'),
        "CREATE TABLE unsorted (resolution BIGINT, week BIGINT)",
        f"""INSERT INTO unsorted SELECT DISTINCT length, start // {_WEEK_NS} FROM aggregates
            WHERE calendar = 0 AND length >= {_HOUR_NS}""",  # noqa: S608 - numbers of this module only
        "ALTER TABLE latest_aggregates ADD COLUMN resolution BIGINT",
        """UPDATE latest_aggregates
            SET resolution = CASE calendar WHEN 0 THEN length ELSE -calendar::BIGINT END""",
    ),
    4: (_CLOCKS,),
    5: (
        "ALTER TABLE readings ADD COLUMN uncertainty DOUBLE",
        "ALTER TABLE latest_readings ADD COLUMN uncertainty DOUBLE",
        _FITS,
    ),
    # Which table made the values there are was not told, and is not guessed.
    6: (
        "DROP VIEW indices_revisions",
        *(
            f"ALTER TABLE {table} ADD COLUMN {column} VARCHAR"
            for table in ("indices", "latest_indices", "indices_history")
            for column in ("averaging", "table_version")
        ),
        _revisions("indices", 'series, "index", "end"'),
    ),
}
