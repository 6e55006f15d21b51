# SPDX-License-Identifier: EUPL-1.2
"""How fast messages come in from a real broker, beside what that broker can give anybody."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final

from .raw_mqtt import RawClient
from .rows import Peer, Row
from .services import Mosquitto
from .subscribing import TOPIC, Subscription, Taken, drain, follow, publish
from .timing import Plan, Spread

GROUP: Final = "intake"
_LIMIT: Final = "mosquitto_sub"
_NAMES: Final = {
    _LIMIT: "mosquitto_sub alone",
    "paho": "stock paho, storing nothing",
    "lamppost": "Lamppost, durable inbox",
}
_LEAST_SHARE: Final = 0.9
_BUDGET_US: Final = 8.0
_MOST_OF_PAHO: Final = 1.0

_Runs = dict[str, list[Taken]]


def measure(plan: Plan) -> list[Row]:
    """Measure all subscribers at QoS 1, and two of them at QoS 0."""
    count, rounds = plan.pick(200_000, 20_000), plan.pick(3, 1)
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        try:
            queued = _queued(broker, count, rounds)
            live = _live(broker, count, rounds)
        finally:
            broker.stop()
    how = (
        f"{count:,} messages published at QoS 1 before, into a persistent session for each"
        " subscriber; each then drains its own, in turns; {}."
    )
    how_live = f"{count:,} messages published at QoS 0 while the subscriber is connected; {{}}."
    return [*_rows(queued, count, 1, how), *_rows(live, count, 0, how_live)]


def _queued(broker: Mosquitto, count: int, rounds: int) -> _Runs:
    """Let every subscriber drain a session of its own that holds the same messages."""
    runs: _Runs = defaultdict(list)
    for number in range(rounds):
        for kind in _NAMES:
            _open_session(broker, f"{kind}-{number}")
        publish(broker.port, count, 1)
        # Nobody always comes first.
        order = [*_NAMES][number % 3 :] + [*_NAMES][: number % 3]
        for kind in order:
            with tempfile.TemporaryDirectory() as folder:
                given = Subscription(broker.port, f"{kind}-{number}", count, Path(folder))
                runs[kind].append(drain(kind, given))
            _end_session(broker, f"{kind}-{number}")
    return runs


def _live(broker: Mosquitto, count: int, rounds: int) -> _Runs:
    """Publish at QoS 0 to one connected subscriber at a time."""
    runs: _Runs = defaultdict(list)
    for number in range(rounds):
        for kind in (_LIMIT, "lamppost"):
            name = f"{kind}-live-{number}"
            _open_session(broker, name)
            with tempfile.TemporaryDirectory() as folder:
                given = Subscription(broker.port, name, count, Path(folder))
                runs[kind].append(follow(kind, given, 0))
            _end_session(broker, name)
    return runs


def _open_session(broker: Mosquitto, client_id: str) -> None:
    with RawClient(broker.port, client_id, clean=False) as client:
        client.subscribe(TOPIC, 1)


def _end_session(broker: Mosquitto, client_id: str) -> None:
    RawClient(broker.port, client_id, clean=True).__exit__()


def _rows(runs: _Runs, count: int, qos: int, how: str) -> list[Row]:
    rates = {kind: Spread([count / run.wall_s for run in taken]) for kind, taken in runs.items()}
    used = {
        kind: Spread([1e6 * run.cpu_s / count for run in taken]) for kind, taken in runs.items()
    }
    rows = [_rate_row(kind, rates, qos, how.format("wall clock")) for kind in runs]
    return rows + [
        _cpu_row(kind, used, qos, how.format("CPU of the subscribing process")) for kind in runs
    ]


def _rate_row(kind: str, rates: dict[str, Spread], qos: int, how: str) -> Row:
    rate, limit = rates[kind], rates[_LIMIT]
    peer = None
    if kind != _LIMIT:
        least = _LEAST_SHARE if kind == "lamppost" and qos else None
        peer = Peer(_NAMES[_LIMIT], limit.median, rate.over(limit), least)
    what = f"intake QoS {qos}: {_NAMES[kind]}"
    return Row(GROUP, what, rate.median, rate.low, rate.high, "messages/s", "more", how, None, peer)


def _cpu_row(kind: str, used: dict[str, Spread], qos: int, how: str) -> Row:
    cpu, peer = used[kind], None
    if kind == "lamppost" and "paho" in used:
        paho = used["paho"]
        peer = Peer("stock paho", paho.median, cpu.over(paho), _MOST_OF_PAHO)
    elif kind != _LIMIT:
        peer = Peer(_NAMES[_LIMIT], used[_LIMIT].median, cpu.over(used[_LIMIT]))
    return Row(
        group=GROUP,
        what=f"intake QoS {qos}, CPU: {_NAMES[kind]}",
        measured=cpu.median,
        low=cpu.low,
        high=cpu.high,
        unit="µs CPU/message",
        better="less",
        how=how,
        budget=_BUDGET_US if kind == "lamppost" else None,
        peer=peer,
    )
