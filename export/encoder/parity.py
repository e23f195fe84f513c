"""Does the exported graph say what the PyTorch model says? Measured at every export, before anything is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Bounds:
    """How far an export may be from its source, and from itself.

    Attributes:
        difference: largest difference of any number from PyTorch's, where PyTorch's vectors have length 1.
        cosine: least cosine with PyTorch's vector.
        alone: largest difference between a text's vector alone and in a batch.
    """

    difference: float
    cosine: float
    alone: float


# Some ten times what the bundled encoder shows, so that a wrong graph is refused and an honest rounding is not.
BOUNDS = {
    "fp32": Bounds(1e-4, 0.99999, 1e-5),
    "fp16": Bounds(2e-3, 0.9999, 1e-3),
    "int8": Bounds(0.1, 0.99, 1e-4),
}
BATCHES = (1, 8, 32)

_SENTENCES = (
    "송금",
    "ㅅㄱ",
    "이체 한도",
    "남은 용돈 어디서 봐",
    "지난달 카드값이 얼마나 나왔는지 알려줘",
    "Apple Pay 등록하는 법",
    "전세 대출 금리를 은행별로 비교해서 보고 싶은데 어떤 메뉴로 들어가야 하나요?",
    "해외에서 결제한 내역이 아직 청구되지 않았는데 환율은 언제 기준으로 정해지는 건지 궁금합니다.",
)


@dataclass(frozen=True)
class Row:
    """Parity over one way of batching the same texts, and the bounds that it must keep."""

    batching: str
    max_difference: float
    min_cosine: float
    difference_bound: float = BOUNDS["fp32"].difference
    cosine_bound: float = BOUNDS["fp32"].cosine

    @property
    def passed(self) -> bool:
        """Both bounds hold; NaN never passes."""
        return self.max_difference <= self.difference_bound and self.min_cosine >= self.cosine_bound


def texts(max_length: int) -> list[str]:
    """32 Korean texts of mixed lengths, from one word to longer than `max_length` tokens."""
    mixed = list(_SENTENCES)
    for i in range(24):
        joined = " ".join(_SENTENCES[j % len(_SENTENCES)] for j in range(i, i + 2 + i % 5))
        mixed.append(joined)
    mixed[11] = " ".join(_SENTENCES) * (1 + max_length // 60)
    return mixed


def measure(
    run: Callable[[list[npt.NDArray[np.int64]]], npt.NDArray[np.float32]],
    token_ids: list[npt.NDArray[np.int64]],
    reference: npt.NDArray[np.float32],
    precision: str = "fp32",
) -> Iterator[Row]:
    """Compare `run(batch of token ids) → [B, D]` with the reference [N, D], for each way of batching.

    Yields:
        One row for each batch size, one for a batch padded with -1 as a client batch is, and one that compares the
        export with itself: each text alone against the same text in every other way.
    """
    bounds = BOUNDS[precision]
    ways = []
    for size in BATCHES:
        ways.append(np.concatenate([run(token_ids[i : i + size]) for i in range(0, len(token_ids), size)]))
        name = "alone" if size == 1 else f"batches of {size}"
        yield Row(name, *_distance(ways[-1], reference), bounds.difference, bounds.cosine)
    longest = max(map(len, token_ids))
    padded = [np.pad(ids, (0, longest - len(ids)), constant_values=-1) for ids in token_ids]
    ways.append(run(padded))
    name = f"client batch of {len(padded)}, padded"
    yield Row(name, *_distance(ways[-1], reference), bounds.difference, bounds.cosine)
    batched = np.concatenate(ways[1:])
    itself = _distance(batched, np.tile(ways[0], (len(ways) - 1, 1)))
    yield Row("alone against in a batch", *itself, bounds.alone, bounds.cosine)


def _distance(ours: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Largest difference and least cosine of the rows of two [N, D], as if the reference's were unit vectors."""
    a, b = ours.astype(np.float64), reference.astype(np.float64)
    size = np.linalg.norm(b, axis=1, keepdims=True)
    cosine = (a * b / size).sum(1) / np.linalg.norm(a, axis=1)
    return float(np.abs((a - b) / size).max()), float(cosine.min())


def onnx_runner(path: str) -> Callable[[list[npt.NDArray[np.int64]]], npt.NDArray[np.float32]]:
    """A function that embeds a list of id arrays in one packed batch through onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(batch: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        lengths = np.array([[len(ids)] for ids in batch], dtype=np.int32)
        result: npt.NDArray[np.float32] = session.run(
            ["embedding"], {"input_ids": np.concatenate(batch), "lengths": lengths}
        )[0]
        return result

    return run
