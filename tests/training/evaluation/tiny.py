"""Encoders of a few kilobytes whose quality is known: one sees each character of a text, one sees nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

MARKS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
WINDOW = 256


def save(folder: Path, texts: Iterable[str], sees: bool = True) -> Path:
    """A sentence-transformers directory: a bag of characters, or with `sees` off one vector for all texts."""
    characters = sorted({letter for text in texts for letter in text if not letter.isspace()})
    tokenizer = Tokenizer(models.WordLevel({mark: i for i, mark in enumerate([*MARKS, *characters])}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]",
        model_max_length=WINDOW,
    )  # fmt: skip
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(fast), hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=8,
        max_position_embeddings=WINDOW,
    )  # fmt: skip
    made = transformers.BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        made.embeddings.word_embeddings.weight.normal_()
        for blind in (made.embeddings.position_embeddings, made.embeddings.token_type_embeddings):
            blind.weight.zero_()
        made.embeddings.word_embeddings.weight[: len(MARKS)] = torch.zeros(64) if sees else torch.randn(64)
        for layer in made.encoder.layer:  # the residual path alone: every token keeps its vector
            layer.attention.output.dense.weight.zero_()
            layer.output.dense.weight.zero_()
    plain = folder.with_name(f"{folder.name}-plain")
    made.save_pretrained(plain)
    fast.save_pretrained(plain)
    transformer = Transformer(str(plain), model_kwargs={"add_pooling_layer": False})
    pooling = Pooling(transformer.get_embedding_dimension(), "mean" if sees else "cls")
    SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu").save(str(folder))
    return folder
