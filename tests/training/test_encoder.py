"""Trainings of seconds on a small encoder: losses fall, adapters merge, checkpoints resume."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from export.encoder import adapter
from export.encoder import source as export_source
from training import encoder, layers
from training.errors import TrainingError
from training.settings import Settings, settings

pytestmark = pytest.mark.slow

TEXTS = ["송금", "남은 용돈 어디서 봐", "이체 한도를 올리고 싶어요", "Apple PAY 등록"]
Made = Callable[..., Settings]


@pytest.fixture
def made(catalog: Path, nli: Path, sts: Path) -> Made:
    """Settings of a short training."""
    files = {"catalog": catalog, "nli": nli, "sts": sts}

    def make(*data: tuple[str, str], **values: Any) -> Settings:
        sets = [{"kind": kind, "file": files[kind], "loss": loss} for kind, loss in data]
        short = {"steps": 20, "batch_size": 16, "learning_rate": 2e-3, "max_length": 16}
        return settings({"data": sets, **short, **values}, "test")

    return make


def vectors(model: SentenceTransformer) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = model.encode(TEXTS, prompt="query: ")
    return found


def train(base: Path, chosen: Settings, work: Path, **options: Any) -> tuple[export_source.Source, encoder.Trained]:
    loaded = encoder.load(str(base))
    return loaded, encoder.fine_tune(loaded, chosen, work, **options)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        ([("catalog", "mnr")], {}),
        ([("catalog", "mnr")], {"hard_negatives": 0.5, "grad_cache": 4}),
        ([("catalog", "triplet")], {}),
        ([("nli", "softmax")], {"learning_rate": 1e-2, "steps": 40}),
        ([("nli", "triplet")], {"learning_rate": 5e-3, "steps": 40}),
        ([("sts", "cosent")], {"layers": 1}),
        ([("nli", "softmax"), ("sts", "cosent"), ("catalog", "mnr")], {"lora": 4, "layers": 2, "steps": 60}),
        ([("catalog", "mnr")], {"precision": "bf16"}),
    ],
    ids=str,
)
def test_the_loss_falls(
    data: list[tuple[str, str]], values: dict[str, Any], base: Path, made: Made, tmp_path: Path
) -> None:
    _, trained = train(base, made(*data, **values), tmp_path)
    found = [loss for _, loss in trained.losses]
    third = len(found) // 3
    assert np.mean(found[-third:]) < 0.97 * np.mean(found[:third])
    assert set(trained.rows) == {f"{kind}, {loss}" for kind, loss in data}


def test_a_training_for_search_draws_texts_that_mean_the_same_together(base: Path, made: Made, tmp_path: Path) -> None:
    _, trained = train(base, made(("catalog", "mnr"), steps=40), tmp_path)
    (same, same_after), (other, other_after) = trained.cosines["same"], trained.cosines["other"]
    assert (1 - other_after) / (1 - same_after) > 1.4 * (1 - other) / (1 - same), trained.cosines


def test_merging_equals_the_adapter(base: Path, made: Made, tmp_path: Path) -> None:
    from peft import PeftModel

    loaded, _ = train(base, made(("catalog", "mnr"), lora=4, layers=1), tmp_path)
    merged = vectors(loaded.reference)
    fresh = encoder.load(str(base))
    before = vectors(fresh.reference)
    with warnings.catch_warnings():  # peft asks transformers for a name that this version renames
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        PeftModel.from_pretrained(fresh.model, str(tmp_path / "adapter"))
    assert np.abs(before - merged).max() > 1e-3
    np.testing.assert_allclose(vectors(fresh.reference), merged, atol=1e-5)


def test_the_export_merges_an_adapter_as_peft_does(base: Path, made: Made, tmp_path: Path) -> None:
    loaded, _ = train(base, made(("catalog", "mnr"), lora=4), tmp_path)
    fresh = encoder.load(str(base))
    assert adapter.merge(fresh.model, tmp_path / "adapter") == 12  # matrices of two layers
    np.testing.assert_allclose(vectors(fresh.reference), vectors(loaded.reference), atol=1e-6)


def test_an_encoder_without_a_pooler_gets_none_of_random_weights(base: Path, tmp_path: Path) -> None:
    loaded = encoder.load(str(base))
    before = vectors(loaded.reference)
    loaded.model.pooler = None
    encoder.save(loaded, tmp_path)
    saved = encoder.load(str(tmp_path / "model"))
    assert saved.model.pooler is None
    np.testing.assert_allclose(vectors(saved.reference), before, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"layers": 1}, {"encoder.layer.1"}),
        ({"layers": 1, "lora": 2}, {"encoder.layer.1"}),
        ({"lora": 2}, {"encoder.layer.0", "encoder.layer.1"}),
        ({}, {"embeddings", "encoder.layer.0", "encoder.layer.1"}),
    ],
    ids=["the top layer", "LoRA of the top layer", "LoRA of all layers", "all"],
)
def test_only_the_weights_that_were_asked_for_change(
    values: dict[str, int], names: set[str], base: Path, made: Made, tmp_path: Path
) -> None:
    before = {name: one.detach().clone() for name, one in encoder.load(str(base)).model.named_parameters()}
    loaded, _ = train(base, made(("catalog", "mnr"), steps=2, **values), tmp_path)
    after = dict(loaded.model.named_parameters())
    assert after.keys() == before.keys(), "no trace of an adapter is left"
    changed = {name for name, one in after.items() if not torch.equal(one, before[name])}
    assert {next(part for part in names if name.startswith(part)) for name in changed} == names


class StoppedError(Exception):
    """An interruption."""


@pytest.mark.parametrize(
    ("data", "values"),
    [([("catalog", "mnr")], {"lora": 4}), ([("nli", "softmax"), ("sts", "cosent")], {"layers": 1})],
    ids=["adapter", "classifier"],
)
def test_resuming_equals_not_stopping(
    data: list[tuple[str, str]], values: dict[str, Any], base: Path, made: Made, tmp_path: Path
) -> None:
    chosen = made(*data, steps=10, **values)

    def stop(done: int, _: int) -> None:
        if done == 7:
            raise StoppedError

    whole, _ = train(base, chosen, tmp_path / "whole", save_steps=4)
    with pytest.raises(StoppedError):
        train(base, chosen, tmp_path / "parts", save_steps=4, advance=stop)
    seen: list[int] = []
    resumed, _ = train(
        base, chosen, tmp_path / "parts", save_steps=4, resume=True, advance=lambda done, _: seen.append(done)
    )
    assert seen[0] == 5, "steps before the checkpoint are not done again"
    for name, one in whole.model.named_parameters():
        torch.testing.assert_close(dict(resumed.model.named_parameters())[name], one, rtol=0, atol=1e-6)


def test_the_same_seed_gives_the_same_weights(base: Path, made: Made, tmp_path: Path) -> None:
    found = []
    for i, seed in enumerate((1, 1, 2)):
        loaded, _ = train(base, made(("catalog", "mnr"), steps=3, hard_negatives=0.5, seed=seed), tmp_path / str(i))
        found.append(vectors(loaded.reference))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 1e-4


def test_gradient_caching_gives_the_gradients_of_the_whole_batch(base: Path, made: Made, tmp_path: Path) -> None:
    found = []
    for i, chunk in enumerate((None, 4)):
        loaded = encoder.load(str(base))
        for part in loaded.reference.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        encoder.fine_tune(loaded, made(("catalog", "mnr"), steps=3, grad_cache=chunk), tmp_path / str(i))
        found.append(vectors(loaded.reference))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_a_checkpoint_holds_no_weights_but_those_that_are_trained_and_nothing_pickled(
    base: Path, made: Made, tmp_path: Path
) -> None:
    train(base, made(("catalog", "mnr"), steps=2, lora=2), tmp_path, save_steps=2)
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    assert not (checkpoint / "training_args.bin").exists()
    assert all(".lora_" in name for name in load_file(checkpoint / "trained.safetensors"))
    for file in checkpoint.glob("*.p*t*"):
        if file.name != "rng_state.pth":  # holds NumPy's state, which the reader lists by name
            torch.load(file, weights_only=True)


class Payload:
    """What a checkpoint from somebody else could hold."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_an_optimizer_state_that_would_run_code_is_refused(base: Path, made: Made, tmp_path: Path) -> None:
    chosen = made(("catalog", "mnr"), steps=4, lora=2)
    train(base, chosen, tmp_path / "work", save_steps=2)
    (checkpoint,) = (tmp_path / "work").glob("checkpoint-*")
    torch.save(Payload(tmp_path / "ran"), checkpoint / "optimizer.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        train(base, chosen, tmp_path / "work", save_steps=2, resume=True)
    assert not (tmp_path / "ran").exists()


def test_a_layer_that_is_not_there_and_a_loss_that_explodes_are_refused(base: Path, made: Made, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^layers is 3: this encoder has 2$"):
        train(base, made(("catalog", "mnr"), layers=3), tmp_path)
    loaded = encoder.load(str(base))
    next(iter(loaded.model.encoder.layer[1].parameters())).data[:] = torch.nan
    with pytest.raises(TrainingError, match=r"the loss is not a number any more: learning_rate 0\.002 may be"):
        encoder.fine_tune(loaded, made(("catalog", "mnr"), steps=1), tmp_path)


def test_an_encoder_whose_layers_are_nowhere_in_a_list_can_be_trained_as_a_whole_only() -> None:
    from tests.encoders import model

    assert layers.prepare(model("bert", vocab_size=50), None, None) is None
    with pytest.raises(TrainingError, match="family albert: its layers are not in one list"):
        layers.prepare(model("albert", vocab_size=50), None, 4)
