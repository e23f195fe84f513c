"""What a client may put into a tensor: texts, numbers and vectors, and whether they must be taken."""

from __future__ import annotations

import random
import struct
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.soak.fuzz_wire import Call, Tensor, strings

LARGEST_TEXT = 8192  # bytes, as model_repository/tokenizer/config.pbtxt says
LARGEST_TOP_K = 1000
PLAIN = ("송금", "돈 보내기", "ㅅㄱ", "thdrma", "이번 달 카드값", "Apple Pay", "환전하려면 어떻게 해", "송ㄱ", "１２３")
MODELS = ("search", "embed", "tokenizer", "encoder", "scorer")
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3fd"  # an emoji of eight code points
Random = random.Random


def taken(raw: bytes) -> bool:
    """Whether a text must be taken."""
    try:
        return len(raw) <= LARGEST_TEXT and bool(raw.decode().strip())
    except UnicodeDecodeError:
        return False


def flood(rng: Random) -> str:
    """A letter under many marks, mostly a few dozen."""
    return "송" + rng.choice("\u0301\u0489\u20dd\ufe0f") * rng.choice((3, 30, 60, 900))


def code_points(rng: Random) -> str:
    """Any code points but surrogates."""
    points = (rng.choice((0x80, 0x3000, 0xD800, 0x10000, 0x110000)) for _ in range(rng.randint(1, 12)))
    return "".join(chr(rng.randrange(0xE000, end) if end > 0xE000 else rng.randrange(end)) for end in points)


TEXTS: Sequence[Callable[[Random], str | bytes]] = (
    lambda rng: rng.choice(PLAIN),
    lambda rng: unicodedata.normalize("NFD", rng.choice(PLAIN) * rng.randint(1, 5)),
    flood,
    code_points,
    lambda rng: "\u202e" * rng.randint(1, 20) + "مرحبا" + rng.choice(PLAIN),
    lambda rng: FAMILY * rng.randint(1, 6),
    lambda rng: f"송{chr(rng.randrange(32))}금\0",
    lambda rng: "\0",
    lambda rng: rng.choice(("thdrma dlcp", "RKSKEK", "ㅏㅏㅏ", "ᄀ", "각ᅡ", "\ufeff송금", "ﷺ", "İ", "\u1160\u3164")),
    lambda rng: "thdrma " * rng.choice((2, 10, 40)),
    lambda rng: rng.choice((b"", b" ", b"\t\n", "\u3000\u2003".encode(), b"\x0b\x0c\x1c\x85")),
    lambda rng: rng.randbytes(rng.randint(1, 40)),
    lambda rng: rng.choice(PLAIN).encode()[: rng.randint(1, 4)],
    lambda rng: rng.choice((b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xb0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")),
    lambda rng: b"a" * rng.choice((8193, 9000, 20_000)),
)
LONG: Sequence[Callable[[Random], str | bytes]] = (
    lambda rng: "송금하기 " * 600,
    lambda rng: b"a" * LARGEST_TEXT,
    lambda rng: "가" * 2730,
    lambda rng: "\u0301" * 4096,
    lambda rng: "송" * rng.choice((2731, 100_000, 400_000)),
    lambda rng: rng.randbytes(1 << rng.randint(14, 20)),
)


def text(rng: Random) -> bytes:
    """A text; a long one, which costs the encoder a whole window or the wire a megabyte, once in 200."""
    made = rng.choice(LONG if rng.random() < 0.005 else TEXTS)(rng)
    return made if isinstance(made, bytes) else made.encode()


def string(name: str, *values: bytes) -> Tensor:
    """A BYTES tensor [N, 1]."""
    return Tensor(name, "BYTES", (len(values), 1), strings(values))


def int32(name: str, *values: int) -> Tensor:
    """An INT32 tensor [N, 1]."""
    return Tensor(name, "INT32", (len(values), 1), struct.pack(f"<{len(values)}i", *values))


def fp32(name: str, *values: float) -> Tensor:
    """An FP32 tensor [N, 1]."""
    return Tensor(name, "FP32", (len(values), 1), np.array(values, "<f4").tobytes())


def ids(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token ids [N, L]."""
    return Tensor("input_ids", "INT64", (len(rows), len(rows[0])), np.array(rows, "<i8").tobytes())


def embedding(rng: Random, width: int, rows: int = 1) -> Tensor:
    """A vector, the same in every row."""
    vector = np.random.default_rng(rng.getrandbits(32)).normal(size=width).astype("<f4")
    return Tensor("embedding", "FP32", (rows, width), vector.tobytes() * rows)


TOP_K = (0, -1, 1, 2, 10, 100, LARGEST_TOP_K, LARGEST_TOP_K + 1, 2**31 - 1, -(2**31))
MIN_SCORE = tuple(map(float, "nan inf -inf 0 -0.0 1e-45 -1e-45 1 -1 1.0000001 -1.0000001 3.4e38 0.5 2".split()))
KIND = (b"query", b"passage", b"Query", b"", b"query\0", b"\xff", b"passage" * 1000)
SURFACE = (b"NOWHERE", b"", b"\xff", b"\0", b"RECO\0", b"x" * 100_000)


def valid(rng: Random, model: str, width: int, rows: int = 1) -> Call:
    """A request that must be answered; options at random. `width` is that of the encoder's embeddings."""
    words = [rng.choice(PLAIN).encode() for _ in range(rows)]
    if model == "encoder":
        length = rng.randint(1, 12)
        return Call(model, (ids([[0, *(rng.randrange(4, 1000) for _ in range(length)), 2]] * rows),))
    if model in ("embed", "tokenizer"):
        kind = [string("kind", *[rng.choice(KIND[:2])] * rows)] if rng.random() < 0.5 else []
        return Call(model, (string("text", *words), *kind))
    tensors = [string("query", *words)]
    if model == "scorer":
        tensors.append(embedding(rng, width, rows))
    if rng.random() < 0.3:
        tensors.append(int32("top_k", *[rng.choice((1, 5, 30))] * rows))
    if rng.random() < 0.3:
        tensors.append(fp32("min_score", *[rng.uniform(-1, 1)] * rows))
    return Call(model, tuple(tensors))


def good_number(name: str, value: float) -> bool:
    """Whether top_k or min_score must be taken."""
    return 1 <= value <= LARGEST_TOP_K if name == "top_k" else -1 <= float(np.float32(value)) <= 1
