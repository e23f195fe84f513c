"""Strategies for what a client may put into a tensor, and whether it must be taken."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from tests.soak.fuzz.statuses import BAD, OK, OK_OR_BAD, Expected
from tests.soak.wire import Call, Tensor, boolean, fp32, ids, int32, string

LARGEST_TEXT = 8192  # bytes
LARGEST_TOP_K = 1000
MODELS = ("search", "embed", "tokenizer", "encoder", "scorer", "suggest")
PLAIN = ("송금", "돈 보내기", "ㅅㄱ", "thdrma", "이번 달 카드값", "Apple Pay", "환전하려면 어떻게 해", "송ㄱ", "１２３")
TOP_K = (0, -1, 1, 2, 10, 100, LARGEST_TOP_K, LARGEST_TOP_K + 1, 2**31 - 1, -(2**31))
MIN_SCORE = tuple(map(float, "nan inf -inf 0 -0.0 1e-45 -1e-45 1 -1 1.0000001 -1.0000001 3.4e38 0.5 2".split()))
KIND = (b"query", b"passage", b"phrase", b"Query", b"", b"query\0", b"\xff", b"passage" * 1000)
SURFACE = (b"RECO", b"NOWHERE", b"", b"\xff", b"\0", b"RECO\0", b"x" * 100_000)
PERSONAL = (b"", b"MGPL", b"TUdQ", b"\xff" * 48, b"MGPL\1" + bytes(43), b"TUdQ" * 500, b"x" * 100_000)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f3fd"  # an emoji of eight code points
# Code points that show nothing and are no white space to Python.
INVISIBLE = "\0\u00ad\u034f\u115f\u1160\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2800\u3164\ufe0f\ufeff\uffa0"

plain = st.sampled_from(PLAIN)
_floods = st.builds(
    lambda mark, count: "송" + mark * count,
    st.sampled_from("\u0301\u0489\u20dd\ufe0f"),
    st.sampled_from((3, 30, 60, 900)),
)
_written = st.one_of(
    plain,
    st.builds(lambda text, count: unicodedata.normalize("NFD", text * count), plain, st.integers(1, 5)),
    _floods,  # a letter under many marks
    st.text(min_size=1, max_size=12),
    st.builds(lambda count, text: "\u202e" * count + "مرحبا" + text, st.integers(1, 20), plain),
    st.integers(1, 6).map(lambda count: FAMILY * count),
    st.sampled_from(
        ("송\x01금\0", "\0", "thdrma dlcp", "RKSKEK", "ㅏㅏㅏ", "ᄀ", "각ᅡ", "\ufeff송금", "ﷺ", "İ", "\u1160\u3164")
    ),
    st.sampled_from((2, 10, 40)).map(lambda count: "thdrma " * count),
).map(str.encode)
_bytes = st.one_of(
    st.sampled_from((b"", b" ", b"\t\n", "\u3000\u2003".encode(), b"\x0b\x0c\x1c\x85")),
    st.binary(min_size=1, max_size=40),
    st.builds(lambda text, count: text.encode()[:count], plain, st.integers(1, 4)),
    st.sampled_from((b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xb0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")),
    st.sampled_from((8193, 9000, 20_000)).map(lambda count: b"a" * count),
)
# Each costs the encoder a whole window, or the wire a megabyte.
_long = st.sampled_from(
    ("송금하기 ".encode() * 600, b"a" * LARGEST_TEXT, "가".encode() * 2730, "\u0301".encode() * 4096,
     "송".encode() * 2731, "송".encode() * 400_000, bytes(range(256)) * 4096),
)  # fmt: skip
texts = st.integers(0, 199).flatmap(lambda draw: _long if draw == 77 else st.one_of(_written, _bytes))


def text_expected(raw: bytes) -> Expected:
    """How a text must be answered."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return BAD
    if len(raw) > LARGEST_TEXT or all(letter in INVISIBLE or letter.isspace() for letter in text):
        return BAD
    # Of other marks and control characters some have a glyph of their own, and some have none.
    seen = any(letter not in INVISIBLE and unicodedata.category(letter)[0] not in "CMZ" for letter in text)
    return OK if seen else OK_OR_BAD


def number_expected(name: str, value: float) -> Expected:
    """How top_k or min_score must be answered."""
    good = 1 <= value <= LARGEST_TOP_K if name == "top_k" else -1 <= float(np.float32(value)) <= 1
    return OK if good else BAD


def embedding(seed: int, width: int, rows: int = 1) -> Tensor:
    """A vector, the same in every row."""
    vector = np.random.default_rng(seed).normal(size=width).astype("<f4")
    return Tensor("embedding", "FP32", (rows, width), vector.tobytes() * rows)


@st.composite
def valid(draw: st.DrawFn, width: int, models: Sequence[str] = MODELS, rows: int = 1) -> Call:
    """A request that must be answered, with options at random; `width` is that of the encoder's embeddings."""
    model = draw(st.sampled_from(models))
    if model == "encoder":
        inner = draw(st.lists(st.integers(4, 999), min_size=1, max_size=12))
        return Call(model, (ids([[0, *inner, 2]] * rows),))
    words = [draw(plain).encode()] * rows
    if model in ("embed", "tokenizer"):
        kind = draw(st.sampled_from((None, *KIND[:3])))
        return Call(model, (string("text", *words), *([string("kind", *[kind] * rows)] if kind else [])))
    if model == "suggest":
        count = draw(st.sampled_from((None, 1, 5, 20)))
        return Call(model, (string("typed", *words), *([int32("top_k", *[count] * rows)] if count else [])))
    tensors = [string("query", *words)]
    if model == "scorer":
        tensors.append(embedding(draw(st.integers(0, 99)), width, rows))
    if top_k := draw(st.sampled_from((None, None, 1, 5, 30))):
        tensors.append(int32("top_k", *[top_k] * rows))
    if (min_score := draw(st.none() | st.floats(-1, 1, width=32))) is not None:
        tensors.append(fp32("min_score", *[min_score] * rows))
    if (null := draw(st.sampled_from((None, None, True, False)))) is not None:
        tensors.append(boolean("null", *[null] * rows))
    return Call(model, tuple(tensors))
