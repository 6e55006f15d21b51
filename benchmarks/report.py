# SPDX-License-Identifier: EUPL-1.2
"""Where results go: a JSON file and a picture, and the generated part of the page about them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from . import scaling_plot
from .plot import draw
from .rows import Row
from .table import as_markdown

ROOT: Final = Path(__file__).parent.parent
RESULTS: Final = Path(__file__).parent / "results"
_PAGE: Final = "docs/performance.md"
_PICTURE: Final = "docs/images/performance.svg"
_SCALING: Final = "docs/images/scaling.svg"
_GENERATED: Final = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.DOTALL)


def write_results(rows: Sequence[Row], machine: Mapping[str, str], folder: Path = RESULTS) -> Path:
    """Write everything of a run; return the JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    content = {"machine": dict(machine), "rows": [row.as_dict() for row in rows]}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")
    (folder / "results.svg").write_text(draw(rows), encoding="utf-8")
    (folder / "scaling.svg").write_text(scaling_plot.draw(rows), encoding="utf-8")
    return path


def write_docs(rows: Sequence[Row], machine: Mapping[str, str], root: Path = ROOT) -> None:
    """Put a run into the page that is published, and its picture beside it."""
    page = root / _PAGE
    facts = "\n".join(f"| {name} | {value} |" for name, value in machine.items())
    body = f"| machine | |\n|---|---|\n{facts}\n\n{as_markdown(rows)}\n"
    text = page.read_text(encoding="utf-8")
    page.write_text(
        _GENERATED.sub(lambda found: found[1] + body + found[2], text), encoding="utf-8"
    )
    (root / _PICTURE).write_text(draw(rows), encoding="utf-8")
    (root / _SCALING).write_text(scaling_plot.draw(rows), encoding="utf-8")
