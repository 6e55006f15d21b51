# SPDX-License-Identifier: EUPL-1.2
"""How long it takes until a late reading has corrected what the programming interface says."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

from lamppost.times import HOUR_NS, MINUTE_NS, format_instant

from .rows import Row
from .services import Mosquitto, StartError, free_port
from .timing import Plan, Spread

GROUP: Final = "corrections"
_BUDGET_S: Final = 5.0
_SENSOR: Final = "late-001"
_PATIENCE_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.02
_SETTINGS: Final = """\
policy = "{policy}"
[data]
dir = "data"
[mqtt]
port = {broker}
[http]
port = {port}
reads_per_s = 0
"""
_HOW: Final = (
    "`lamppost run` with its default policy and a Mosquitto; a reading for a closed hour is pushed"
    f" by HTTP, then GET /api/v1/aggregates every {_LOOK_EVERY_S * 1000:.0f} ms until the hour's"
    " next revision is there; wall clock."
)


def measure(plan: Plan) -> list[Row]:
    """Measure late readings one after the other, each for another minute of a closed hour."""
    with tempfile.TemporaryDirectory() as folder, _city(Path(folder)) as portal:
        hour = time.time_ns() // HOUR_NS * HOUR_NS - 2 * HOUR_NS
        on_time = [hour + quarter * 15 * MINUTE_NS for quarter in range(4)]
        _push(portal, [*on_time, time.time_ns()])
        _wait_for(portal, hour, count=len(on_time))
        taken = Spread([_correct(portal, hour, late) for late in range(1, plan.pick(14, 4))])
    return [
        Row(
            group=GROUP,
            what="late reading → corrected hour in the API",
            measured=taken.median,
            low=taken.low,
            high=taken.high,
            unit="s",
            better="less",
            how=_HOW,
            budget=_BUDGET_S,
        )
    ]


def _correct(portal: httpx.Client, hour: int, late: int) -> float:
    """Return the seconds from the push of the ``late``-th late reading to its revision."""
    began = time.perf_counter()
    _push(portal, [hour + late * MINUTE_NS])
    _wait_for(portal, hour, count=4 + late)
    return time.perf_counter() - began


def _push(portal: httpx.Client, times: list[int]) -> None:
    message = {
        "sensor": _SENSOR,
        "time": [format_instant(instant) for instant in times],
        "values": {"pm2_5": [10.0 + instant // MINUTE_NS % 7 for instant in times]},
    }
    portal.post("/api/v1/readings", json=message).raise_for_status()


def _wait_for(portal: httpx.Client, hour: int, count: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not any(item["count"] == count for item in _hours(portal, hour)):
        if time.monotonic() > until:
            raise StartError(f"an hour of {count} readings is not in the programming interface")
        time.sleep(_LOOK_EVERY_S)


def _hours(portal: httpx.Client, hour: int) -> list[dict[str, Any]]:
    span = {"from": format_instant(hour), "to": format_instant(hour + HOUR_NS)}
    asked = {"station": _SENSOR, "quantity": "pm2_5", "window": "1h", **span}
    answer = portal.get("/api/v1/aggregates", params=asked).raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@contextlib.contextmanager
def _city(folder: Path) -> Iterator[httpx.Client]:
    """Run a broker and an installation; yield a client of its portal once that answers."""
    (folder / "broker").mkdir()
    broker, port = Mosquitto(folder / "broker"), free_port()
    policy = Path(__file__).parent.parent / "policy"
    settings = folder / "lamppost.toml"
    settings.write_text(_SETTINGS.format(policy=policy, broker=broker.port, port=port))
    command = [sys.executable, "-m", "lamppost_app", "run", "--config", str(settings)]
    broker.start()
    with (
        contextlib.closing(httpx.Client(base_url=f"http://127.0.0.1:{port}")) as portal,
        (folder / "output.log").open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, cwd=folder) as process,
    ):
        try:
            _wait_until_it_answers(portal, folder / "output.log")
            yield portal
        finally:
            process.terminate()
            process.wait()
            broker.stop()


def _wait_until_it_answers(portal: httpx.Client, output: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if portal.get("/healthz").is_success:
                return
        if time.monotonic() > until:
            raise StartError(f"lamppost did not start:\n{output.read_text()[-2000:]}")
        time.sleep(0.1)
