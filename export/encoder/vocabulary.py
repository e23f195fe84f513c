"""`--vocabulary ko`: an encoder without the word pieces that Korean and Latin text cannot use.

A piece stays if each of its characters is Hangul or Latin, or belongs to no script: digits, punctuation, symbols,
emoji, combining marks (Unicode's Script property: Hangul, Latin, Common, Inherited). All others go, Hanja and kana
among them: their characters become the unknown token. Of the pieces that stay, none gains a rival and none loses one,
so such text is cut as before and its vectors stay equal:

- Unigram takes the likeliest of all ways to cut a text into pieces; every piece of such a text is still there.
- WordPiece takes the longest piece that begins a word, again and again; the same.

Byte-level BPE cannot drop a script: its pieces are bytes, and its merges build on each other.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import regex  # type: ignore[import-untyped]  # knows Unicode's scripts; transformers brings it

from export.encoder.source import Source, UnsupportedEncoderError

SCRIPTS = {"ko": ("Hangul", "Latin", "Common", "Inherited")}
MODELS = ("Unigram", "WordPiece")


def restrict(source: Source, pieces: str) -> Source:
    """A source whose tokenizer and word table have only the pieces of SCRIPTS[pieces]; ids are numbered anew.

    The reference that parity is measured against stays whole.

    Raises:
        UnsupportedEncoderError: the tokenizer is of another kind than MODELS.
    """
    tokenizer: dict[str, Any] = json.loads(source.tokenizer_json)
    kept = keep(tokenizer, SCRIPTS[pieces], padding=_padding(source.model))
    renumber(tokenizer, kept)
    return dataclasses.replace(
        source,
        tokenizer_json=json.dumps(tokenizer, ensure_ascii=False, indent=2),
        model=_slice(source.model, kept),
    )


def keep(tokenizer: dict[str, Any], scripts: tuple[str, ...], padding: int = 0) -> list[int]:
    """The ids that stay, in ascending order.

    Args:
        tokenizer: what tokenizer.json holds.
        scripts: as Unicode names them.
        padding: the model's padding id. It keeps its number, since RoBERTa counts positions from it.
    """
    kind = tokenizer["model"].get("type")
    if kind not in MODELS:
        raise UnsupportedEncoderError(
            f"vocabulary of a {kind} tokenizer: pieces can be dropped from {' and '.join(MODELS)} only"
        )
    vocabulary = tokenizer["model"]["vocab"]
    of_these = of_scripts(scripts)
    kept = set(range(padding + 1)) | {token["id"] for token in tokenizer["added_tokens"]}
    if kind == "Unigram":
        kept |= {i for i, (piece, _) in enumerate(vocabulary) if of_these.fullmatch(piece)}
        # What an unknown character costs is reckoned from the least likely piece.
        kept |= {min(range(len(vocabulary)), key=lambda i: vocabulary[i][1]), tokenizer["model"]["unk_id"]}
    else:
        kept |= {i for piece, i in vocabulary.items() if of_these.fullmatch(piece)}
        kept.add(vocabulary[tokenizer["model"]["unk_token"]])
    return sorted(kept)


def of_scripts(scripts: tuple[str, ...]) -> Any:
    """The pattern of a text that is written in these scripts alone."""
    return regex.compile("[" + "".join(rf"\p{{Script={script}}}" for script in scripts) + "]*")


def renumber(tokenizer: dict[str, Any], kept: list[int]) -> None:
    """Drop all other pieces from what tokenizer.json holds, and write the new ids wherever it names one."""
    new = {old: i for i, old in enumerate(kept)}
    model = tokenizer["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [piece for i, piece in enumerate(model["vocab"]) if i in new]
        model["unk_id"] = new[model["unk_id"]]
    else:
        model["vocab"] = {piece: new[i] for piece, i in model["vocab"].items() if i in new}
    for token in tokenizer["added_tokens"]:
        token["id"] = new[token["id"]]
    if tokenizer.get("padding"):
        tokenizer["padding"]["pad_id"] = new[tokenizer["padding"]["pad_id"]]
    _renumber_marks(tokenizer.get("post_processor"), new)


def _renumber_marks(processor: dict[str, Any] | None, new: dict[int, int]) -> None:
    """The ids of <s>, </s> and their like in a post-processor, each kind of which names them in its own way."""
    if processor is None:
        return
    for inner in processor.get("processors", ()):  # Sequence
        _renumber_marks(inner, new)
    for mark in processor.get("special_tokens", {}).values():  # TemplateProcessing
        mark["ids"] = [new[i] for i in mark["ids"]]
    for side in ("sep", "cls"):  # BertProcessing, RobertaProcessing: [token, id]
        if side in processor:
            processor[side][1] = new[processor[side][1]]


def _padding(model: Any) -> int:
    return int(getattr(model.config, "pad_token_id", None) or 0)


def _slice(model: Any, kept: list[int]) -> Any:
    """The model with these rows of its word table; all other weights are shared with the one given."""
    import torch

    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    sliced = copy.deepcopy(model, shared)  # what the memo holds is not copied
    words = model.get_input_embeddings()
    table = torch.nn.Embedding.from_pretrained(words.weight.detach()[kept], padding_idx=words.padding_idx)
    sliced.set_input_embeddings(table)
    sliced.config.vocab_size = len(kept)
    return sliced
