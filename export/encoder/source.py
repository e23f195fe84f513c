"""Reading a source encoder: its weights and tokenizer, and the pooling, prompts and window that serving keeps to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malgil_core import encoder as core_encoder
from malgil_core.checksums import sha256
from tokenizers import Tokenizer

POOLINGS = ("mean", "cls", "max")
# What decides a directory's vectors, beside the weights; a card and the state of a trainer do not.
FILES = (
    "config.json", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "tokenizer.json",
    "tokenizer_config.json", "1_Pooling/config.json",
)  # fmt: skip


class UnsupportedEncoderError(Exception):
    """The source needs something that the exported graph cannot do; the text names it."""


@dataclass(frozen=True)
class Overrides:
    """Pooling and prompts in place of those that an encoder was saved with; None keeps these."""

    pooling: str | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None


AS_SAVED = Overrides()


@dataclass(frozen=True)
class Source:
    """A source encoder, loaded on the CPU in float32.

    Attributes:
        name: what it is called in metadata and tables.
        model: the `transformers` encoder.
        tokenizer_json: the text of its tokenizer.json.
        pooling: mean, cls or max.
        normalize: whether its embeddings are unit vectors.
        prompts: what goes in front of a query and of a passage.
        max_length: tokens, special ones included, after which a text is truncated.
        dimension: numbers of an embedding: the first of the model's, if it was saved with a `truncate_dim`.
        assumed: what the encoder was not saved with, and is taken to be.
        reference: the `SentenceTransformer` that parity is measured against.
    """

    name: str
    model: Any
    tokenizer_json: str
    pooling: str
    normalize: bool
    prompts: dict[str, str]
    max_length: int
    dimension: int
    assumed: tuple[str, ...]
    reference: Any


def load(location: str, name: str | None = None, overrides: Overrides = AS_SAVED) -> Source:
    """Load a sentence-transformers or plain Hugging Face encoder from a directory or a hub id.

    A plain encoder has no settings of pooling and normalisation: it gets mean pooling, as sentence-transformers gives
    it, and unit vectors, as search needs them.

    Raises:
        UnsupportedEncoderError: it needs something that the graph cannot do, which the text names.
        OSError: there is no such directory or hub id.
    """
    try:
        return _load(location, name, overrides)
    except (UnsupportedEncoderError, OSError):
        raise
    except Exception as error:  # the libraries raise anything over a damaged file
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedEncoderError(f"{location} cannot be loaded: {type(error).__name__}: {reason}") from error


def _load(location: str, name: str | None, overrides: Overrides) -> Source:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import is_sentence_transformer_model
    from transformers.utils import logging as transformers_logging

    if Path(location).is_dir():  # a download, which takes long, keeps its bar
        transformers_logging.disable_progress_bar()
    plain = not is_sentence_transformer_model(location)
    reference = SentenceTransformer(location, device="cpu", model_kwargs={"dtype": "float32"})
    reference.eval()
    modules = list(reference)
    kinds = [type(module).__name__ for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise UnsupportedEncoderError(
            f"modules {' → '.join(kinds)}: only Transformer → Pooling (→ Normalize) can be exported"
        )
    transformer, pooling = modules[:2]
    normalize = plain or len(modules) == 3
    pooling.pooling_mode = overrides.pooling or pooling.pooling_mode
    if pooling.pooling_mode not in POOLINGS:
        raise UnsupportedEncoderError(f"pooling {pooling.pooling_mode!r}: only {', '.join(POOLINGS)} can be exported")
    prompts = _prompts(reference, overrides)
    if not pooling.include_prompt and any(prompts.values()):
        raise UnsupportedEncoderError("include_prompt=false: prompts are always pooled with the text")
    if not normalize and reference.similarity_fn_name not in (None, "cosine"):
        raise UnsupportedEncoderError(
            f"similarity {reference.similarity_fn_name!r} of vectors that are not normalised: "
            "the scorer compares by cosine"
        )
    max_length = _max_length(transformer)
    reference.max_seq_length = max_length  # some tokenizers know no limit, and PyTorch would run out of positions
    return Source(
        name=name or (Path(location).name if Path(location).is_dir() else location),
        model=transformer.auto_model,
        tokenizer_json=_tokenizer_json(transformer.tokenizer, max_length),
        pooling=pooling.pooling_mode,
        normalize=normalize,
        prompts=prompts,
        max_length=max_length,
        dimension=_dimension(reference.truncate_dim, transformer.auto_model.config.hidden_size),
        assumed=_assumed(overrides) if plain else (),
        reference=reference,
    )


def fingerprint(directory: Path, loaded: Source) -> str:
    """Equal for directories of source encoders that give the same vectors.

    Args:
        directory: what was loaded.
        loaded: with the prompts that it was saved with.
    """
    files = [directory / name for name in FILES] + sorted(directory.rglob("*.safetensors"))
    files += sorted(directory.glob("pytorch_model*.bin"))
    names = {file: file.relative_to(directory).as_posix() for file in files if file.is_file()}
    checksums = {name: sha256(file) for file, name in names.items() if not name.startswith("checkpoint")}
    return core_encoder.fingerprint(checksums, loaded.prompts, loaded.max_length)


def _assumed(overrides: Overrides) -> tuple[str, ...]:
    """What a plain encoder is taken to be, where nobody says."""
    assumed = ["unit vectors"]
    if overrides.pooling is None:
        assumed.append("mean pooling (--pooling)")
    if overrides.query_prompt is None:
        assumed.append("no prompt before a query (--query-prompt)")
    if overrides.passage_prompt is None:
        assumed.append("no prompt before a phrase (--passage-prompt)")
    return tuple(assumed)


def _dimension(truncate_dim: object, hidden: int) -> int:
    if truncate_dim is None:
        return hidden
    if isinstance(truncate_dim, bool) or not isinstance(truncate_dim, int) or truncate_dim < 1:
        raise UnsupportedEncoderError(f"truncate_dim is {truncate_dim!r}: it must be a whole number from 1 to {hidden}")
    return min(truncate_dim, hidden)


def _prompts(reference: Any, overrides: Overrides) -> dict[str, str]:
    saved: dict[str, str] = reference.prompts or {}
    default = saved.get(reference.default_prompt_name or "", "")
    passage = saved.get("passage") or saved.get("document") or default
    prompts = {"query": saved.get("query") or default, "passage": passage}
    chosen = {"query": overrides.query_prompt, "passage": overrides.passage_prompt}
    prompts |= {kind: prompt for kind, prompt in chosen.items() if prompt is not None}
    for kind, prompt in prompts.items():
        if not isinstance(prompt, str) or any("\ud800" <= character <= "\udfff" for character in prompt):
            raise UnsupportedEncoderError(f"the prompt of a {kind} is {ascii(prompt)[:60]}: it must be a text")
    return prompts


def _tokenizer_json(tokenizer: Any, max_length: int) -> str:
    if not getattr(tokenizer, "is_fast", False):
        raise UnsupportedEncoderError(
            f"tokenizer {type(tokenizer).__name__}: it has no tokenizer.json; "
            "convert it with transformers' convert_slow_tokenizer"
        )
    saved = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    # Serving cuts at the window, at the side that the file names; transformers keeps the side in another file.
    if (saved.truncation or {}).get("direction", "right") != tokenizer.truncation_side:
        saved.enable_truncation(max_length, direction=tokenizer.truncation_side)
    return str(saved.to_str(pretty=True))


def _max_length(transformer: Any) -> int:
    """The model's window: tokens, never more than it has positions."""
    config = transformer.auto_model.config
    # RoBERTa and its descendants count positions from padding id + 1, which only their embeddings show.
    padding = getattr(getattr(transformer.auto_model, "embeddings", None), "padding_idx", None)
    limits = [transformer.max_seq_length, getattr(transformer.tokenizer, "model_max_length", None)]
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        limits.append(positions - (0 if padding is None else padding + 1))
    known = [int(limit) for limit in limits if limit and limit < 1_000_000]  # transformers' "no limit" is 1e30
    if not known:
        raise UnsupportedEncoderError("maximum length: neither the model nor its tokenizer gives one")
    return min(known)
