"""Reading a source encoder: all that decides its vectors is read, and what the graph cannot do is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
import transformers
from malgil_core.text.tokenization import Tokenization
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from export.catalog import embedding
from export.encoder import export as encoder
from export.encoder import parity
from export.encoder.source import AS_SAVED, Overrides, UnsupportedEncoderError, load
from tests.encoders import WINDOW, model, save_plain, save_sentence_transformer, tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers directory whose prompts a test may rewrite."""
    return save_sentence_transformer(tmp_path_factory.mktemp("saved") / "encoder")


def test_a_plain_encoder_is_pooled_by_mean_and_normalised(tmp_path: Path) -> None:
    read = load(str(save_plain(tmp_path / "kopora", "bert")))
    assert (read.name, read.pooling, read.normalize, read.max_length) == ("kopora", "mean", True, WINDOW)
    assert read.prompts == {"query": "", "passage": ""}
    assert read.tokenizer_json == tokenizer("bert").backend_tokenizer.to_str(pretty=True)


def test_an_encoder_can_be_called_by_another_name(tmp_path: Path) -> None:
    assert load(str(save_plain(tmp_path / "snapshot-5f3a", "bert")), "ko-encoder").name == "ko-encoder"


@pytest.mark.parametrize(
    ("prompts", "default", "query", "passage"),
    [
        ({}, None, "", ""),
        ({"query": "q: ", "passage": "p: "}, None, "q: ", "p: "),
        ({"query": "q: ", "document": "d: "}, None, "q: ", "d: "),
        ({"query": "q: ", "passage": "p: ", "document": "d: "}, None, "q: ", "p: "),
        ({"sts": "s: "}, "sts", "s: ", "s: "),
        ({"query": "q: ", "sts": "s: "}, "sts", "q: ", "s: "),
        ({"sts": "s: "}, None, "", ""),
    ],
)
def test_prompts_are_those_the_encoder_was_saved_with(
    saved: Path, prompts: dict[str, str], default: str | None, query: str, passage: str
) -> None:
    settings = {"prompts": prompts, "default_prompt_name": default}
    (saved / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert load(str(saved)).prompts == {"query": query, "passage": passage}


@pytest.mark.parametrize("prompt", [["q: "], "\ud800"])
def test_a_prompt_that_is_no_text_is_named(saved: Path, prompt: object) -> None:
    (saved / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": prompt}}))
    with pytest.raises(UnsupportedEncoderError, match=r"^the prompt of a query is .*: it must be a text$"):
        load(str(saved))


def test_a_window_narrower_than_the_positions_is_kept(tmp_path: Path) -> None:
    folder = save_sentence_transformer(tmp_path / "encoder")
    reference = SentenceTransformer(str(folder), device="cpu")
    reference.max_seq_length = 12
    reference.save(str(folder))
    assert load(str(folder)).max_length == 12


def test_a_window_wider_than_the_positions_is_narrowed_to_them(tmp_path: Path) -> None:
    folder = save_plain(tmp_path / "roberta", "roberta")
    settings_file = folder / "tokenizer_config.json"
    settings_file.write_text(json.dumps(json.loads(settings_file.read_text()) | {"model_max_length": 4096}))
    assert load(str(folder)).max_length == WINDOW  # two positions fewer than its table has


def test_half_precision_weights_are_read_as_they_will_be_compared(tmp_path: Path) -> None:
    folder = save_plain(tmp_path / "half", "bert")
    transformers.AutoModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)
    assert {weight.dtype for weight in load(str(folder)).model.parameters()} == {torch.float32}


def unit_dot(folder: Path) -> Path:
    return save_sentence_transformer(folder, normalize=True, similarity_fn_name="dot")


def without_prompts(folder: Path) -> Path:
    return save_sentence_transformer(folder, include_prompt=False)


@pytest.mark.parametrize("saved", [unit_dot, without_prompts])
def test_what_makes_no_difference_is_not_refused(tmp_path: Path, saved: Any) -> None:
    assert load(str(saved(tmp_path / "encoder"))).pooling == "mean"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"modules": (Dense(32, 16),)},
            r"modules Transformer → Pooling → Dense → Normalize: only Transformer → Pooling \(→ Normalize\)",
        ),
        ({"pooling": "lasttoken"}, "pooling 'lasttoken': only mean, cls, max can be exported"),
        ({"pooling": "weightedmean"}, "pooling 'weightedmean': only mean, cls, max can be exported"),
        ({"pooling": ("cls", "mean")}, r"pooling \('cls', 'mean'\): only mean, cls, max can be exported"),
        ({"normalize": False, "similarity_fn_name": "dot"}, "similarity 'dot' of vectors that are not normalised"),
        ({"normalize": False, "similarity_fn_name": "euclidean"}, "similarity 'euclidean' of vectors that are not"),
        ({"include_prompt": False, "prompts": {"query": "q: "}}, "include_prompt=false: prompts are always pooled"),
    ],
)
def test_what_the_graph_cannot_do_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    folder = save_sentence_transformer(tmp_path / "encoder", **settings)
    with pytest.raises(UnsupportedEncoderError, match=f"^{named}"):
        encoder.export(str(folder), tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_a_tokenizer_that_the_server_cannot_run_is_refused_by_name(tmp_path: Path) -> None:
    slow = transformers.ByT5Tokenizer(model_max_length=WINDOW)
    slow.save_pretrained(tmp_path)
    model("bert", vocab_size=len(slow)).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedEncoderError, match=r"^tokenizer ByT5Tokenizer: it has no tokenizer\.json"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("family", "error", "named"),
    [
        ("fnet", UnsupportedEncoderError, "family fnet: torch cannot trace it: .*fft"),
        ("longformer", encoder.ParityError, r"the exported graph does not run: .* Nothing was replaced\.$"),
    ],
)
@pytest.mark.slow
def test_a_family_that_cannot_be_exported_is_refused_in_a_sentence_and_nothing_is_left(
    tmp_path: Path, family: str, error: type[Exception], named: str
) -> None:
    folder = save_plain(tmp_path / family, family)
    with pytest.raises(error, match=f"^{named}"):
        encoder.export(str(folder), tmp_path / "repository")
    assert not [path for path in (tmp_path / "repository").rglob("*") if path.is_file()]


