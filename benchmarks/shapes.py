"""Encoders to measure: two published shapes with random weights, and the bundled real one, ready to be served.

How long an encoder takes depends on its shape, not on what it has learned: random weights of a published shape are as
fast as the published ones.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malgil_core.catalog.reading import read as read_catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import writer as generations

from benchmarks import ROOT
from export.catalog import embedding

BENCH = ROOT / "models" / "bench"
REPOSITORY = ROOT / "model_repository"
CATALOG = ROOT / "catalogs" / "finance.jsonl"
WINDOW = 512  # tokens
PIECES = 1600  # then a token is 1.6 characters of the catalog; 1.7 with the bundled tokenizer
DATA = "encoder/1/model.onnx.data"  # weights of an encoder over 2 GiB
EXPORTED = ("encoder/1/model.onnx", DATA, "tokenizer/1/tokenizer.json", "tokenizer/1/encoder.json")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Shape:
    """A published encoder's shape.

    Attributes:
        family: `electra` or `bert`.
        vocabulary: pieces in its word table.
        embedding: width of the word table.
        hidden: width of the layers.
        layers: how many.
        heads: of each layer's attention.
        inner: width of the feed-forward.
    """

    family: str
    vocabulary: int
    embedding: int
    hidden: int
    layers: int
    heads: int
    inner: int


SHAPES = {
    "koelectra-small-v3": Shape("electra", 35_000, 128, 256, 12, 4, 1_024),
    "bert-base-multilingual-cased": Shape("bert", 119_547, 768, 768, 12, 12, 3_072),
}
BUNDLED = "bundled"
ENCODERS = ("koelectra-small-v3", BUNDLED, "bert-base-multilingual-cased")


def prepare(name: str, progress: Callable[[str], None] = lambda _: None, precision: str | None = None) -> Path:
    """A model repository with this encoder in it, and the sample catalog's index beside it.

    The exported files are kept from one call to the next for as long as the code that makes them is the same; all else
    is copied from the project's model repository each time.

    Args:
        name: one of `ENCODERS`.
        progress: told what is being done.
        precision: fp32, fp16 or int8, with the whole vocabulary; None is fp32 for random weights, and for the bundled
            encoder what `make export` takes on this machine.

    Returns:
        models/bench/NAME/model_repository, with a precision models/bench/NAME-PRECISION/model_repository.

    Raises:
        export.encoder.ParityError: the exported graph differs from PyTorch's.
    """
    from export.encoder import export as encoder

    home = BENCH / (name if precision is None else f"{name}-{precision}")
    repository = home / "model_repository"
    _copy_python(repository)
    serving = json.loads(_text(REPOSITORY / EXPORTED[-1]) or "{}")
    wanted = {"name": encoder.BUNDLED_NAME}
    if precision is not None:
        wanted |= {"precision": precision, "vocabulary": "all"}
    if name == BUNDLED and wanted.items() <= serving.items():
        for path in EXPORTED:  # `make export` has made it
            (repository / path).unlink(missing_ok=True)
            if path != DATA or (REPOSITORY / path).exists():
                (repository / path).symlink_to(REPOSITORY / path)
    elif not _is_exported(repository) or _text(home / "made_by.txt") != code():
        for path in EXPORTED:  # maybe links to the files that serve
            (repository / path).unlink(missing_ok=True)
        export(name, repository, lambda text: progress(f"{home.name}: {text}"), precision)
        (home / "made_by.txt").write_text(code(), encoding="utf-8")
    metadata = EncoderMetadata.of(repository)
    published = f"{metadata.fingerprint} {_digest([CATALOG, *sorted((ROOT / 'core').rglob('*.py'))])}"
    if _text(home / "published.txt") != published:
        progress(f"{name}: publishing {CATALOG.name}")
        shutil.rmtree(home / "index", ignore_errors=True)
        generations.publish(read_catalog(CATALOG), home / "index", metadata, embedding.offline(repository))
        (home / "published.txt").write_text(published, encoding="utf-8")
    return repository


def export(
    name: str, repository: Path, progress: Callable[[str], None] = lambda _: None, precision: str | None = None
) -> None:
    """Export the encoder `name` into a repository; precision as of `prepare`.

    Raises:
        export.encoder.ParityError: the exported graph differs from PyTorch's.
    """
    from export.encoder import export as encoder

    if name == BUNDLED:
        pieces = "all" if precision else "auto"
        encoder.export(BUNDLED, repository, progress, precision=precision or "auto", pieces=pieces)
        return
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # the caller shows one
    with tempfile.TemporaryDirectory(prefix="malgil-shape-") as folder:
        source = Path(folder, name)
        progress("random weights")
        write_source(SHAPES[name], source, texts())
        encoder.export(str(source), repository, progress, precision=precision or "fp32")


def _is_exported(repository: Path) -> bool:
    return all((repository / path).exists() for path in EXPORTED if path != DATA)


def model_bytes(repository: Path) -> int:
    """Size of the encoder's graph and weights, those in a file of their own included."""
    files = (repository / path for path in EXPORTED if path.startswith("encoder/"))
    return sum(file.stat().st_size for file in files if file.exists())


def texts() -> list[str]:
    """The names and phrases of the sample catalog."""
    return [text for service in read_catalog(CATALOG) for text in service.texts]


def write_source(shape: Shape, folder: Path, corpus: Sequence[str]) -> None:
    """A Hugging Face encoder of this shape with random weights, and a WordPiece tokenizer of the corpus."""
    import torch
    from transformers import BertConfig, BertModel, ElectraConfig, ElectraModel

    widths = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner,
        "max_position_embeddings": WINDOW,
    }
    torch.manual_seed(0)
    if shape.family == "electra":
        model: Any = ElectraModel(ElectraConfig(embedding_size=shape.embedding, **widths))
    else:
        model = BertModel(BertConfig(**widths))
    model.save_pretrained(folder)
    tokenizer(corpus, shape.vocabulary).save_pretrained(folder)


def tokenizer(corpus: Sequence[str], vocabulary: int) -> Any:
    """A WordPiece tokenizer, cased, trained on a corpus, its vocabulary filled up with pieces that no text has."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer(lowercase=False)
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=PIECES, special_tokens=list(SPECIAL), show_progress=False)
    trained.train_from_iterator(corpus, trainer)
    pieces = trained.get_vocab()
    pieces |= {f"[unused{i}]": i for i in range(len(pieces), vocabulary)}
    trained.model = models.WordPiece(pieces, unk_token="[UNK]")
    trained.post_processor = processors.BertProcessing(("[SEP]", pieces["[SEP]"]), ("[CLS]", pieces["[CLS]"]))
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=trained, model_max_length=WINDOW, **dict(zip(names, SPECIAL, strict=True))
    )


def code() -> str:
    """sha256 over the code that an exported encoder depends on."""
    return _digest([*sorted((ROOT / "export" / "encoder").rglob("*.py")), Path(__file__)])


def _digest(files: Sequence[Path]) -> str:
    """sha256 over the contents of files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _copy_python(repository: Path) -> None:
    """Everything but the exported files, as the project has it now."""
    for path in repository.rglob("*"):
        if path.is_file() and str(path.relative_to(repository)) not in EXPORTED:
            path.unlink()
    for path in REPOSITORY.rglob("*"):
        inside = path.relative_to(REPOSITORY)
        if (
            path.is_file()
            and str(inside) not in EXPORTED
            and not path.match("*.tmp")
            and path.parent.name != "__pycache__"
        ):
            target = repository / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
