# SPDX-License-Identifier: EUPL-1.2
"""The command line on the data of an installation: export, doctor, repair."""

from __future__ import annotations

import csv
import json
import socket
from pathlib import Path

from benchmarks.services import free_port
from lamppost import log
from lamppost.frames import arrow_bytes
from lamppost.log import Record
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from lamppost_app.sqlite_log import SqliteLog
from tests.outbox_entries import aggregates_entry, rules_entry, stations_entry
from tests.services import Mosquitto, mosquitto
from tests.unit.lamppost_app.command_line import (
    ROUTES,
    WINDOWS,
    CommandLine,
    assert_refused,
    lamppost,
)

__all__ = ["lamppost", "mosquitto"]


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
