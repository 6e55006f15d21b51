# SPDX-License-Identifier: EUPL-1.2
"""Days of detectors as IRIS keeps them. The samples were made up for these tests."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ingest.archives.layouts import Wishes
from ingest.archives.rows import ArchiveRows
from ingest.files import FileWishes, archives
from lamppost.errors import ConfigError
from lamppost.times import format_instant

ARCHIVE = pytest.mark.vector(
    "traffic flow", "mnit-rtmc/iris docs: binned data, 8 or 16 bits, big end first, -1 is missing"
)
CENTRAL = FileWishes(zone="America/Chicago")
BINS = 2880
MIDNIGHT = "2026-06-01T05:00:00Z"

Told = dict[tuple[str, str, str], list[tuple[str, float]]]


def bytes_of(*numbers: int, size: int = BINS) -> bytes:
    """Return a day of 8-bit samples that begins with some, the others missing."""
    return struct.pack(f">{size}b", *numbers, *[-1] * (size - len(numbers)))


def shorts_of(*numbers: int, size: int = BINS) -> bytes:
    """Return a day of 16-bit samples that begins with some, the others missing."""
    return struct.pack(f">{size}h", *numbers, *[-1] * (size - len(numbers)))


def packed(folder: Path, files: Mapping[str, bytes], day: str = "20260601") -> Path:
    """Return an archive of a day."""
    path = folder / f"{day}.traffic"
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


def said(path: Path, wishes: FileWishes = CENTRAL) -> list[ArchiveRows]:
    """Return what each detector says."""
    (day,) = archives([str(path)], wishes)
    return [part.said for part in day.parts() if part.said is not None]


def told(path: Path, wishes: FileWishes = CENTRAL) -> Told:
    """Return readings by sensor, quantity and qualifiers."""
    found: Told = {}
    for rows in said(path, wishes):
        for number, time, value in zip(rows.meaning, rows.time, rows.value, strict=True):
            meaning = rows.meanings[number]
            one = found.setdefault((meaning.sensor, meaning.quantity, meaning.qualifiers), [])
            one.append((format_instant(int(time)), float(value)))
    return found


@ARCHIVE
def test_samples_of_a_day_are_readings_at_the_start_of_their_bins(tmp_path: Path) -> None:
    """From local midnight on; scans are sixtieths of a second, speeds miles an hour."""
    files = {
        "100.v30": bytes_of(3, 0, -1, 2),
        "100.c30": shorts_of(180, 0, -1, 1800),
        "100.s30": bytes_of(55, -1, -1, 0),
    }

    found = told(packed(tmp_path, files))

    second, fourth = "2026-06-01T05:00:30Z", "2026-06-01T05:01:30Z"
    assert found == {
        ("iris-100", "vehicle_count", ""): [(MIDNIGHT, 3.0), (second, 0.0), (fourth, 2.0)],
        ("iris-100", "occupancy", ""): [(MIDNIGHT, 10.0), (second, 0.0), (fourth, 100.0)],
        ("iris-100", "speed", ""): [(MIDNIGHT, 55.0), (fourth, 0.0)],
    }


@ARCHIVE
@pytest.mark.parametrize(
    ("name", "body", "quantity", "qualifiers", "value"),
    [
        ("7.op30", shorts_of(1234), "occupancy", "", 12.34),
        ("7.o30", shorts_of(123), "occupancy", "", 12.3),
        ("7.c10", shorts_of(60, size=8640), "occupancy", "", 10.0),
        ("7.v60", bytes_of(4), "vehicle_count", "", 4.0),
        ("7.vmc30", bytes_of(1), "vehicle_count", "class=motorcycle", 1.0),
        ("7.vs30", bytes_of(1), "vehicle_count", "class=short", 1.0),
        ("7.vm30", bytes_of(1), "vehicle_count", "class=medium", 1.0),
        ("7.vl300", bytes_of(1), "vehicle_count", "class=long", 1.0),
    ],
)
def test_the_ending_tells_what_numbers_are(
    name: str, body: bytes, quantity: str, qualifiers: str, value: float, tmp_path: Path
) -> None:
    """Code and seconds; more than 30 of them are kept in bins of 30."""
    found = told(packed(tmp_path, {name: body}))

    assert found == {("iris-7", quantity, qualifiers): [(MIDNIGHT, pytest.approx(value))]}


def test_quantities_of_a_detector_come_instant_by_instant(tmp_path: Path) -> None:
    """So that checks see together what was measured together."""
    files = {"1.c30": shorts_of(10, 20), "1.v30": bytes_of(1, 2), "2.v30": bytes_of(7)}

    first, second = said(packed(tmp_path, files))

    assert (np.diff(first.time) >= 0).all()
    assert first.value.tolist() == pytest.approx([10 / 18, 1.0, 20 / 18, 2.0])
    assert second.value.tolist() == [7.0]


def test_a_folder_of_a_day_and_its_archive_are_the_same(tmp_path: Path) -> None:
    """Today's files lie in a folder until they are packed."""
    files = {"100.v30": bytes_of(3, 4), "100.s30": bytes_of(50), "9.v30": bytes_of(1)}
    folder = tmp_path / "2026" / "20260601"
    folder.mkdir(parents=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)

    assert told(folder) == told(packed(tmp_path, files))


