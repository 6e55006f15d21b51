# SPDX-License-Identifier: EUPL-1.2
"""``lamppost index``: what an index says about concentrations, with the working shown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from lamppost.component import Component, find
from lamppost.errors import ConfigError
from lamppost.indices import Scale
from lamppost.policy import Policy, load_policy
from lamppost.quantities import QUANTITIES
from lamppost.units import CONDITIONS, Conditions, canonical_unit, conversion
from lamppost.wording import printed_unit
from lamppost_app.components import discover_processing
from processors.indices.working import Given, NoTableError, Worked, together, work

from .options import ConfigOption, PolicyOption, load_settings

_NUMBER: Final = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")
_NOTHING: Final = "-"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="index")(index)


def _option(quantity: str) -> Any:  # noqa: ANN401 - typer's own
    label = QUANTITIES[quantity].label
    return typer.Option(
        f"--{quantity}",
        metavar="VALUE",
        help=f"{label}: a mean, or hours from the newest back (12.1,-,13; the nowcast takes hours "
        "only); with a unit if not in ug/m3 (53ppb), and @PERIOD for another average than the "
        "usual one: a list for @15min holds quarters of an hour, for @10min means of ten "
        "minutes, for @peak_season months. May be repeated.",
    )


_Values = list[str] | None


def index(  # noqa: PLR0913, PLR0917 - one option for each pollutant
    name: Annotated[str, typer.Argument(help="us-aqi, nowcast, eaqi, eaqi-2017, daqi or who.")],
    pm2_5: Annotated[_Values, _option("pm2_5")] = None,
    pm10: Annotated[_Values, _option("pm10")] = None,
    o3: Annotated[_Values, _option("o3")] = None,
    no2: Annotated[_Values, _option("no2")] = None,
    so2: Annotated[_Values, _option("so2")] = None,
    co: Annotated[_Values, _option("co")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - a flag
    language: Annotated[str, typer.Option(help="Language of the advice.")] = "en",
    config: ConfigOption = None,
    policy: PolicyOption = None,
) -> None:
    """Say what a health index makes of concentrations, step by step.

    The policy's settings count: what is made of numbers below 0, how many hours are needed, at
    which temperature ppb become a mass. Of hours the answer is what a station would be told.

    lamppost index us-aqi --pm2_5 35.45; lamppost index nowcast --pm2_5 21,-,35,49.2;
    lamppost index us-aqi --o3 0.070ppm --o3 0.13ppm@1h --no2 53ppb
    """
    given = {"pm2_5": pm2_5, "pm10": pm10, "o3": o3, "no2": no2, "so2": so2, "co": co}
    rules = load_policy(policy or load_settings(config).policy_path)
    conditions = rules.units.gas_conditions
    asked = [
        read(quantity, text, conditions)
        for quantity, texts in given.items()
        for text in texts or ()
    ]
    discover_processing()
    wanted = name.replace("-", "_")
    component = find("index", wanted, "lamppost index")
    if not asked:
        known = " ".join(f"--{quantity}" for quantity in component.cls.pollutants)
        raise ConfigError(
            "no concentration is given", where="lamppost index", hint=f"one of {known}"
        )
    settings = component.parse(rules.indices.get(wanted, {}), f"indices.{wanted}")
    try:
        found = [worked for one in asked for worked in work(component, settings, one, conditions)]
    except NoTableError as error:
        raise ConfigError(str(error), where="lamppost index") from error
    answer = answered(component, found, rules, language)
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2) if as_json else printed(answer))


def read(quantity: str, text: str, conditions: Conditions) -> Given:
    """Read what one option says.

    Args:
        quantity: canonical name.
        text: numbers, unit and averaging period.
        conditions: at which a volume of gas becomes a mass.

    Raises:
        ConfigError: naming the option and what is wrong with it.
    """
    where = f"--{quantity}"
    told, _, period = text.partition("@")
    numbers: list[float] = []
    units: set[str] = set()
    for item in told.split(","):
        if item.strip() == _NOTHING:
            numbers.append(math.nan)
            continue
        match = _NUMBER.fullmatch(item)
        if match is None:
            raise ConfigError(
                f"{item.strip()!r} is not a number", where=where, hint="as in 35.4 or 53ppb"
            )
        numbers.append(float(match[1]))
        units |= {match[2]} - {""}
    if len(units) > 1:
        raise ConfigError("the numbers have different units", where=where)
    unit = units.pop() if units else None
    way = conversion(quantity, unit, conditions)
    if way is None:
        raise ConfigError(_about_unit(quantity, unit), where=where, hint="ug/m3, mg/m3, ppb or ppm")
    canonical = QUANTITIES[quantity].unit
    known = (canonical_unit(unit) if unit else None) or canonical
    sentences = []
    if known != canonical:
        sentences = [f"1 {printed_unit(known)} is {way.scale:.6g} {printed_unit(canonical)}"]
        if known in {"ppb", "ppm"}:
            sentences = [f"{sentences[0]} at {CONDITIONS[conditions]}"]
    shown = ", ".join(_NOTHING if math.isnan(number) else f"{number:g}" for number in numbers)
    hours = tuple(number * way.scale + way.offset for number in numbers)
    return Given(
        quantity, period.strip(), hours, (f"given: {shown} {printed_unit(known)}", *sentences)
    )


def _about_unit(quantity: str, unit: str | None) -> str:
    problem = "is not a unit Lamppost knows"
    if canonical_unit(unit or "") is not None:
        problem = f"does not measure {quantity}"
    return f"{unit!r} {problem}"


def answered(
    component: Component, found: Sequence[Worked], rules: Policy, language: str
) -> dict[str, Any]:
    """Return the answer as it is printed in JSON."""
    scale: Scale = component.cls.scale
    whole = together(found)
    worst, category = whole.worst, whole.category(scale)
    languages = rules.advice.get(component.name, {})
    texts = languages.get(language) or next(iter(languages.values()), ())
    return {
        "index": component.name,
        "title": scale.title,
        "table": worst.table.version if worst else scale.version,
        "source": scale.source,
        "pollutants": [_pollutant(worked, scale) for worked in found],
        "value": _number(worst.value) if worst else None,
        "category": category.name if category else None,
        "colour": category.colour if category else None,
        "beyond": worst.beyond if worst else False,
        "responsible": list(whole.responsible),
        "advice": texts[worst.category - 1] if worst and texts else None,
        "policy": rules.version,
    }


def _pollutant(worked: Worked, scale: Scale) -> dict[str, Any]:
    category = scale.categories[worked.category - 1].name if worked.category else None
    return {
        "quantity": worked.quantity,
        "period": worked.table.averaging,
        "table": worked.table.version,
        "concentration": _number(worked.concentration),
        "unit": QUANTITIES[worked.quantity].unit,
        "value": _number(worked.value),
        "category": category,
        "coverage": worked.coverage,
        "beyond": worked.beyond,
        "working": list(worked.sentences),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def printed(answer: dict[str, Any]) -> str:
    """Return the answer as people read it."""
    lines = [f"{answer['title']}, table {answer['table']}: {answer['source']}"]
    for found in answer["pollutants"]:
        lines.append(f"{_label(found['quantity'])}, {found['period']}")
        lines += [f"  {sentence}" for sentence in found["working"]]
        said = "no value" if found["value"] is None else f"{found['value']:g}, {found['category']}"
        lines.append(f"  = {said}")
    if answer["value"] is None:
        return "\n".join([*lines, f"{answer['title']}: no value"])
    responsible = " and ".join(map(_label, answer["responsible"]))
    result = (
        f"{answer['title']} {answer['value']:g}, {answer['category']}, {responsible} responsible"
    )
    lines.append(f"{result}; beyond the published table" if answer["beyond"] else result)
    if answer["advice"]:
        lines.append(f"Advice: {answer['advice']}")
    return "\n".join(lines)


def _label(quantity: str) -> str:
    return QUANTITIES[quantity].label
