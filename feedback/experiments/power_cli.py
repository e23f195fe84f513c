"""The command `python -m feedback power`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from feedback import options
from feedback.errors import FeedbackError
from feedback.experiments.planning import Plan, person_variance
from feedback.experiments.sessions import METRICS, Looks, Metric

PREFERENCE = "preference"
PROBABILITY = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command(short_help="How many people and searches an experiment needs.")
@click.option(
    "--metric",
    type=click.Choice([*METRICS, PREFERENCE]),
    default="click-through@1",
    show_default=True,
    help="`preference` is interleaving's: the share of people who choose more of one arm's hits.",
)
@click.option(
    "--effect",
    type=click.FloatRange(0, min_open=True),
    required=True,
    help="The smallest difference worth finding, such as 0.02; of `preference`, from one half.",
)
@click.option("--baseline", type=float, help="The metric's value today, between 0 and 1 for a share.")
@click.option(
    "--deviation",
    type=click.FloatRange(0, min_open=True),
    help="Standard deviation of the metric over single searches; of a share, it follows from --baseline.",
)
@click.option(
    "--searches-per-person",
    type=click.FloatRange(1),
    default=1.0,
    show_default=True,
    help="In the time of the experiment.",
)
@click.option(
    "--correlation", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of two searches of one person."
)
@click.option(
    "--from-events",
    type=click.IntRange(1),
    metavar="DAYS",
    help="Measure all of these in the events of the last DAYS days, as many as the experiment shall take.",
)
@options.events
@click.option("--surface", help="Only searches of this surface.")
@click.option("--share", type=PROBABILITY, default=0.5, show_default=True, help="Share of people in the second arm.")
@click.option(
    "--power",
    "reached",
    type=PROBABILITY,
    default=0.8,
    show_default=True,
    help="The probability of finding the effect, if it is there.",
)
@click.option("--alpha", type=PROBABILITY, default=0.05, show_default=True, help="Rate of false findings.")
@click.option("--once", is_flag=True, help="Look once, at the end, instead of daily.")
@options.written_json
def power(
    metric: str, effect: float, baseline: float | None, deviation: float | None, searches_per_person: float,
    correlation: float, from_events: int | None, events: Path, surface: str | None, share: float, reached: float,
    alpha: float, once: bool, json_file: Path | None,
) -> None:  # fmt: skip
    """Tell how many people and searches an experiment needs, to find an effect of this size if it is there.

    For the always-valid test of `compare`, or with --once for one look at the end, which needs about half as many.
    """
    plan = Plan(alpha, reached, share, once)
    result: dict[str, Any] = {"metric": metric, "effect": effect, "power": reached, "alpha": alpha, "once": once}
    looked = "once, at the end" if once else "daily"
    if metric == PREFERENCE:
        if effect >= 0.5:
            raise FeedbackError(f"effect is {effect:g}: the share of one arm is 0.5 + effect, and at most 1")
        people = plan.deciding_people(effect)
        click.echo(f"{people:,} people who choose more of one arm's hits than of the other's, if looked at {looked}")
        result |= {"people": people}
    else:
        chosen = METRICS[metric]
        if from_events is not None:
            variances, searches, told = _measured(events, from_events, surface, chosen)
        else:
            variances, told = _named(chosen, baseline, deviation, searches_per_person, correlation, effect)
            searches = searches_per_person
        people = plan.people(variances, effect)
        total = math.ceil(people * searches)
        click.echo(told)
        click.echo(f"{people:,} people in both arms, about {total:,} searches, if looked at {looked}")
        result |= {"people": people, "searches": total, "variance_of_person": variances[0], "share": share}
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _named(
    metric: Metric, baseline: float | None, deviation: float | None, searches: float, correlation: float, effect: float
) -> tuple[tuple[float, float], str]:
    """The variance of a person of each arm, from numbers that were named."""
    if deviation is not None:
        of_search = (deviation**2, deviation**2)
    elif not metric.is_share:
        raise FeedbackError(f"deviation is missing: {metric.name} is no share, or --from-events DAYS")
    elif baseline is None:
        raise FeedbackError(f"baseline is missing: {metric.name} today, or --from-events DAYS")
    else:
        after = baseline + (effect if metric.higher_is_better else -effect)
        if not 0 < baseline < 1 or not 0 <= after <= 1:
            raise FeedbackError(f"baseline is {baseline:g}: with the effect it becomes {after:g}, both must be in 0…1")
        of_search = (baseline * (1 - baseline), after * (1 - after))
    first, second = (person_variance(one, searches, correlation) for one in of_search)
    alike = 1 + (searches - 1) * correlation
    told = f"{searches:g} searches of one person are worth {searches / alike:.1f} of as many people"
    return (first, second), told


def _measured(folder: Path, days: int, surface: str | None, metric: Metric) -> tuple[tuple[float, float], float, str]:
    """The variance of a person, and the searches of one, in the events of the last days."""
    from feedback.experiments import reading
    from feedback.log import Window, opened

    with opened(folder, Window.last(days)) as log:
        sessions = reading.everything(log, surface)
    if not len(sessions):
        raise FeedbackError(f"the last {days} days have no search to measure {metric.name} in")
    ((ratio,),) = Looks.of(sessions, metric, last_only=True).ratios
    if ratio.people < 2:
        raise FeedbackError(f"{ratio.people} people in the last {days} days: at least 2 are needed")
    searches = len(sessions) / sessions.people()[0]
    told = (
        f"{metric.name} is {ratio.value:.4f} in {len(sessions):,} searches of {sessions.people()[0]:,} people in the "
        f"last {days} days"
    )
    return (ratio.unit_variance, ratio.unit_variance), searches, told
