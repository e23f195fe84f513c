"""Exporting an encoder into the model repository. It is compared with PyTorch before it replaces anything."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from malgil_core.checksums import sha256
from malgil_core.encoder import EncoderMetadata, fingerprint
from malgil_core.text.tokenization import Tokenization
from tokenizers import Tokenizer

from export import ROOT
from export.encoder import bundled, choice, packed, parity, runner, source, vocabulary

BUNDLED_NAME = "multilingual-e5-small dequantised from 4 bits (MIT)"
PROTOBUF_LIMIT = 2**31  # bytes; a larger model needs external data, which is not written


class ParityError(Exception):
    """The exported graph's vectors differ too much from the source model's; nothing was replaced."""


@dataclass(frozen=True)
class Exported:
    """The result of an export: the metadata that was written, the parity that was measured, and what was chosen."""

    metadata: EncoderMetadata
    rows: list[parity.Row]
    choices: list[choice.Choice]


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
        progress: called with a sentence as each step begins.
        report: given each parity row as it is measured.
        precision: fp32, fp16, int8 (see `export.encoder.precision`), or auto (see `export.encoder.choice`).
        pieces: all, ko for those of Korean and Latin text alone (see `export.encoder.vocabulary`), or auto.

    Raises:
        UnsupportedEncoderError: the source needs something that the graph cannot do.
        ParityError: the graph differs from the source; the old files are still in place.
    """
    asked, name = location, None
    if location == choice.BUNDLED:
        location, name = str(bundled.unpack(ROOT / bundled.DEFAULT_TARGET, progress)), BUNDLED_NAME
    progress(f"loading {name or location}")
    loaded = source.load(location, name)
    choices = []
    is_packed = packed.fits(loaded.model.config)
    if precision == choice.AUTO:
        choices.append(choice.precision(is_packed))
        precision = choices[-1].name
    if pieces == choice.AUTO:
        choices.append(choice.vocabulary(asked))
        pieces = choices[-1].name
    if pieces != "all":
        progress(f"keeping the word pieces of {pieces}")
        loaded = vocabulary.restrict(loaded, pieces)
    graph = build(loaded, progress, precision)
    encoder, tokenizer = repository / "encoder" / "1", repository / "tokenizer" / "1"
    with _replacing() as replace:
        progress("writing model.onnx")
        model_file = replace(encoder / "model.onnx")
        with model_file.open("wb") as stream:
            stream.write(graph.SerializeToString())
        del graph
        replace(tokenizer / "tokenizer.json").write_text(loaded.tokenizer_json, encoding="utf-8")
        files = {
            "model.onnx": sha256(model_file),
            "tokenizer.json": hashlib.sha256(loaded.tokenizer_json.encode()).hexdigest(),
        }
        metadata = EncoderMetadata(
            name=loaded.name,
            family=loaded.model.config.model_type,
            graph="packed" if is_packed else "stock",
            precision=precision,
            vocabulary=pieces,
            dimension=loaded.model.config.hidden_size,
            max_length=loaded.max_length,
            pooling=loaded.pooling,
            normalize=loaded.normalize,
            prompts=loaded.prompts,
            files=files,
            fingerprint=fingerprint(files, loaded.prompts, loaded.max_length),
            source=asked,
        )
        # Last: what does not belong together is seen by its checksums.
        metadata.write(replace(tokenizer / "encoder.json"))
        rows = []
        for row in _check(loaded, metadata, model_file, progress):
            report(row)
            rows.append(row)
        failed = [row.batching for row in rows if not row.passed]
        if failed:
            bounds = parity.BOUNDS[precision]
            way_out = "" if precision == "fp32" else " Export it with --precision fp32."
            raise ParityError(
                f"the exported graph differs from {loaded.name} ({'; '.join(failed)}): the bounds of {precision} are "
                f"a largest difference of {bounds.difference}, a cosine of {bounds.cosine}, and {bounds.alone} between "
                f"a text alone and in a batch. Nothing was replaced.{way_out}"
            )
    return Exported(metadata, rows, choices)


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
        except Exception as error:  # torch raises anything over a model that it cannot trace
            sentence = f"family {config.model_type}: torch cannot trace it: {error}"
            raise source.UnsupportedEncoderError(sentence) from error
    if graph.ByteSize() >= PROTOBUF_LIMIT:
        raise source.UnsupportedEncoderError(
            f"size: model.onnx would have {graph.ByteSize() / 2**30:.1f} GiB; one file holds at most 2"
        )
    return graph


def _check(
    loaded: source.Source, metadata: EncoderMetadata, model_file: Path, progress: Callable[[str], None]
) -> Iterator[parity.Row]:
    texts = parity.texts(loaded.max_length)
    progress("embedding with PyTorch")
    prompted = [loaded.prompts["query"] + text for text in texts]
    # The prompt is there already: without an empty one here, a default prompt would be put in front once more.
    reference = loaded.reference.encode(prompted, prompt="", normalize_embeddings=loaded.normalize)
    tokenization = Tokenization(Tokenizer.from_str(loaded.tokenizer_json), metadata)
    progress("embedding with onnxruntime")
    token_ids = tokenization.encode(texts, ["query"] * len(texts))
    try:
        yield from parity.measure(runner.load(model_file), token_ids, reference, metadata.precision)
    except Exception as error:  # onnxruntime raises anything over a graph that it cannot load or run
        raise ParityError(f"the exported graph does not run: {error}. Nothing was replaced.") from error


@contextlib.contextmanager
def _replacing() -> Iterator[Callable[[Path], Path]]:
    """Write files under temporary names that replace their targets together, or are removed if anything fails."""
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
