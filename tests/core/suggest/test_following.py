"""Suggestions follow the index as the scorer does: a publish takes over, and what must not serve does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from malgil_core.index.reader import load_texts
from malgil_core.index.writer import publish
from malgil_core.serving.follower import IndexFollower
from malgil_core.suggest.suggester import Suggester

from tests.core.suggest.conftest import SERVICES, line, texts
from tests.index import ENCODER, OTHER_ENCODER, embed


class Deployment:
    """An index, and what follows it."""

    def __init__(self, root: Path) -> None:
        self.index, self.log = root / "index", list[str]()
        ENCODER.write(root / "encoder.json")
        self.follower = IndexFollower(
            self.index,
            root / "encoder.json",
            Suggester,
            lambda *told: self.log.append(": ".join(told)),
            load=load_texts,
        )

    def suggested(self, typed: str) -> list[str]:
        """What is suggested after another look at the index."""
        self.follower.refresh()
        assert self.follower.serving
        return texts(self.follower.serving.scorer, typed)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    deployment = Deployment(tmp_path)
    publish(SERVICES, deployment.index, ENCODER, embed)
    return deployment


def test_a_publish_with_what_people_chose_takes_over(deployment: Deployment) -> None:
    assert deployment.suggested("용") == []
    publish(SERVICES, deployment.index, ENCODER, embed, chosen=[line("용돈 부치기", 100)])
    assert deployment.suggested("용") == ["용돈 부치기"]
    assert deployment.log == [
        "info: serving generation 1: 7 open services",
        "info: serving generation 2: 7 open services",
    ]


def test_a_publish_below_the_bounds_does_not_take_over_and_the_last_one_serves_on(deployment: Deployment) -> None:
    assert deployment.suggested("더") == ["더치페이"]
    publish(SERVICES, deployment.index, ENCODER, embed, chosen=[line("김말길 송금", 100, persons=3)])
    assert deployment.suggested("더") == ["더치페이"]
    assert deployment.suggested("김말길") == []
    assert [told for told in deployment.log if told.startswith("error")] == [
        "error: generation 2 is refused: suggestions.jsonl:1: persons is 3: it must be a whole number from 30 to "
        "1073741824, or the text could point to one of them"
    ]


def test_suggestions_and_searches_refuse_the_same_generations(deployment: Deployment) -> None:
    assert deployment.suggested("더")
    publish(SERVICES[:1], deployment.index, OTHER_ENCODER, embed)
    assert deployment.suggested("더") == ["더치페이"]
    assert "made by encoder 777777777777" in deployment.log[-1]


def test_before_the_first_publish_a_sentence_says_what_to_run(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    deployment.follower.refresh()
    assert deployment.follower.serving is None
    assert "python -m export catalog publish" in deployment.follower.unavailable