def test_logs_of_vehicles_become_bins_and_lengths(tmp_path: Path) -> None:
    """Miles an hour and feet, as they stand there."""
    log = b"90,?,00:00:10\n300,40000,,60,18\n300,20000,,50,62\n90,?,00:01:40\nnonsense\n"

    (rows,) = said(packed(tmp_path, {"5.vlog": log}))

    names = [
        (rows.meanings[number].quantity, rows.meanings[number].unit) for number in rows.meaning
    ]
    assert list(zip(names, rows.value.tolist(), strict=True)) == [
        (("vehicle_count", None), 1.0),
        (("occupancy", None), 1.0),
        (("speed", "mph"), 60.0),
        (("headway", None), 40.0),
        (("vehicle_length", "ft"), 18.0),
        (("vehicle_count", None), 1.0),
        (("occupancy", None), 1.0),
        (("speed", "mph"), 50.0),
        (("headway", None), 20.0),
        (("vehicle_length", "ft"), 62.0),
    ]
    assert [line for line, *_ in rows.refused] == [5]


def test_days_are_local_and_clocks_are_put_back(tmp_path: Path) -> None:
    """A log of the hour that comes twice: its second coming is an hour later."""
    lines = [
        f"90,?,{hour:02}:{minute:02}:{second:02}"
        for hour, minutes in ((0, [59]), (1, range(60)), (1, range(60)), (2, [0, 1]))
        for minute in minutes
        for second in (5, 35)
    ]
    path = packed(tmp_path, {"5.vlog": "\n".join(lines).encode()}, day="20261101")

    counts = told(path)[("iris-5", "vehicle_count", "")]

    times = [time for time, _ in counts]
    assert len(times) == len(set(times))
    assert {time[:13] for time in times} == {
        "2026-11-01T05", "2026-11-01T06", "2026-11-01T07", "2026-11-01T08"
    }  # fmt: skip


def test_each_detector_shows_by_itself_which_coming_of_an_hour_is_meant(tmp_path: Path) -> None:
    """Bins have no second coming, and the one of a log is not that of the next detector."""
    files = {f"{n}.v30": bytes_of(*[1] * BINS) for n in (1, 2)}

    first, second = said(packed(tmp_path, files, day="20261101"))

    assert first.time.tolist() == second.time.tolist()
    assert (np.diff(first.time) > 0).all()


def test_a_damaged_file_leaves_the_others_alone(tmp_path: Path) -> None:
    """And one of a wrong size is no day."""
    path = packed(tmp_path, {"1.v30": bytes_of(1), "1.s30": b"\0" * 2881, "1.c30": b"\0" * 3})

    (rows,) = said(path)

    assert rows.value.tolist() == [1.0]
    assert [problem for _, _, problem, _ in rows.refused] == [
        "1.c30 has 3 bytes, not 5760",
        "1.s30 has 2881 bytes, not 2880",
    ]


def test_a_day_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Detectors that were read are passed over."""
    path = packed(tmp_path, {f"{n}.v30": bytes_of(n) for n in (1, 2, 3)})
    (day,) = archives([str(path)], CENTRAL)

    parts = [part.said for part in day.parts(skip=2)]

    assert [one is None for one in parts] == [True, True, False]
    assert day.unread == ()


def test_sensors_are_called_as_wished_and_other_kinds_are_named(tmp_path: Path) -> None:
    """A template for the detector; kinds nobody knows are not read."""
    path = packed(tmp_path, {"1.v30": bytes_of(1), "1.pr60": bytes_of(1)})
    wishes = FileWishes(Wishes(sensor="mn-{id}"), zone="America/Chicago")

    (day,) = archives([str(path)], wishes)

    assert day.unread == (".pr60",)
    assert [sensor for sensor, *_ in told(path, wishes)] == ["mn-1"]


@pytest.mark.parametrize(
    ("name", "wishes", "problem"),
    [
        ("20260601/1.v30", FileWishes(), "nothing names their zone"),
        ("somewhere/1.vlog", CENTRAL, "nothing tells the day"),
        ("20260601.traffic", CENTRAL, "cannot be unpacked"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(
    name: str, wishes: FileWishes, problem: str, tmp_path: Path
) -> None:
    """A local time is never taken for UTC."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes_of(1))

    with pytest.raises(ConfigError, match=problem):
        archives([str(path)], wishes)


def test_an_archive_without_samples_is_said_to_be_one(tmp_path: Path) -> None:
    """Nothing would be imported without a word."""
    with pytest.raises(ConfigError, match="no samples"):
        archives([str(packed(tmp_path, {"readme": b""}))], CENTRAL)
