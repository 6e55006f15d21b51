# SPDX-License-Identifier: EUPL-1.2
"""``lamppost quarantine``: what could not be used, and what to do with it."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.policy import Policy, load_policy
from lamppost.refusal_codes import CODES
from lamppost.times import format_instant
from lamppost_app import quarantine_room
from lamppost_app.cursors import Cursors
from lamppost_app.decoding import TOO_LARGE_HEADER
from lamppost_app.quarantine_room import (
    DROPPED,
    ENGINE_SOURCE,
    STATES,
    WAITING,
    Choice,
    Held,
    QuarantineRoom,
)
from lamppost_app.settings import Settings
from lamppost_app.sqlite_log import ENGINE, SqliteLog

from .options import ConfigOption, instant_of, printable, settings_with_outbox, wide_console

_WAIT_S: Final = 5.0
_LOOK_S: Final = 0.05
_DUMP_BYTES: Final = 4096
_ROW_BYTES: Final = 16

Identities = Annotated[list[str] | None, typer.Argument(help="Identities, such as 1234-0.")]
CodeOption = Annotated[str, typer.Option(help=f"Reason: {', '.join(CODES)}.")]
SensorOption = Annotated[str, typer.Option(help="Identity of the sensor.")]
RouteOption = Annotated[str, typer.Option(help="MQTT topic filter (+, #) or URL path.")]
SinceOption = Annotated[str, typer.Option(help="Received since, RFC 3339 with zone.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that the filters admit.")]
ByOption = Annotated[str, typer.Option(help="Who decides this; default: the user's name.")]


@dataclass(frozen=True, slots=True)
class _Place:
    """The files of an installation, open."""

    settings: Settings
    inbox: SqliteLog
    outbox: SqliteLog
    cursors: Cursors

    @property
    def room(self) -> QuarantineRoom:
        """What lies in quarantine there."""
        return QuarantineRoom(self.outbox, self.cursors)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List, show, replay or drop messages that could not be used.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (list_held, show, replay, drop):
        group.command(name=command.__name__.removesuffix("_held"))(command)
    app.add_typer(group, name="quarantine")


def list_held(
    *,
    code: CodeOption = "",
    sensor: SensorOption = "",
    route: RouteOption = "",
    since: SinceOption = "",
    state: Annotated[str, typer.Option(help=f"{', '.join(STATES)}, or all.")] = WAITING,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """List messages in quarantine, the oldest first, and what sinks refused."""
    place = _open(config)
    choice = _choice(code, sensor, route, since, "" if state == "all" else state)
    found = place.room.held(choice)
    shown = list(islice(found, limit))
    more = sum(1 for _ in found)
    if as_json:
        for held in shown:
            typer.echo(json.dumps(_facts(held), ensure_ascii=False))
        return
    _print_table(shown)
    typer.echo(f"{len(shown) + more} in all" + (f", {more} not shown (--limit)" if more else ""))
    for gone in place.cursors.forgotten():
        typer.echo(
            f"forgotten ({gone.cause}): {gone.messages} messages, {gone.bytes} bytes,"
            f" last {format_instant(gone.at)}"
        )


def show(
    *,
    identity: Annotated[str, typer.Argument(help="Identity, such as 1234-0.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the bytes to this file, as they came.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show one message: why it is here, and its bytes."""
    (held,) = _open(config).room.find([identity])
    if out is not None:
        try:
            out.write_bytes(held.payload)
        except OSError as error:
            raise ConfigError(f"cannot write: {error.strerror}", where=str(out)) from error
    if as_json:
        typer.echo(json.dumps({**_facts(held), "payload_hex": held.payload.hex()}))
        return
    for name, value in _facts(held).items():
        if value not in {"", None}:
            typer.echo(f"{name:<12} {value}")
    if out is not None:
        typer.echo(f"{len(held.payload)} bytes written to {out}")
    else:
        typer.echo(dump(held.payload))


