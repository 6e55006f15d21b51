# SPDX-License-Identifier: EUPL-1.2
"""What every fault of the chaos suite is given: chance that can be repeated, and a report."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

_Size = TypeVar("_Size")

FULL = os.environ.get("LAMPPOST_CHAOS") == "full"
REPORT_FOLDER = Path(__file__).parents[2] / "build" / "chaos"


@dataclass
class Trial:
    """One test of the suite and what became of it."""

    test: str
    seed: int
    outcome: str = "not finished"
    seconds: float = 0.0


@dataclass
class Report:
    """What one run of the suite measured; written at its end."""

    form: str = "full" if FULL else "short"
    trials: list[Trial] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the report for people and for programs."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(self.text(), encoding="utf-8")
        content = {
            "form": self.form,
            "trials": [vars(trial) for trial in self.trials],
            "rows": self.rows,
        }
        document = json.dumps(content, indent=2, default=str)
        (folder / "report.json").write_text(f"{document}\n", encoding="utf-8")

    def text(self) -> str:
        """Return the report as Markdown."""
        lines = [f"# Chaos report ({self.form} form)", "", "| fault | what was done | measured |"]
        lines.append("| --- | --- | --- |")
        for row in sorted(self.rows, key=lambda row: str(row["fault"])):
            measured = "; ".join(
                f"{name.replace('_', ' ')} {_shown(value)}"
                for name, value in row["measured"].items()
            )
            lines.append(f"| {row['fault']} | {row['did']} | {measured} |")
        lines += ["", "| trial | outcome | seconds | repeat with |", "| --- | --- | --- | --- |"]
        for trial in sorted(self.trials, key=lambda trial: trial.test):
            seed = f"`LAMPPOST_SEED={trial.seed}`"
            lines.append(f"| {trial.test} | {trial.outcome} | {trial.seconds:.1f} | {seed} |")
        return "\n".join([*lines, ""])


class Chaos:
    """The fixture ``chaos``.

    Attributes:
        seed: where chance starts; printed with a failure, ``LAMPPOST_SEED`` repeats it.
        random: chance, for everything a trial draws.
        full: whether this is the full form (``LAMPPOST_CHAOS=full``).
    """

    def __init__(self, report: Report, test: str) -> None:
        """Draw a seed, or take the one to be repeated."""
        given = os.environ.get("LAMPPOST_SEED")
        self.seed = int(given) if given else random.SystemRandom().randrange(2**32)
        self.random = random.Random(self.seed)
        self.full = FULL
        self.trial = Trial(test, self.seed)
        self._report = report
        report.trials.append(self.trial)

    def pick(self, short: _Size, full: _Size) -> _Size:
        """Return the size of this form."""
        return full if self.full else short

    def report(self, *, fault: str, did: str, **measured: object) -> None:
        """Add a row to the report of the run."""
        row = {"fault": fault, "did": did, "measured": measured, "seed": self.seed}
        self._report.rows.append(row)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
