"""The page of results says what was measured, and that it is a simulation."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import pytest
from malgil_core.catalog.reading import Catalog

from benchmarks import QUERIES
from benchmarks.loop.page import page
from benchmarks.loop.run import LAYER, NOTHING, Size, run
from export.catalog import labelled
from tests.benchmarks.loop.world import world

SIZE = Size(people=8, others=8, seeds=1, devices=8, experiments=2, visitors=60, steps=0)
MACHINE = {"machine": {"cpu": "a CPU", "cores": 2}, "code": {"commit": "0123456789ab"}, "seconds": 60.0}


@cache
def result() -> dict[str, Any]:
    """A small run, as its JSON."""
    asked = labelled.read(QUERIES)[:20]
    found = run(world(), Catalog(world().services, []), asked, SIZE)
    read: dict[str, Any] = json.loads(json.dumps({**MACHINE, **found}, allow_nan=False))
    return read


@pytest.mark.slow
def test_a_reader_learns_first_that_people_are_invented() -> None:
    text = page(result())
    assert text.index("**This is a simulation.**") < text.index("##")
    for part in ("## People", "## Learning from choices", "## A federated start", "## Experiments"):
        assert part in text
    assert "## Retraining" not in text  # it was left out


@pytest.mark.slow
def test_a_goal_that_is_missed_is_called_missed() -> None:
    made = copy.deepcopy(result())
    for gain, lost, words in ((0.12, 0.0, ("reached", "reached")), (0.09, -0.02, ("missed", "missed"))):
        made["learning"][LAYER]["typed"]["20"]["gain"] = gain
        harm = made["labelled"]["20"]
        harm["with_layers"] = harm["without"] + lost
        text = page(made)
        assert text.count("**reached**") == words.count("reached")
        assert text.count("**missed**") == words.count("missed")


@pytest.mark.slow
def test_the_gain_is_the_difference_of_the_two_rows() -> None:
    of = result()["learning"]
    for queries in ("typed", "untyped"):
        layer, nothing = (of[name][queries]["20"] for name in (LAYER, NOTHING))
        assert layer["gain"] == pytest.approx(layer["recall@1"] - nothing["recall@1"])
        assert layer["low"] <= layer["gain"] <= layer["high"]
        assert nothing["gain"] == 0.0
