# SPDX-License-Identifier: EUPL-1.2
"""``lamppost quarantine`` beside a running system: list, show, replay, drop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries
from lamppost.log import Record
from lamppost.policy import load_policy
from lamppost.times import DAY_NS, SECOND_NS, format_instant
from lamppost_app.cli import app
from lamppost_app.cursors import Cursors
from lamppost_app.engine_role import EngineRole
from lamppost_app.quarantine_bounds import forget
from lamppost_app.quarantine_room import Choice, QuarantineRoom
from lamppost_app.settings import QuarantineSettings
from lamppost_app.sqlite_log import SqliteLog

NOW = 1_795_300_200 * SECOND_NS
ROUTES = "routes:\n  - {{match: {topic}, format: native_json}}\nwindows: {{event_time: {{}}}}\n"
NEW = b'{"sensor":"new","time":"%s","values":{"no2":21.5}}' % format_instant(NOW).encode()
ODD = b'\x00\xff"\x1b[31m not json'


@dataclass
class Place:
    """A data folder with an engine that works when it is told to."""

    folder: Path

    def __post_init__(self) -> None:
        """Open the logs."""
        self.inbox = SqliteLog(self.folder / "data" / "inbox.db")
        self.outbox = SqliteLog(self.folder / "data" / "outbox.db")
        self.cursors = Cursors(self.folder / "data" / "cursors.db")
        self.role = EngineRole(self.inbox, self.outbox, snapshot_s=1e9)

    def receive(self, *messages: tuple[str, bytes], at: int = NOW) -> None:
        """Take messages in."""
        deliveries = Deliveries()
        for route, payload in messages:
            deliveries.add(route, payload, at, source="mqtt")
        self.inbox.append([Record(log.FRAME, at, deliveries.to_bytes())])
        self.work()

    def take_policy(self, topic: str) -> None:
        """Write the policy files and let them take effect."""
        (self.folder / "policy").mkdir(exist_ok=True)
        (self.folder / "policy" / "all.yaml").write_text(ROUTES.format(topic=topic))
        canonical = load_policy(self.folder / "policy").canonical()
        self.inbox.append([Record(log.POLICY, NOW, canonical.encode())])
        self.work()

    def work(self) -> None:
        """Let the engine read what waits."""
        while self.role.step():
            pass

    def run(self, *words: str) -> Result:
        """Run the command in this folder."""
        config = ("--config", str(self.folder / "lamppost.toml"))
        return CliRunner().invoke(app, ["quarantine", *words, *config])

    def listed(self, *words: str) -> list[dict[str, object]]:
        """Return what the list says."""
        result = self.run("list", "--json", *words)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A system that heard two sensors it has no route for, and something that is no JSON."""
    monkeypatch.setattr("lamppost_app.commands.quarantine._WAIT_S", 0.0)
    (tmp_path / "lamppost.toml").write_text('policy = "policy"\n[data]\ndir = "data"\n')
    made = Place(tmp_path)
    made.take_policy("v1/known/readings")
    made.receive(("v1/new/readings", NEW), ("v1/known/readings", ODD))
    made.receive(("v1/other/readings", NEW.replace(b"new", b"old")), at=NOW + SECOND_NS)
    yield made
    for opened in (made.inbox, made.outbox, made.cursors):
        opened.close()


def test_list_filters_by_code_route_time_and_state(place: Place) -> None:
    """Each filter narrows; identities are entry and row."""
    everything = place.listed()

    assert [row["code"] for row in everything] == ["no_format", "malformed", "no_format"]
    assert all(str(row["id"]).count("-") == 1 for row in everything)
    assert place.listed("--code", "malformed") == [everything[1]]
    assert place.listed("--route", "v1/new/#") == [everything[0]]
    assert place.listed("--since", format_instant(NOW + SECOND_NS)) == [everything[2]]
    assert place.listed("--state", "dropped") == []


def test_the_table_says_how_many_there_are_and_cannot_steer_the_terminal(place: Place) -> None:
    """Devices choose routes; a route with an escape code is printed as text."""
    place.receive(("v1/\x1b[31mred/readings", NEW))

    result = place.run("list", "--limit", "4")
    shortened = place.run("list", "--limit", "1")

    assert "\x1b" not in result.stdout
    assert "4 in all" in result.stdout
    assert "3 not shown" in shortened.stdout


def test_show_prints_the_bytes_and_writes_them_exactly(place: Place, tmp_path: Path) -> None:
    """Hexadecimal and text for people, the very bytes for a file."""
    name = str(place.listed("--code", "malformed")[0]["id"])
    target = tmp_path / "message.bin"

    shown = place.run("show", name)
    place.run("show", name, "--out", str(target))
    told = json.loads(place.run("show", name, "--json").stdout)

    assert "The bytes are not what the format says they should be." in shown.stdout
    assert '00000000  00 ff 22 1b 5b 33 31 6d 20 6e 6f 74 20 6a 73 6f  |.."' in shown.stdout
    assert target.read_bytes() == ODD
    assert bytes.fromhex(told["payload_hex"]) == ODD


