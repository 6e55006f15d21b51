# SPDX-License-Identifier: EUPL-1.2
"""Keeps logs of tests apart, and counts the published vectors that were run, by topic, at the end.

``@pytest.mark.vector(topic, source)`` stands on a test, or on a case of one, that holds the product
against numbers of somebody else: ``source`` is a document, a standard or a test of another project
that a reader can find.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest

TOPICS: Final = (
    "US AQI",
    "NowCast",
    "European index",
    "UK DAQI",
    "WHO guidelines",
    "EU limit values",
    "units",
    "corrections",
    "channels",
    "neighbours",
    "QARTOD",
    "EEA codes",
    "detection",
    "traffic flow",
    "level of service",
    "incidents",
    "detector health",
    "IRIS archive",
    "windows",
    "aggregates",
    "traps",
)
"""In the order of the report."""

PROPERTY: Final = "published vector"


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Let a command that a test runs in this process set up the log for no test but that one."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler).__module__ == "lamppost.events":
            root.removeHandler(handler)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.pluginmanager.register(VectorCount())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write topics and sources where they travel with the report, from one process to another."""
    for item in items:
        for mark in item.iter_markers("vector"):
            item.user_properties.append((PROPERTY, _topic_and_source(item, mark)))


def _topic_and_source(item: pytest.Item, mark: pytest.Mark) -> tuple[str, str]:
    match mark.args:
        case (str(topic), str(source)) if topic in TOPICS and source and not mark.kwargs:
            return topic, source
    msg = f"{item.nodeid}: a vector has a topic of tests/conftest.py and a source, not {mark.args}"
    raise pytest.UsageError(msg)


class VectorCount:
    """What became of every test that is about published vectors."""

    def __init__(self) -> None:
        """Start with none."""
        self._topics: dict[str, list[str]] = {}
        self._outcome: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a report of one phase: the worst of a test counts."""
        topics = [value[0] for name, value in report.user_properties if name == PROPERTY]
        if topics and (report.when == "call" or report.outcome != "passed"):
            self._topics[report.nodeid] = topics
            self._outcome[report.nodeid] = report.outcome

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many there were."""
        if self._outcome:
            skipped = self._of("skipped", "not run")
            said = [
                self._of("passed"),
                self._of("failed"),
                *([skipped] if skipped[0] != "0" else []),
            ]
            terminalreporter.write_line("published vectors: " + ", ".join(said))

    def _of(self, outcome: str, wording: str | None = None) -> str:
        counted = Counter(
            topic
            for test, topics in self._topics.items()
            for topic in topics
            if self._outcome[test] == outcome
        )
        by_topic = ", ".join(f"{topic} {counted[topic]}" for topic in TOPICS if counted[topic])
        return f"{counted.total()} {wording or outcome}" + (f" ({by_topic})" if by_topic else "")
