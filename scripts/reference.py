# SPDX-License-Identifier: EUPL-1.2
"""Writes the parts of docs/ that come from the code: settings, policy, components, flags, columns.

A page holds a generated part between ``<!-- generated: name -->`` and ``<!-- end -->``; the pages
of the components are generated whole. With ``--check`` nothing is written; a page that is out of
date, or of nothing, is named, and the exit code is 1.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from ingest.formats import native_json
from lamppost import compliance, eea, policy, rating
from lamppost.alerts import AlertEvent
from lamppost.batch import AggregateBatch, IndexBatch, JudgedBatch
from lamppost.clock_skew import ClockBatch
from lamppost.component import all_reasons
from lamppost.flags import FLAG_NAMES
from lamppost.quantities import QUANTITIES
from lamppost.refusal_codes import CODES
from lamppost_app.components import discover_all
from lamppost_app.settings import Settings
from sinks import line_protocol
from sinks.open_data.fields import TABLES
from sinks.open_data.schema import Table

from . import component_pages, index_tables
from .markdown import attributes, default_of, model_table, sentence, table, values_of

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
SCHEMA_PAGE: Final = "formats/native_json.schema.json"
_MARK: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_FAULT: Final = re.compile(r'"""(F\d+)[:,] (.*?)\n\nMethod: (.*?)\s+Pass: (.*?)\s*"""', re.DOTALL)


def settings_reference() -> str:
    """Return every setting of an installation, by section."""
    schema = Settings.model_json_schema()
    definitions = schema["$defs"]
    sections: dict[str, type[BaseModel]] = {"": Settings}
    for name, field in Settings.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            sections[name] = field.annotation
    parts = []
    for section, model in sections.items():
        title = f"`[{section}]`" if section else "Top level"
        rows = _setting_rows(section, model, set(sections), definitions)
        heads = ("key", "default", "values", "environment variable", "meaning")
        first = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
        parts.append(f"## {title}\n\n{first}\n\n{table(heads, rows)}")
    return "\n".join(parts)


def _setting_rows(
    section: str, model: type[BaseModel], sections: set[str], definitions: Mapping[str, Any]
) -> Iterator[tuple[str, ...]]:
    meanings = attributes(model)
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        if not section and name in sections:
            continue
        key = f"{section}.{name}" if section else name
        variable = f"LAMPPOST_{section}__{name}" if section else f"LAMPPOST_{name}"
        values = values_of(field, {**definitions, **schema.get("$defs", {})})
        meaning = meanings.get(name, "whether it runs at all." if name == "enabled" else "")
        default = default_of(field, required=False)
        yield f"`{key}`", default, values, f"`{variable.upper()}`", sentence(meaning)


def policy_reference() -> str:
    """Return the fixed parts of a policy, key by key."""
    parts = []
    models: dict[str, type[BaseModel]] = {
        "routes[]": policy.Route,
        "time": policy.TimeRule,
        "units": policy.UnitRule,
        "growth": policy.GrowthRule,
        "rating": rating.Rating,
        "alerts.<id>": policy.AlertRule,
        "compliance": compliance.Compliance,
        "compliance.sets.<name>": compliance.RuleSet,
        "compliance.sets.<name>.rules.<name>": compliance.ComplianceRule,
        "….capture": compliance.CaptureRule,
        "….accumulate": compliance.Accumulation,
        "publication": policy.Publication,
    }
    for where, model in models.items():
        first = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
        parts.append(f"### `{where}`\n\n{first}\n\n{model_table(model.model_json_schema(), model)}")
    return "\n".join(parts)


def limits_reference() -> str:
    """Return the limits of the default policy, by law or guideline."""
    parts = []
    for name, chosen in policy.load_policy(DOCS.parent / "policy").compliance.sets.items():
        rows = (
            (
                f"`{rule_name}`",
                sentence(compliance.explained(rule)),
                sentence("; ".join(filter(None, (rule.source, rule.capture.source)))),
                sentence(rule.remarks),
            )
            for rule_name, rule in chosen.rules.items()
        )
        heads = ("rule", "asks for", "source; of the capture", "remark")
        remark = f"{chosen.remark}\n\n" if chosen.remark else ""
        parts.append(f"### {chosen.title} (`{name}`)\n\n{remark}{table(heads, rows)}")
    return "\n".join(parts)


def flags_reference() -> str:
    """Return the flags, weakest verdict first."""
    order = ("missing", "not_evaluated", "good", "suspect", "fail")
    numbers = {name: number for number, name in FLAG_NAMES.items()}
    return table(("flag", "number"), ((f"`{name}`", str(numbers[name])) for name in order))


def eea_reference() -> str:
    """Return the EEA's codes by flag."""
    verified = f"{eea.NOT_VERIFIED} ({eea.VERIFICATION_NAMES[eea.NOT_VERIFIED]})"

    def named(code: int) -> str:
        return f"{code} ({eea.VALIDITY_NAMES[code]})" if code else "none: nothing is reported"

    rows = (
        (f"`{FLAG_NAMES[flag]}`", named(code), named(eea.WINDOW_VALIDITY[flag]), verified)
        for flag, code in eea.VALIDITY.items()
    )
    return table(("flag", "validity of a reading", "of a window", "verification"), rows)


