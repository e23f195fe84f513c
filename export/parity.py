"""Does the exported graph say what the PyTorch model says? Measured at every export, before anything is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_DIFFERENCE = 1e-4
MIN_COSINE = 0.99999
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
    """Parity over one way of batching the same texts."""

    batching: str
    max_difference: float
    min_cosine: float

    @property
    def passed(self) -> bool:
        """Both bounds hold; NaN never passes."""
        return self.max_difference <= MAX_DIFFERENCE and self.min_cosine >= MIN_COSINE


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
) -> Iterator[Row]:
    """Compare `run(batch of token ids) → [B, D]` with the reference [N, D], for each way of batching.

    Yields:
        One row for each batch size, and one for a batch padded with -1 as a client batch is.
    """
    for size in BATCHES:
        parts = [run(token_ids[i : i + size]) for i in range(0, len(token_ids), size)]
        yield _row("alone" if size == 1 else f"batches of {size}", np.concatenate(parts), reference)
    longest = max(map(len, token_ids))
    padded = [np.pad(ids, (0, longest - len(ids)), constant_values=-1) for ids in token_ids]
    yield _row(f"client batch of {len(padded)}, padded", run(padded), reference)


def _row(batching: str, ours: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> Row:
    a, b = ours.astype(np.float64), reference.astype(np.float64)
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Row(batching, float(np.abs(a - b).max()), float(cosine.min()))


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
