"""Following index/CURRENT: a publish serves by itself, and a damaged one does not interrupt search."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.generation import Generation
from malgil_core.index.reader import folder_of
from malgil_core.index.writer import point_at, publish
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.types import QueryOptions, Scorer
from malgil_core.serving.follower import IndexFollower

from tests.index import CATALOG, ENCODER, OTHER_ENCODER, embed, service
from tests.malformed import BOUNDED, odd_json

PATIENCE = 2.0  # seconds from a publish until it serves


class Deployment:
    """An index folder, the encoder beside it, a follower of both, and its log."""

    def __init__(self, root: Path) -> None:
        self.index, self.encoder = root / "index", root / "encoder.json"
        ENCODER.write(self.encoder)
        self.log: list[tuple[str, str]] = []
        self.follower = self.follow(CpuScorer)

    def follow(self, make_scorer: Callable[[Generation], Scorer]) -> IndexFollower[Scorer]:
        """A follower of this index, not started."""
        return IndexFollower(
            self.index,
            self.encoder,
            make_scorer,
            lambda *line: self.log.append(line),
        )

    def publish(self, *names: str, encoder: EncoderMetadata = ENCODER) -> int:
        """A catalog with these services."""
        services = [service(i, name) for i, name in enumerate(names)]
        return publish(services, self.index, encoder, embed)

    def damage(self, number: int) -> None:
        """Cut a generation's vectors short."""
        file = folder_of(self.index, number) / "vectors.safetensors"
        file.write_bytes(file.read_bytes()[:-1])

    @property
    def number(self) -> int | None:
        """The generation that serves."""
        return self.follower.serving.generation.number if self.follower.serving else None

    def errors(self) -> list[str]:
        """The lines logged as errors."""
        return [sentence for level, sentence in self.log if level == "error"]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """One generation serves; the follower is not started."""
    deployment = Deployment(tmp_path)
    deployment.publish("송금")
    deployment.follower.refresh()
    return deployment


@pytest.fixture
def followed(deployment: Deployment) -> Iterator[Deployment]:
    deployment.follower.start()
    yield deployment
    deployment.follower.stop()


