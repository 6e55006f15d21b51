# SPDX-License-Identifier: EUPL-1.2
"""Archives of every layout: what is in them, and which of their lines are no readings.

The excerpts were made up for these tests in the layouts of the networks they are named after.
"""

from __future__ import annotations

import gzip
import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.archives.layouts import Measured
from ingest.archives.rows import ArchiveRows
from ingest.files import BrokenFile, FileWishes, Wishes, archives
from lamppost.decoded import Measurement
from lamppost.errors import ConfigError
from lamppost.times import MINUTE_NS, format_instant, parse_instant

Reading = tuple[str, str, str, str | None, str, float]

SENSOR_COMMUNITY = """\
sensor_id;sensor_type;location;lat;lon;timestamp;P1;durP1;ratioP1;P2;durP2;ratioP2
4711;SDS011;2345;52.132;4.291;2026-03-01T00:01:00;11.00;;;8.50;;
4711;SDS011;2345;52.132;4.291;2026-03-01T00:03:30;12.25;;;;;
"""
SENSOR_COMMUNITY_MONTH = """\
sensor_id;sensor_type;location;lat;lon;timestamp;value_type;value
4712;BME280;2345;52.132;4.291;2026-03-01T00:01:00;pressure;101325.0
4712;BME280;2345;52.132;4.291;2026-03-01T00:01:00;temperature;7.5
"""
OPENAQ = """\
"location_id","sensors_id","location","datetime","lat","lon","parameter","units","value"
"2178","3917","Riverside-2178","2026-03-01T01:00:00-07:00","35.1","-106.6","pm25","µg/m³","7.1"
"2178","3918","Riverside-2178","2026-03-01T01:00:00-07:00","35.1","-106.6","o3","ppm","0.031"
"2178","3919","Riverside-2178","2026-03-01T01:00:00-07:00","35.1","-106.6","relativehumidity","%","40"
"""
OPEN_DATA = """\
station,quantity,qualifiers,unit,window_start,window_end,count,mean,quality
aq-1,pm2_5,channel=a,ug/m3,2026-03-01T00:00:00Z,2026-03-01T01:00:00Z,60,8.25,good
aq-1,pm2_5,channel=a,ug/m3,2026-03-01T00:00:00Z,2026-03-01T00:01:00Z,1,8.0,good
aq-1,pm2_5,channel=a,ug/m3,2026-03-01T01:00:00Z,2026-03-01T02:00:00Z,0,,missing
"""
TIDY = """\
station,time,quantity,value,unit,lane
tr-1,2026-03-01T01:00:00+01:00,vehicle_count,11,,1
tr-1,2026-03-01T01:00:00+01:00,vehicle_count,14,,2
tr-1,2026-03-01T01:00:00+01:00,speed,30,mph,
"""
WIDE = """\
\ufeffDatum;Time;PM2.5 [µg/m³];NO2 [ppb];Note
x;01.03.2026 01:00;8,5;20;calm
x;01.03.2026 02:00;;21,25;
"""


def lay(folder: Path, name: str, text: str) -> str:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def wish(**said: object) -> FileWishes:
    """Return wishes, those about columns among them."""
    about = {"layout", "sensor", "time_columns", "columns", "qualifiers"}
    columns = {key: value for key, value in said.items() if key in about}
    rest = {key: value for key, value in said.items() if key not in about}
    return FileWishes(Wishes(**columns), **rest)


def parts_of(named: Sequence[str], wishes: FileWishes | None = None) -> list[ArchiveRows]:
    """Return what files say, part by part."""
    found = archives(named, wishes or FileWishes())
    return [part.said for archive in found for part in archive.parts()]


def readings_of(parts: Sequence[ArchiveRows]) -> list[Reading]:
    """Return readings in full."""
    return [
        (*said.meanings[number], format_instant(time), value)
        for said in parts
        for number, time, value in zip(
            said.meaning.tolist(), said.time.tolist(), said.value.tolist(), strict=True
        )
    ]


def read(path: str, wishes: FileWishes | None = None) -> list[Reading]:
    """Return the readings of a file."""
    return readings_of(parts_of([path], wishes))


def refused(path: str, wishes: FileWishes | None = None) -> list[tuple[int, str]]:
    """Return line and code of every row that is no reading."""
    return [row[:2] for said in parts_of([path], wishes) for row in said.refused]


