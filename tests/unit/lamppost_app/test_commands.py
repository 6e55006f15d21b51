# SPDX-License-Identifier: EUPL-1.2
"""The command line: results on standard output, mistakes as one line on standard error."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from benchmarks.services import free_port
from lamppost import log
from lamppost.frames import arrow_bytes
from lamppost.log import Record
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from lamppost_app.cli import main
from lamppost_app.sqlite_log import SqliteLog
from tests.outbox_entries import aggregates_entry, rules_entry, stations_entry
from tests.services import Mosquitto, mosquitto

__all__ = ["mosquitto"]

ROOT = Path(__file__).parents[3]
TOPIC = "v1/aq-017/readings"
WINDOWS = "windows: {event_time: {}}\n"
ROUTES = "routes: [{match: v1/+/readings, format: native_json}]\n"


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands in a folder without settings of its own."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        """Take the folder and what catches the output."""
        self.folder = folder
        self._capture = capture

    def __call__(self, *arguments: str | Path) -> Ran:
        """Run one command as the installed program would."""
        self._capture.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["lamppost", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, *self._capture.readouterr())

    def write(self, name: str, content: str) -> Path:
        """Write a file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def policy(self, content: str) -> Path:
        """Write a policy of one file and return its folder."""
        return self.write("policy/p.yaml", content).parent


@pytest.fixture
def lamppost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """The command line, in an empty folder and with no variables set."""
    for name in [name for name in os.environ if name.startswith("LAMPPOST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def assert_refused(ran: Ran, *parts: str) -> None:
    """Assert exit code 2 and one line on standard error with all its parts."""
    assert ran.code == 2
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("lamppost: ")
    for part in parts:
        assert part in line


# ---- check


def test_check_explains_the_policy_that_comes_with_lamppost(lamppost: CommandLine) -> None:
    """Where it is, its version, and each rule in a line."""
    ran = lamppost("check")

    assert (ran.code, ran.err) == (0, "")
    assert str(ROOT / "policy") in ran.out
    assert "v1/+/readings is read as native_json" in ran.out
    assert "check gross_range: " in ran.out
    assert "index us_aqi: " in ran.out
    assert "alert pm2_5_smoke (critical, threshold after 900 s): Smoke near the ground" in ran.out
    assert "stations: 0" in ran.out


def test_check_reads_the_settings_beside_it(lamppost: CommandLine) -> None:
    """Without being told; another policy may be tried out."""
    lamppost.write("lamppost.toml", 'policy = "policy"\nstations = "s.geojson"\n')
    station = {"id": "a", "geometry": {"coordinates": [8, 49]}}
    lamppost.write("s.geojson", json.dumps({"features": [station]}))
    lamppost.policy(WINDOWS)
    other = lamppost.write("other/p.yaml", WINDOWS + "quality: {sentinel: {quantities: {}}}\n")

    own, tried = lamppost("check"), lamppost("check", "--policy", other.parent)

    assert own.code == tried.code == 0
    assert "stations: 1" in own.out
    assert "check sentinel" not in own.out
    assert "check sentinel" in tried.out


@pytest.mark.parametrize(
    ("settings", "key"),
    [("[mqtt]\nport = 'many'\n", "mqtt.port"), ("polic = 'x'\n", "polic"), ("a = \n", "TOML")],
)
def test_wrong_settings_are_one_line_with_file_and_key(
    settings: str, key: str, lamppost: CommandLine
) -> None:
    """Exit code 2: starting again would not help."""
    config = lamppost.write("mine.toml", settings)

    assert_refused(lamppost("check", "--config", config), f"{config}: ", key)


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        ("qualitty: {}\n", ("p.yaml: qualitty: ",)),
        ("routes: [\n", ("p.yaml: not readable as YAML",)),
        ("time: {max_ahead_s: -1}\n", ("p.yaml: time.max_ahead_s: ",)),
        (WINDOWS + "quality: {vibes: {}}\n", ("quality.vibes: ", "known: ")),
        (WINDOWS + "indices: {us_aqi: {vibes: 1}}\n", ("indices.us_aqi.vibes: ",)),
    ],
)
def test_a_wrong_policy_is_one_line_with_file_and_key(
    policy: str, parts: tuple[str, ...], lamppost: CommandLine
) -> None:
    """Whether the loader or a component finds the mistake."""
    folder = lamppost.policy(policy)

    assert_refused(lamppost("check", "--policy", folder), str(folder), *parts)


def test_a_missing_settings_file_is_one_line(lamppost: CommandLine) -> None:
    """With what to do."""
    assert_refused(lamppost("check", "--config", "no.toml"), "no.toml: ", "--config")


