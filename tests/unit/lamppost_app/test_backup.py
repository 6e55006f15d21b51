# SPDX-License-Identifier: EUPL-1.2
"""A back-up is made while everything runs, is one consistent state, and can be put back."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamppost import log
from lamppost.errors import ConfigError, LamppostError
from lamppost.log import Entry, Record
from lamppost.times import SECOND_NS
from lamppost_app.backup import MANIFEST, back_up, restore
from lamppost_app.cli import command_line
from lamppost_app.commands.doctor import examine as doctor
from lamppost_app.cursors import Cursors
from lamppost_app.roles import sole
from lamppost_app.settings import DataSettings, MqttSettings, Settings
from lamppost_app.sqlite_log import SqliteLog
from lamppost_app.store_care import look_through
from sinks.store import Store, StoreSettings
from sinks.store_layout import TABLES
from tests.unit.portal.seeded_city import city_entries
from tests.unit.sinks.store_cases import NOW, hourly, many_readings

PROGRAM = """
import sys
from pathlib import Path
from lamppost import events
from lamppost_app.roles import sole
from lamppost_app.portal.server import run_portal
from lamppost_app.settings import DataSettings, HttpSettings, Settings
events.configure("INFO", "portal")
folder = Path(sys.argv[1])
with sole("portal", folder):
    run_portal(Settings(data=DataSettings(dir=folder), http=HttpSettings(port=0)))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation whose outbox says what a small city measured."""
    found = Settings(data=DataSettings(dir=tmp_path / "data"))
    say(found, *city_entries(NOW))
    with closing(SqliteLog(found.inbox_path)) as inbox:
        inbox.append([Record(log.TICK, NOW, b"")])
    Cursors(found.cursors_path).close()
    found.open_data_path.mkdir()
    (found.open_data_path / ".cursor.json").write_text('{"cursor": 0}')
    (found.open_data_path / "stations.csv").write_text("station\n")
    return found


def say(settings: Settings, *entries: Entry) -> int:
    """Add to the outbox, and return where it ends."""
    with closing(SqliteLog(settings.outbox_path)) as outbox:
        return outbox.append([Record(entry.kind, entry.at, entry.body) for entry in entries])


@contextmanager
def portal(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A portal that runs, feeding its store."""
    command = [sys.executable, "-c", PROGRAM, str(settings.data.dir)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search("portal_listening", line):
                break
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def load(settings: Settings) -> Iterator[None]:
    """Entries that keep coming."""
    stop = threading.Event()

    def go_on() -> None:
        number = 100
        with closing(SqliteLog(settings.outbox_path)) as outbox:
            while not stop.wait(0.05):
                number += 1
                later = NOW + number * SECOND_NS
                said = many_readings(number, 500, at=later), hourly(1, revision=number)
                outbox.append([Record(entry.kind, entry.at, entry.body) for entry in said])

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table of a store."""
    with closing(Store(StoreSettings(path=path))) as store:
        return {
            table.name: sorted(
                (tuple(row.values()) for row in store.reader.rows(f"SELECT * FROM {table.name}")),
                key=repr,
            )
            for table in TABLES
        }


def follows(folder: Path) -> bool:
    """Tell whether a store holds exactly what the outbox beside it said up to its cursor."""
    fresh = folder / "fresh.duckdb"
    with closing(Store(StoreSettings(path=folder / "store.duckdb"))) as store:
        cursor = store.cursor()
    with (
        closing(SqliteLog(folder / "outbox.db")) as outbox,
        closing(Store(StoreSettings(path=fresh))) as anew,
    ):
        assert outbox.last() >= cursor > 0
        for entry in outbox.read(0, cursor):
            anew.write([entry], entry.seq)
    return content(fresh) == content(folder / "store.duckdb")


def wait_until_fed(settings: Settings, up_to: int) -> None:
    """Wait until the portal has stored the outbox up to an entry."""
    with closing(Cursors(settings.cursors_path)) as cursors:
        for _ in range(3000):
            if cursors.position("store") >= up_to:
                return
            threading.Event().wait(0.02)
    pytest.fail("the store was not fed")


def nothing(_what: str, _done: int, _total: int) -> None:
    """Nobody looks."""


def test_a_backup_under_load_is_one_state_and_can_be_restored(
    settings: Settings, tmp_path: Path
) -> None:
    """The copy's store is what its outbox says; put back, the portal goes on from there."""
    target = tmp_path / "backup"
    told: set[str] = set()
    with portal(settings), load(settings):
        wait_until_fed(settings, 20)
        manifest = back_up(settings, target, lambda what, _done, _total: told.add(what))
        later = manifest.store_cursor or 0
        wait_until_fed(settings, later + 20)

    assert {"store.duckdb", "outbox.db", "inbox.db", "cursors.db"} <= told & manifest.files.keys()
    assert "open-data/.cursor.json" in manifest.files
    said = restore(settings, target)

    assert "the outbox has what followed" in said[-1]
    assert follows(settings.data.dir)
    assert list(settings.data.dir.glob("before-restore-*/store.duckdb"))
    last = say(settings, hourly(1, revision=9_999))
    with portal(settings):
        wait_until_fed(settings, last)
    assert follows(settings.data.dir)


def test_a_backup_of_what_does_not_run_is_the_same(settings: Settings, tmp_path: Path) -> None:
    """Without a portal the files are copied as they lie."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write(city_entries(NOW), 10)
    before = content(settings.store_path)

    back_up(settings, tmp_path / "backup", nothing)
    settings.store_path.unlink()
    restore(settings, tmp_path / "backup", store_only=True)

    assert content(settings.store_path) == before


@pytest.mark.parametrize(("extends", "copied"), [("../base", ["b.yaml"]), ("../nowhere", None)])
def test_a_backup_holds_what_the_policy_extends(
    extends: str, copied: list[str] | None, settings: Settings, tmp_path: Path
) -> None:
    """Its files, and nothing else that lies there; a policy that is wrong stops no back-up."""
    (tmp_path / "city").mkdir()
    (tmp_path / "city" / "p.yaml").write_text(f"extends: {extends}\n")
    (tmp_path / "base" / "inner").mkdir(parents=True)
    (tmp_path / "base" / "b.yaml").write_text("routes: []\n")
    chosen = settings.model_copy(update={"policy": tmp_path / "city"})

    manifest = back_up(chosen, tmp_path / "backup", nothing)

    kept = tmp_path / "backup" / "configuration"
    assert (kept / "policy" / "p.yaml").is_file()
    below = kept / "policy-extended-1"
    assert (sorted(one.name for one in below.iterdir()) if below.is_dir() else None) == copied
    assert ("configuration/policy-extended-1/b.yaml" in manifest.files) == bool(copied)


def test_the_store_alone_is_restored_and_the_logs_stay(settings: Settings, tmp_path: Path) -> None:
    """What the outbox has since is delivered again; what it has forgotten is named."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write(city_entries(NOW), 10)
    back_up(settings, tmp_path / "backup", nothing)
    last = say(settings, *(hourly(1, revision=number) for number in range(1, 9)))
    with closing(SqliteLog(settings.outbox_path)) as outbox:
        outbox.trim(15)

    said = restore(settings, tmp_path / "backup", store_only=True)

    assert said[-1] == "entries 11 to 14 are in neither: what they said is missing"
    with closing(SqliteLog(settings.outbox_path)) as outbox:
        assert outbox.last() == last


def test_a_damaged_backup_is_refused_and_changes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    """Every file is compared with its checksum before anything is moved."""
    back_up(settings, tmp_path / "backup", nothing)
    with (tmp_path / "backup" / "outbox.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"?")

    with pytest.raises(ConfigError, match=r"outbox\.db is damaged"):
        restore(settings, tmp_path / "backup")

    assert not list(settings.data.dir.glob("before-restore-*"))


def test_what_is_no_backup_is_refused(settings: Settings, tmp_path: Path) -> None:
    """So is a folder that was never completed, and a target that exists."""
    with pytest.raises(ConfigError, match="no back-up"):
        restore(settings, tmp_path)
    with pytest.raises(ConfigError, match="there already"):
        back_up(settings, tmp_path, nothing)


def test_nothing_is_restored_under_a_lamppost_that_runs(settings: Settings, tmp_path: Path) -> None:
    """The roles would go on with the files they have open."""
    back_up(settings, tmp_path / "backup", nothing)

    with sole("engine", settings.data.dir), pytest.raises(ConfigError, match="role engine"):
        restore(settings, tmp_path / "backup")


def test_a_damaged_store_gives_no_backup(settings: Settings, tmp_path: Path) -> None:
    """Nobody should find out when it is needed."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write([*city_entries(NOW), many_readings(50, 150_000)], 50)
    damage(settings.store_path)

    with pytest.raises(LamppostError, match=r"damaged: table \w+: Corrupt"):
        back_up(settings, tmp_path / "backup", nothing)

    assert not (tmp_path / "backup" / MANIFEST).exists()


def damage(path: Path) -> None:
    """Turn a bit over in the middle of the readings."""
    place = 12_288 + path.stat().st_size // 262_144 // 2 * 262_144 + 4242
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 16]))


def test_a_portal_that_runs_reads_its_store_through_for_others(settings: Settings) -> None:
    """Two processes cannot open it."""
    with portal(settings):
        assert look_through(settings) == []
    assert look_through(settings) == []


def test_a_portal_says_at_its_start_that_its_store_is_damaged(settings: Settings) -> None:
    """In its log, and to whoever asks."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write([*city_entries(NOW), many_readings(50, 150_000)], 10)
    damage(settings.store_path)

    with portal(settings):
        damages = look_through(settings)

    assert "Corrupt database file" in damages[0]


def test_the_doctor_names_what_is_damaged_and_what_a_new_store_would_hold(
    settings: Settings,
) -> None:
    """With the way back, and how much history it costs."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write([*city_entries(NOW), many_readings(50, 150_000)], 10)
    quiet = settings.model_copy(update={"mqtt": MqttSettings(enabled=False)})
    (sound,) = (found for found in doctor(quiet) if found.what == "store.duckdb")
    damage(settings.store_path)

    (wrong,) = (found for found in doctor(quiet) if found.what == "store.duckdb")

    assert sound.right
    assert not wrong.right
    assert re.search(r"damaged: table \w+: Corrupt database file", wrong.detail)
    last = len(city_entries(NOW))
    assert f"entries 1 to {last}, since 2025-11-21T22:00:00Z: that is all" in wrong.detail


def test_a_damaged_store_is_moved_away_and_built_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After lamppost repair the portal fills a new one from the outbox."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write(city_entries(NOW), 10)
    before = content(settings.store_path)
    with settings.store_path.open("r+b") as file:
        file.seek(12_300)
        file.write(b"\xff" * 64)
    monkeypatch.setenv("LAMPPOST_DATA__DIR", str(settings.data.dir))

    first = CliRunner().invoke(command_line(["repair"]), ["repair"])
    again = CliRunner().invoke(command_line(["repair"]), ["repair"])

    assert re.search(r"store\.duckdb: damaged, and now store\.duckdb\.damaged-", first.output)
    assert "and now store" not in again.output
    with portal(settings):
        wait_until_fed(settings, 10)
    assert content(settings.store_path) == before


def test_backup_and_restore_are_commands(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say what they do."""
    with closing(Store(StoreSettings(path=settings.store_path))) as store:
        store.write(city_entries(NOW), 10)
    monkeypatch.setenv("LAMPPOST_DATA__DIR", str(settings.data.dir))
    target = str(tmp_path / "backup")

    made = CliRunner().invoke(command_line(["backup"]), ["backup", target])
    put_back = CliRunner().invoke(command_line(["restore"]), ["restore", "--store", target])

    assert "all checked" in made.output
    assert "the store is at entry 10" in put_back.output