def reasons_reference() -> str:
    """Return every reason, by bit."""
    rows = (
        (str(reason.bit), f"`{reason.name}`", reason.sentence, sentence(reason.citation))
        for reason in all_reasons()
    )
    return table(("bit", "reason", "meaning", "source"), rows)


def codes_reference() -> str:
    """Return the quarantine codes."""
    return table(("code", "meaning"), ((f"`{code}`", text) for code, text in CODES.items()))


def columns_reference(batch: type[Any]) -> str:
    """Return the columns of a batch."""
    meanings = attributes(batch)
    rows = (
        (f"`{name}`", kind, sentence(meanings.get(name, "")))
        for name, kind in batch.dtypes().items()
    )
    return table(("column", "type", "meaning"), rows)


def event_reference() -> str:
    """Return the fields of an alert event."""
    meanings = attributes(AlertEvent)
    fields = AlertEvent.model_json_schema()["properties"]
    rows = (
        (f"`{name}`", values_of(field, {}), sentence(meanings[name]))
        for name, field in fields.items()
    )
    return table(("field", "values", "meaning"), rows)


def quantities_reference() -> str:
    """Return the vocabulary."""
    rows = (
        (f"`{found.name}`", found.label, f"`{found.unit}`" if found.unit else "none", found.kind)
        for found in QUANTITIES.values()
    )
    return table(("quantity", "printed name", "canonical unit", "family"), rows)


def points_reference() -> str:
    """Return measurements, tags, times and fields in InfluxDB."""
    rows = (
        (f"`{name}`", _names(found.tags), found.time, _names(found.fields))
        for name, found in line_protocol.LAYOUT.items()
    )
    return table(("measurement", "tags", "time", "fields"), rows)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def files_reference() -> str:
    """Return the columns of the open-data files."""
    return "\n".join(_file(found) for found in TABLES)


def _file(found: Table) -> str:
    rows = (
        (
            f"`{column.name}`",
            column.schema_type,
            column.unit or "-",
            str(column.since),
            sentence(column.description),
        )
        for column in found.fields
    )
    key = ", ".join(f"`{name}`" for name in found.key)
    columns = table(("column", "type", "unit", "since layout", "meaning"), rows)
    return f"### {found.title}\n\n{found.description} Key: {key}.\n\n{columns}"


def message_schema() -> str:
    """Return the JSON Schema of a native message."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **native_json.MESSAGE.json_schema(),
        "title": "Lamppost native JSON message",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def faults_reference() -> str:
    """Return the faults of the chaos suite, as the files that cause them say.

    Raises:
        ValueError: a file does not say fault, method and pass line.
    """
    rows = []
    for path in sorted((DOCS.parent / "tests" / "chaos").glob("test_f*.py")):
        said = _FAULT.search(path.read_text(encoding="utf-8"))
        if said is None:
            raise ValueError(f"{path.name}: the docstring must say 'F1: … Method: … Pass: …'")
        rows.append([said[1], *(sentence(" ".join(part.split())) for part in said.groups()[1:])])
    return table(["fault", "what happens", "method", "pass"], rows)


GENERATED: Final[dict[str, Callable[[], str]]] = {
    "settings": settings_reference,
    "policy": policy_reference,
    "limits": limits_reference,
    "index-list": index_tables.overview,
    "index-tables": index_tables.tables,
    "flags": flags_reference,
    "eea": eea_reference,
    "reasons": reasons_reference,
    "codes": codes_reference,
    "readings": lambda: columns_reference(JudgedBatch),
    "aggregates": lambda: columns_reference(AggregateBatch),
    "indices": lambda: columns_reference(IndexBatch),
    "clocks": lambda: columns_reference(ClockBatch),
    "alert-event": event_reference,
    "quantities": quantities_reference,
    "points": points_reference,
    "files": files_reference,
    "faults": faults_reference,
}


def pages() -> dict[Path, str]:
    """Return every page that has a generated part, as it should read.

    Raises:
        KeyError: a page asks for a part that nothing generates.
    """
    discover_all()
    wanted = {DOCS / SCHEMA_PAGE: message_schema()}
    wanted |= {DOCS / path: text for path, text in component_pages.pages(DOCS.parent).items()}
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if path not in wanted and _MARK.search(text):
            wanted[path] = _MARK.sub(lambda hit: f"{hit[1]}\n{GENERATED[hit[2]]()}\n{hit[3]}", text)
    return wanted


def _of_nothing(wanted: Iterable[Path]) -> set[Path]:
    """Return the pages of components there are no more."""
    return set((DOCS / component_pages.FOLDER).rglob("*.md")).difference(wanted)


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    wanted = pages()
    surplus = _of_nothing(wanted)
    stale = [
        path
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for path in [*stale, *sorted(surplus)]:
            name = path.relative_to(DOCS.parent)
            print(f"{name}: out of date; run scripts/docs", file=sys.stderr)
        return 1 if stale or surplus else 0
    for path in surplus:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    print(f"docs: {len(stale)} of {len(wanted)} pages brought up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
