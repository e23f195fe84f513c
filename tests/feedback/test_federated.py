"""`python -m feedback average`: what devices have in common, and nothing that one of them could force on the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from malgil import LayerUpdate, PersonalLayer, gaussian_epsilon

from feedback.cli import main
from feedback.errors import FeedbackError
from feedback.federated import average
from tests.client.test_personal import ENCODER, Floats, units

DIMENSION = 48
START = PersonalLayer.zero(DIMENSION, encoder=ENCODER)
NO_NOISE = {"noise_multiplier": 0.0, "cohort": 1, "clip": 1.0}


def taught(seed: int, topic: Floats, start: PersonalLayer = START) -> PersonalLayer:
    """The layer of a person who chooses what is near a topic, as all do here, and some other things."""
    rng = np.random.default_rng(seed)
    layer = PersonalLayer(start.vector, encoder=start.encoder)
    for _ in range(20):
        query, shown = units(rng, DIMENSION), units(rng, 5, DIMENSION)
        shown[3] = (shown[3] + topic) / np.linalg.norm(shown[3] + topic)
        layer.learn(query, shown, 3)
    return layer


@pytest.fixture(scope="module")
def topic() -> Floats:
    return units(np.random.default_rng(99), DIMENSION)


def updates(topic: Floats, count: int, **terms: float) -> list[bytes]:
    return [
        LayerUpdate.of(taught(seed, topic), start=START, seed=seed, **terms).to_bytes()  # type: ignore[arg-type]
        for seed in range(count)
    ]


def towards(layer: PersonalLayer, topic: Floats) -> float:
    """The cosine of a layer's shift with a topic."""
    shift = layer.vector[DIMENSION:]
    return float(shift @ topic / np.linalg.norm(shift))


def test_a_newcomer_starts_with_what_people_have_in_common(topic: Floats) -> None:
    found = average(updates(topic, 60, **NO_NOISE), START)
    assert found.taken == 60
    assert towards(found.layer, topic) > 0.9
    assert found.layer.encoder == ENCODER
    noised = average(updates(topic, 300, clip=0.1, noise_multiplier=0.5, cohort=300), START)
    assert towards(noised.layer, topic) > 0.5


def test_the_mean_of_updates_without_noise_is_the_mean_of_what_was_learned(topic: Floats) -> None:
    layers = [taught(seed, topic) for seed in range(7)]
    sent = [LayerUpdate.of(layer, start=START, **NO_NOISE).to_bytes() for layer in layers]  # type: ignore[arg-type]
    found = average(sent, START)
    np.testing.assert_allclose(found.layer.vector, np.mean([layer.vector for layer in layers], axis=0), atol=1e-6)
    half = average(sent, START, step=0.5)
    np.testing.assert_allclose(half.layer.vector, found.layer.vector / 2, atol=1e-6)


def test_a_second_round_goes_on_from_the_first(topic: Floats) -> None:
    first = average(updates(topic, 20, **NO_NOISE), START).layer
    sent = [
        LayerUpdate.of(taught(seed, topic, first), start=first, **NO_NOISE).to_bytes()  # type: ignore[arg-type]
        for seed in range(20)
    ]
    second = average(sent, first).layer
    assert not np.array_equal(second.vector, first.vector)
    with pytest.raises(FeedbackError, match=r"^no update can be averaged \(20 of another start\)$"):
        average(sent, START)


def test_no_device_can_push_the_start_further_than_its_clip_and_noise_allow(topic: Floats) -> None:
    good = updates(topic, 30, clip=0.1, noise_multiplier=1.0, cohort=30)
    loud = LayerUpdate(np.full(2 * DIMENSION, 50, np.float32), ENCODER, 0, 0.1, 1.0, 30)
    loud = LayerUpdate(loud.vector, ENCODER, LayerUpdate.from_bytes(good[0]).start, 0.1, float(np.float32(1)), 30)
    terms = LayerUpdate.of(START, start=START, clip=90.0, noise_multiplier=1.0, cohort=30).to_bytes()
    other = LayerUpdate.of(
        PersonalLayer.zero(DIMENSION, encoder="7" * 64), start=PersonalLayer.zero(DIMENSION)
    ).to_bytes()
    loud_bytes = LayerUpdate(loud.vector, ENCODER, loud.start, LayerUpdate.from_bytes(good[0]).clip, 1.0, 30).to_bytes()
    found = average([*good, loud_bytes, terms, other, b"x", good[0], good[1][:-1]], START)
    assert found.taken == 30
    assert found.left_out == {
        "longer than clipping and noise can make it": 1, "of another clip, noise or cohort": 1,
        "damaged, or of another encoder": 3, "a copy": 1,
    }  # fmt: skip
    np.testing.assert_array_equal(found.layer.vector, average(good, START).layer.vector)


def test_fewer_updates_than_their_noise_is_enough_for_are_not_averaged(topic: Floats) -> None:
    few = updates(topic, 5, clip=0.1, noise_multiplier=1.0, cohort=30)
    with pytest.raises(FeedbackError, match=r"^5 updates can be averaged; their noise is enough for 30 and more: wait"):
        average(few, START)


def test_honest_updates_are_never_taken_for_loud_ones() -> None:
    sent = [LayerUpdate.of(START, start=START, cohort=1, seed=seed).to_bytes() for seed in range(2000)]
    assert average(sent, START).taken == 2000


def test_the_command_writes_a_start_and_says_what_privacy_it_leaves(
    topic: Floats, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "updates"
    folder.mkdir()
    for i, message in enumerate(updates(topic, 40, clip=0.1, noise_multiplier=1.0, cohort=40)):
        (folder / f"{i:03d}.update").write_bytes(message)
    (folder / "note.txt").write_text("not an update")
    out = tmp_path / "start.layer"
    assert main(["average", str(folder), "--write", str(out), "--rounds", "3", "--delta", "1e-5"]) == 0
    layer = PersonalLayer.from_bytes(out.read_bytes(), encoder=ENCODER)
    assert layer.dimension == DIMENSION
    assert layer.vector.any()
    printed = capsys.readouterr().out
    assert "the mean of 40 updates (1 damaged, or of another encoder)" in printed
    assert f"epsilon {gaussian_epsilon(1.0, rounds=3, delta=1e-5):.3g} for the average" in printed
    assert main(["average", str(folder), "--start", str(out), "--write", str(out)]) == 1
    assert "40 of another start" in capsys.readouterr().err
    assert main(["average", str(folder), "--write", str(out), "--delta", "2"]) == 2


def test_an_empty_folder_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["average", str(tmp_path), "--write", str(tmp_path / "out")]) == 1
    assert "no file in the folder is an update" in capsys.readouterr().err