def test_a_day_of_sensor_community(tmp_path: Path) -> None:
    """P1 is PM10, P2 is PM2.5, times are UTC, and a sensor may have had nothing to say."""
    path = lay(tmp_path, "2026-03-01_sds011_sensor_4711.csv", SENSOR_COMMUNITY)

    assert read(path) == [
        ("sc-4711", "pm10", "", None, "2026-03-01T00:01:00Z", 11.0),
        ("sc-4711", "pm2_5", "", None, "2026-03-01T00:01:00Z", 8.5),
        ("sc-4711", "pm10", "", None, "2026-03-01T00:03:30Z", 12.25),
    ]
    assert parts_of([path])[0].empty == 1


def test_a_month_of_sensor_community(tmp_path: Path) -> None:
    """One value in each row; pressure is in pascal."""
    path = lay(tmp_path, "2026-03_bme280.csv", SENSOR_COMMUNITY_MONTH)

    assert read(path, wish(sensor="citizen-{id}")) == [
        ("citizen-4712", "pressure", "", "Pa", "2026-03-01T00:01:00Z", 101325.0),
        ("citizen-4712", "temperature", "", None, "2026-03-01T00:01:00Z", 7.5),
    ]


def test_a_day_of_openaq(tmp_path: Path) -> None:
    """Packed, with offsets; each instrument of a location is a channel."""
    path = lay(tmp_path, "location-2178-20260301.csv.gz", OPENAQ)

    assert read(path) == [
        ("openaq-2178", "pm2_5", "channel=3917", "µg/m³", "2026-03-01T08:00:00Z", 7.1),
        ("openaq-2178", "o3", "channel=3918", "ppm", "2026-03-01T08:00:00Z", 0.031),
        ("openaq-2178", "humidity", "channel=3919", "%", "2026-03-01T08:00:00Z", 40.0),
    ]


@pytest.mark.parametrize(("window", "mean"), [("1h", 8.25), ("1min", 8.0)])
def test_our_own_open_data(tmp_path: Path, window: str, mean: float) -> None:
    """The mean of the windows that are wanted; the others are counted."""
    path = lay(tmp_path, "aggregates.csv", OPEN_DATA)

    assert read(path, wish(window=window)) == [
        ("aq-1", "pm2_5", "channel=a", "ug/m3", "2026-03-01T00:00:00Z", mean)
    ]
    assert parts_of([path], wish(window=window))[0].passed_over == (1 if mean == 8.25 else 2)


def test_one_number_in_each_row(tmp_path: Path) -> None:
    """Known qualifiers tell lanes apart, an empty unit is the canonical one."""
    assert read(lay(tmp_path, "t.csv", TIDY)) == [
        ("tr-1", "vehicle_count", "lane=1", None, "2026-03-01T00:00:00Z", 11.0),
        ("tr-1", "vehicle_count", "lane=2", None, "2026-03-01T00:00:00Z", 14.0),
        ("tr-1", "speed", "", "mph", "2026-03-01T00:00:00Z", 30.0),
    ]


def test_one_column_for_each_quantity(tmp_path: Path) -> None:
    """Semicolons, decimal commas, units in brackets, a local time: all found out but the zone."""
    path = lay(tmp_path, "w.csv", WIDE)
    wishes = wish(sensor="st-7", zone="Europe/Berlin")

    assert read(path, wishes) == [
        ("st-7", "pm2_5", "", "µg/m³", "2026-03-01T00:00:00Z", 8.5),
        ("st-7", "no2", "", "ppb", "2026-03-01T00:00:00Z", 20.0),
        ("st-7", "no2", "", "ppb", "2026-03-01T01:00:00Z", 21.25),
    ]
    assert archives([path], wishes)[0].unread == ("Datum", "Note")


def test_a_date_and_a_time_belong_together(tmp_path: Path) -> None:
    """Also where a column called time stands beside."""
    path = lay(tmp_path, "two.csv", "Date,Time,pm10\n2026-03-01,10:00:00Z,1\n")

    assert read(path, wish(sensor="x"))[0][-2] == "2026-03-01T10:00:00Z"


def test_columns_can_be_named(tmp_path: Path) -> None:
    """For files that call things as they like."""
    path = lay(tmp_path, "odd.tsv", "Tag\tUhr\tGas\n2026-03-01\t10:00:00\t5\n")
    columns = {"Gas": Measured("no2", "ppb")}
    said = wish(sensor="x", zone="UTC", time_columns=("Tag", "Uhr"), columns=columns)

    assert read(path, said) == [("x", "no2", "", "ppb", "2026-03-01T10:00:00Z", 5.0)]


