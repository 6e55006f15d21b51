# SPDX-License-Identifier: EUPL-1.2
"""The chaos suite's fixtures, its mark, and the report at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.trial import FULL, REPORT_FOLDER, Chaos, Report
from tests.installation import Installation
from tests.services import Mosquitto, VictoriaMetrics, binary

HERE = Path(__file__).parent
REPORT = pytest.StashKey[Report]()


class KeyedDatabase(VictoriaMetrics):
    """A VictoriaMetrics that, as InfluxDB does, keeps one point per series and instant."""

    def command(self) -> list[str]:
        """Return the command line."""
        return [*super().command(), "-dedup.minScrapeInterval=1ms"]


def pytest_configure(config: pytest.Config) -> None:
    """Begin the report."""
    config.stash[REPORT] = Report()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark everything that lies here; in the short form, leave out what has none."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.chaos)
    left_out = [item for item in items if not FULL and item.get_closest_marker("chaos_full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note what became of a trial."""
    outcome = yield
    chaos = getattr(item, "funcargs", {}).get("chaos")
    if isinstance(chaos, Chaos) and (outcome.when == "call" or outcome.failed):
        chaos.trial.outcome = outcome.outcome
        chaos.trial.seconds = max(outcome.duration, chaos.trial.seconds)
        if outcome.failed:
            outcome.sections.append(("chaos", f"repeat with LAMPPOST_SEED={chaos.seed}"))
    return outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report where there is anything to say."""
    report = session.config.stash.get(REPORT, None)
    if report is not None and report.trials:
        report.write(REPORT_FOLDER)


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Chaos:
    """Chance with a seed, the size of the form, and the report."""
    return Chaos(request.config.stash[REPORT], request.node.name)


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A Mosquitto of this test alone, which may be killed."""
    binary("mosquitto")
    service = Mosquitto(tmp_path_factory.mktemp("broker"))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedDatabase]:
    """A VictoriaMetrics of this test alone, with one point per series and instant."""
    binary("victoria-metrics")
    service = KeyedDatabase(tmp_path_factory.mktemp("database"))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def proxy(broker: Mosquitto) -> Iterator[RecordingProxy]:
    """The wire between Lamppost and the broker."""
    wire = RecordingProxy(broker.port)
    yield wire
    wire.close()


@pytest.fixture
def installation(
    tmp_path: Path, broker: Mosquitto, database: KeyedDatabase, proxy: RecordingProxy
) -> Iterator[Installation]:
    """An installation, not started, that hears the broker through the proxy; killed in the end."""
    made = Installation(
        tmp_path,
        broker,
        database,
        broker_port=proxy.port,
        settings="[engine]\nsnapshot_s = 0.5\n",
    )
    yield made
    made.kill_tree()
