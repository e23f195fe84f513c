"""What is compared with differs from the project's repository in the one thing that is compared."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare import repositories


def test_a_copy_is_the_same_repository_and_serves_the_index_that_it_is_told(repository: Path, tmp_path: Path) -> None:
    def unchanged(copied: Path, index: Path) -> bool:
        models = {path.parent.name for path in repository.glob("*/config.pbtxt")}
        assert {path.parent.name for path in copied.glob("*/config.pbtxt")} == models
        for name in models:
            before, after = (repositories.config(folder / name / "config.pbtxt") for folder in (repository, copied))
            if "index" in before.parameters:
                before.parameters["index"].string_value = str(index)
            assert before == after
        return (copied / "encoder/1/model.onnx").samefile(repository / "encoder/1/model.onnx")

    same = repositories.copy(repository, tmp_path / "same")
    assert unchanged(same, repositories.index(repository))
    assert repositories.index(same) == repositories.index(repository)
    other = repositories.copy(repository, tmp_path / "other", index_at=tmp_path / "index")
    assert unchanged(other, tmp_path / "index")
    assert repositories.index(other) == tmp_path / "index"


def test_padded_models_get_the_threads_and_batching_of_the_encoder(repository: Path, tmp_path: Path) -> None:
    copied = repositories.copy(repository, tmp_path / "ways")
    stock = repository / "encoder/1/model.onnx"
    repositories.add_padded(copied, stock)
    repositories.add_longest(copied, stock)
    ours, padded, longest = (
        repositories.config(copied / name / "config.pbtxt") for name in ("encoder", "padded", "longest")
    )
    for other in (padded, longest):
        assert other.max_batch_size == ours.max_batch_size
        assert other.dynamic_batching == ours.dynamic_batching
        assert other.instance_group == ours.instance_group
        assert other.parameters == ours.parameters
    assert not any(one.allow_ragged_batch for one in padded.input)
    assert longest.input[0].allow_ragged_batch
