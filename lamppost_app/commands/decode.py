# SPDX-License-Identifier: EUPL-1.2
"""``lamppost decode``: what does a message become?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lamppost.component import find, reason_names
from lamppost.errors import ConfigError
from lamppost.flags import TIME_IMPLAUSIBLE, TIME_MISSING
from lamppost.frames import Deliveries
from lamppost.policy import Policy, load_policy
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesTable, qualifiers_mapping
from lamppost.times import format_instant
from lamppost_app.admission import Admission
from lamppost_app.components import discover_processing
from lamppost_app.decoding import DecodedFrame, Decoder

from .options import PolicyOption, instant_of, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="decode")(decode)


def decode(
    files: Annotated[list[Path], typer.Argument(help="Payload files, one message each.")],
    topic: Annotated[str, typer.Option(help="MQTT topic or URL path the messages came by.")],
    header: Annotated[
        list[str] | None, typer.Option(help="HTTP header 'Name: value'; may be repeated.")
    ] = None,
    received: Annotated[
        str, typer.Option(help="Time of receipt, RFC 3339 with zone.")
    ] = "2027-01-01T00:00:00Z",
    before: Annotated[
        list[str] | None,
        typer.Option(help="TOPIC=FILE: a message that came earlier; may be repeated."),
    ] = None,
    policy: PolicyOption = None,
) -> None:
    """Print the readings of messages, one JSON object a line; refusals go to standard error."""
    rules = load_policy(policy or load_settings(None).policy_path)
    series = SeriesTable()
    decoder = make_decoder(rules, series)
    received_at = instant_of(received, "--received")
    for pair in before or []:
        decoder.decode(_delivery(*_topic_and_file(pair), None, received_at))
    headers = _headers(header or [])
    unread = False
    for path in files:
        frame = decoder.decode(_delivery(topic, path, headers, received_at))
        _print(frame, series)
        for refusal in frame.refused:
            typer.echo(f"{path}: {refusal.code}: {refusal.detail}", err=True)
        unread |= bool(frame.refused) and not len(frame.readings)
    raise typer.Exit(1 if unread else 0)


def make_decoder(rules: Policy, series: SeriesTable) -> Decoder:
    """Return a decoder with fresh formats."""
    discover_processing()
    names = {route.format for route in rules.routes}
    formats = {name: find("format", name, "routes").cls() for name in sorted(names)}
    return Decoder(rules, formats, Admission(series, ()))


def _print(frame: DecodedFrame, series: SeriesTable) -> None:
    readings = frame.readings
    for row in range(len(readings)):
        key = series[int(readings.series[row])]
        reasons = int(readings.reasons[row])
        timed = not reasons & int(TIME_MISSING.mask | TIME_IMPLAUSIBLE.mask)
        value = float(readings.value[row])
        line = {
            "sensor_id": key.sensor,
            "quantity": key.quantity,
            "value": None if value != value else value,  # noqa: PLR0124 - not a number
            "unit": QUANTITIES[key.quantity].unit,
            "timestamp": format_instant(int(readings.time[row])) if timed else None,
            "qualifiers": qualifiers_mapping(key.qualifiers),
            "reasons": reason_names(reasons),
        }
        typer.echo(json.dumps(line, ensure_ascii=False))


def _delivery(topic: str, path: Path, headers: str | None, received_at: int) -> Deliveries:
    deliveries = Deliveries()
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the payload: {error.strerror}", where=str(path)) from error
    source = "http" if topic.startswith("/") else "mqtt"
    deliveries.add(topic, payload, received_at, source=source, headers=headers)
    return deliveries


def _topic_and_file(pair: str) -> tuple[str, Path]:
    topic, separator, path = pair.rpartition("=")
    if not separator:
        raise ConfigError(f"{pair!r} is not TOPIC=FILE", where="--before")
    return topic, Path(path)


def _headers(lines: list[str]) -> str | None:
    headers = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            raise ConfigError(f"{line!r} is not 'Name: value'", where="--header")
        headers[name.strip().lower()] = value.strip()
    return json.dumps(headers) if headers else None
