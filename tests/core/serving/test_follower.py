"""Following index/CURRENT: a publish serves by itself, a bad one harms nobody."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from malgil_core.index.reader import Generation, folder_of
from malgil_core.index.writer import point_at, publish
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.types import QueryOptions, Scorer
from malgil_core.serving.follower import LiveIndex

from tests.index import CATALOG, ENCODER, embed, service
from tests.malformed import BOUNDED, odd_json

PATIENCE = 2.0  # seconds from a publish until it serves


class House:
    """An index folder, the encoder beside it, and what was logged."""

    def __init__(self, root: Path) -> None:
        self.index, self.encoder = root / "index", root / "encoder.json"
        self.encoder.write_text(json.dumps(ENCODER))
        self.log: list[tuple[str, str]] = []
        self.live = self.follow(CpuScorer)

    def follow(self, make_scorer: Callable[[Generation], Scorer]) -> LiveIndex:
        """One that follows this index, not started."""
        return LiveIndex(
            self.index,
            self.encoder,
            make_scorer,
            lambda *line: self.log.append(line),
        )

    def publish(self, *names: str, fingerprint: str = ENCODER["fingerprint"]) -> int:
        """A catalogue with these services."""
        services = [service(i, name) for i, name in enumerate(names)]
        return publish(services, self.index, {**ENCODER, "fingerprint": fingerprint}, embed)

    def damage(self, number: int) -> None:
        """Cut a generation's vectors short."""
        file = folder_of(self.index, number) / "vectors.safetensors"
        file.write_bytes(file.read_bytes()[:-1])

    @property
    def number(self) -> int | None:
        """The generation that serves."""
        return self.live.serving.generation.number if self.live.serving else None

    def errors(self) -> list[str]:
        """The lines logged as errors."""
        return [sentence for level, sentence in self.log if level == "error"]


@pytest.fixture
def house(tmp_path: Path) -> House:
    """One generation serves; nobody follows yet."""
    house = House(tmp_path)
    house.publish("송금")
    house.live.refresh()
    return house


@pytest.fixture
def followed(house: House) -> Iterator[House]:
    house.live.start()
    yield house
    house.live.stop()


