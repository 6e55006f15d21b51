# SPDX-License-Identifier: EUPL-1.2
"""Numbers, units, durations and lists as people say them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from .quantities import QUANTITIES

_PRINTED_UNITS: Final = {
    "ug/m3": "µg/m³",
    "mg/m3": "mg/m³",
    "ng/m3": "ng/m³",
    "(ug/m3).h": "µg/m³·h",
    "Cel": "°C",
    "deg": "°",
    "1": "",
    "": "",
}
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))

OTHERS: Final = "every other quantity"
"""Stands for the quantities that settings do not name."""

T = TypeVar("T")


def duration(seconds: float) -> str:
    """Return a duration in its largest fitting units.

    >>> duration(45), duration(600), duration(5400), duration(200000)
    ('45 s', '10 min', '1 h 30 min', '2 d 7 h')
    """
    whole = int(seconds)
    for size, unit, smaller_size, smaller in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
    ):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def exactly(seconds: float) -> str:
    """Return a duration to the last digit, as a rule has to be told.

    >>> exactly(43200), exactly(90), exactly(0.5), exactly(0)
    ('12 h', '1 min 30 s', '0.5 s', '0 s')
    """
    rest, parts = seconds, []
    for size, unit in _SPANS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:.0f} {unit}")
    if rest or not parts:
        parts.append(f"{digits(rest)} s")
    return " ".join(parts)


def digits(value: float) -> str:
    """Return a number without needless digits, and without an exponent where there is room.

    >>> digits(80.0), digits(0.0333), digits(4294967296.0)
    ('80', '0.0333', '4294967296')
    """
    return f"{value:.12g}"


def percent(share: float) -> str:
    """Return a share in percent.

    >>> percent(0.75), percent(0.333)
    ('75 %', '33.3 %')
    """
    return f"{digits(100 * share)} %"


def printed_unit(unit: str) -> str:
    """Return a unit as people write it.

    >>> printed_unit("ug/m3")
    'µg/m³'
    """
    return _PRINTED_UNITS.get(unit, unit)


def unit_of(quantity: str) -> str:
    """Return the printed unit of a quantity, a word for it where the quantity is not known."""
    known = QUANTITIES.get(quantity)
    return "of its unit" if known is None else printed_unit(known.unit)


def with_unit(value: float, unit: str) -> str:
    """Return a number with its printed unit.

    >>> with_unit(80, "µg/m³"), with_unit(3, "")
    ('80 µg/m³', '3')
    """
    return f"{digits(value)} {unit}".rstrip()


def span(bounds: tuple[float, float], unit: str) -> str:
    """Return a span with its printed unit.

    >>> span((-15, 5000), "µg/m³")
    '-15 to 5000 µg/m³'
    """
    return f"{digits(bounds[0])} to {with_unit(bounds[1], unit)}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return words as a list.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")
    ('a', 'a and b', 'a, b or c')
    """
    *others, final = words or [""]
    return f"{', '.join(others)} {last} {final}" if others else final


def counted(count: float, noun: str) -> str:
    """Return how many there are of something.

    >>> counted(1, "reading"), counted(5, "reading")
    ('1 reading', '5 readings')
    """
    return f"{digits(count)} {noun}" if count == 1 else f"{digits(count)} {noun}s"


def by_quantity(given: Mapping[str, T], tell: Callable[[T, str], str]) -> str:
    """Return what is given for each quantity; those of which the same is told stand together.

    Args:
        given: settings by quantity.
        tell: puts them into words, with the printed unit of the quantity; nothing leaves it out.

    >>> by_quantity({"pm1": 60, "pm2_5": 80, "o3": 80}, with_unit)
    'pm1 60 µg/m³; pm2_5 and o3 80 µg/m³'
    """
    alike: dict[str, list[str]] = {}
    for name, settings in given.items():
        alike.setdefault(tell(settings, unit_of(name)), []).append(name)
    return "; ".join(f"{listed(names)} {told}" for told, names in alike.items() if told)


def in_common(given: Mapping[str, T], tell: Callable[[T, str], str]) -> str:
    """Return what is given for most quantities, and where others differ from that.

    >>> in_common({"pm1": 60, "pm2_5": 60, "pm10": 90}, with_unit)
    '60 µg/m³ (pm10 90 µg/m³)'
    """
    told = [tell(settings, unit_of(name)) for name, settings in given.items()]
    most = max(dict.fromkeys(told), key=told.count, default="")
    differing = {
        name: one for (name, one), word in zip(given.items(), told, strict=True) if word != most
    }
    return f"{most} ({by_quantity(differing, tell)})" if differing else most