def test_old_spreadsheets_are_read(tmp_path: Path) -> None:
    """Text that is not UTF-8 is what spreadsheets wrote before it."""
    path = tmp_path / "old.csv"
    path.write_bytes("time;Temperature [°C]\n2026-03-01T10:00:00Z;7,5\n".encode("cp1252"))

    assert read(str(path), wish(sensor="x")) == [
        ("x", "temperature", "", "°C", "2026-03-01T10:00:00Z", 7.5)
    ]


def test_zip_archives_and_folders_are_searched_in_order_of_time(tmp_path: Path) -> None:
    """Not of names: late rows would lie beyond the horizon of later ones."""
    header = "time,pm10\n"
    lay(tmp_path, "a-newest.csv", f"{header}2026-03-03T00:00:00Z,3\n")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        packed.writestr("deep/first.csv", f"{header}2026-03-01T00:00:00Z,1\n")
        packed.writestr("second.csv", f"{header}2026-03-02T00:00:00Z,2\n")
        packed.writestr("readme.md", "no table")

    found = read(str(tmp_path), wish(sensor="x"))

    assert [reading[-1] for reading in found] == [1.0, 2.0, 3.0]
    assert read(f"{tmp_path}/*.zip", wish(sensor="x")) == found[:2]


def test_bad_lines_are_named_and_cost_only_themselves(tmp_path: Path) -> None:
    """With their numbers, behind empty lines, ragged ones and quotes."""
    text = (
        "time,pm10,no2\n"
        "2026-03-01T00:00:00Z,1,2\n"
        "\n"
        "2026-03-01T00:02:00Z,1\n"
        "yesterday,1,2\n"
        "2026-02-30T00:00:00Z,1,2\n"
        '2026-03-01T00:05:00Z,"1,2",2\n'
        "2026-03-01T00:06:00Z,1e999,2\n"
        "2026-03-01T00:07:00,1,2\n"
        "2026-03-01T00:08:00Z, NaN ,2\n"
    )
    # A local time among others is one bad line; a file of nothing else is not begun.
    path = lay(tmp_path, "bad.csv", text.replace("00:07:00,", "00:07:00X,"))

    assert refused(path, wish(sensor="x")) == [
        (4, "malformed"),
        (5, "time_implausible"),
        (6, "time_implausible"),
        (7, "malformed"),
        (8, "malformed"),
        (9, "time_implausible"),
    ]
    found = read(path, wish(sensor="x"))
    assert [(reading[1], reading[-1]) for reading in found] == [
        ("pm10", 1.0), ("no2", 2.0), ("no2", 2.0), ("no2", 2.0), ("no2", 2.0),
    ]  # fmt: skip


def test_impossible_names_are_bad_lines(tmp_path: Path) -> None:
    """A sensor called dot-dot would be an address of the portal."""
    text = "station,time,quantity,value,lane\n" + "".join(
        f"{sensor},2026-03-01T00:00:00Z,{quantity},1,{lane}\n"
        for sensor, quantity, lane in (
            ("aq-1", "pm10", "1"), ("..", "pm10", "1"), ("", "pm10", "1"), ("aq-1", "", "1"),
            ("aq-1", "pm10", "a=b"), ("aq-2", "pm10", ""), ("aq-1", "pm10", "x" * 600),
        )
    )  # fmt: skip
    path = lay(tmp_path, "names.csv", text)

    assert refused(path) == [(line, "malformed") for line in (3, 4, 5, 6, 8)]
    assert [reading[0] for reading in read(path)] == ["aq-1", "aq-2"]


def test_an_impossible_unit_costs_only_its_row(tmp_path: Path) -> None:
    """A message that names it would be refused whole."""
    text = "station,time,quantity,value,unit\n" + "".join(
        f"aq-1,2026-03-01T00:00:00Z,pm10,1,{unit}\n" for unit in ("ug/m3", "u" * 200, "")
    )
    path = lay(tmp_path, "units.csv", text)

    assert refused(path) == [(3, "malformed")]
    assert [reading[3] for reading in read(path)] == ["ug/m3", None]


