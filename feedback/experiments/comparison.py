"""An experiment compared: each metric of each arm with the control's, for one look and for any number of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from feedback.experiments import preference, sequential
from feedback.experiments.preference import Choices, Signs
from feedback.experiments.ratios import Difference, Ratio
from feedback.experiments.sessions import METRICS, Looks, Metric, Sessions

LEAST_PEOPLE = 100  # in each arm, before a look counts: below, a mean is not normal yet, nor its spread known
PREFERENCE_EFFECT = 0.1  # how far from 0.5 the share of people who prefer an arm is expected, where nothing is named
UNEVEN = 0.001  # p of the people's split, below which something is wrong with the assignment


@dataclass(frozen=True)
class Compared:
    """One metric of one arm, against the control.

    Attributes:
        metric: its name.
        arm: the arm's.
        control: the control's value.
        value: the arm's value.
        difference: of both.
        once: the interval of one look at a planned end.
        always: the interval that holds however often somebody looks.
        p_once: of one look.
        p_always: the p that holds however often somebody looks, by the last day.
        effect: the difference that the experiment is planned for.
        decided_on: the first day (days since 1970) by which the difference was shown; None if it is not.
        people: of both arms.
    """

    metric: str
    arm: str
    control: float
    value: float
    difference: float
    once: tuple[float, float]
    always: tuple[float, float]
    p_once: float
    p_always: float
    effect: float
    decided_on: int | None
    people: int

    def better(self) -> bool:
        """Whether the arm is better than the control, going by the value."""
        return (self.difference > 0) == METRICS[self.metric].higher_is_better


@dataclass(frozen=True)
class Preferred:
    """What interleaving shows of two arms.

    Attributes:
        arms: the first and the second.
        searches: that were interleaved.
        choices: among their hits.
        signs: people by the arm that they prefer.
        share: of the second arm among those with a preference.
        once: the interval of the share at a planned end.
        always: the one that holds however often somebody looks.
        p_once: of the sign test at a planned end.
        p_always: of the sequential one, by the last day.
        effect: how far from 0.5 the share is expected.
        decided_on: the first day by which a preference was shown; None if it is not.
    """

    arms: tuple[str, str]
    searches: int
    choices: int
    signs: Signs
    share: float
    once: tuple[float, float]
    always: tuple[float, float]
    p_once: float
    p_always: float
    effect: float
    decided_on: int | None


@dataclass(frozen=True)
class Settings:
    """How an experiment is read; all of it chosen before there is data.

    Attributes:
        control: the arm that others are compared with; None for the first by name.
        alpha: the probability of finding something where nothing is, of each metric.
        effects: metric → the difference that is planned for; the metric's own where it has none.
        preference_effect: the same of interleaving.
        least_people: in each arm before a look counts.
    """

    control: str | None = None
    alpha: float = 0.05
    effects: dict[str, float] | None = None
    preference_effect: float = PREFERENCE_EFFECT
    least_people: int = LEAST_PEOPLE

    def effect(self, metric: Metric) -> float:
        """The τ of a metric's sequential test."""
        return (self.effects or {}).get(metric.name, metric.effect)


def compare(sessions: Sessions, settings: Settings, metrics: Sequence[str] = tuple(METRICS)) -> list[Compared]:
    """Each metric of each arm against the control. With several arms, α is shared among them (Bonferroni)."""
    control = sessions.arms.index(settings.control) if settings.control else 0
    others = [arm for arm in range(len(sessions.arms)) if arm != control]
    alpha = settings.alpha / max(len(others), 1)
    found = []
    for name in metrics:
        looks = Looks.of(sessions, METRICS[name])
        found += [_compared(sessions.arms, control, arm, looks, METRICS[name], alpha, settings) for arm in others]
    return found


def _compared(
    arms: tuple[str, ...], control: int, arm: int, looks: Looks, metric: Metric, alpha: float, settings: Settings
) -> Compared:
    effect = settings.effect(metric)
    pairs = [(ratios[control], ratios[arm]) for ratios in looks.ratios]
    log_ratios = [_log_ratio(*pair, effect, settings.least_people) for pair in pairs]
    p = sequential.always_valid(log_ratios)
    first, second = pairs[-1]
    last = Difference.of(first, second)
    enough = min(first.people, second.people) >= settings.least_people
    width = sequential.radius(last.error, effect, alpha) if enough and last.is_known else math.inf
    return Compared(
        metric.name,
        arms[arm],
        first.value,
        second.value,
        last.value,
        last.interval(1 - alpha),
        (last.value - width, last.value + width) if width < math.inf else (-math.inf, math.inf),
        last.p(),
        float(p[-1]),
        effect,
        next((int(day) for day, one in zip(looks.days, p, strict=True) if one <= alpha), None),
        first.people + second.people,
    )


def _log_ratio(control: Ratio, other: Ratio, effect: float, least: int) -> float:
    if min(control.people, other.people) < least:
        return 0.0
    one = Difference.of(control, other)
    return sequential.log_ratio(one.value, one.error, effect) if one.is_known else 0.0


def prefer(choices: Choices, settings: Settings) -> Preferred:
    """What interleaving shows."""
    signs = Signs.of(choices)
    days, entered = preference.by_day(choices)
    p = preference.always_valid(entered, settings.preference_effect) if entered else [1.0]
    p_once, low, high = signs.test(1 - settings.alpha)
    now = entered[-1] if entered else Signs(0, 0)
    return Preferred(
        choices.arms,
        choices.searches,
        len(choices.team),
        signs,
        signs.share,
        (low, high),
        sequential.share_interval(now.second, now.first, settings.preference_effect, settings.alpha),
        p_once,
        p[-1],
        settings.preference_effect,
        next((int(day) for day, one in zip(days, p, strict=False) if one <= settings.alpha), None),
    )


def split(sessions: Sessions, share: float, control: int = 0) -> float:
    """p of the people's split over two arms, if `share` of them should be in the second: the exact binomial test.

    A p below UNEVEN means that people are missing from an arm, so that no figure can be trusted (Fabijan and others
    2019, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD).
    """
    from scipy.stats import binomtest

    people = sessions.people()
    return float(binomtest(people[1 - control], sum(people), share).pvalue) if sum(people) else 1.0


def as_json(one: Compared | Preferred) -> dict[str, Any]:
    """The fields, with null for what is infinite or not a number."""

    def plain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    found: dict[str, Any] = plain(asdict(one))
    return found
