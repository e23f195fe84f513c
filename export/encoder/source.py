"""Reading a source encoder: what it is, and everything about it that serving must honour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

POOLINGS = ("mean", "cls", "max")


class UnsupportedEncoderError(Exception):
    """The source asks for something that the exported graph cannot honour; the text names it."""


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
        reference: the `SentenceTransformer` that parity is measured against.
    """

    name: str
    model: Any
    tokenizer_json: str
    pooling: str
    normalize: bool
    prompts: dict[str, str]
    max_length: int
    reference: Any


def load(location: str, name: str | None = None) -> Source:
    """Load a sentence-transformers or plain Hugging Face encoder from a directory or a hub id.

    A plain encoder says nothing of pooling and normalisation: it gets mean pooling, as sentence-transformers gives
    it, and unit vectors, as search wants them.

    Raises:
        UnsupportedEncoderError: it has a part that cannot be honoured, which the text names.
        OSError: there is no such directory or hub id.
    """
    try:
        return _load(location, name)
    except (UnsupportedEncoderError, OSError):
        raise
    except Exception as error:  # whatever the libraries make of a damaged file
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedEncoderError(f"{location} cannot be loaded: {type(error).__name__}: {reason}") from error


def _load(location: str, name: str | None) -> Source:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import is_sentence_transformer_model

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
    if pooling.pooling_mode not in POOLINGS:
        raise UnsupportedEncoderError(f"pooling {pooling.pooling_mode!r}: only {', '.join(POOLINGS)} can be exported")
    prompts = _prompts(reference)
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
        tokenizer_json=_tokenizer_json(transformer.tokenizer),
        pooling=pooling.pooling_mode,
        normalize=normalize,
        prompts=prompts,
        max_length=max_length,
        reference=reference,
    )


def _prompts(reference: Any) -> dict[str, str]:
    own: dict[str, str] = reference.prompts or {}
    default = own.get(reference.default_prompt_name or "", "")
    passage = own.get("passage") or own.get("document") or default
    prompts = {"query": own.get("query") or default, "passage": passage}
    for kind, prompt in prompts.items():
        if not isinstance(prompt, str) or any("\ud800" <= letter <= "\udfff" for letter in prompt):
            raise UnsupportedEncoderError(f"the prompt of a {kind} is {ascii(prompt)[:60]}: it must be a text")
    return prompts


def _tokenizer_json(tokenizer: Any) -> str:
    if not getattr(tokenizer, "is_fast", False):
        raise UnsupportedEncoderError(
            f"tokenizer {type(tokenizer).__name__}: it has no tokenizer.json; "
            "convert it with transformers' convert_slow_tokenizer"
        )
    return str(tokenizer.backend_tokenizer.to_str(pretty=True))


def _max_length(transformer: Any) -> int:
    """The model's own window, never beyond the positions that it has."""
    config = transformer.auto_model.config
    # RoBERTa and its kin count positions from their padding id + 1, and say so in their embeddings alone.
    padding = getattr(getattr(transformer.auto_model, "embeddings", None), "padding_idx", None)
    limits = [transformer.max_seq_length, getattr(transformer.tokenizer, "model_max_length", None)]
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        limits.append(positions - (0 if padding is None else padding + 1))
    known = [int(limit) for limit in limits if limit and limit < 1_000_000]  # transformers' "no limit" is 1e30
    if not known:
        raise UnsupportedEncoderError("maximum length: neither the model nor its tokenizer gives one")
    return min(known)