def test_a_local_time_is_never_taken_for_utc(tmp_path: Path) -> None:
    """The file is refused before anything is imported, with what to do."""
    path = lay(tmp_path, "local.csv", "time,pm10\n2026-03-01 10:00:00,1\n")

    with pytest.raises(ConfigError, match=r"line 2 .* without a zone.*--zone"):
        archives([path], wish(sensor="x"))
    assert read(path, wish(sensor="x", zone="Europe/Berlin"))[0][-2] == "2026-03-01T09:00:00Z"


def test_day_and_month_are_not_guessed(tmp_path: Path) -> None:
    """Between slashes nobody knows which comes first."""
    path = lay(tmp_path, "slashes.csv", "time,pm10\n02/03/2026 10:00,1\n")

    with pytest.raises(ConfigError, match="--time-format"):
        archives([path], wish(sensor="x", zone="UTC"))
    said = wish(sensor="x", zone="UTC", time_form="%d/%m/%Y %H:%M")
    assert read(path, said)[0][-2] == "2026-03-02T10:00:00Z"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("empty.csv", "", "empty"),
        ("strange.csv", "pm10,b\n1,2\n", "no column of a time"),
        ("mute.csv", "time,happiness\n2026-03-01T00:00:00Z,1\n", "no column of a known quantity"),
        ("nobody.csv", "time,pm10\n2026-03-01T00:00:00Z,1\n", "--sensor"),
        ("twice.csv", "time,pm10,pm10\n", "two columns"),
        ("us.csv", "time,pm10\n" + 20 * "Mar 1 2026,1\n", "no row can be read: line 2"),
        ("no.parquet", "not at all", "Parquet"),
        ("no.zip", "not at all", "unpacked"),
    ],
)
def test_files_that_cannot_be_imported_say_why(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    """In one line, before anything is imported."""
    sensor = "" if name == "nobody.csv" else "x"

    with pytest.raises(ConfigError, match=problem):
        archives([lay(tmp_path, name, text)], wish(sensor=sensor))


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    """A pattern that matches nothing, and a folder with nothing in it, are mistakes too."""
    for named in (tmp_path / "no.csv", tmp_path / "*.csv", tmp_path):
        with pytest.raises(ConfigError, match="there is no"):
            archives([str(named)], FileWishes())


def test_a_file_that_breaks_off_is_read_up_to_there(tmp_path: Path) -> None:
    """What came before is good, and the damage is said."""
    rows = "".join(f"2026-03-01T00:{n // 60 % 60:02d}:{n % 60:02d}Z,{n}\n" for n in range(200_000))
    path = Path(lay(tmp_path, "cut.csv.gz", "time,pm10\n" + rows))
    os.truncate(path, path.stat().st_size - 1000)

    (archive,) = archives([str(path)], wish(sensor="x"))
    parts = []
    with pytest.raises(BrokenFile, match="cannot be unpacked"):
        parts.extend(archive.parts())

    assert parts
    assert sum(len(part.said.value) for part in parts) > 10_000


def test_parts_are_cut_in_the_same_places_every_time(tmp_path: Path) -> None:
    """Else an import could not go on where it was."""
    rows = "".join(f"2026-03-01T00:{n // 60 % 60:02d}:{n % 60:02d}Z,{n}\n" for n in range(150_000))
    path = lay(tmp_path, "long.csv", "time,pm10\n" + rows)
    (archive,) = archives([path], wish(sensor="x"))

    whole = [part.said for part in archive.parts()]
    later = list(archive.parts(skip=2))

    assert len(whole) > 3
    assert [part.said is None for part in later[:3]] == [True, True, False]
    assert readings_of([part.said for part in later[2:]]) == readings_of(whole[2:])
    assert np.concatenate([said.line for said in whole]).tolist() == list(range(2, 150_002))


def test_a_file_that_goes_back_in_time_is_taken_from_its_end(tmp_path: Path) -> None:
    """The newest row first would leave the others behind the horizon; lines stay what they are."""
    rows = [f"{format_instant(number * MINUTE_NS)},{number}" for number in range(100_000)]
    forward = lay(tmp_path, "forward.csv", "\n".join(["time,pm10", *rows]))
    back = lay(tmp_path, "back.csv", "\n".join(["time,pm10", *rows[::-1]]))
    (archive,) = archives([back], wish(sensor="x"))

    parts = parts_of([back], wish(sensor="x"))
    again = [part.said for part in archive.parts(skip=1)]

    assert readings_of(parts) == read(forward, wish(sensor="x"))
    assert parts[0].line[0] == 100_001
    assert again[0] is None
    assert readings_of(again[1:]) == readings_of(parts[1:])
    assert [part.read for part in archive.parts()][-1] == archive.size


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ms", "UTC"), pa.timestamp("ns"), pa.string(), pa.int64()]
)
def test_parquet_with_times_of_every_kind(tmp_path: Path, kind: pa.DataType) -> None:
    """What Parquet knows to be local needs a zone like any other."""
    instant = parse_instant("2026-03-01T10:00:00Z")
    times = ["2026-03-01T10:00:00Z"] if kind == pa.string() else [instant // 1_000_000]
    unit = pa.timestamp("ms", "UTC")
    column = pa.array(times, pa.string() if kind == pa.string() else pa.int64())
    if pa.types.is_timestamp(kind):
        column = column.cast(unit).cast(kind) if kind.tz else column.cast(pa.timestamp("ms"))
    path = tmp_path / "some.parquet"
    pq.write_table(pa.table({"time": column, "pm10": [4.5]}), path)
    naive = pa.types.is_timestamp(kind) and kind.tz is None

    if naive:
        with pytest.raises(ConfigError, match="--zone"):
            archives([str(path)], wish(sensor="x"))
    assert read(str(path), wish(sensor="x", zone="UTC" if naive else "")) == [
        ("x", "pm10", "", None, "2026-03-01T10:00:00Z", 4.5)
    ]


READINGS = st.lists(
    st.tuples(
        st.builds(
            Measurement,
            st.sampled_from(["aq-1", "aq-2", "Straße 7", 'the "big" one', "a,b;c"]),
            st.sampled_from(["pm10", "no2", "temperature"]),
            st.sampled_from(["", "channel=a", "class=car;lane=2"]),
            st.sampled_from([None, "ppb"]),
        ),
        st.integers(0, 4_000_000_000).map(lambda milliseconds: milliseconds * 1_000_000),
        st.floats(allow_nan=False, allow_infinity=False, width=64),
    ),
    min_size=1,
    max_size=30,
)


def table_of(drawn: Sequence[tuple[Measurement, int, float]]) -> pa.Table:
    """Return readings in the tidy layout."""
    return pa.table(
        {
            "station": [meaning.sensor for meaning, _, _ in drawn],
            "time": [format_instant(time) for _, time, _ in drawn],
            "quantity": [meaning.quantity for meaning, _, _ in drawn],
            "value": pa.array([value for _, _, value in drawn], pa.float64()),
            "unit": pa.array([meaning.unit or "" for meaning, _, _ in drawn]),
            "qualifiers": [meaning.qualifiers for meaning, _, _ in drawn],
        }
    )


def spelled(cell: str | float, decimal: str) -> str:
    """Return a cell as people write it."""
    if isinstance(cell, float):
        return repr(cell).replace(".", decimal)
    doubled = cell.replace('"', '""')
    return f'"{doubled}"'


def written(table: pa.Table, path: Path, separator: str, decimal: str) -> None:
    """Write a table as people do."""
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    lines = [separator.join(table.column_names)]
    lines += [separator.join(spelled(cell, decimal) for cell in row) for row in rows]
    path.write_text("\n".join(lines))


@given(drawn=READINGS, separator=st.sampled_from([",", ";", "\t"]), comma=st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_what_is_read(
    tmp_path: Path,
    drawn: list[tuple[Measurement, int, float]],
    separator: str,
    comma: bool,  # noqa: FBT001 - drawn
) -> None:
    """In CSV and in Parquet, to the last bit of every number."""
    table = table_of(drawn)
    decimal = "," if comma and separator != "," else "."
    expected = [(*meaning, format_instant(time), repr(value)) for meaning, time, value in drawn]
    written(table, tmp_path / "drawn.csv", separator, decimal)
    pq.write_table(table, tmp_path / "drawn.parquet")

    for name in ("drawn.csv", "drawn.parquet"):
        wishes = wish(separator=separator, decimal=decimal)
        found = read(str(tmp_path / name), wishes)
        # Rows that happen to go back in time are taken from the end.
        spoken = Counter((*reading[:-1], repr(reading[-1])) for reading in found)
        assert spoken == Counter(expected)
        assert refused(str(tmp_path / name), wishes) == []
