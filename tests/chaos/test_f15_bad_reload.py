# SPDX-License-Identifier: EUPL-1.2
"""F15, a bad configuration is read again while everything runs.

Method: the shipped policy, mutated at random in text and in values, is checked and, where it is
right, taken by an engine in the middle of its work; a real installation gets SIGHUP with right and
with wrong files, and loses a role while the files are wrong.
Pass: the former configuration stays in force as a whole, the error is shown with file and key, the
check command ends with another code than 0, and replays still give the same.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.log import Entry, Record
from lamppost_app.bootstrap import check_configuration
from lamppost_app.engine import Engine
from lamppost_app.settings import Settings
from tests.chaos.evidence import opened
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.installation import COMMAND, POLICY, Installation
from tests.pipeline.city_inbox import city_records

STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1e308, -1e308, 1e-308, 0.1, "", "0", "x",
    "-1s", "1 s", "99999999999d", "\x00", "\u202e", "é" * 300, [], [[]], {}, [None], {"": 0},
    {"x": {"x": {}}}, float("inf"), float("nan"), "2026-11-21T21:00:00Z", "<<", "!!python/none",
]  # fmt: skip
STRANGE_TEXT = ["\t", ":", "- ", "{", "}", "]", "&a ", "*a", "!!", "\x07", "\ufeff", "'", '"', "#"]
HUP_PROBLEM = "lengths: [5 parsecs]"


def mutated(chance: random.Random, source: Path, folder: Path) -> None:
    """Write the shipped policy with one to three things wrong, or at least strange."""
    shutil.copytree(source, folder)
    for _ in range(chance.randrange(1, 4)):
        path = chance.choice(sorted(folder.glob("*.yaml")))
        text = path.read_text(encoding="utf-8")
        if chance.random() < 0.4:
            path.write_text(text_changed(chance, text), encoding="utf-8")
            continue
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        value_changed(chance, content)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def text_changed(chance: random.Random, text: str) -> str:
    """Cut something out of a text, put something in, or stop in the middle."""
    place = chance.randrange(len(text) + 1)
    match chance.randrange(3):
        case 0:
            return text[:place] + text[place + chance.randrange(1, 40) :]
        case 1:
            return text[:place] + chance.choice(STRANGE_TEXT) + text[place:]
        case _:
            return text[:place]


def value_changed(chance: random.Random, content: object) -> None:
    """Replace, remove, add or copy a value somewhere in a document."""
    holders = list(containers(content))
    if not holders:
        return
    holder = chance.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return
    key = chance.choice(keys)
    match chance.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[chance.choice(["x", "routes", "quality", "event_time", ""])] = holder[key]
        case 2:
            holder[key] = copy.deepcopy(chance.choice(holders))
        case _:
            holder[key] = copy.deepcopy(chance.choice(STRANGE))


def containers(content: object) -> Iterator[Any]:
    """Yield every mapping and list of a document."""
    if isinstance(content, dict | list):
        yield content
        for value in content.values() if isinstance(content, dict) else content:
            yield from containers(value)


@functools.cache
def city() -> tuple[bytes, list[Record]]:
    """Return an engine in the middle of its work, and what comes next."""
    records = city_records(24)
    engine = Engine()
    for number, record in enumerate(records[:60], 1):
        engine.apply(Entry(number, *record))
    return engine.snapshot(), records[60:]


def goes_on(engine: Engine, policy: Record, following: list[Record]) -> list[Record]:
    """Return what an engine says to a policy and what follows it."""
    said = []
    for number, record in enumerate([policy, *following], 61):
        said += engine.apply(Entry(number, *record))
    return said


@pytest.mark.timeout(3600)
def test_mutated_policies_are_refused_whole_or_taken_whole(chaos: Chaos, tmp_path: Path) -> None:
    """Never a crash, never a half; what is taken gives the same on every replay."""
    trials = chaos.pick(40, 3_000)
    snapshot, following = city()
    following = following[: chaos.pick(15, 60)]
    refused = taken = 0
    unnamed: list[str] = []
    for number in range(trials):
        folder = tmp_path / str(number)
        mutated(chaos.random, POLICY, folder)
        try:
            checked = check_configuration(Settings(policy=folder))
        except ConfigError as error:
            unnamed += [str(error)] if str(folder) not in str(error) else []
            refused += 1
        else:
            record = Record(log.POLICY, following[0].at, checked.policy.canonical().encode())
            first = goes_on(Engine.from_snapshot(snapshot), record, following)
            assert log.RULES in {said.kind for said in first}, "the engine refused what was right"
            assert goes_on(Engine.from_snapshot(snapshot), record, following) == first
            taken += 1
        shutil.rmtree(folder)
    assert unnamed == [], "messages that do not name the file"
    assert refused > 0
    assert taken > 0
    chaos.report(fault="F15", did=f"{trials} mutations of the policy", refused=refused, taken=taken)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"x": 1}', b'{"windows": {}}', b'{"quality": {"no_such": {}}}'],
)
def test_a_policy_entry_that_cannot_be_used_leaves_the_former_in_force(body: bytes) -> None:
    """It goes to quarantine, and the engine says what it would have said without it."""
    snapshot, following = city()
    with_it = goes_on(
        Engine.from_snapshot(snapshot), Record(log.POLICY, following[0].at, body), following[:15]
    )
    without = []
    engine = Engine.from_snapshot(snapshot)
    for number, record in enumerate(following[:15], 62):
        without += engine.apply(Entry(number, *record))
    kept = {log.READINGS, log.AGGREGATES, log.INDICES, log.ALERTS}
    assert with_it[0].kind == log.QUARANTINE
    assert b"bad_policy" in with_it[0].body
    assert [said for said in with_it if said.kind in kept] == [
        said for said in without if said.kind in kept
    ]


@pytest.mark.timeout(600)
def test_a_running_installation_takes_what_is_right_and_shows_what_is_wrong(
    chaos: Chaos, installation: Installation, proxy: RecordingProxy
) -> None:
    """Wrong files, a killed role meanwhile, right files; messages flow all the time."""
    messages = chaos.pick(3_000, 30_000)
    numbered = City.ending_now(100, messages)
    installation.start()
    publisher = Publisher(proxy.broker_port, map(numbered, range(messages)), rate=300.0).start()
    windows = installation.folder / "policy" / "windows.yaml"
    toml = installation.folder / "lamppost.toml"
    right, right_toml = windows.read_text(), toml.read_text()
    before = installation.get("/healthz")

    windows.write_text("windows: {event_time: {" + HUP_PROBLEM + "}}\n")
    hang_up(installation)
    installation.wait_until(lambda: installation.get("/healthz")["configuration_problem"] != "")
    problem = installation.get("/healthz")["configuration_problem"]
    assert "windows.yaml: windows.event_time.lengths" in problem
    assert "configuration_refused" in installation.output()
    assert "lamppost_configuration_accepted 0.0" in page(installation, "/metrics")
    assert "windows.event_time.lengths" in page(installation, "/")
    for command in chaos.pick(("check",), ("check", "reload")):
        told = lamppost(installation, command)
        assert told.returncode == 2, told
        assert "windows.event_time.lengths" in told.stderr
    toml.write_text("[[[")
    for role in chaos.pick(("intake",), ("intake", "engine", "deliver")):
        killed = installation.pids()[role]
        installation.kill(role)
        installation.wait_until(lambda r=role, k=killed: installation.pids().get(r, k) != k)
    installation.wait_until(lambda: installation.output().count("mqtt_connected") >= 2)

    toml.write_text(right_toml + "[store]\nreadings_days = 3\n")
    changed = yaml.safe_load(right)
    changed["windows"]["event_time"]["lengths"] = ["1min", "5min", "15min", "1h"]
    windows.write_text(yaml.safe_dump(changed))
    hang_up(installation)
    installation.wait_until(lambda: installation.get("/healthz")["configuration_problem"] == "")
    installation.wait_until(lambda: "keys=store.readings_days" in installation.output())
    assert "nothing has changed" in lamppost(installation, "reload").stdout
    evidence = settle(installation, proxy, publisher.finish(300))

    assert before["configuration_problem"] == ""
    with opened(installation.folder / "data" / "inbox.db") as inbox:
        assert len(inbox.read_kinds([log.POLICY], inbox.last())) == 2
    with opened(installation.folder / "data" / "outbox.db") as outbox:
        (*_, rules) = outbox.read_kinds([log.RULES], outbox.last())
    assert json.loads(rules.body)["content"]["windows"] == changed["windows"]
    figures = check(evidence)
    assert figures["readings"] == messages
    chaos.report(
        fault="F15",
        did="SIGHUP with a wrong policy, roles killed while the files are wrong, SIGHUP again",
        lost=0,
        shown=problem,
    )


def hang_up(installation: Installation) -> None:
    """Ask the supervisor to read its configuration again."""
    os.kill(installation.supervisor, signal.SIGHUP)


def lamppost(installation: Installation, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the configuration of an installation."""
    given = [*COMMAND, command, "--config", str(installation.folder / "lamppost.toml")]
    return subprocess.run(given, capture_output=True, text=True, timeout=120, check=False)


def page(installation: Installation, path: str) -> str:
    """Return a page of the portal."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{installation.port}{path}", timeout=10
    ) as answer:
        return str(answer.read().decode())
