"""`python -m export encoder`: a source encoder into the model repository, checked before it replaces anything."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from malgil_core.checksums import sha256
from malgil_core.text.tokenization import Tokenization
from tokenizers import Tokenizer

from export import ROOT
from export.encoder import bundled, packed, parity, source, vocabulary

BUNDLED_NAME = "multilingual-e5-small dequantised from 4 bits (MIT)"
PROTOBUF_LIMIT = 2**31  # bytes; a larger model needs external data, which is not written


class ParityError(Exception):
    """The exported graph does not say what the source model says; nothing was replaced."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and how close it came."""

    metadata: dict[str, Any]
    rows: list[parity.Row]


def export(
    location: str,
    repository: Path,
    progress: Callable[[str], None] = lambda _: None,
    report: Callable[[parity.Row], None] = lambda _: None,
    precision: str = "fp32",
    pieces: str = "all",
) -> Exported:
    """Export an encoder into `encoder/1/model.onnx` and `tokenizer/1/{tokenizer,encoder}.json`.

    Args:
        location: `bundled`, a directory or a hub id.
        repository: the model repository.
        progress: told what is being done.
        report: given each parity row as it is measured.
        precision: fp32, fp16 or int8; see `export.precision`.
        pieces: all, or ko for those of Korean and Latin text alone; see `export.vocabulary`.

    Raises:
        export.source.UnsupportedEncoderError: the source has a part that cannot be honoured.
        ParityError: the graph differs from the source; the old files are still in place.
    """
    name = None
    if location == "bundled":
        location, name = str(bundled.unpack(ROOT / bundled.DEFAULT_TARGET, progress)), BUNDLED_NAME
    progress(f"loading {name or location}")
    loaded = source.load(location, name)
    if pieces != "all":
        progress(f"keeping the word pieces of {pieces}")
        loaded = vocabulary.restrict(loaded, pieces)
    graph = build(loaded, progress, precision)
    metadata: dict[str, Any] = {
        "name": loaded.name,
        "family": loaded.model.config.model_type,
        "graph": "packed" if packed.fits(loaded.model.config) else "stock",
        "precision": precision,
        "vocabulary": pieces,
        "dimension": loaded.model.config.hidden_size,
        "max_length": loaded.max_length,
        "pooling": loaded.pooling,
        "normalize": loaded.normalize,
        "prompts": loaded.prompts,
    }
    encoder, tokenizer = repository / "encoder" / "1", repository / "tokenizer" / "1"
    with _replacing() as replace:
        progress("writing model.onnx")
        model_file = replace(encoder / "model.onnx")
        with model_file.open("wb") as stream:
            stream.write(graph.SerializeToString())
        del graph
        replace(tokenizer / "tokenizer.json").write_text(loaded.tokenizer_json, encoding="utf-8")
        metadata["files"] = {
            "model.onnx": sha256(model_file),
            "tokenizer.json": hashlib.sha256(loaded.tokenizer_json.encode()).hexdigest(),
        }
        metadata["fingerprint"] = fingerprint(metadata)
        # Last: what does not belong together is seen by its checksums.
        replace(tokenizer / "encoder.json").write_text(
            json.dumps(metadata, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        rows = []
        for row in _check(loaded, metadata, model_file, progress):
            report(row)
            rows.append(row)
        failed = [row.batching for row in rows if not row.passed]
        if failed:
            bounds = parity.BOUNDS[precision]
            raise ParityError(
                f"the exported graph differs from {loaded.name} ({'; '.join(failed)}): the bounds of {precision} are "
                f"a largest difference of {bounds.difference}, a cosine of {bounds.cosine}, and {bounds.alone} between "
                "a text alone and in a batch. Nothing was replaced."
            )
    return Exported(metadata, rows)


def build(
    loaded: source.Source, progress: Callable[[str], None] = lambda _: None, precision: str = "fp32"
) -> onnx.ModelProto:
    """The ONNX graph of a source encoder: packed where its family has that form, else wrapped whole."""
    config = loaded.model.config
    if packed.fits(config):
        graph = packed.build(loaded.model, loaded.pooling, loaded.normalize, progress, precision)
    elif precision != "fp32":
        raise source.UnsupportedEncoderError(
            f"precision {precision}: this {config.model_type} encoder is wrapped whole, and that in fp32 only"
        )
    else:
        from export.encoder import stock

        progress(f"wrapping the stock {config.model_type} model")
        try:
            graph = stock.build(loaded.model, loaded.pooling, loaded.normalize, loaded.max_length)
        except Exception as error:  # whatever torch raises over a model that it cannot trace
            sentence = f"family {config.model_type}: torch cannot trace it: {error}"
            raise source.UnsupportedEncoderError(sentence) from error
    if graph.ByteSize() >= PROTOBUF_LIMIT:
        raise source.UnsupportedEncoderError(
            f"size: model.onnx would have {graph.ByteSize() / 2**30:.1f} GiB; one file holds at most 2"
        )
    return graph


def fingerprint(metadata: dict[str, Any]) -> str:
    """What must be equal for two encoders to give the same vectors: sha256 over files, prompts and window."""
    same = {key: metadata[key] for key in ("files", "prompts", "max_length")}
    return hashlib.sha256(json.dumps(same, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _check(
    loaded: source.Source, metadata: dict[str, Any], model_file: Path, progress: Callable[[str], None]
) -> Iterator[parity.Row]:
    texts = parity.texts(loaded.max_length)
    progress("embedding with PyTorch")
    prompted = [loaded.prompts["query"] + text for text in texts]
    # An empty prompt of one's own: otherwise a default prompt would be put in front once more.
    reference = loaded.reference.encode(prompted, prompt="", normalize_embeddings=loaded.normalize)
    tokenization = Tokenization(Tokenizer.from_str(loaded.tokenizer_json), metadata)
    progress("embedding with onnxruntime")
    token_ids = tokenization.encode(texts, ["query"] * len(texts))
    try:
        yield from parity.measure(parity.onnx_runner(str(model_file)), token_ids, reference, metadata["precision"])
    except Exception as error:  # whatever onnxruntime raises over a graph that it cannot load or run
        raise ParityError(f"the exported graph does not run: {error}. Nothing was replaced.") from error


@contextlib.contextmanager
def _replacing() -> Iterator[Callable[[Path], Path]]:
    """Give out temporary files that take their targets' places together, or vanish if anything fails."""
    pending: list[tuple[Path, Path]] = []

    def replace(target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        pending.append((temporary, target))
        return temporary

    try:
        yield replace
        for temporary, _ in pending:
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
        for temporary, target in pending:
            temporary.replace(target)
    finally:
        for temporary, _ in pending:
            temporary.unlink(missing_ok=True)
