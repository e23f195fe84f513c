"""Fewer word pieces: Korean and Latin text keeps its tokens and its vectors, with the other scripts dropped."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.catalog import reading as catalog
from tokenizers import Tokenizer, models, processors

from export import ROOT
from export.encoder import bundled, parity, source, vocabulary
from export.encoder import export as encoder
from export.encoder.source import Source, UnsupportedEncoderError
from tests import encoders
from tests.encoders import save_plain

pytestmark = pytest.mark.usefixtures("one_thread")

UNKNOWN = 3  # of XLM-R
FOREIGN = ["перевод денег на счёт", "送金限度額を確認する", "汇款", "تحويل الأموال", "โอนเงิน", "μεταφορά χρημάτων"]
WRITTEN = [
    "돈 보내기", "ㅅㄱ", "카카오페이 100만원, 30% 할인!", "café Ångström naïve", "Apple Pay 등록… 어떻게 해요?",
    "「송금」·《이체》 (₩5,000) — №1", "감사합니다 🙏🏽 👨‍👩‍👧 ❤️", "ㅋㅋㅋㅋ ^^; ㅠㅠ", "a+b=c @home #1 $9.99 €5 ㎏ ①",
    "남은\u200b용돈\u00a0어디서\u3000봐", "각",
]  # fmt: skip


@pytest.fixture
def many_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small tokenizers learn other scripts, too, so that there is something to drop."""
    monkeypatch.setattr(encoders, "texts", lambda window: [*parity.texts(window), *FOREIGN])


@pytest.fixture(scope="module")
def whole() -> Source:
    """The bundled encoder, loaded once."""
    return source.load(str(bundled.unpack(ROOT / bundled.DEFAULT_TARGET)), "bundled")


@pytest.fixture(scope="module")
def smaller(whole: Source) -> Source:
    return vocabulary.restrict(whole, "ko")


@pytest.fixture(scope="module")
def tokenizers(whole: Source, smaller: Source) -> tuple[Tokenizer, Tokenizer]:
    return Tokenizer.from_str(whole.tokenizer_json), Tokenizer.from_str(smaller.tokenizer_json)


@pytest.fixture(scope="module")
def kept(whole: Source) -> list[int]:
    """The old id of each new one."""
    return vocabulary.keep(json.loads(whole.tokenizer_json), vocabulary.SCRIPTS["ko"])


def table(model: Any) -> Any:
    return model.get_input_embeddings().weight.detach().numpy()


@pytest.mark.slow
def test_the_sample_catalog_is_cut_into_the_same_tokens_and_looks_up_the_same_rows(
    whole: Source, smaller: Source, tokenizers: tuple[Tokenizer, Tokenizer], kept: list[int]
) -> None:
    services = catalog.read(ROOT / "catalogs" / "finance.jsonl")
    phrases = [text for service in services for text in service.texts]
    sentences = list(
        dict.fromkeys([*phrases, *(f"{text} 어떻게 하나요?" for text in phrases), *WRITTEN, *parity.texts(512)])
    )
    assert len(sentences) > 1000
    cut = [tokenizer.encode_batch([f"query: {text}" for text in sentences]) for tokenizer in tokenizers]
    assert [item.ids for item in cut[0]] == [[kept[i] for i in item.ids] for item in cut[1]]
    before, after = (np.concatenate([item.ids for item in side]) for side in cut)
    # The same rows in the same order, and every other weight shared: the same vectors.
    np.testing.assert_array_equal(table(whole.model)[before], table(smaller.model)[after])
    named = dict(smaller.model.named_parameters())
    assert all(named[k] is w for k, w in whole.model.named_parameters() if "word_embeddings" not in k)


@pytest.mark.slow
def test_what_is_kept_is_half_of_the_pieces_and_the_reference_stays_whole(whole: Source, smaller: Source) -> None:
    assert len(table(smaller.model)) == smaller.model.config.vocab_size == 120_005
    assert len(table(whole.model)) == whole.model.config.vocab_size == 250_037
    assert smaller.reference is whole.reference