def within_patience(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_publish_serves_within_two_seconds_and_says_so_once(followed: House) -> None:
    assert followed.number == 1
    assert followed.publish("송금", "환전") == 2
    assert within_patience(lambda: followed.number == 2)
    time.sleep(0.6)  # one more look
    assert followed.log == [
        ("info", "serving generation 1: 1 open services"),
        ("info", "serving generation 2: 2 open services"),
    ]


def test_the_letters_of_what_is_published_are_looked_at_unless_the_scorer_is_told_not_to(house: House) -> None:
    for with_lexical in (True, False):
        live = LiveIndex(house.index, house.encoder, CpuScorer, lambda *_: None, with_lexical=with_lexical)
        live.refresh()
        assert live.serving
        lexical = live.serving.generation.lexical
        assert (lexical is not None) == with_lexical
        assert lexical is None or lexical.matches("ㅅㄱ").rows.tolist() == [0, 1]


def test_a_batch_in_hand_is_answered_from_the_generation_it_began_with(house: House) -> None:
    serving = house.live.serving
    assert serving
    before = serving.scorer.rank(serving.generation.matrix[:1], [QueryOptions()])[0]
    house.publish("환전", "대출", "송금")
    house.live.refresh()
    assert house.number == 2
    after = serving.scorer.rank(serving.generation.matrix[:1], [QueryOptions()])[0]
    assert serving.generation.number == 1
    assert serving.generation.names_padded[after.services].tolist() == ["송금".encode()]
    assert after.scores.tolist() == before.scores.tolist()


def test_a_damaged_publish_keeps_the_last_good_one_serving_and_is_logged_once(followed: House) -> None:
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


def test_a_current_that_is_no_number_keeps_the_last_good_one_serving(house: House) -> None:
    (house.index / "CURRENT").write_text("latest\n")
    house.live.refresh()
    house.live.refresh()
    assert house.number == 1
    (line,) = house.errors()
    assert line.startswith("the index is refused: ")
    assert "CURRENT holds 'latest'" in line


def test_an_older_generation_serves_again_when_current_names_it(house: House) -> None:
    house.publish("환전")
    house.live.refresh()
    assert house.number == 2
    point_at(house.index, 1)
    house.live.refresh()
    assert house.number == 1


def test_a_generation_of_an_encoder_that_does_not_serve_yet_is_refused(house: House) -> None:
    # Another encoder was exported while the server ran: Triton still holds the old one in memory.
    house.encoder.write_text(json.dumps({**ENCODER, "fingerprint": "7" * 64}))
    house.publish("송금", fingerprint="7" * 64)
    house.live.refresh()
    assert house.number == 1
    assert "restart the server" in house.errors()[0]


@pytest.mark.parametrize("error", [MemoryError("no room on the device"), RuntimeError("CUDA out of memory")])
def test_a_device_without_room_keeps_the_last_good_one_and_takes_the_next(tmp_path: Path, error: Exception) -> None:
    def make_scorer(generation: Generation) -> Scorer:
        if len(generation.thresholds) > 1:
            raise error
        return CpuScorer(generation)

    house = House(tmp_path)
    house.live = house.follow(make_scorer)
    house.publish("송금")
    house.live.start()
    try:
        house.publish("송금", "환전")
        assert within_patience(lambda: bool(house.errors()))
        assert house.number == 1
        assert str(error) in house.errors()[0]
        house.publish("대출")
        assert within_patience(lambda: house.number == 3)
    finally:
        house.live.stop()


def test_pointing_at_a_refused_generation_again_tries_it_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in ("송금", "환전"):
        house.publish(name)
    whole = (folder_of(house.index, 2) / "vectors.safetensors").read_bytes()
    house.damage(2)
    point_at(house.index, 1)
    house.live.refresh()
    point_at(house.index, 2)
    house.live.refresh()
    assert (house.number, len(house.errors())) == (1, 1)
    (folder_of(house.index, 2) / "vectors.safetensors").write_bytes(whole)
    point_at(house.index, 1)
    house.live.refresh()
    point_at(house.index, 2)
    house.live.refresh()
    assert house.number == 2


def test_a_searcher_is_told_why_nothing_serves(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.live.refresh()
    assert house.live.serving is None
    assert house.live.why_not == "no catalogue is published: run `python -m export catalog publish FILE`"
    house.damage(house.publish("송금"))
    house.live.refresh()
    assert house.live.serving is None
    assert "no generation serves: " in house.live.why_not
    assert "vectors.safetensors: its checksum is not the manifest's" in house.live.why_not
    house.publish("송금")
    house.live.refresh()
    assert house.number == 2


def test_a_missing_encoder_is_named(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.encoder.unlink()
    house.publish("송금")
    house.live.refresh()
    assert house.live.serving is None
    assert "encoder.json" in house.live.why_not
    assert len(house.errors()) == 1


@BOUNDED
@given(content=odd_json(ENCODER))
def test_no_metadata_of_an_encoder_stops_the_scorer_from_saying_what_to_do(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.encoder.write_bytes(content)
        house.live.refresh()  # nothing is published
    assert all("encoder.json has no fingerprint of an encoder: run `" in line for line in house.errors())


def test_the_scorer_that_serves_is_made_from_the_generation_that_serves(house: House) -> None:
    publish(CATALOG, house.index, ENCODER, embed)
    house.live.refresh()
    serving = house.live.serving
    assert serving
    own = serving.scorer.rank(serving.generation.matrix[[0]], [QueryOptions(1)])[0]
    assert serving.generation.names_padded[own.services].tolist() == ["대출".encode()]
    np.testing.assert_allclose(own.scores, 1, atol=1e-6)
