"""The command `python -m feedback compare`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from feedback import options
from feedback.errors import FeedbackError
from feedback.experiments import comparison, reading
from feedback.experiments.comparison import Compared, Preferred, Settings
from feedback.experiments.sessions import METRICS, Sessions
from feedback.log import DAY_MS, Window, opened

PROBABILITY = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command(short_help="Compare the arms of an experiment, or what was interleaved.")
@click.argument("name")
@options.events
@click.option(
    "--metric",
    type=click.Choice([*METRICS]),
    default="mrr",
    show_default=True,
    help="The one that decides. Choose it before the experiment begins.",
)
@click.option(
    "--effect",
    type=click.FloatRange(0, min_open=True),
    metavar="NUMBER",
    help="Difference of that metric that the experiment is planned for, as in `power`.  [default: 0.02, of "
    "keystrokes 0.2]",
)
@click.option(
    "--preference-effect",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    metavar="NUMBER",
    default=comparison.PREFERENCE_EFFECT,
    show_default=True,
    help="The same of interleaving: how far from one half the share of people who prefer an arm is expected.",
)
@click.option("--control", metavar="ARM", help="The arm to compare with.  [default: the first by name]")
@click.option(
    "--share", type=PROBABILITY, metavar="SHARE", help="Of people that the other arm should have: the split is tested."
)
@click.option("--surface", help="Only searches of this surface.")
@click.option("--days", type=click.IntRange(1), metavar="NUMBER", help="Only the last days.")
@click.option("--alpha", type=PROBABILITY, default=0.05, show_default=True, metavar="RATE", help="Of false findings.")
@click.option(
    "--least-people",
    type=click.IntRange(2),
    default=comparison.LEAST_PEOPLE,
    show_default=True,
    metavar="NUMBER",
    help="In each arm, before a day's figures count.",
)
@options.written_json
def compare(
    name: str, events: Path, metric: str, effect: float | None, preference_effect: float, control: str | None,
    share: float | None, surface: str | None, days: int | None, alpha: float, least_people: int,
    json_file: Path | None,
) -> None:  # fmt: skip
    """Compare the arms of the experiment NAME: click-through of the first hit, MRR, abandonment, keystrokes to choice.

    Two kinds of intervals and p are shown: for one look, at an end that was planned before; and for any day, which hold
    however often somebody looks. Searches of one person count together. Interleaved searches are compared by the share
    of people who choose more hits of one arm than of the other.
    """
    with opened(events, Window.last(days)) as log:
        sessions, choices = reading.read(log, name, surface)
    settings = Settings(control, alpha, {metric: effect} if effect else {}, preference_effect, least_people)
    if control is not None and control not in sessions.arms:
        raise FeedbackError(f"control is {control!r}: experiment {name!r} has {', '.join(sessions.arms) or 'no arms'}")
    result: dict[str, Any] = {"experiment": name, "alpha": alpha, "metric": metric}
    if len(sessions.arms) > 1:
        compared = comparison.compare(sessions, settings)
        result |= _arms(sessions, compared, settings, metric, share)
    elif len(sessions):
        click.echo(f"experiment {name!r} has only the arm {sessions.arms[0]!r}: there is nothing to compare it with")
    if choices is not None:
        preferred = comparison.prefer(choices, settings)
        result["interleaving"] = comparison.as_json(preferred)
        click.echo("\n".join(_preference(preferred)))
    if json_file is not None:
        json_file.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _arms(
    sessions: Sessions, compared: Sequence[Compared], settings: Settings, metric: str, share: float | None
) -> dict[str, Any]:
    """Print the comparison of arms; its JSON."""
    people = sessions.people()
    searches = [int((sessions.arm == arm).sum()) for arm in range(len(sessions.arms))]
    days = sessions.days()
    click.echo(f"{_date(int(days[0]))} to {_date(int(days[-1]))}, {len(days)} days")
    for arm, count, of in zip(sessions.arms, people, searches, strict=True):
        click.echo(f"  {arm}: {count:,} people, {of:,} searches")
    if sessions.anonymous:
        click.echo(
            f"  {sessions.anonymous:,} searches without a person count as people of their own: if they are of the same "
            "people, intervals are too narrow"
        )
    if sessions.mixed:
        click.echo(f"  {sessions.mixed:,} people saw more than one arm, and are left out")
    p_split = _split(sessions, settings, share)
    for one in compared:
        click.echo("\n".join(_figures(one, sessions, settings, one.metric == metric)))
    for one in compared:
        if one.metric == metric:
            click.echo(verdict(one, min(people), settings))
    arms = {arm: {"people": a, "searches": b} for arm, a, b in zip(sessions.arms, people, searches, strict=True)}
    return {
        "arms": arms, "anonymous": sessions.anonymous, "mixed": sessions.mixed, "p_split": p_split,
        "differences": [comparison.as_json(one) for one in compared],
    }  # fmt: skip


def _figures(one: Compared, sessions: Sessions, settings: Settings, decides: bool) -> Iterator[str]:
    """The lines of one metric."""
    control = settings.control or sessions.arms[0]
    decisive = ", the metric that decides" if decides else ""
    yield f"{one.metric}: {control} {one.control:.4f}, {one.arm} {one.value:.4f}{decisive}"
    yield f"  difference    {one.difference:+.4f}"
    for title, (low, high), p in (("for one look", one.once, one.p_once), ("for any day", one.always, one.p_always)):
        yield f"  {title:<12}  {low:+.4f} … {high:+.4f}  p {_p(p)}"


def _split(sessions: Sessions, settings: Settings, share: float | None) -> float | None:
    if share is None or len(sessions.arms) != 2:
        return None
    control = sessions.arms.index(settings.control) if settings.control else 0
    p = comparison.split(sessions, share, control)
    if p < comparison.UNEVEN:
        click.echo(
            f"people are not split as {share:g} says (p {p:.1g}): some are missing from an arm. Find out why before "
            "believing any figure"
        )
    return p


def verdict(one: Compared, people: int, settings: Settings) -> str:
    """What the metric that decides says, in a sentence."""
    if people < settings.least_people:
        return f"{one.metric}: too early, an arm has {people} people of {settings.least_people}"
    if one.decided_on is None:
        return (
            f"{one.metric}: nothing is shown yet, the difference of {one.arm} may be anything from {one.always[0]:+.4f}"
            f" to {one.always[1]:+.4f}"
        )
    word = "better" if one.better() else "worse"
    return f"{one.metric}: {one.arm} is {word} (p {_p(one.p_always)} for any day, shown by {_date(one.decided_on)})"


def _preference(one: Preferred) -> Iterator[str]:
    """The lines of what interleaving shows."""
    first, second = one.arms
    yield f"interleaved: {one.searches:,} searches, {one.choices:,} choices"
    yield f"  {one.signs.second:,} people prefer {second}, {one.signs.first:,} {first}, {one.signs.tied:,} neither"
    yield f"  share of {second}  {one.share:.3f}"
    for title, (low, high), p in (("for one look", one.once, one.p_once), ("for any day", one.always, one.p_always)):
        yield f"  {title:<12}  {low:.3f} … {high:.3f}  p {_p(p)}"
    if one.decided_on is None:
        yield "interleaving: no preference is shown yet"
    else:
        preferred = second if one.share > 0.5 else first
        yield f"interleaving: people prefer {preferred} (p {_p(one.p_always)} for any day)"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_MS / 1000, tz=timezone.utc).date().isoformat()
