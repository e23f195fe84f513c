"""A real OpenAI-compatible server, `transformers serve`, with a tiny model of random weights: it writes nonsense."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from malgil_core.catalog.reading import Catalog
from malgil_core.index.writer import Vectors

from export.suggest import endpoint
from export.suggest.errors import SuggestError
from export.suggest.progress import Step
from export.suggest.proposing import suggest
from export.suggest.settings import Settings
from server.ports import free_ports
from tests.index import CATALOG

pytestmark = [pytest.mark.live, pytest.mark.slow]
START_SECONDS = 240


def save_model(folder: Path) -> None:
    """A Llama of one layer with random weights, which reads and writes bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=len(vocabulary), max_position_embeddings=8192, bos_token_id=0, eos_token_id=1, **shape
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a running `transformers serve`."""
    folder = tmp_path_factory.mktemp("llama")
    save_model(folder)
    port, log = free_ports().http, folder / "log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.5)
        fields = {"max_tokens": 80, "temperature": 0.0}
        yield Settings(f"http://127.0.0.1:{port}/v1", str(folder), timeout=100, tries=1, extra=fields)
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def axes(texts: Sequence[str]) -> Vectors:
    """A vector for each text, by its first letter."""
    vectors = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        vectors[row, ord(text[0]) % 64] = 1.0
    return vectors


def test_a_real_server_takes_the_request_and_streams_its_answer(settings: Settings) -> None:
    steps: list[Step] = []
    answer = endpoint.ask("문구를 쓰세요", settings, steps.append)
    assert answer.text
    assert answer.cut is not None
    assert "stopped at its limit of tokens" in str(answer.cut)
    assert [step.code for step in steps].count("answering") > 10


def test_nonsense_of_a_model_ends_in_a_sentence(settings: Settings) -> None:
    with pytest.raises(SuggestError) as caught:
        suggest(CATALOG[0], Catalog(list(CATALOG)), settings, axes)
    assert caught.value.code in ("unusable", "cut")  # cut, where it wrote no whole line
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_model_that_the_server_does_not_have_is_told_in_its_own_words(settings: Settings) -> None:
    with pytest.raises(SuggestError, match="pinned") as caught:
        endpoint.ask("", Settings(settings.url, "no-such-model", tries=1), lambda step: None)
    assert caught.value.code == "refused"