def replay(  # noqa: PLR0913 - each is an option of the command
    *,
    identities: Identities = None,
    everything: AllOption = False,
    code: CodeOption = "",
    sensor: SensorOption = "",
    route: RouteOption = "",
    since: SinceOption = "",
    again: Annotated[bool, typer.Option(help="Also what was replayed already.")] = False,
    by: ByOption = "",
    reason: Annotated[str, typer.Option(help="What was fixed.")] = "",
    even_so: Annotated[
        bool, typer.Option(help="Even if the policy files have not taken effect.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Read messages again as they came, with their first time of receipt, after a fix."""
    place = _open(config)
    choice = _choice(code, sensor, route, since, WAITING)
    named = _chosen(place, identities, choice, everything=everything)
    for held in named:
        _check_replayable(held, again=again)
    chosen = place.room.whole(named)
    if not even_so:
        _check_policy(place)
    if not chosen:
        typer.echo("nothing to replay")
        return
    start = place.outbox.last()
    count = quarantine_room.replay(
        place.inbox, chosen, by=by or getpass.getuser(), reason=reason, now=time.time_ns()
    )
    typer.echo(f"{count} messages entered in the inbox again")
    _report(place, start)


def drop(  # noqa: PLR0913 - each is an option of the command
    *,
    reason: Annotated[str, typer.Option(help="Why they will never be of use.")],
    identities: Identities = None,
    everything: AllOption = False,
    code: CodeOption = "",
    sensor: SensorOption = "",
    route: RouteOption = "",
    since: SinceOption = "",
    by: ByOption = "",
    config: ConfigOption = None,
) -> None:
    """Give messages up; their bytes are forgotten soon after."""
    place = _open(config)
    choice = _choice(code, sensor, route, since, WAITING)
    chosen = _chosen(place, identities, choice, everything=everything)
    for held in chosen:
        _check_message(held)
    if not chosen:
        typer.echo("nothing to drop")
        return
    start = place.outbox.last()
    quarantine_room.drop(
        place.inbox, chosen, by=by or getpass.getuser(), reason=reason, now=time.time_ns()
    )
    typer.echo(f"{len(chosen)} messages marked as dropped")
    _report(place, start)


def dump(payload: bytes) -> str:
    r"""Return bytes as people read them: offset, hexadecimal, text.

    >>> print(dump(b'{"a":1}\x00'))
    00000000  7b 22 61 22 3a 31 7d 00                          |{"a":1}.|
    """
    lines = []
    for start in range(0, min(len(payload), _DUMP_BYTES), _ROW_BYTES):
        row = payload[start : start + _ROW_BYTES]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{3 * _ROW_BYTES}} |{text}|")
    if len(payload) > _DUMP_BYTES:
        lines.append(f"{len(payload) - _DUMP_BYTES} more bytes; --out writes them all to a file")
    return "\n".join(lines)


def _open(config: Path | None) -> _Place:
    settings = settings_with_outbox(config)
    return _Place(
        settings,
        SqliteLog(settings.inbox_path),
        SqliteLog(settings.outbox_path),
        Cursors(settings.cursors_path),
    )


def _choice(code: str, sensor: str, route: str, since: str, state: str) -> Choice:
    if code and code not in CODES:
        hint = f"known: {', '.join(CODES)}"
        raise ConfigError(f"there is no reason {code!r}", where="--code", hint=hint)
    if state and state not in STATES:
        hint = f"known: {', '.join(STATES)}, all"
        raise ConfigError(f"there is no state {state!r}", where="--state", hint=hint)
    instant = instant_of(since, "--since") if since else 0
    return Choice(code, sensor, route, instant, state)


def _chosen(
    place: _Place, identities: Sequence[str] | None, choice: Choice, *, everything: bool
) -> list[Held]:
    if bool(identities) == everything:
        hint = "lamppost quarantine list shows identities"
        raise ConfigError("name messages, or say --all with filters", hint=hint)
    if identities:
        return place.room.find(identities)
    return [held for held in place.room.held(choice) if _is_usable(held)]


def _is_usable(held: Held) -> bool:
    return held.kind == "message" and held.source != ENGINE_SOURCE


def _check_message(held: Held) -> None:
    if held.kind != "message":
        hint = "it is shown so that the cause can be removed, and goes with age"
        raise ConfigError(f"{held.name} is a refusal of {held.source}, not a message", hint=hint)
    if held.state == DROPPED:
        raise ConfigError(f"{held.name} was dropped by {held.changed['by']}")


def _check_replayable(held: Held, *, again: bool) -> None:
    _check_message(held)
    if held.source == ENGINE_SOURCE:
        problem = f"{held.name} is a {held.route} entry of the inbox, not a message of a device"
        raise ConfigError(problem)
    if held.headers and TOO_LARGE_HEADER in json.loads(held.headers):
        hint = "raise mqtt.max_payload_bytes and have the device send it again"
        raise ConfigError(f"only the head of {held.name} was kept", hint=hint)
    if held.state != WAITING and not again:
        hint = "--again reads it once more"
        raise ConfigError(f"{held.name} was replayed by {held.changed['by']}", hint=hint)


def _check_policy(place: _Place) -> None:
    """Stop when the policy files were changed and nobody has told the engine.

    Raises:
        ConfigError: it would judge the messages as it did before.
    """
    files = load_policy(place.settings.policy_path)
    entered = place.inbox.read_kinds([log.POLICY], place.inbox.last())
    in_force = Policy.model_validate_json(entered[-1].body).version if entered else "none"
    if files.version != in_force:
        hint = "restart lamppost run so that it takes effect, or say --even-so"
        problem = f"the policy here is {files.version}, the one in force {in_force}"
        raise ConfigError(problem, where=str(place.settings.policy_path), hint=hint)


def _report(place: _Place, start: int) -> None:
    """Wait a moment for the engine, and say what it made of the messages."""
    wanted = place.inbox.last()
    until = time.monotonic() + _WAIT_S
    while place.outbox.position(ENGINE) < wanted:
        if time.monotonic() > until:
            typer.echo("the engine has not read them yet; it will when it runs")
            return
        time.sleep(_LOOK_S)
    fresh = [
        held
        for entry in place.outbox.scan(log.QUARANTINE, start)
        for held in quarantine_room.messages_of(entry)
    ]
    if fresh:
        typer.echo(f"since then {len(fresh)} messages went into quarantine, the first:")
        typer.echo(f"  {fresh[0].name} {fresh[0].code}: {fresh[0].detail}")


def _facts(held: Held) -> dict[str, Any]:
    changed = {
        f"{held.state}_{name}": format_instant(value) if name == "at" else value
        for name, value in held.changed.items()
        if name in {"at", "by", "reason"}
    }
    return {
        "id": held.name,
        "kind": held.kind,
        "state": held.state,
        "code": held.code,
        "meaning": CODES.get(held.code, ""),
        "detail": held.detail,
        "sensor": held.sensor,
        "source": held.source,
        "route": held.route,
        "headers": held.headers,
        "received_at": format_instant(held.received_at),
        "bytes": len(held.payload),
        **changed,
    }


def _print_table(shown: Sequence[Held]) -> None:
    console = wide_console()
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "received", "code", "sensor", "route", "bytes", "state", "detail"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    for held in shown:
        facts = _facts(held)
        route = facts["source"] if held.kind == "sink" else facts["route"]
        cells = (
            held.name, facts["received_at"], held.code, held.sensor, route,
            str(len(held.payload)), held.state, held.detail,
        )  # fmt: skip
        table.add_row(*(Text(printable(cell)) for cell in cells))
    if shown:
        console.print(table)
