"""Updates for federated averaging: clipped, noised, and with the privacy that the page states."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil import LayerUpdate, PersonalLayer, gaussian_epsilon
from malgil._federated import checksum, units

from tests.client.test_personal import ENCODER, learned


def test_what_a_device_sends_is_no_longer_than_the_clip() -> None:
    start = PersonalLayer.zero(16, encoder=ENCODER)
    layer = learned(steps=300)
    update = LayerUpdate.of(layer, start=start, clip=0.01, noise_multiplier=0)
    assert float(np.linalg.norm(update.vector)) == pytest.approx(0.01, rel=1e-5)
    whole = LayerUpdate.of(layer, start=start, clip=10.0, noise_multiplier=0)
    np.testing.assert_allclose(whole.vector * units(16), layer.vector, atol=1e-7)
    np.testing.assert_allclose(update.vector / 0.01, whole.vector / np.linalg.norm(whole.vector), atol=1e-5)


def test_the_noise_of_a_cohort_adds_up_to_what_was_asked_for() -> None:
    start = PersonalLayer.zero(16)
    updates = [
        LayerUpdate.of(start, start=start, clip=0.5, noise_multiplier=2.0, cohort=50, seed=seed).vector
        for seed in range(50 * 20)
    ]
    sums = np.array(updates).reshape(20, 50, 32).sum(axis=1)
    assert float(sums.std()) == pytest.approx(2.0 * 0.5, rel=0.1)
    assert abs(float(sums.mean())) < 0.1


def test_two_devices_never_send_the_same_noise() -> None:
    start = PersonalLayer.zero(16)
    sent = {LayerUpdate.of(start, start=start).to_bytes() for _ in range(5)}
    assert len(sent) == 5


def test_an_update_comes_back_from_its_bytes_as_it_was() -> None:
    start = PersonalLayer.zero(16, encoder=ENCODER)
    update = LayerUpdate.of(learned(), start=start, clip=0.3, noise_multiplier=1.1, cohort=777)
    again = LayerUpdate.from_bytes(update.to_bytes(), encoder=ENCODER)
    np.testing.assert_array_equal(again.vector, update.vector)
    for name in ("encoder", "start", "clip", "noise_multiplier", "cohort"):
        assert getattr(again, name) == getattr(update, name)
    assert again.start == checksum(start)
    with pytest.raises(ValueError, match=r"^encoder: the layer is of"):
        LayerUpdate.from_bytes(update.to_bytes(), encoder="7" * 64)
    with pytest.raises(ValueError, match=r"^data: an update, not a layer$"):
        PersonalLayer.from_bytes(update.to_bytes())


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^data: "):
        LayerUpdate.from_bytes(data)


def test_terms_that_mean_nothing_are_refused_by_name() -> None:
    start, other = PersonalLayer.zero(16, encoder=ENCODER), PersonalLayer.zero(16, encoder="7" * 64)
    for name, value in (("clip", 0), ("clip", math.nan), ("noise_multiplier", -1), ("cohort", 0), ("cohort", True)):
        with pytest.raises(ValueError, match=f"^{name}: "):
            LayerUpdate.of(start, start=start, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^encoder: "):
        LayerUpdate.of(start, start=other)
    with pytest.raises(ValueError, match=r"^start: dimension 8, the layer has 16$"):
        LayerUpdate.of(start, start=PersonalLayer.zero(8))


@pytest.mark.parametrize(
    ("noise_multiplier", "delta", "epsilon"),
    [
        # Balle and Wang's calibration of σ: https://github.com/BorjaBalle/analytic-gaussian-mechanism
        (3.730632, 1e-5, 1.0),
    ],
)
def test_epsilon_is_that_of_the_literature(noise_multiplier: float, delta: float, epsilon: float) -> None:
    assert gaussian_epsilon(noise_multiplier, delta=delta) == pytest.approx(epsilon, rel=1e-4)


@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("rounds", [1, 10])
def test_epsilon_is_where_the_two_normal_distributions_say(noise_multiplier: float, rounds: int) -> None:
    # δ(ε) = ∫ max(p(x) - e^ε q(x), 0) dx for the output with and without one person, integrated by sums.
    epsilon = gaussian_epsilon(noise_multiplier, rounds=rounds, delta=1e-6)
    sigma = noise_multiplier / math.sqrt(rounds)
    x = np.linspace(-12 * sigma - 1, 12 * sigma + 2, 2_000_001)
    with_one, without = (
        np.exp(-((x - mean) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) for mean in (1, 0)
    )
    delta = np.trapz(np.maximum(with_one - math.exp(epsilon) * without, 0), x)
    assert delta == pytest.approx(1e-6, rel=0.01)


def test_more_noise_and_fewer_rounds_are_more_private() -> None:
    by_noise = [gaussian_epsilon(noise) for noise in (0.01, 0.1, 0.5, 1.0, 5.0, 100.0, 1e9)]
    assert by_noise == sorted(by_noise, reverse=True)
    assert by_noise[-1] == 0
    by_rounds = [gaussian_epsilon(1.0, rounds=rounds) for rounds in (1, 2, 10, 1000)]
    assert by_rounds == sorted(by_rounds)
    assert gaussian_epsilon(1.0, rounds=4) == pytest.approx(gaussian_epsilon(0.5))
    assert math.isfinite(by_noise[0])
    for bad in (
        {"noise_multiplier": 0.0},
        {"noise_multiplier": 1.0, "rounds": 0},
        {"noise_multiplier": 1.0, "delta": 1.0},
    ):
        with pytest.raises(ValueError, match=r": .* is not "):
            gaussian_epsilon(**bad)  # type: ignore[arg-type]