def test_replay_after_the_fix_brings_the_readings_and_marks_the_messages(place: Place) -> None:
    """What is left in quarantine is what the fix did not concern."""
    place.take_policy("v1/+/readings")
    waiting = place.listed("--code", "no_format")

    result = place.run("replay", "--all", "--code", "no_format", "--by", "ada", "--reason", "route")
    place.work()

    assert "2 messages entered" in result.stdout
    assert [row["code"] for row in place.listed()] == ["malformed"]
    replayed = place.listed("--state", "replayed")
    assert [row["id"] for row in replayed] == [row["id"] for row in waiting]
    assert {(row["replayed_by"], row["replayed_reason"]) for row in replayed} == {("ada", "route")}
    sensors = {key.sensor for key in place.role.engine.series}
    assert sensors == {"new", "old"}


def test_replay_says_when_the_engine_sends_it_back(place: Place) -> None:
    """An unfixed message is in quarantine again, and the command says so."""
    name = str(place.listed("--code", "malformed")[0]["id"])

    assert "the engine has not read them yet" in place.run("replay", name).stdout
    place.work()

    assert [row["code"] for row in place.listed("--code", "malformed")] == ["malformed"]
    assert "--again" in str(place.run("replay", name).exception)


def test_replay_refuses_a_policy_that_has_not_taken_effect(place: Place) -> None:
    """Editing the files is half of a fix."""
    (place.folder / "policy" / "all.yaml").write_text(ROUTES.format(topic="v1/#"))

    refused = place.run("replay", "--all")
    forced = place.run("replay", "--all", "--even-so")

    assert isinstance(refused.exception, ConfigError)
    assert "restart lamppost run" in str(refused.exception)
    assert forced.exit_code == 0


def test_dropped_bytes_are_forgotten_at_the_next_trim(place: Place) -> None:
    """The row stays with code and reason; its neighbour in the same entry keeps its bytes."""
    first, second, _ = place.listed()

    place.run("drop", str(first["id"]), "--reason", "a test device", "--by", "ada")
    place.work()
    forget(
        place.outbox, place.cursors, QuarantineSettings(), before=place.outbox.last() + 1, now=NOW
    )

    (dropped,) = place.listed("--state", "dropped")
    assert (dropped["id"], dropped["bytes"]) == (first["id"], 0)
    assert dropped["dropped_reason"] == "a test device"
    room = QuarantineRoom(place.outbox, place.cursors)
    assert room.find([str(second["id"])])[0].payload == ODD
    assert "was dropped by ada" in str(place.run("replay", str(first["id"])).exception)
    assert "forgotten (dropped): 1 messages" in place.run("list").stdout


@pytest.mark.parametrize(
    ("keep", "now", "cause"),
    [
        (QuarantineSettings(days=1), NOW + DAY_NS + 1, "age"),
        (QuarantineSettings(max_mb=0.0015), NOW, "size"),
    ],
)
def test_the_oldest_go_first_and_are_counted(
    place: Place, keep: QuarantineSettings, now: int, cause: str
) -> None:
    """By age or by size, whichever comes first; what a sink has not read stays."""
    room = QuarantineRoom(place.outbox, place.cursors)
    forget(place.outbox, place.cursors, keep, before=0, now=now)
    assert len(list(room.held(Choice()))) == 3

    forget(place.outbox, place.cursors, keep, before=place.outbox.last() + 1, now=now)

    assert [held.route for held in room.held(Choice())] == ["v1/other/readings"]
    (gone,) = place.cursors.forgotten()
    assert (gone.cause, gone.messages, gone.bytes) == (cause, 2, len(NEW) + len(ODD))


def test_ordinary_trimming_leaves_quarantine_alone(place: Place) -> None:
    """The outbox forgets results after three days; quarantine has bounds of its own."""
    place.outbox.trim(place.outbox.last() + 1)

    assert len(place.listed()) == 3


def test_refusals_of_sinks_are_listed_but_cannot_be_replayed(place: Place) -> None:
    """They carry the sink's name and the server's answer."""
    content = {"sink": "influxdb", "position": 17, "refused": {"3": "HTTP 400: bad field"}}
    place.cursors.append([Record(log.QUARANTINE, NOW, json.dumps(content).encode())])

    (row,) = place.listed("--code", "sink_refused")

    assert (row["kind"], row["source"], row["detail"]) == (
        "sink",
        "influxdb",
        "HTTP 400: bad field",
    )
    assert "HTTP 400" in place.run("show", str(row["id"])).stdout
    assert "a refusal of influxdb" in str(place.run("replay", str(row["id"])).exception)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["show", "nonsense"], "no identity"),
        (["show", "999-0"], "there is no message 999-0"),
        (["list", "--code", "nothing"], "known: no_format"),
        (["list", "--since", "yesterday"], "no date and time"),
        (["list", "--state", "odd"], "waiting"),
        (["replay"], "--all"),
    ],
)
def test_mistakes_are_answered_with_what_to_do(place: Place, words: list[str], hint: str) -> None:
    """One line, and exit code 2."""
    result = place.run(*words)

    assert isinstance(result.exception, ConfigError)
    assert hint in str(result.exception)
