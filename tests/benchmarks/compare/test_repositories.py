"""What is compared with differs from the project's repository in the one thing that is compared."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare import houses


def test_batching_off_is_the_same_repository_but_for_batching(repository: Path, tmp_path: Path) -> None:
    copied = houses.copy(repository, tmp_path / "off", houses.without_batching)
    models = {path.parent.name for path in repository.glob("*/config.pbtxt")}
    assert {path.parent.name for path in copied.glob("*/config.pbtxt")} == models
    for name in models:
        ours, other = (houses.config(folder / name / "config.pbtxt") for folder in (repository, copied))
        assert not other.HasField("dynamic_batching")
        houses.without_batching(ours)
        if name == "scorer":
            ours.parameters["index"].string_value = other.parameters["index"].string_value
        assert ours == other
    assert houses.index(copied) == houses.index(repository)
    assert (copied / "encoder/1/model.onnx").samefile(repository / "encoder/1/model.onnx")


def test_padded_models_get_the_threads_and_batching_of_the_encoder(repository: Path, tmp_path: Path) -> None:
    copied = houses.copy(repository, tmp_path / "ways")
    stock = repository / "encoder/1/model.onnx"
    houses.add_padded(copied, stock)
    houses.add_longest(copied, stock)
    ours, padded, longest = (houses.config(copied / name / "config.pbtxt") for name in ("encoder", "padded", "longest"))
    for other in (padded, longest):
        assert other.max_batch_size == ours.max_batch_size
        assert other.dynamic_batching == ours.dynamic_batching
        assert other.instance_group == ours.instance_group
        assert other.parameters == ours.parameters
    assert not any(one.allow_ragged_batch for one in padded.input)
    assert longest.input[0].allow_ragged_batch
