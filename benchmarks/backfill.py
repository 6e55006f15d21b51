# SPDX-License-Identifier: EUPL-1.2
"""How long an archive takes from the command to its published aggregates."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lamppost.times import DAY_NS, MINUTE_NS, format_instant
from lamppost_app.sqlite_log import ENGINE, SqliteLog

from .rows import Row
from .services import StartError, free_port
from .timing import Plan, Spread

GROUP: Final = "backfill"
ROWS: Final = 250_000
_STATIONS: Final = (50, 1)
_BUDGET_S: Final = 30.0
_PATIENCE_S: Final = 60.0
_PUBLISHED: Final = re.compile(r"published after ([\d.]+) s")
_SETTINGS: Final = """\
policy = "{policy}"
[data]
dir = "data"
[mqtt]
enabled = false
[http]
port = {port}
"""
_HOW: Final = (
    "A CSV file of {rows:,} rows, two quantities of each station every minute, up to yesterday;"
    " `lamppost run` with its default policy, store and open data at work;"
    " `lamppost import FILE --wait`"
    " from its start until the engine has published everything; wall clock."
)


def measure(plan: Plan) -> list[Row]:
    """Measure imports of archives one after the other, each of stations of its own."""
    rows, turns = plan.pick(ROWS, ROWS // 5), plan.pick(3, 1)
    with tempfile.TemporaryDirectory() as named, _running(Path(named)) as settings:
        folder = Path(named)
        return [
            _row(rows, stations, Spread(
                [_import(_archive(folder, turn, rows, stations), settings) for turn in range(turns)]
            ))
            for stations in _STATIONS
        ]  # fmt: skip


def _row(rows: int, stations: int, taken: Spread) -> Row:
    of = "one station" if stations == 1 else f"{stations} stations"
    return Row(
        group=GROUP,
        what=f"{rows:,} rows of {of} out of a file → aggregates",
        measured=taken.median,
        low=taken.low,
        high=taken.high,
        unit="s",
        better="less",
        how=_HOW.format(rows=rows),
        budget=_BUDGET_S,
    )


def _import(archive: Path, settings: Path) -> float:
    """Return the seconds from the command to the last published aggregate."""
    command = [sys.executable, "-m", "lamppost_app", "import", str(archive), "--wait"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--config", str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = []
        for line in process.stderr or ():
            said.append(line)
            if _PUBLISHED.search(line):
                taken = time.perf_counter() - began
                process.wait()
                return taken
    raise StartError(f"the import published nothing:\n{''.join(said)}")


def _archive(folder: Path, turn: int, rows: int, stations: int) -> Path:
    """Write rows as an export of a database would hold them: in the order of their times."""
    minutes = rows // (2 * stations)
    first = time.time_ns() // DAY_NS * DAY_NS - DAY_NS - minutes * MINUTE_NS
    path = folder / f"archive-{stations}-{turn}.csv"
    with path.open("w", encoding="utf-8") as text:
        text.write("station,time,quantity,value,unit\n")
        for minute in range(minutes):
            at = format_instant(first + minute * MINUTE_NS)
            for station in range(stations):
                name, value = (
                    f"t{turn}-{stations}-{station:03d}",
                    5 + (minute * 7 + station) % 60 / 10,
                )
                text.write(f"{name},{at},pm2_5,{value},ug/m3\n{name},{at},no2,{value},ppb\n")
    return path


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[Path]:
    """Run an installation; yield its settings once its engine has read the first entries."""
    policy = Path(__file__).parent.parent / "policy"
    settings = folder / "lamppost.toml"
    settings.write_text(_SETTINGS.format(policy=policy, port=free_port()))
    command = [sys.executable, "-m", "lamppost_app", "run", "--config", str(settings)]
    with (
        (folder / "output.log").open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=folder) as process,
    ):
        try:
            _wait_for_engine(folder)
            yield settings
        finally:
            process.terminate()
            process.wait()


def _wait_for_engine(folder: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    path = folder / "data" / "outbox.db"
    while time.monotonic() < until:
        if path.is_file():
            with contextlib.closing(SqliteLog(path)) as outbox:
                if outbox.position(ENGINE):
                    return
        time.sleep(0.1)
    raise StartError(f"lamppost did not start:\n{(folder / 'output.log').read_text()[-2000:]}")
