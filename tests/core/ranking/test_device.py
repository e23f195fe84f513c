"""The device that ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.cuda import CudaScorer
from malgil_core.ranking.device import choose_device, make_scorer

from tests.index import generation

HAS_GPU = torch.cuda.is_available()


def test_a_machine_without_a_gpu_ranks_on_its_cpu_and_says_so_where_cuda_is_demanded() -> None:
    assert choose_device("cpu", "0") == "cpu"
    if HAS_GPU:
        assert (choose_device("auto", "0"), choose_device("cuda", "0")) == ("cuda:0", "cuda:0")
    else:
        assert choose_device("auto", "0") == "cpu"
        with pytest.raises(ValueError, match=r"^parameter device is cuda, and torch finds no GPU$"):
            choose_device("cuda", "0")


@pytest.mark.parametrize("name", ["gpu", "CPU", "", "cuda:0"])
def test_a_mistyped_device_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^parameter device is '{name}': it must be auto, cpu or cuda$"):
        choose_device(name, "0")


def test_the_scorer_is_that_of_the_device() -> None:
    index = generation(np.eye(2, dtype=np.float32), [0, 1], [1, 2])
    assert isinstance(make_scorer(index, "cpu"), CpuScorer)
    if HAS_GPU:
        assert isinstance(make_scorer(index, "cuda:0"), CudaScorer)


@pytest.mark.parametrize("device", ["numpy", "torch"])
def test_embeddings_of_several_requests_become_one_batch_of_unit_rows_in_their_order(device: str) -> None:
    index = generation(np.eye(2, dtype=np.float32), [0, 1], [1, 2])
    parts = [np.array([[3, 4]], np.float32), np.array([[0, 2], [0, 0]], np.float32)]
    if device == "numpy":
        joined = CpuScorer(index).join(parts)
    else:
        joined = CudaScorer(index, "cpu").join([torch.from_numpy(part) for part in parts]).numpy()
    np.testing.assert_allclose(joined, np.array([[0.6, 0.8], [0, 1], [0, 0]]), atol=1e-7)
