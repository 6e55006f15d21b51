# SPDX-License-Identifier: EUPL-1.2
"""Channel agreement: two sensing elements of one device that should show the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.component import Rows, Scope, Settings, Verdict, register
from lamppost.explained import QuantitySettings
from lamppost.flags import Reason
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping, qualifiers_text
from lamppost.state import Snapshot
from lamppost.times import SECOND_NS
from lamppost.wording import by_quantity, digits, exactly, with_unit
from processors._per_series import PerSeries, QuantityName

from ._latest import NOBODY, Findings, Latest, Siblings, levels

CHANNEL_AGREEMENT: Final = Reason(
    19,
    "channel_agreement",
    "The two channels of the device disagree, so at least one of them is wrong.",
    "A/B rule of Barkjohn et al. 2021 (AMT 14:4617), sensortoolkit _purpleair_abcleaning.py",
)


class ChannelLimits(Settings):
    """How far two channels may lie apart: a pair is bad only beyond both limits."""

    difference: float = Field(
        default=5.0, ge=0, description="Distance above which channels may disagree."
    )
    percent: float = Field(
        default=70.0, ge=0, description="Distance in percent of their mean, likewise."
    )
    fails: bool = Field(default=False, description="Whether a bad pair fails, or is suspect.")

    def numbers(self) -> tuple[float, ...]:
        """Return the limits in a row, percent as a share."""
        return self.difference, self.percent / 100, float(self.fails)


class ChannelAgreementSettings(QuantitySettings):
    """Limits by quantity; a quantity without limits is not judged."""

    quantities: dict[QuantityName, ChannelLimits] = Field(
        default_factory=dict, description="Limits by canonical quantity name."
    )
    qualifier: str = Field(
        default="channel", description="Qualifier of a series that names the channel."
    )
    channels: tuple[str, str] = Field(default=("a", "b"), description="The two channels' names.")
    within_s: float = Field(
        default=0.0, ge=0, description="How far apart in time two readings may lie to be a pair."
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        yield from super().doubts()
        if self.channels[0] == self.channels[1]:
            yield "channels", "must be two: a channel always agrees with itself"


@register("check")
class ChannelAgreement:
    """Flags both readings of a pair of channels that disagree.

    Bad when ``|a - b| > difference`` and ``2 |a - b| / |a + b| > percent / 100``, both strictly;
    in either one alone clean air and smoke would be flagged for noise. Whichever channel arrives
    second is judged with the newest reading of the other, which is amended. A reading that already
    failed is no partner.

    Known failures: it does not say which channel is wrong; two channels fouled alike agree.
    """

    name: ClassVar[str] = "channel_agreement"
    reasons: ClassVar[tuple[Reason, ...]] = (CHANNEL_AGREEMENT,)
    scope: ClassVar[Scope] = "sensor"
    sequential: ClassVar[bool] = True
    Settings: ClassVar[type[ChannelAgreementSettings]] = ChannelAgreementSettings

    @classmethod
    def describe(cls, settings: ChannelAgreementSettings) -> str:
        """Say how far both channels of a device may lie apart."""
        apart = by_quantity(
            settings.given(),
            lambda one, unit: (
                f"more than {with_unit(one.difference, unit)} and {digits(one.percent)} % of their"
                f" mean, then {'they fail' if one.fails else 'suspect'}"
            ),
        )
        first, second = settings.channels
        near = (
            f"up to {exactly(settings.within_s)} apart" if settings.within_s else "of one instant"
        )
        return (
            f"Both readings of the channels {first} and {second} of a device, named by its"
            f" qualifier {settings.qualifier} and {near}, are flagged when they disagree ({apart})"
            " (A/B rule of Barkjohn et al. 2021)."
        )

    def __init__(self, settings: ChannelAgreementSettings, series: SeriesTable) -> None:
        """Prepare the limits."""
        self._settings = settings
        self._series = series
        self._limits = PerSeries.given_by(series, settings.quantities, width=3)
        self._pairs = Siblings(series, self._role_of, roles=2)
        self._latest = Latest(series)

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the series is one of a pair of channels."""
        return self._role_of(key) is not None

    def judge(self, rows: Rows) -> Verdict:
        """Compare every reading with what the other channel showed last."""
        findings = Findings(rows, self._series)
        usable = rows.usable
        members, role = self._pairs.of(rows.groups.series)
        asking = np.flatnonzero((role != NOBODY) & usable)
        other = members[asking, 1 - role[asking]]
        found = self._latest.before(rows, asking, other[:, None], usable)
        series, value = rows.groups.series[asking], rows.value[asking]
        difference, share, fails = self._limits.of(series)
        seen, seen_row = found.value[:, 0], found.row[:, 0]
        apart_ns = np.abs(rows.time[asking] - found.time[:, 0])
        with np.errstate(over="ignore", invalid="ignore"):
            apart = np.abs(value - seen)
            bad = (apart > difference) & (2 * apart > share * np.abs(value + seen))
        paired = ~np.isnan(seen) & (apart_ns <= self._settings.within_s * SECOND_NS)
        level = levels(paired, bad, fails=fails == 1)
        findings.add(series, asking, level, CHANNEL_AGREEMENT.mask)
        findings.add(other, seen_row, level, CHANNEL_AGREEMENT.mask)
        self._latest.keep(rows, usable)
        return findings.verdict()

    def snapshot(self) -> Snapshot:
        """Return the newest reading of each series."""
        return self._latest.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over the newest reading of each series."""
        self._latest.restore(snapshot)

    def _role_of(self, key: SeriesKey) -> tuple[object, int] | None:
        qualifiers = qualifiers_mapping(key.qualifiers)
        channel = qualifiers.pop(self._settings.qualifier, None)
        if key.quantity not in self._settings.quantities or channel not in self._settings.channels:
            return None
        family = (key.sensor, key.quantity, qualifiers_text(qualifiers))
        return family, self._settings.channels.index(channel)
