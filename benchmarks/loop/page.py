"""The page of results of `python -m benchmarks loop`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.loop import clicks, people, trials

GOAL, HARM = 0.10, -0.01  # of the personal layer: recall@1 after 20 choices, and what labelled queries may lose


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    machine = result["machine"]
    parts = [
        "# The loop, simulated",
        "**This is a simulation.** People, what they mean and how they choose are invented; only the catalog, the "
        "encoder, the ranking, the layer, the pairs, the training and the tests are real. It shows that the parts work "
        "together, and what they would do if people were like this. What your people do, an experiment tells: "
        "[docs/feedback.md](../../docs/feedback.md).",
        f"Made by `python -m benchmarks loop --json …` on {machine['cpu']}, {machine['cores']} cores, in "
        f"{result['seconds'] / 60:.0f} minutes. Commit {(result['code']['commit'] or 'unknown')[:10]}.",
        *_world(result),
        *_learning(result),
        *_federated(result["federated"]),
        *_experiments(result["experiments"]),
        *(_retraining(result["retraining"]) if "retraining" in result else []),
    ]
    return "\n\n".join(parts) + "\n"


def _world(result: Mapping[str, Any]) -> list[str]:
    size = result["size"]
    typed, untyped = (" · ".join(result["queries"][name]) for name in ("typed", "untyped"))
    return [
        "## People",
        f"{size['people']} people with {len(result['habits'])} habits ({', '.join(result['habits'])}), and "
        f"{size['others']} more who are new. Each means one of several services by a query: one of the habit is "
        f"{people.PREFERENCE:g} times as likely as another, a menu {people.MENU:g} times, each times a gamma of shape "
        f"{people.SPREAD:g} that is the person's own. They repeat themselves: the r-th of a person's queries is typed "
        "1/r times as often as the first, and recall is of what they type. A hit at rank r is looked at with "
        f"probability 1/r; of those, the one that is meant is chosen with {clicks.CHOSEN:g}, another with "
        f"{clicks.NOISE:g}; the first choice ends the search. {size['seeds']} seeds; intervals (95 %, bootstrap) are "
        "over people.",
        f"Typed: {typed}. Not typed before they are measured: {untyped}.",
    ]


def _learning(result: Mapping[str, Any]) -> list[str]:
    parts = ["## Learning from choices"]
    for queries, title in (("typed", "Queries that people type"), ("untyped", "Queries that nobody has typed before")):
        rows = []
        for name, of in result["learning"].items():
            cells = [f"{one['recall@1']:.3f} / {one['mrr']:.3f}" for one in of[queries].values()]
            at_20 = of[queries]["20"]
            gain = f"{100 * at_20['gain']:+.1f} ({100 * at_20['low']:+.1f} … {100 * at_20['high']:+.1f})"
            rows.append([name, *cells, gain])
        counts = [f"after {count}" for count in next(iter(result["learning"].values()))[queries]]
        parts += [
            f"**{title}**: recall@1 / MRR after so many choices of each person, and the gain of recall@1 after 20 in "
            f"points. Who knew what each person means most would reach {result['best_possible'][queries]:.3f}.",
            _table(["", *counts, "gain after 20"], rows),
        ]
    layer = result["learning"]["personal layer, from zero"]["typed"]["20"]
    harm = result["labelled"]["20"]
    lost = harm["with_layers"] - harm["without"]
    later = result["labelled"]["100"]
    parts += [
        f"Goal: +{100 * GOAL:.0f} points after 20 choices on queries that people type: "
        f"**{'reached' if layer['gain'] >= GOAL else 'missed'}**, {100 * layer['gain']:+.1f}. Goal: labelled queries, "
        f"which say what is meant, lose at most {-100 * HARM:.0f} point by these layers: "
        f"**{'reached' if lost >= HARM else 'missed'}**, {100 * lost:+.2f} ({100 * harm['low']:+.2f} … "
        f"{100 * harm['high']:+.2f}; {harm['queries']} queries, {harm['without']:.3f} without; the worst layer of "
        f"{harm['layers']}: {harm['worst']:.3f}). By the layers after 100 choices: "
        f"{100 * (later['with_layers'] - later['without']):+.2f}, the worst {later['worst']:.3f}.",
        "The layer's gain in points after 20 choices, by habit:",
        _table(
            ["habit", "typed", "not typed"],
            [[habit, *(f"{100 * one[name]:+.1f}" for name in ("typed", "untyped"))]
             for habit, one in result["by_habit"].items() if one],
        ),
    ]  # fmt: skip
    return parts


def _federated(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [title, count, f"{one['zero']:.3f}", f"{one['federated']:.3f}",
         f"{100 * (one['federated'] - one['zero']):+.1f} ({100 * one['low']:+.1f} … {100 * one['high']:+.1f})"]
        for queries, title in (("typed", "typed"), ("untyped", "not typed"))
        for count, one in found[queries].items()
    ]  # fmt: skip
    head = ["queries", "choices", "from zero", "federated", "difference, points"]
    return ["## A federated start", found["told"], _table(head, rows)]


def _experiments(found: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, title, share in (("interleaving", "interleaving", "share - 0.5"), ("ab", "A/B, MRR", "MRR")):
        for kind in ("planted", "equals"):
            one = found[f"{name}_{kind}"]
            wrong = one["first"] if kind == "planted" else one["first"] + one["second"]
            days = "" if one["days"] is None else f"{one['days']:.1f}"
            rows.append([
                title, "a better variant" if kind == "planted" else "equals", str(one["experiments"]),
                f"{one['people']:.0f}", f"{one['effect']:+.3f} ({share})",
                _share(one["second"], one["experiments"]) if kind == "planted" else "",
                _share(wrong, one["experiments"]), days,
            ])  # fmt: skip
    head = ["", "planted", "experiments", "people", "effect", "found", "wrong", "day"]
    return [
        "## Experiments",
        f"The better variant has the {trials.MOVED} hits of each query that most people mean at its top, the worse one "
        "at its end; equals have neighbours swapped at random, for each person anew. Each experiment was looked at "
        f"after each of {trials.DAYS} days, and counts as wrong if it named a winner where there is none, or the worse "
        f"variant, on any day. Stated: wrong in at most {found['alpha']:.0%}. People: with a search, or of "
        "interleaving with a preference. Intervals (95 %) by Clopper and Pearson. "
        f"`python -m feedback power` asks for {found['planned']['interleaving']} people with a preference to find a "
        "share 0.1 from one half in 80 %.",
        _table(head, rows),
    ]


def _retraining(found: Mapping[str, Any]) -> list[str]:
    rows = []
    for one in found["found"]:
        tests = []
        for name in ("recall", "mrr"):
            test = one[name]
            tests.append(
                "" if test is None else f"{100 * test['difference']:+.1f} ({100 * test['low']:+.1f} … "
                f"{100 * test['high']:+.1f}), p {test['p']:.3f}"
            )  # fmt: skip
        pair = [f"{one[name][0]:.3f} / {one[name][1]:.3f}" for name in ("clear", "ambiguous")]
        rows.append([one["encoder"], *pair, *tests])
    people, others = found["people"]
    return [
        "## Retraining by pairs",
        f"{people} people left {found['events']:,} events, of which `feedback pairs` made {found['pairs']} pairs with "
        f"{found['negatives']} hard negatives. {found['steps']} steps of the recipe `search`, in PyTorch, "
        f"{found['seconds']:.0f} s for all. "
        f"Measured on {others} other people and {found['queries']} clear queries that were not typed; "
        "recall@1 / MRR, differences from the base in points. Ambiguous queries make no pairs: no service has most of "
        "their choices.",
        _table(["encoder", "clear queries", "ambiguous queries", "recall@1, clear", "MRR, clear"], rows),
    ]


def _share(count: int, of: int) -> str:
    from scipy.stats import binomtest

    interval = binomtest(count, of).proportion_ci(0.95, method="exact")
    return f"{count / of:.1%} ({interval.low:.1%} … {interval.high:.1%})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
