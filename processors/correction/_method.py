# SPDX-License-Identifier: EUPL-1.2
"""What all corrections share: where they apply, what they wait for, what they say of themselves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from lamppost.batch import FlagArray, FloatArray, Int64Array, JudgedBatch, ReasonArray
from lamppost.component import Settings
from lamppost.derived import DerivedSeries, named
from lamppost.flags import CORRECTION, FAIL, MISSING, SUSPECT, Reason, merge
from lamppost.grouping import BoolArray
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping, qualifiers_text
from lamppost.state import Snapshot
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from lamppost.wording import exactly, listed, percent, span, with_unit

from ._links import HUMIDITY, OWN, PROOF, TWIN, Links
from ._numbers import version_with
from ._pairs import Paired, Pairs

HUMIDITY_UNUSABLE: Final = Reason(
    7,
    "humidity_unusable",
    "The humidity it would be corrected with is missing, too far away in time, or itself in doubt.",
    "Saturated and stuck humidity sensors make corrected values worse than raw ones.",
)
BEYOND_METHOD: Final = Reason(
    29,
    "beyond_method",
    "The value lies outside the range its correction was made for.",
    "The range stands with the correction and in the policy.",
)


MOST_HUMID: Final = 100.0


@dataclass(frozen=True, slots=True)
class Method:
    """What a correction says of itself; published with the rules.

    Attributes:
        version: of the formula; with the numbers of the policy it makes the version of a result.
        formula: as a person reads it; x is the input, RH the humidity in %.
        source: where the numbers come from.
        inputs: quantities it may be given; the channel (CF=1 or ATM) is part of the quantity.
        result: quantity of the corrected series; that of the input when empty.
        humidity: whether it needs relative humidity.
        proof: quantity a sensor must send beside the input, so that the channel is known.
        lowest: what lies below is set to it; None lets everything through.
    """

    version: str
    formula: str
    source: str
    inputs: tuple[str, ...]
    result: str = ""
    humidity: bool = True
    proof: str = ""
    lowest: float | None = 0.0


class CorrectionSettings(Settings):
    """Where a correction applies, and how far to trust it.

    The settings ``where`` names say which sensors are corrected; all others have a part in what a
    corrected reading says, so they make its version.
    """

    where: ClassVar[frozenset[str]] = frozenset({"sensors", "except_sensors", "areas"})

    sensors: tuple[str, ...] = Field(
        default=("*",), description="Sensors to correct: names, or patterns with `*` and `?`."
    )
    except_sensors: tuple[str, ...] = Field(
        default=(), description="Sensors not to correct, named in the same way."
    )
    areas: tuple[str, ...] = Field(
        default=(), description="Areas of the station file to correct in; everywhere when empty."
    )
    tolerance_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How far a humidity (or the other channel) may lie from the reading, and how"
        " long is waited for it, seconds of device time.",
    )
    valid: tuple[float, float] | None = Field(
        default=None,
        description="Input the correction was made for; a result from beyond it is suspect.",
    )
    uncertainty: float = Field(
        default=0.0, ge=0, description="Standard uncertainty (k = 1), the part that is constant."
    )
    relative_uncertainty: float = Field(
        default=0.0,
        ge=0,
        description="Standard uncertainty (k = 1), the part in proportion to the result.",
    )

    def concerned(self) -> str:
        """Return in words which sensors are corrected."""
        sensors = (
            "every sensor" if set(self.sensors) == {"*"} else f"sensors {listed(self.sensors)}"
        )
        where = f" in {listed(self.areas)}" if self.areas else ""
        spared = f" but {listed(self.except_sensors)}" if self.except_sensors else ""
        return f"{sensors}{where}{spared}"

    def numbers(self) -> dict[str, object]:
        """Return the numbers in force, by name, as JSON allows."""
        return self.model_dump(mode="json", exclude=set(self.where))

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        if self.valid is not None and not self.valid[0] < self.valid[1]:
            yield "valid", "must run from low to high"


class Correction:
    """A correction of one input, with the second channel and the humidity it may need.

    Subclasses name the method and give the formula; everything else happens here.
    """

    name: ClassVar[str]
    method: ClassVar[Method]
    reasons: ClassVar[tuple[Reason, ...]] = (HUMIDITY_UNUSABLE, BEYOND_METHOD)

    @classmethod
    def describe(cls, settings: CorrectionSettings) -> str:
        """Say what is corrected, by which formula, with what, and how far that is believed."""
        method, near = cls.method, exactly(settings.tolerance_s)
        becomes = f"becomes {method.result}" if method.result else "is corrected"
        beside = "both channels, of devices with two,"
        if method.humidity:
            beside += " and RH, the humidity in %,"
        believed = ""
        if settings.valid is not None:
            believed = f"; from an input outside {span(settings.valid, 'µg/m³')} it is suspect"
        return (
            f"{listed(cls.inputs_under(settings))} of {settings.concerned()} {becomes}"
            f" by {cls.formula_under(settings)},"
            f" from {beside} at most {near} apart{believed}; its standard uncertainty is"
            f" {with_unit(settings.uncertainty, 'µg/m³')} and"
            f" {percent(settings.relative_uncertainty)} of the result ({method.source})."
        )

    @classmethod
    def inputs_under(cls, settings: CorrectionSettings) -> Sequence[str]:
        """Return the quantities that are corrected under some settings."""
        del settings
        return cls.method.inputs

    @classmethod
    def formula_under(cls, settings: CorrectionSettings) -> str:
        """Return the formula with the numbers in force."""
        return cls.method.formula + cls.details(settings)

    @classmethod
    def details(cls, settings: CorrectionSettings) -> str:
        """Return what a formula has to say besides, in words."""
        del settings
        return ""

    def __init__(
        self, settings: CorrectionSettings, series: SeriesTable, stations: Mapping[str, Station]
    ) -> None:
        """Prepare the names of the corrected series and the memory of their inputs."""
        self._settings = settings
        self._series = series
        self._stations = stations
        self._corrected = DerivedSeries(series, self._named)
        self._links = Links(
            series,
            self.is_input,
            humidity=self.method.humidity,
            proof=self.proof_of,
            wanted=self.is_named,
        )
        self._pairs = Pairs(self._links, round(settings.tolerance_s * SECOND_NS))
        self._chosen: BoolArray = np.empty(0, np.bool_)

    @abstractmethod
    def correct(self, x: FloatArray, humidity: FloatArray, unit: Int64Array) -> FloatArray:
        """Return the corrected values.

        Args:
            x: inputs, canonical unit, shape (n,).
            humidity: relative humidity, %, NaN where none is needed, shape (n,).
            unit: which unit each is of, for formulas whose numbers differ by series.
        """

    def humidity_beyond(self, humidity: FloatArray) -> BoolArray:
        """Return which humidities the formula cannot be used with."""
        return (humidity < 0) | (humidity > MOST_HUMID)

    def proof_of(self, sensor: str) -> str:
        """Return the quantity a sensor must send beside the input; none where it is known."""
        del sensor
        return self.method.proof

    def derive(self, judged: JudgedBatch) -> JudgedBatch:
        """Correct what has all it needs."""
        paired = self._pairs.pair(judged)
        if len(paired):
            chosen = self._choose(paired)
            paired = paired if chosen.all() else paired.take(chosen)
        if not len(paired):
            return JudgedBatch.empty()
        return self._correct(paired)

    def about(self) -> dict[str, object]:
        """Return what is published of the method beside its results, with the numbers in force."""
        numbers = self._settings.numbers()
        return {
            **asdict(self.method),
            "version": version_with(self.method.version, numbers),
            "formula": self.formula_under(self._settings),
            "inputs": list(self.inputs_under(self._settings)),
            "numbers": numbers,
        }

    def stations_changed(self) -> None:
        """Look anew at where the correction applies."""
        self._chosen = np.empty(0, np.bool_)

    def snapshot(self) -> Snapshot:
        """Return what is remembered of the inputs."""
        return self._pairs.snapshot()

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a snapshot."""
        self._pairs.restore(snapshot)

    def applies(self, sensor: str) -> bool:
        """Return whether the policy wants a sensor corrected."""
        areas, station = self._settings.areas, self._stations.get(sensor)
        inside = not areas or (station is not None and station.area in areas)
        return inside and self.is_named(sensor)

    def is_named(self, sensor: str) -> bool:
        """Return whether the policy wants a sensor corrected that stands in the right area."""
        named = any(fnmatchcase(sensor, pattern) for pattern in self._settings.sensors)
        spared = self._settings.except_sensors
        return named and not any(fnmatchcase(sensor, pattern) for pattern in spared)

    def is_input(self, key: SeriesKey) -> bool:
        """Return whether a series is what the method corrects."""
        return key.quantity in self.method.inputs

    def _named(self, key: SeriesKey) -> SeriesKey | None:
        if not self.is_input(key):
            return None
        return named(of_both_channels(key), "corrected", self.name, self.method.result or None)

    def _choose(self, paired: Paired) -> BoolArray:
        """Return which readings the policy wants corrected."""
        if len(self._chosen) < len(self._links):
            codes = self._links.codes[len(self._chosen) :].tolist()
            added = [self.applies(self._series[code].sensor) for code in codes]
            self._chosen = np.append(self._chosen, np.array(added, np.bool_))
        proven = paired.flag[:, PROOF] != MISSING
        needless: BoolArray = ~self._links.needs[paired.unit, PROOF]
        return np.asarray(self._chosen[paired.unit] & (proven | needless), np.bool_)

    def _correct(self, paired: Paired) -> JudgedBatch:
        needs = self._links.needs[paired.unit]
        x = np.where(needs[:, TWIN], paired.value[:, :HUMIDITY].mean(axis=1), paired.value[:, OWN])
        with np.errstate(all="ignore"):
            value = self.correct(x, paired.value[:, HUMIDITY], paired.unit)
        if self.method.lowest is not None:
            value = np.maximum(value, self.method.lowest)
        flag, reasons = self._verdict(paired, needs, x)
        nothing = np.full(len(paired), np.nan)
        return JudgedBatch(
            series=self._corrected.of(self._links.codes[paired.unit]),
            time=paired.time,
            received=paired.received,
            value=np.where(flag == MISSING, np.nan, value),
            flag=flag,
            reasons=reasons,
            score=nothing,
            expected=nothing,
            band_low=nothing,
            band_high=nothing,
            revision=paired.revision,
            uncertainty=self.uncertainty_of(value),
        )

    def uncertainty_of(self, value: FloatArray) -> FloatArray:
        """Return the standard uncertainty of corrected values, NaN where the policy states none."""
        constant, relative = self._settings.uncertainty, self._settings.relative_uncertainty
        if constant == relative == 0:
            return np.full(len(value), np.nan)
        return np.hypot(constant, relative * value)

    def _verdict(
        self, paired: Paired, needs: BoolArray, x: FloatArray
    ) -> tuple[FlagArray, ReasonArray]:
        """Return the worst flag of the inputs and all their reasons."""
        flag, reasons = paired.flag[:, OWN].copy(), paired.reasons[:, OWN].copy()
        twin = needs[:, TWIN]
        flag[twin] = merge(flag[twin], paired.flag[twin, TWIN])
        reasons[twin] |= paired.reasons[twin, TWIN]
        lost = (paired.flag[:, : TWIN + 1] == MISSING) | (paired.flag[:, : TWIN + 1] == FAIL)
        missing = lost[:, OWN] | (lost[:, TWIN] & twin)
        if self.method.humidity:
            state = paired.flag[:, HUMIDITY]
            doubtful = np.isin(state, (SUSPECT, FAIL, MISSING))
            doubtful |= self.humidity_beyond(paired.value[:, HUMIDITY])
            reasons |= paired.reasons[:, HUMIDITY]
            reasons[doubtful] |= HUMIDITY_UNUSABLE.mask
            flag = np.where(doubtful, flag, merge(flag, state))
            missing |= doubtful
        if self._settings.valid is not None:
            low, high = self._settings.valid
            beyond = (x < low) | (x > high)
            flag[beyond] = merge(flag[beyond], np.full(beyond.sum(), SUSPECT, np.uint8))
            reasons[beyond & ~missing] |= BEYOND_METHOD.mask
        flag[missing] = MISSING
        return flag, reasons & ~CORRECTION.mask


def of_both_channels(key: SeriesKey) -> SeriesKey:
    """Return the series that the mean of a device's two channels is; without channels, itself."""
    qualifiers = qualifiers_mapping(key.qualifiers)
    if "channel" in qualifiers:
        qualifiers["channel"] = "ab"
    return SeriesKey(key.sensor, key.quantity, qualifiers_text(qualifiers))
