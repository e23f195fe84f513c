"""Exporting an encoder into the model repository. It is compared with PyTorch before it replaces anything."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import onnx
from malgil_core.checksums import sha256
from malgil_core.encoder import EncoderMetadata, fingerprint
from malgil_core.text.tokenization import Tokenization
from tokenizers import Tokenizer

from export import ROOT
from export.encoder import adapter as adapters
from export.encoder import bundled, choice, packed, parity, runner, source, vocabulary
from export.encoder.graph import DATA_FILE

BUNDLED_NAME = "multilingual-e5-small dequantised from 4 bits (MIT)"
PROTOBUF_LIMIT = 2**31  # bytes
GRAPH_ROOM = 2**27  # bytes of it for what is not weights
WEIGHT_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}


class ParityError(Exception):
    """The exported graph's vectors differ too much from the source model's; nothing was replaced."""


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        metadata: as written.
        rows: the parity that was measured.
        choices: precision and vocabulary where the export chose them.
        assumed: what a plain encoder does not say.
    """

    metadata: EncoderMetadata
    rows: list[parity.Row]
    choices: list[choice.Choice]
    assumed: tuple[str, ...]


def export(
    location: str,
    repository: Path,
    progress: Callable[[str], None] = lambda _: None,
    report: Callable[[parity.Row], None] = lambda _: None,
    precision: str = "fp32",
    pieces: str = "all",
    overrides: source.Overrides = source.AS_SAVED,
    adapter: Path | None = None,
) -> Exported:
    """Export an encoder into `encoder/1/model.onnx` and `tokenizer/1/{tokenizer,encoder}.json`.

    Weights of 2 GiB and more go to `encoder/1/model.onnx.data`, which model.onnx names.

    Args:
        location: `bundled`, a directory or a hub id.
        repository: the model repository.
        progress: called with a sentence as each step begins.
        report: given each parity row as it is measured.
        precision: fp32, fp16, int8 (see `export.encoder.precision`), or auto (see `export.encoder.choice`).
        pieces: all, ko for those of Korean and Latin text alone (see `export.encoder.vocabulary`), or auto.
        overrides: pooling and prompts in place of those that the encoder was saved with.
        adapter: folder of a LoRA adapter that is merged into the weights first.

    Raises:
        UnsupportedEncoderError: the adapter does not fit, or the source needs something that the graph cannot do.
        ParityError: the graph differs from the source; the old files are still in place.
    """
    asked, name = location, None
    if location == choice.BUNDLED:
        location, name = str(bundled.unpack(ROOT / bundled.DEFAULT_TARGET, progress)), BUNDLED_NAME
    progress(f"loading {name or location}")
    loaded = source.load(location, name, overrides)
    if adapter is not None:
        progress(f"merging {adapter}")
        adapters.merge(loaded.model, adapter)
        loaded = dataclasses.replace(loaded, name=f"{loaded.name}, with {adapters.name(adapter)}")
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
    encoder, tokenizer = repository / "encoder" / "1", repository / "tokenizer" / "1"
    with _replacing() as replace:
        written = []
        with contextlib.ExitStack() as stack:
            data = None
            if size(loaded.model, precision) > PROTOBUF_LIMIT - GRAPH_ROOM:
                written.append(replace(encoder / DATA_FILE))
                data = stack.enter_context(written[0].open("wb"))
            graph = build(loaded, progress, precision, data)
        progress("writing model.onnx")
        model_file = replace(encoder / "model.onnx")
        with model_file.open("wb") as stream:
            stream.write(graph.SerializeToString())
        del graph
        tokenizer_file = replace(tokenizer / "tokenizer.json")
        tokenizer_file.write_text(loaded.tokenizer_json, encoding="utf-8")
        files = {file.name: sha256(file) for file in (*written, model_file, tokenizer_file)}
        metadata = EncoderMetadata(
            name=loaded.name,
            family=loaded.model.config.model_type,
            graph="packed" if is_packed else "stock",
            precision=precision,
            vocabulary=pieces,
            dimension=loaded.dimension,
            max_length=loaded.max_length,
            pooling=loaded.pooling,
            normalize=loaded.normalize,
            prompts=loaded.prompts,
            files=files,
            fingerprint=fingerprint(files, loaded.prompts, loaded.max_length),
            source=adapters.described(asked, adapter),
            source_fingerprint=_source_fingerprint(location, loaded, overrides, adapter),
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
    if DATA_FILE not in files:
        (encoder / DATA_FILE).unlink(missing_ok=True)  # an earlier encoder's
    return Exported(metadata, rows, choices, loaded.assumed)


def _source_fingerprint(location: str, loaded: source.Source, overrides: source.Overrides, adapter: Path | None) -> str:
    """The fingerprint of a directory that is exported as it was saved, else nothing."""
    as_saved = adapter is None and overrides == source.AS_SAVED and Path(location).is_dir()
    return source.fingerprint(Path(location), loaded) if as_saved else ""


def size(model: Any, precision: str) -> int:
    """Bytes of a model's weights in a precision."""
    return sum(int(weight.numel()) for weight in model.parameters()) * WEIGHT_BYTES[precision]


def build(
    loaded: source.Source,
    progress: Callable[[str], None] = lambda _: None,
    precision: str = "fp32",
    data: BinaryIO | None = None,
) -> onnx.ModelProto:
    """The ONNX graph of a source encoder: packed where its family has that form, else wrapped whole.

    `data` takes the weights of a packed graph that is too large for one file.
    """
    config = loaded.model.config
    if packed.fits(config):
        graph = packed.build(
            loaded.model, loaded.pooling, loaded.normalize, progress, precision, data, loaded.dimension
        )
    elif precision != "fp32":
        raise source.UnsupportedEncoderError(
            f"precision {precision}: this {config.model_type} encoder is wrapped whole, and that in fp32 only"
        )
    elif data is not None:
        raise source.UnsupportedEncoderError(
            f"size: {size(loaded.model, precision) / 2**30:.1f} GiB of weights do not fit one file, which holds 2, and "
            f"this {config.model_type} encoder is wrapped whole into one; {', '.join(packed.FAMILIES)} can be larger"
        )
    else:
        from export.encoder import stock

        progress(f"wrapping the stock {config.model_type} model")
        try:
            graph = stock.build(loaded.model, loaded.pooling, loaded.normalize, loaded.max_length, loaded.dimension)
        except Exception as error:  # torch raises anything over a model that it cannot trace
            sentence = f"family {config.model_type}: torch cannot trace it: {error}"
            raise source.UnsupportedEncoderError(sentence) from error
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
        # In a folder of its own under its name, because a model finds its weights by theirs.
        temporary = target.parent / f"{os.getpid()}.tmp" / target.name
        temporary.parent.mkdir(parents=True, exist_ok=True)
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
            shutil.rmtree(temporary.parent, ignore_errors=True)