SPELT = st.text(
    st.one_of(
        st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
        st.characters(min_codepoint=0x3131, max_codepoint=0x318E),
        st.characters(min_codepoint=0x20, max_codepoint=0x24F),
        st.characters(min_codepoint=0x2010, max_codepoint=0x27BF),
        st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF),
        st.sampled_from(" .,?!…·「」₩％１２３ＡＢＣ㈜㎏\u200d\ufe0f"),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(SPELT)
def test_text_in_hangul_latin_digits_and_symbols_keeps_its_tokens(
    tokenizers: tuple[Tokenizer, Tokenizer], kept: list[int], text: str
) -> None:
    # Normalised, some symbols turn into other scripts: a micro sign into a Greek letter, a squared word into kana.
    scripts = vocabulary.of_scripts(vocabulary.SCRIPTS["ko"])
    normal = "".join(c for c in text if scripts.fullmatch(tokenizers[0].normalizer.normalize_str(c)))
    before, after = (tokenizer.encode(normal).ids for tokenizer in tokenizers)
    assert before == [kept[i] for i in after]


@pytest.mark.slow
def test_other_scripts_become_unknown_and_do_not_fail(tokenizers: tuple[Tokenizer, Tokenizer]) -> None:
    before, after = tokenizers
    for text in FOREIGN:
        assert UNKNOWN not in before.encode(text).ids
        assert UNKNOWN in after.encode(text).ids
    mixed = after.encode("송금 送金 확인").ids
    assert mixed[:3] == after.encode("송금").ids[:3]
    assert mixed.count(UNKNOWN) == 1  # neighbouring unknowns are one token


@pytest.mark.slow
def test_the_bundled_encoder_in_int8_with_korean_pieces_answers_like_the_whole_one(tmp_path: Path) -> None:
    exported = encoder.export("bundled", tmp_path, precision="int8", pieces="ko")
    assert all(row.passed for row in exported.rows)
    assert min(row.min_cosine for row in exported.rows) > 0.997
    assert exported.rows[-1].max_difference < 1e-5  # alone against in a batch
    assert (tmp_path / "encoder/1/model.onnx").stat().st_size < 70 * 2**20  # of 448 MiB


@pytest.mark.usefixtures("many_scripts")
@pytest.mark.parametrize(
    ("family", "precision"),
    [*itertools.product(["bert", "electra", "xlm-roberta", "camembert"], ["fp32", "int8"]), ("albert", "fp32")],
)
def test_every_family_keeps_its_vectors(tmp_path: Path, family: str, precision: str) -> None:
    folder = str(save_plain(tmp_path / family, family))
    exported = encoder.export(folder, tmp_path / "ko", precision=precision, pieces="ko")  # checked with the whole one
    assert exported.metadata.vocabulary == "ko"
    before, after = (
        Tokenizer.from_file(str(file)).get_vocab()
        for file in (Path(folder) / "tokenizer.json", tmp_path / "ko/tokenizer/1/tokenizer.json")
    )
    assert set(after) < set(before)
    assert not [piece for piece in after if "п" in piece or "送" in piece]
    assert sorted(after.values()) == list(range(len(after)))
    fingerprint = encoder.export(folder, tmp_path / "all", precision=precision).metadata.fingerprint
    assert fingerprint != exported.metadata.fingerprint


@pytest.mark.parametrize("family", ["roberta", "mpnet"])
def test_a_tokenizer_of_bytes_is_refused_by_name(tmp_path: Path, family: str) -> None:
    with pytest.raises(UnsupportedEncoderError, match="vocabulary of a BPE tokenizer"):
        encoder.export(str(save_plain(tmp_path / family, family)), tmp_path / "repository", pieces="ko")
    assert not (tmp_path / "repository").exists()


LAST = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]  # so that what is dropped before them moves their ids
PIECES = {
    "WordPiece": {piece: i for i, piece in enumerate(["a", "送", "송", "##금", "деньги", *LAST])},
    "Unigram": [(piece, -float(i)) for i, piece in enumerate(["a", "送", "송", "금", "деньги", *LAST])],
}


@pytest.mark.parametrize("kind", PIECES)
@pytest.mark.parametrize(
    "processor",
    [
        processors.BertProcessing(("[SEP]", 7), ("[CLS]", 6)),
        processors.RobertaProcessing(("[SEP]", 7), ("[CLS]", 6)),
        processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 6), ("[SEP]", 7)]),
        processors.Sequence([processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 6), ("[SEP]", 7)])]),
    ],
    ids=lambda processor: type(processor).__name__,
)
def test_marks_around_a_text_get_their_new_ids(kind: str, processor: Any) -> None:
    known: dict[str, Any] = {"unk_token": "[UNK]"} if kind == "WordPiece" else {"unk_id": 5}
    before = Tokenizer(getattr(models, kind)(PIECES[kind], **known))
    before.add_special_tokens(LAST)
    before.post_processor = processor
    before.enable_padding(pad_id=8, pad_token="[PAD]", length=6)
    raw = json.loads(before.to_str())
    kept = vocabulary.keep(raw, vocabulary.SCRIPTS["ko"])
    assert kept == [0, 2, 3, 5, 6, 7, 8]
    vocabulary.renumber(raw, kept)
    after = Tokenizer.from_str(json.dumps(raw))
    for text, same in (("송금", "송금"), ("", ""), ("송送", "송x")):
        ids = after.encode(text).ids
        assert [kept[i] for i in ids] == before.encode(same).ids
        assert ids[-1] == 6
    assert after.token_to_id("[UNK]") == 3


def test_a_piece_that_roberta_counts_positions_from_keeps_its_number() -> None:
    raw = {"model": {"type": "WordPiece", "vocab": {"送": 0, "<pad>": 1, "<unk>": 2}, "unk_token": "<unk>"}}
    assert vocabulary.keep({**raw, "added_tokens": []}, vocabulary.SCRIPTS["ko"], padding=1) == [0, 1, 2]