def test_a_wrong_role_is_one_line(lamppost: CommandLine) -> None:
    """The roles there are stand in it."""
    assert_refused(lamppost("run", "--role", "janitor"), "janitor", "intake, engine, deliver")


def test_the_module_is_the_command_line(tmp_path: Path) -> None:
    """``python -m lamppost_app``, as the supervisor starts it, ends with the same code."""
    command = [sys.executable, "-m", "lamppost_app", "check", "--config", str(tmp_path / "no")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert_refused(Ran(ran.returncode, ran.stdout, ran.stderr), "there is no such settings file")


# ---- decode


def test_decode_prints_one_json_object_a_reading(lamppost: CommandLine) -> None:
    """In canonical units, with time and qualifiers as they will be stored."""
    payload = lamppost.write(
        "m.json",
        '{"sensor":"aq-017","time":"2026-11-21T22:00:00+01:00","values":{"no2":100,"pm1":null},'
        '"units":{"no2":"ppb"},"qualifiers":{"channel":"a"}}',
    )

    ran = lamppost("decode", "--topic", TOPIC, payload)

    gas, dust = (json.loads(line) for line in ran.out.splitlines())
    assert (ran.code, ran.err) == (0, "")
    assert gas.pop("value") == pytest.approx(191.25, rel=1e-4)
    assert gas == {
        "sensor_id": "aq-017",
        "quantity": "no2",
        "unit": "ug/m3",
        "timestamp": "2026-11-21T21:00:00Z",
        "qualifiers": {"channel": "a"},
        "reasons": [],
    }
    assert (dust["value"], dust["reasons"]) == (None, ["missing_value"])


def test_decode_shows_no_time_where_the_devices_is_not_believed(lamppost: CommandLine) -> None:
    """It depends on when the message was received."""
    future = '{"sensor":"a","time":"2026-11-21T22:00:00Z","values":{"pm1":1}}'
    payload = lamppost.write("m.json", future)
    naive = lamppost.write("n.json", future.replace("Z", ""))

    wrong = lamppost("decode", "--topic", TOPIC, "--received", "2026-11-21T21:00:00Z", payload)
    missing = lamppost("decode", "--topic", TOPIC, naive)

    assert json.loads(wrong.out)["timestamp"] is None
    assert json.loads(wrong.out)["reasons"] == ["time_implausible"]
    assert json.loads(missing.out)["reasons"] == ["time_missing"]


def test_decode_says_what_it_refuses_and_goes_on(lamppost: CommandLine) -> None:
    """Exit code 1, the reason on standard error, and every good reading on standard output."""
    bad = lamppost.write("bad.json", "{")
    half = lamppost.write("half.json", '{"sensor":"a","values":{"pm1":1,"happiness":2}}')

    ran = lamppost("decode", "--topic", TOPIC, bad, half)

    assert ran.code == 1
    assert [json.loads(line)["quantity"] for line in ran.out.splitlines()] == ["pm1"]
    first, second = ran.err.splitlines()
    assert first.startswith(f"{bad}: malformed: ")
    assert second.startswith(f"{half}: unknown_quantity: ")


def test_decode_knows_the_http_door_and_topics_without_format(lamppost: CommandLine) -> None:
    """The route decides which format reads a message."""
    payload = lamppost.write("m.json", '{"sensor":"a","values":{"pm1":1}}')

    pushed = lamppost("decode", "--topic", "/api/v1/readings", payload)
    nowhere = lamppost("decode", "--topic", "somewhere/else", payload)

    assert pushed.code == 0
    assert nowhere.code == 1
    assert "no_format" in nowhere.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--received", "yesterday"), "--received: "),
        (("--received", "2026-11-21T21:00:00"), "--received: "),
        (("--header", "no colon"), "--header: "),
        (("--before", "no equals sign"), "--before: "),
        (("--before", "topic=missing.json"), "missing.json: "),
        (("--policy", "nowhere"), "nowhere: "),
        (("gone.json",), "gone.json: "),
    ],
)
def test_decode_names_a_wrong_argument(
    arguments: tuple[str, ...], part: str, lamppost: CommandLine
) -> None:
    """One line, exit code 2."""
    payload = lamppost.write("m.json", '{"sensor":"a","values":{"pm1":1}}')

    ran = lamppost("decode", "--topic", TOPIC, *arguments, payload)

    assert ran.code == 2
    assert ran.out == ""
    assert f"lamppost: {part}" in ran.err
    assert len(ran.err.splitlines()) == 1