def test_a_directory_that_is_not_there_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((OSError, ValueError), match="absent"):
        load(str(tmp_path / "absent"))


def exported_like(folder: Path, repository: Path, overrides: Overrides = AS_SAVED) -> encoder.Exported:
    """Export, with every parity row passed."""
    exported = encoder.export(str(folder), repository, overrides=overrides)
    assert all(row.passed for row in exported.rows)
    return exported


@pytest.mark.parametrize("family", ["bert", "distilbert"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_matryoshka_encoder_keeps_the_numbers_that_it_was_saved_to_keep(
    tmp_path: Path, family: str, normalize: bool
) -> None:
    folder = save_sentence_transformer(tmp_path / "encoder", family, normalize=normalize, truncate_dim=12)
    assert exported_like(folder, tmp_path / "repository").metadata.dimension == 12
    vectors = embedding.offline(tmp_path / "repository")(["송금", "이체 한도"])
    reference = SentenceTransformer(str(folder), device="cpu")
    expected = reference.encode(["송금", "이체 한도"], normalize_embeddings=normalize)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("value", [0, -1, "12", True])
def test_a_truncate_dim_that_is_no_width_is_named(saved: Path, value: object) -> None:
    (saved / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": value}))
    with pytest.raises(UnsupportedEncoderError, match=r"^truncate_dim is .*: it must be a whole number from 1 to 32$"):
        load(str(saved))


def test_pooling_and_prompts_can_be_told_and_belong_to_the_fingerprint(tmp_path: Path) -> None:
    folder = save_plain(tmp_path / "bert", "bert")
    chosen = (
        AS_SAVED,
        Overrides(pooling="cls"),
        Overrides(query_prompt="질문: "),
        Overrides("cls", "질문: ", "문서: "),
    )
    exports = [exported_like(folder, tmp_path / str(i), overrides) for i, overrides in enumerate(chosen)]
    assert len({exported.metadata.fingerprint for exported in exports}) == len(chosen)
    assert [exported.metadata.pooling for exported in exports] == ["mean", "cls", "mean", "cls"]
    assert exports[3].metadata.prompts == {"query": "질문: ", "passage": "문서: "}
    assert [len(exported.assumed) for exported in exports] == [4, 3, 3, 1]


def test_prompts_can_be_taken_away(tmp_path: Path) -> None:
    folder = save_sentence_transformer(tmp_path / "encoder", prompts={"query": "q: ", "passage": "p: "})
    read = load(str(folder), overrides=Overrides(query_prompt=""))
    assert (read.prompts, read.assumed) == ({"query": "", "passage": "p: "}, ())


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_long_text_is_cut_at_the_side_that_the_tokenizer_names(tmp_path: Path, side: str) -> None:
    folder = save_plain(tmp_path / "bert", "bert")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "truncation_side": side}))
    exported_like(folder, tmp_path / "repository")
    text = "송금 " + "이체 한도 " * 40 + "남은 용돈"
    ids = Tokenization.load(tmp_path / "repository" / "tokenizer" / "1").encode([text], ["passage"])[0]
    original = transformers.AutoTokenizer.from_pretrained(folder)
    assert original.truncation_side == side
    assert ids.tolist() == original(text, truncation=True, max_length=WINDOW)["input_ids"]
    first, last = (original(word, add_special_tokens=False)["input_ids"] for word in ("송금", "용돈"))
    assert (ids[1 : 1 + len(first)].tolist() == first) == (side == "right")
    assert (ids[-1 - len(last) : -1].tolist() == last) == (side == "left")


def test_an_encoder_with_a_sentencepiece_model_alone_is_exported(tmp_path: Path) -> None:
    folder = tmp_path / "xlm-roberta"
    folder.mkdir()
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(parity.texts(WINDOW)), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "sentencepiece.bpe"),
        vocab_size=130,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.vocab").unlink()
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": WINDOW}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    model("xlm-roberta", vocab_size=140).save_pretrained(folder)
    assert not list(folder.glob("tokenizer.json"))
    exported = exported_like(folder, tmp_path / "repository")
    assert exported.metadata.max_length == WINDOW
    assert "송" in (tmp_path / "repository/tokenizer/1/tokenizer.json").read_text(encoding="utf-8")