def within_patience(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_publish_serves_within_two_seconds_and_says_so_once(followed: Deployment) -> None:
    assert followed.number == 1
    assert followed.publish("송금", "환전") == 2
    assert within_patience(lambda: followed.number == 2)
    time.sleep(0.6)  # one more look
    assert followed.log == [
        ("info", "serving generation 1: 1 open services"),
        ("info", "serving generation 2: 2 open services"),
    ]


def test_names_typed_halfway_are_found_unless_lexical_matching_is_switched_off(deployment: Deployment) -> None:
    for with_lexical in (True, False):
        follower = IndexFollower(
            deployment.index, deployment.encoder, CpuScorer, lambda *_: None, with_lexical=with_lexical
        )
        follower.refresh()
        assert follower.serving
        lexical = follower.serving.generation.lexical
        assert (lexical is not None) == with_lexical
        assert lexical is None or lexical.matches("ㅅㄱ").rows.tolist() == [0, 1]


def test_a_batch_is_answered_from_the_generation_it_began_with(deployment: Deployment) -> None:
    serving = deployment.follower.serving
    assert serving
    before = serving.scorer.rank(serving.generation.matrix[:1], [QueryOptions()])[0]
    deployment.publish("환전", "대출", "송금")
    deployment.follower.refresh()
    assert deployment.number == 2
    after = serving.scorer.rank(serving.generation.matrix[:1], [QueryOptions()])[0]
    assert serving.generation.number == 1
    assert serving.generation.names_padded[after.services].tolist() == ["송금".encode()]
    assert after.scores.tolist() == before.scores.tolist()


def test_a_damaged_publish_keeps_the_last_good_one_serving_and_is_logged_once(followed: Deployment) -> None:
    shutil.copytree(folder_of(followed.index, 1), folder_of(followed.index, 2))
    followed.damage(2)
    point_at(followed.index, 2)
    assert within_patience(lambda: bool(followed.errors()))
    time.sleep(0.6)  # one more look
    assert followed.number == 1
    (line,) = followed.errors()
    assert line.startswith("generation 2 is refused: ")
    assert "vectors.safetensors: its checksum is not the manifest's" in line
    followed.publish("환전")
    assert within_patience(lambda: followed.number == 3)


def test_a_current_that_is_no_number_keeps_the_last_good_one_serving(deployment: Deployment) -> None:
    (deployment.index / "CURRENT").write_text("latest\n")
    deployment.follower.refresh()
    deployment.follower.refresh()
    assert deployment.number == 1
    (line,) = deployment.errors()
    assert line.startswith("the index is refused: ")
    assert "CURRENT holds 'latest'" in line


def test_an_older_generation_serves_again_when_current_names_it(deployment: Deployment) -> None:
    deployment.publish("환전")
    deployment.follower.refresh()
    assert deployment.number == 2
    point_at(deployment.index, 1)
    deployment.follower.refresh()
    assert deployment.number == 1


def test_a_generation_of_an_encoder_that_does_not_serve_yet_is_refused(deployment: Deployment) -> None:
    # Another encoder was exported while the server ran: Triton still holds the old one in memory.
    OTHER_ENCODER.write(deployment.encoder)
    deployment.publish("송금", encoder=OTHER_ENCODER)
    deployment.follower.refresh()
    assert deployment.number == 1
    assert "restart the server" in deployment.errors()[0]


@pytest.mark.parametrize("error", [MemoryError("no room on the device"), RuntimeError("CUDA out of memory")])
def test_a_device_without_room_keeps_the_last_good_one_and_takes_the_next(tmp_path: Path, error: Exception) -> None:
    def make_scorer(generation: Generation) -> Scorer:
        if len(generation.thresholds) > 1:
            raise error
        return CpuScorer(generation)

    deployment = Deployment(tmp_path)
    deployment.follower = deployment.follow(make_scorer)
    deployment.publish("송금")
    deployment.follower.start()
    try:
        deployment.publish("송금", "환전")
        assert within_patience(lambda: bool(deployment.errors()))
        assert deployment.number == 1
        assert str(error) in deployment.errors()[0]
        deployment.publish("대출")
        assert within_patience(lambda: deployment.number == 3)
    finally:
        deployment.follower.stop()


def test_pointing_at_a_refused_generation_again_tries_it_again(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    for name in ("송금", "환전"):
        deployment.publish(name)
    whole = (folder_of(deployment.index, 2) / "vectors.safetensors").read_bytes()
    deployment.damage(2)
    point_at(deployment.index, 1)
    deployment.follower.refresh()
    point_at(deployment.index, 2)
    deployment.follower.refresh()
    assert (deployment.number, len(deployment.errors())) == (1, 1)
    (folder_of(deployment.index, 2) / "vectors.safetensors").write_bytes(whole)
    point_at(deployment.index, 1)
    deployment.follower.refresh()
    point_at(deployment.index, 2)
    deployment.follower.refresh()
    assert deployment.number == 2


def test_a_searcher_is_told_why_nothing_serves(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    deployment.follower.refresh()
    assert deployment.follower.serving is None
    assert deployment.follower.unavailable == "no catalog is published: run `python -m export catalog publish FILE`"
    deployment.damage(deployment.publish("송금"))
    deployment.follower.refresh()
    assert deployment.follower.serving is None
    assert "no generation serves: " in deployment.follower.unavailable
    assert "vectors.safetensors: its checksum is not the manifest's" in deployment.follower.unavailable
    deployment.publish("송금")
    deployment.follower.refresh()
    assert deployment.number == 2


def test_a_missing_encoder_is_named(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    deployment.encoder.unlink()
    deployment.publish("송금")
    deployment.follower.refresh()
    assert deployment.follower.serving is None
    assert "encoder.json" in deployment.follower.unavailable
    assert len(deployment.errors()) == 1


@BOUNDED
@given(content=odd_json(dataclasses.asdict(ENCODER)))
def test_no_metadata_of_an_encoder_stops_the_scorer_from_saying_what_to_do(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(Path(folder))
        deployment.encoder.write_bytes(content)
        deployment.follower.refresh()  # nothing is published
    said = ("encoder.json is damaged: ", "encoder.json is of an encoder exported by another version")
    assert all(any(sentence in line for sentence in said) for line in deployment.errors())


def test_the_scorer_ranks_the_generation_that_serves(deployment: Deployment) -> None:
    publish(CATALOG, deployment.index, ENCODER, embed)
    deployment.follower.refresh()
    serving = deployment.follower.serving
    assert serving
    hits = serving.scorer.rank(serving.generation.matrix[[0]], [QueryOptions(1)])[0]
    assert serving.generation.names_padded[hits.services].tolist() == ["대출".encode()]
    np.testing.assert_allclose(hits.scores, 1, atol=1e-6)