# ---- replay


def test_replay_writes_what_the_engine_says_about_a_recording(lamppost: CommandLine) -> None:
    """Three hours of minutes, by the policy that comes with Lamppost."""
    rows = "".join(f"2026-01-31T{m // 60:02d}:{m % 60:02d}:00Z,{m % 7}\n" for m in range(180))
    recording = lamppost.write("r.csv", "when,dust\n" + rows)

    ran = lamppost(
        "replay",
        "--input",
        recording,
        "--out",
        "out",
        "--sensor",
        "aq-1",
        "--time-column",
        "when",
        "--column",
        "dust=pm2_5",
    )

    out = lamppost.folder / "out"
    hours = [
        row
        for row in pq.read_table(out / "aggregates.parquet").to_pylist()
        if row["window"] == "1h"
    ]
    assert ran.code == 0
    assert "180 received, 180 accepted, 0 duplicate, 0 quarantined, 0 refused" in ran.out
    assert pq.read_table(out / "readings.parquet").num_rows == 180
    assert [row["count"] for row in hours] == [60, 60, 60]
    assert json.loads((out / "ledger.json").read_text())["total"]["received"] == 180
    assert (out / "alerts.ndjson").is_file()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--column", "dust"), "--column: "),
        (("--column", "dust=happiness"), "--column dust=happiness: "),
        (("--column", "soot=pm10"), "soot"),
        (("--column", "dust=pm10", "--zone", "Mars/Olympus"), "Mars/Olympus"),
    ],
)
def test_replay_names_a_wrong_argument(
    arguments: tuple[str, ...], part: str, lamppost: CommandLine
) -> None:
    """One line, exit code 2."""
    recording = lamppost.write("r.csv", "when,dust\n2026-01-31T00:00:00Z,1\n")

    ran = lamppost(
        "replay",
        "--input",
        recording,
        "--out",
        "out",
        "--sensor",
        "a",
        "--time-column",
        "when",
        *arguments,
    )

    assert_refused(ran, part)


@pytest.mark.parametrize("content", [None, "when,dust\n", "when,dust\n2026-01-31T00:00:00Z,much\n"])
def test_replay_names_a_recording_it_cannot_read(
    content: str | None, lamppost: CommandLine
) -> None:
    """Missing, without rows, or with a cell that is no number."""
    recording = lamppost.folder / "r.csv"
    if content is not None:
        lamppost.write("r.csv", content)

    ran = lamppost(
        "replay",
        "--input",
        recording,
        "--out",
        "out",
        "--sensor",
        "a",
        "--time-column",
        "when",
        "--column",
        "dust=pm10",
    )

    assert_refused(ran, str(recording))


# ---- export


def fill_outbox(folder: Path) -> None:
    """Write an outbox with one hour of one series."""
    series = arrow_bytes(SeriesTable([SeriesKey("aq-017", "pm2_5")]).to_arrow())
    station = {"sensor": "aq-017", "latitude": 49.0, "longitude": 8.4}
    entries = [rules_entry(1), stations_entry(2, station), aggregates_entry(3, length=HOUR_NS)]
    outbox = SqliteLog(folder / "outbox.db")
    outbox.append([Record(log.SERIES, 0, series)])
    outbox.append([Record(entry.kind, entry.at, entry.body) for entry in entries])
    outbox.close()


def test_export_writes_the_open_data_of_an_outbox(lamppost: CommandLine) -> None:
    """Once, and the same when it is asked again."""
    config = lamppost.write("lamppost.toml", '[data]\ndir = "d"\n')
    fill_outbox(lamppost.folder / "d")

    first = lamppost("export", "--out", "open", "--config", config)
    files = {path: path.read_bytes() for path in (lamppost.folder / "open").rglob("*.csv")}
    second = lamppost("export", "--out", "open", "--config", config)

    assert (first.code, second.code) == (0, 0)
    assert "up to outbox entry 4" in first.out
    package = json.loads((lamppost.folder / "open" / "datapackage.json").read_text())
    assert package["resources"]
    rows = [
        row
        for content in files.values()
        for row in csv.DictReader(content.decode().splitlines())
        if "mean" in row
    ]
    assert [float(row["mean"]) for row in rows] == [12.25]
    assert files == {path: path.read_bytes() for path in (lamppost.folder / "open").rglob("*.csv")}


def test_export_without_an_outbox_is_one_line(lamppost: CommandLine) -> None:
    """And makes none."""
    ran = lamppost("export", "--out", "open")

    assert_refused(ran, "outbox.db: there is no outbox", "--config")
    assert not (lamppost.folder / "data").exists()


