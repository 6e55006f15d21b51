# SPDX-License-Identifier: EUPL-1.2
"""``python -m benchmarks``: measures everything, prints the table and writes the results."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from lamppost_app.roles import calm_process

from . import (
    backfill,
    checks,
    cities,
    compliance,
    corrections,
    decoding,
    duplicates,
    engine_memory,
    engine_rate,
    inbox,
    intake,
    line_protocol,
    nab,
    store,
)
from .machine import describe
from .report import write_docs, write_results
from .rows import Row
from .table import as_text
from .timing import Plan

MEASUREMENTS: Final[dict[str, Callable[[Plan], list[Row]]]] = {
    "intake": intake.measure,
    "inbox": inbox.measure,
    "decoding": decoding.measure,
    "engine": engine_rate.measure,
    "cities": cities.measure,
    "checks": checks.measure,
    "engine_memory": engine_memory.measure,
    "duplicates": duplicates.measure,
    "line_protocol": line_protocol.measure,
    "store": store.measure,
    "corrections": corrections.measure,
    "backfill": backfill.measure,
    "compliance": compliance.measure,
    "nab": nab.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; return 1 where a ratio is to be asserted and is missed."""
    given = _parser().parse_args(arguments)
    machine = describe()
    # The roles run with these settings, so what they do is measured with them.
    calm_process()
    rows: list[Row] = []
    for name in given.measurement or MEASUREMENTS:
        began = time.monotonic()
        print(f"bench: {name} ...", end=" ", file=sys.stderr, flush=True)
        rows += MEASUREMENTS[name](Plan(quick=given.quick))
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    print(as_text(rows))
    print(f"\nbench: results in {write_results(rows, machine)}", file=sys.stderr)
    if given.write_docs:
        write_docs(rows, machine)
    missed = [row.what for row in rows if row.within_limit is False]
    if given.asserting and missed:
        print(f"bench: ratio missed: {'; '.join(missed)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("measurement", nargs="*", help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="less of everything, under a minute")
    parser.add_argument(
        "--assert", dest="asserting", action="store_true", help="fail where a ratio is missed"
    )
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
