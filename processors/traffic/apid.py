# SPDX-License-Identifier: EUPL-1.2
"""APID, the all-purpose incident detection of COMPASS: a branch each for medium and heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import register
from lamppost.grouping import BoolArray
from lamppost.times import NO_TIME, SECOND_NS
from lamppost.wording import digits, exactly, listed, percent

from ._incidents import FREE, IncidentRule
from ._pair_rule import Frame, PairSettings

TENTATIVE: Final = 1
CONFIRMED: Final = 2

_HEAVY_LIMITS: Final = {"deniz": (0.0, 20.8), "compass": (0.4, 28.8)}


class ApidSettings(PairSettings):
    """The limits of both branches and of the tests around them."""

    limits: Literal["deniz", "compass"] = Field(
        default="deniz",
        description="Which set of limits stands where heavy_relative and heavy_occupancy are left "
        "out: 0 and 20.8 %, or 0.4 and 28.8 %.",
    )
    medium_to: float = Field(
        default=60.0, gt=0, le=100, description="Occupancy upstream up to which traffic is medium."
    )
    medium_relative: float = Field(
        default=0.4, description="Medium: OCCRDF must exceed this, and ..."
    )
    medium_slowing: float = Field(
        default=0.1, description="... the relative fall of speed upstream (SPDTDF) this."
    )
    heavy_difference: float = Field(
        default=10.2, description="Heavy: OCCDF must exceed this, percentage points, and ..."
    )
    heavy_relative: float | None = Field(default=None, description="... OCCRDF this, while ...")
    heavy_occupancy: float | None = Field(
        default=None, description="... the occupancy downstream (DOCC) is below this, %."
    )
    persistence: float = Field(
        default=0.1, description="OCCRDF must exceed this until the incident is confirmed."
    )
    persistence_s: float = Field(
        default=300.0, ge=0, description="How long a tentative incident must last."
    )
    clear: float = Field(
        default=-0.4, description="A confirmed incident ends with OCCRDF below this."
    )
    longest_s: float = Field(
        default=7_200.0, gt=0, description="A confirmed incident ends after this time in any case."
    )
    wave_heavy: float | None = Field(
        default=-1.3,
        lt=0,
        description="DOCCTD at which a wave begins in heavy traffic; no such test if left out.",
    )
    wave_refuted: float | None = Field(
        default=-1.5,
        lt=0,
        description="DOCCTD at which a refuted incident was a wave; no such test if left out.",
    )
    wave_s: float = Field(
        default=300.0, ge=0, description="How long a wave keeps heavy traffic from being judged."
    )

    @property
    def heavy_limits(self) -> tuple[float, float]:
        """The limits of OCCRDF and DOCC in heavy traffic."""
        relative, occupancy = _HEAVY_LIMITS[self.limits]
        return (
            relative if self.heavy_relative is None else self.heavy_relative,
            occupancy if self.heavy_occupancy is None else self.heavy_occupancy,
        )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        relative, occupancy = self.heavy_limits
        limits = {
            "medium_relative": self.medium_relative,
            "medium_slowing": self.medium_slowing,
            "heavy_difference": self.heavy_difference,
            "heavy_relative": relative,
            "heavy_occupancy": occupancy,
            "persistence": self.persistence,
        }
        for name, limit in limits.items():
            if limit < 0:
                yield name, "must not be below 0"
        if self.clear >= self.persistence:
            yield "clear", "must lie below persistence, else an incident ends as it begins"


def medium_fires(limits: ApidSettings, relative: FloatArray, slowing: FloatArray) -> BoolArray:
    """Return where the medium branch begins an incident, from OCCRDF and SPDTDF."""
    return (relative > limits.medium_relative) & (slowing > limits.medium_slowing)


def heavy_fires(
    limits: ApidSettings, difference: FloatArray, relative: FloatArray, downstream: FloatArray
) -> BoolArray:
    """Return where the heavy branch begins an incident, from OCCDF, OCCRDF and DOCC."""
    least_relative, most_downstream = limits.heavy_limits
    large = (difference > limits.heavy_difference) & (relative > least_relative)
    return large & (downstream < most_downstream)


@register("alert")
class Apid(IncidentRule[ApidSettings]):
    """Holds while an incident found by occupancy and speed has lasted for minutes.

    Up to ``medium_to`` % upstream an incident is tentative with ``OCCRDF >
    medium_relative`` and ``SPDTDF > medium_slowing``; beyond, with ``OCCDF > heavy_difference``,
    ``OCCRDF > heavy_relative`` and ``DOCC < heavy_occupancy``, unless a wave of congestion
    (``DOCCTD <= wave_heavy``) began in the last ``wave_s``. It is confirmed when ``OCCRDF >
    persistence`` all through ``persistence_s``, and free again otherwise; that was a wave, too,
    with ``DOCCTD <= wave_refuted``. It holds from confirmed on, until ``OCCRDF < clear``.
    ``SPDTDF`` is the relative fall of speed upstream over two intervals.

    Source: two sets of limits, of Deniz and of COMPASS, as quoted by the organic traffic control
    project (one source). There the wave test lets heavy traffic through only when a wave is on, and
    compares an occupancy with a relative number; here the wave test does what its name says.
    ``longest_s`` is Lamppost's own.

    Known failures: it takes ``persistence_s`` longer than the California algorithms. Occupancies
    that merely even out never fall to ``clear``: such an incident ends after ``longest_s``. In
    streets 60 % is rarely reached, so that the medium branch decides alone; there a queue that
    stood before the first interval is not seen, as speed does not fall any more.
    """

    name: ClassVar[str] = "apid"
    Settings: ClassVar[type[ApidSettings]] = ApidSettings

    @classmethod
    def describe(cls, settings: ApidSettings) -> str:
        """Say what begins an incident in medium and in heavy traffic, and what ends it."""
        relative, occupancy = settings.heavy_limits
        waves = [
            f"{percent(-fall)} {where}"
            for fall, where in (
                (settings.wave_heavy, "in heavy traffic"),
                (settings.wave_refuted, "after a doubtful incident"),
            )
            if fall is not None
        ]
        wave = f"rises downstream by {listed(waves, 'or')}" if waves else "no rise downstream"
        return (
            "It holds once occupancy upstream has exceeded that downstream by"
            f" {percent(settings.persistence)} of itself for {exactly(settings.persistence_s)},"
            f" after it did by {percent(settings.medium_relative)} while speed fell by"
            f" {percent(settings.medium_slowing)} (up to {digits(settings.medium_to)} % occupancy)"
            f" or by {digits(settings.heavy_difference)} points and {percent(relative)} with less"
            f" than {digits(occupancy)} % downstream (beyond), until it is"
            f" {percent(-settings.clear)} below or {exactly(settings.longest_s)} are over; {wave}"
            f" mean a wave, for {exactly(settings.wave_s)}; {cls.intervals(settings)} (APID,"
            f" limits of {settings.limits})."
        )

    def fills(self) -> dict[str, np.generic]:
        """Start free, without a wave."""
        return {
            "stage": np.uint8(FREE),
            "since": np.int64(NO_TIME),
            "wave": np.int64(NO_TIME),
        }

    def step(self, frame: Frame) -> BoolArray:
        """Move every pair on by an interval."""
        stage, since = self.state["stage"], self.state["since"]
        free, tentative = stage == FREE, stage == TENTATIVE
        lasted = np.where(free, 0, frame.end - since)
        refuted = tentative & ~(frame.relative_difference > self.settings.persistence)
        self._note_waves(frame, free, refuted)
        begins = free & (self._medium(frame) | self._heavy(frame))
        confirmed = tentative & (lasted >= self.settings.persistence_s * SECOND_NS)
        ended = ~free & ~tentative & (frame.relative_difference < self.settings.clear)
        ended |= ~free & ~tentative & (lasted >= self.settings.longest_s * SECOND_NS)
        since[begins | confirmed] = frame.end
        stage[begins] = TENTATIVE
        stage[confirmed] = CONFIRMED
        stage[refuted | ended | ~frame.known] = FREE
        holds: BoolArray = stage == CONFIRMED
        return holds

    def reason(self, pair: int, frame: Frame) -> str:
        """Say how long it has lasted."""
        return (
            f"relative difference {frame.relative_difference[pair]:.2f}, above "
            f"{self.settings.persistence:g} for {self.settings.persistence_s:g} s after "
            "occupancy and speed pointed to an incident"
        )

    def clears_when(self) -> str:
        """Say what ends it."""
        share = -self.settings.clear
        return (
            f"the occupancy downstream exceeds that upstream by {share:.0%} of it, "
            f"or {self.settings.longest_s:g} s have passed"
        )

    def _medium(self, frame: Frame) -> BoolArray:
        medium = frame.occupancy_up <= self.settings.medium_to
        return medium & medium_fires(self.settings, frame.relative_difference, frame.slowing)

    def _heavy(self, frame: Frame) -> BoolArray:
        wave = self.state["wave"]
        passing = (wave != NO_TIME) & (frame.end - wave < self.settings.wave_s * SECOND_NS)
        heavy = (frame.occupancy_up > self.settings.medium_to) & ~passing
        features = frame.difference, frame.relative_difference, frame.occupancy_down
        return np.asarray(heavy & heavy_fires(self.settings, *features))

    def _note_waves(self, frame: Frame, free: BoolArray, refuted: BoolArray) -> None:
        limits, drop = self.settings, frame.downstream_drop
        begins = np.zeros(len(drop), np.bool_)
        if limits.wave_heavy is not None:
            heavy = frame.occupancy_up > limits.medium_to
            begins |= free & heavy & (drop <= limits.wave_heavy)
        if limits.wave_refuted is not None:
            begins |= refuted & (drop <= limits.wave_refuted)
        self.state["wave"][begins] = frame.end
