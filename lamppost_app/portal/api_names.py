# SPDX-License-Identifier: EUPL-1.2
"""Whether a question without any rows in its answer names something that there is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, Final

from lamppost.periods import resolution_name
from lamppost.refusal_codes import CODES
from sinks.store_reader import StoreReader

from .api_limits import window_of
from .problem_types import ApiProblem
from .rulebook import Rulebook

_SENSORS: Final = """
SELECT DISTINCT sensor FROM (
    SELECT sensor FROM stations UNION ALL SELECT sensor FROM series
    UNION ALL SELECT sensor FROM ledger UNION ALL SELECT sensor FROM quarantine
)
"""
_LIKE: Final = f"""
SELECT sensor FROM ({_SENSORS}) WHERE jaro_winkler_similarity(lower(sensor), lower(?)) > 0.8
ORDER BY jaro_winkler_similarity(lower(sensor), lower(?)) DESC, sensor LIMIT 1
"""  # noqa: S608 - fixed text
_ANYTHING: Final = "SELECT 1 FROM series UNION ALL SELECT 1 FROM stations LIMIT 1"
_LISTED: Final = 40

Check = Callable[[StoreReader, Rulebook, str], dict[str, Any] | None]


def check_names(reader: StoreReader, rules: Rulebook, query: object) -> None:
    """Refuse a question about what there is not; of what there is, there may be nothing yet.

    Raises:
        ApiProblem: naming each parameter, and what it can be.
    """
    if not rules.policy or reader.row(_ANYTHING) is None:
        return
    errors = []
    for parameter, check in _CHECKS.items():
        asked = getattr(query, parameter, "")
        error = check(reader, rules, asked) if asked else None
        if error is not None:
            errors.append({"parameter": parameter, "code": "unknown", **error})
    if errors:
        detail = "; ".join(f"{error['parameter']}: {error['detail']}" for error in errors)
        raise ApiProblem("invalid-parameters", detail, errors=errors)


def _window(reader: StoreReader, rules: Rulebook, asked: str) -> dict[str, Any] | None:
    if not rules.windows:  # rules of an earlier version do not tell
        return None
    calendar, length = window_of(asked)
    name = resolution_name(length, calendar)
    stored = reader.rows("SELECT DISTINCT resolution FROM latest_aggregates ORDER BY resolution")
    held = [resolution_name(row["resolution"]) for row in stored]
    known = list(dict.fromkeys([*rules.windows, *held]))
    return None if name in known else _unknown("there are no windows of", asked, known)


def _quantity(reader: StoreReader, rules: Rulebook, asked: str) -> dict[str, Any] | None:
    if asked in rules.quantities:
        return None
    rows = reader.rows("SELECT DISTINCT quantity FROM series ORDER BY quantity")
    held = [row["quantity"] for row in rows]
    if asked in held:
        return None
    meant = difflib.get_close_matches(asked, [*held, *rules.quantities], 1)
    return _unknown("there is no quantity", asked, held, meant)


def _station(reader: StoreReader, _rules: Rulebook, asked: str) -> dict[str, Any] | None:
    if reader.row(f"{_SENSORS} WHERE sensor = ? LIMIT 1", [asked]) is not None:
        return None
    likest = reader.row(_LIKE, [asked, asked])
    meant = [] if likest is None else [str(likest["sensor"])]
    return _unknown("there is no station", asked, (), meant)


def _code(_reader: StoreReader, _rules: Rulebook, asked: str) -> dict[str, Any] | None:
    return None if asked in CODES else _unknown("there is no reason", asked, list(CODES))


def _rule(_reader: StoreReader, rules: Rulebook, asked: str) -> dict[str, Any] | None:
    sets = rules.compliance.sets.values()
    known = list(dict.fromkeys(name for chosen in sets for name in chosen.rules))
    return None if asked in known else _unknown("there is no rule", asked, known)


def _column(table: str, column: str) -> Check:
    problem = f"no {'station' if table == 'stations' else 'series'} has the {column}"

    def check(reader: StoreReader, _rules: Rulebook, asked: str) -> dict[str, Any] | None:
        rows = reader.rows(
            f"SELECT DISTINCT {column} AS name FROM {table} WHERE {column} <> '' ORDER BY name"  # noqa: S608 - names of this module only
        )
        known = [row["name"] for row in rows]
        return None if asked in known else _unknown(problem, asked, known)

    return check


def _unknown(
    problem: str, asked: str, known: Sequence[str], meant: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what is wrong with a name, and the ones there are where they can be listed."""
    meant = meant or difflib.get_close_matches(asked, known, 1)
    hints = [f"did you mean {meant[0]}?"] if meant else []
    if known and len(known) <= _LISTED:
        hints.append(f"there are {', '.join(known)}")
    elif not meant:
        hints.append("the lists /api/v1/stations and /api/v1/series have what there is")
    listed = {"known": list(known)} if known else {}
    return {"detail": "; ".join([f"{problem} {asked!r}", *hints]), **listed}


_CHECKS: Final[dict[str, Check]] = {
    "window": _window,
    "quantity": _quantity,
    "station": _station,
    "area": _column("stations", "area"),
    "kind": _column("stations", "kind"),
    "qualifiers": _column("series", "qualifiers"),
    "code": _code,
    "rule": _rule,
}
