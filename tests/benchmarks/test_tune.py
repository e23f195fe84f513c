from __future__ import annotations

import numpy as np

from benchmarks import tune
from export.catalog.labelled import Labelled
from tests.index import CATALOG, embed

QUERIES = [
    Labelled(text, id, kind) for kind in ("keyword", "prefix") for text, id in (("송ㄱ", 7), ("환전", 3), ("대츨", 2))
]


def test_no_step_makes_the_tuned_half_worse_and_the_best_is_returned() -> None:
    said: list[str] = []
    queries = [Labelled(f"{one.query}{i}", one.id, one.kind) for one in QUERIES for i in range(8)]
    best = tune.search(CATALOG, queries, embed, 0.5, 0, said.append)
    values = [float(line.split()[0]) for line in said]
    assert values == sorted(values)
    assert said[-1].endswith(repr(best))
    assert all(0 <= value < 1 for value in vars(best).values())
    assert np.isfinite(values).all()
