# SPDX-License-Identifier: EUPL-1.2
"""The generated parts of docs/ are those the code gives, and its examples are true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from ingest.formats.native_json import MESSAGE, NativeJson
from lamppost.decoded import Decoded
from lamppost.frames import Deliveries

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/formats/native_json.md"
SCHEMA = ROOT / "docs/formats/native_json.schema.json"
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_reference_pages_are_up_to_date() -> None:
    """What scripts/docs would write is what stands there."""
    command = [sys.executable, "-m", "scripts.reference", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_a_change_is_noticed_and_written(tmp_path: Path) -> None:
    """A page that does not say what the code says is named, and brought up to date."""
    page = tmp_path / "codes.md"
    page.write_text("# Codes\n\n<!-- generated: codes -->\nold\n<!-- end -->\n", encoding="utf-8")
    program = (
        "import pathlib, sys\n"
        "from scripts import reference\n"
        f"reference.DOCS = pathlib.Path({str(tmp_path)!r})\n"
        "(reference.DOCS / 'formats').mkdir()\n"
        "first = reference.main(['--check'])\n"
        "written = reference.main([])\n"
        "sys.exit((first, written, reference.main(['--check'])) != (1, 0, 0))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "codes.md: out of date; run scripts/docs" in result.stderr
    assert "| `too_large` |" in page.read_text(encoding="utf-8")


def test_a_page_of_no_component_is_noticed_and_removed(tmp_path: Path) -> None:
    """What was renamed leaves no page behind."""
    program = (
        "import pathlib, sys\n"
        "from scripts import reference\n"
        f"reference.DOCS = pathlib.Path({str(tmp_path / 'docs')!r})\n"
        "(reference.DOCS / 'formats').mkdir(parents=True)\n"
        "reference.main([])\n"
        "left = reference.DOCS / 'components/check/former.md'\n"
        "left.write_text('# former')\n"
        "first = reference.main(['--check'])\n"
        "reference.main([])\n"
        "sys.exit((first, left.exists(), reference.main(['--check'])) != (1, False, 0))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "former.md: out of date" in result.stderr
    assert (tmp_path / "docs/components/check/spike.md").is_file()


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_follows_schema_and_format(example: str) -> None:
    """What the page shows is admitted by the schema, and read by the format without refusal."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    deliveries = Deliveries()
    deliveries.add("v1/x/readings", example.encode(), 0, source="mqtt")
    out = Decoded()

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(example))
    MESSAGE.validate_json(example)
    NativeJson().decode(deliveries, [0], out)

    assert len(out) > 0
    assert out.refused == []


def test_the_page_has_examples() -> None:
    """The test above looks at something."""
    assert len(EXAMPLES) >= 3