# ---- doctor


def test_doctor_finds_everything_right(lamppost: CommandLine, mosquitto: Mosquitto) -> None:
    """With a broker that takes quality of service 1."""
    config = lamppost.write(
        "lamppost.toml",
        f'policy = "policy"\n[mqtt]\nport = {mosquitto.port}\n[http]\nport = {free_port()}\n',
    )
    lamppost.policy(WINDOWS + ROUTES)

    ran = lamppost("doctor", "--config", config)

    assert ran.code == 0, ran.out
    lines = [line for line in ran.out.splitlines() if not line.startswith("  ")]
    looked_at = [line.partition(":")[0] for line in lines]
    assert looked_at == [
        f"right  {what}"
        for what in (
            "python",
            "import names",
            "configuration",
            "data folder",
            "broker",
            "broker keeps readings",
            "portal port",
        )
    ]
    assert "not checked  queue on disk" in ran.out


def test_doctor_says_what_is_wrong_and_looks_on(lamppost: CommandLine) -> None:
    """No broker, no database, a port that is taken and a policy that is wrong: exit code 1."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    config = lamppost.write(
        "lamppost.toml",
        f'policy = "policy"\n[mqtt]\nport = {free_port()}\n'
        f'[influxdb]\nenabled = true\nurl = "http://127.0.0.1:{free_port()}"\n'
        f"[http]\nport = {taken.getsockname()[1]}\n",
    )
    lamppost.policy("qualitty: {}\n")

    ran = lamppost("doctor", "--config", config)
    taken.close()

    assert ran.code == 1
    wrong = [line for line in ran.out.splitlines() if line.startswith("WRONG")]
    assert [line.removeprefix("WRONG  ").partition(":")[0] for line in wrong] == [
        "configuration",
        "broker",
        "InfluxDB",
        "portal port",
    ]
    assert "p.yaml: qualitty: " in wrong[0]


def damaged_data(lamppost: CommandLine, *, structure: bool) -> Path:
    """Write settings, and an inbox whose second entry, or whose structure, is damaged."""
    config = lamppost.write(
        "lamppost.toml", 'policy = "policy"\n[data]\ndir = "data"\n[mqtt]\nenabled = false\n'
    )
    lamppost.policy(WINDOWS + ROUTES)
    path = lamppost.folder / "data" / "inbox.db"
    inbox = SqliteLog(path)
    inbox.append([Record(log.FRAME, 1, b"%d" % number * 2000) for number in range(3)])
    inbox.close()
    content = bytearray(path.read_bytes())
    content[100 if structure else content.index(b"11111111")] ^= 0x01
    path.write_bytes(content)
    return config


def test_doctor_names_the_entries_that_are_damaged(lamppost: CommandLine) -> None:
    """File and numbers, and that the others are not harmed."""
    config = damaged_data(lamppost, structure=False)

    ran = lamppost("doctor", "--config", config)

    (line,) = [one for one in ran.out.splitlines() if one.startswith("WRONG  inbox.db")]
    assert ran.code == 1
    assert "inbox.db: entry 2 is damaged (all others are read" in line


def test_repair_brings_what_can_be_read_into_a_new_file(lamppost: CommandLine) -> None:
    """Doctor asks for it; afterwards there is nothing to repair."""
    config = damaged_data(lamppost, structure=True)

    sick = lamppost("doctor", "--config", config)
    repaired = lamppost("repair", "--config", config)
    again = lamppost("repair", "--config", config)
    sound = lamppost("doctor", "--config", config)

    assert "lamppost repair" in sick.out
    assert "inbox.db: repaired, 3 entries kept; the damaged file is now inbox.db.damaged-" in (
        repaired.out
    )
    assert "inbox.db: nothing to repair" in again.out
    assert "right  inbox.db: 3 entries, all whole" in sound.out


def test_doctor_says_when_the_data_folder_cannot_be_used(lamppost: CommandLine) -> None:
    """A file stands where the folder should be."""
    lamppost.write("data", "")
    config = lamppost.write("lamppost.toml", "[mqtt]\nenabled = false\n")

    ran = lamppost("doctor", "--config", config)

    assert ran.code == 1
    assert "WRONG  data folder: " in ran.out
    assert "broker" not in ran.out


def test_doctor_refuses_wrong_settings_like_every_command(lamppost: CommandLine) -> None:
    """It could not look at anything."""
    config = lamppost.write("lamppost.toml", "[mqtt]\nport = -1\n")

    assert_refused(lamppost("doctor", "--config", config), f"{config}: mqtt.port: ")
