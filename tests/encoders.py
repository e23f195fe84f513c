"""Small encoders with random weights, saved as the directories that people have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from export.encoder.parity import texts

WINDOW = 40  # tokens
PACKED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
STOCK = ("distilbert", "albert", "mpnet")

_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": WINDOW,
}
_ROBERTA = {**_SMALL, "max_position_embeddings": WINDOW + 2, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": _SMALL,
    "electra": {**_SMALL, "embedding_size": 16},
    "roberta": {**_ROBERTA, "type_vocab_size": 1},
    "xlm-roberta": {**_ROBERTA, "type_vocab_size": 1},
    "camembert": {**_ROBERTA, "type_vocab_size": 1},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": WINDOW},
    "albert": {**_SMALL, "embedding_size": 16},
    "mpnet": _ROBERTA,
    "fnet": _SMALL,
    "longformer": {**_ROBERTA, "attention_window": 8},
}


def tokenizer(family: str) -> Any:
    """A fast tokenizer of the family's kind that knows the texts of the parity check; the same every time."""
    words = sorted({word for text in texts(WINDOW) for word in text.split()})
    letters = sorted(set("".join(words)))
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if family in ("xlm-roberta", "camembert", "albert"):
        pieces = ["▁", *letters, *(f"▁{word}" for word in words[::2])]
        made = Tokenizer(models.Unigram([(mark, 0.0) for mark in marks] + [(p, -3.0 - len(p)) for p in pieces], 3))
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
    elif family in ("roberta", "mpnet"):
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=alphabet)
        made.train_from_iterator(texts(WINDOW), trainer)
    else:
        marks = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
        pieces = [*marks, *letters, *(f"##{letter}" for letter in letters), *(word for word in words[::2] if word[1:])]
        vocabulary = {piece: i for i, piece in enumerate(pieces)}
        made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    begin, pad, end, unknown, mask = marks
    made.post_processor = processors.TemplateProcessing(f"{begin} $A {end}", None, [(begin, 0), (end, 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=begin,
        cls_token=begin,
        pad_token=pad,
        eos_token=end,
        sep_token=end,
        unk_token=unknown,
        mask_token=mask,
        model_max_length=WINDOW,
    )


def model(family: str, **settings: Any) -> Any:
    """An encoder whose every weight and bias is random, so that none can be left out unnoticed."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(family, **{**CONFIGS[family], **settings})
    made = transformers.AutoModel.from_config(config).eval()
    for weight in made.parameters():
        # At full shape by the width summed over, or attention turns into a switch that rounding flips.
        width = weight.shape[-1]
        size = 0.1 if weight.dim() == 1 else 0.3 if width < 128 else 1.7 / width**0.5
        weight.data += size * torch.randn(weight.shape)
    return made


def save_plain(folder: Path, family: str, **settings: Any) -> Path:
    """A plain Hugging Face directory."""
    cut = tokenizer(family)
    model(family, vocab_size=len(cut), **settings).save_pretrained(folder)
    cut.save_pretrained(folder)
    return folder


def save_sentence_transformer(
    folder: Path,
    family: str = "bert",
    pooling: str = "mean",
    normalize: bool = True,
    modules: tuple[Any, ...] = (),
    include_prompt: bool = True,
    **settings: Any,
) -> Path:
    """A sentence-transformers directory; `modules` come after the pooling, `settings` are SentenceTransformer's."""
    plain = save_plain(folder.with_name(f"{folder.name}-plain"), family)
    transformer = Transformer(str(plain))
    pool = Pooling(transformer.get_embedding_dimension(), pooling, include_prompt=include_prompt)
    last = (Normalize(),) if normalize else ()
    SentenceTransformer(modules=[transformer, pool, *modules, *last], device="cpu", **settings).save(str(folder))
    return folder
