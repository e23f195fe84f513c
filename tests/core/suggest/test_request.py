"""Requests for suggestions: bad ones are refused in a sentence, and answers have the promised tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.suggest.request import SuggestRequest, lay_out
from malgil_core.suggest.suggester import Suggester
from malgil_core.suggest.types import SuggestOptions

from tests.core.suggest.conftest import SERVICES, generation_of, line
from tests.live import decoded, texts

SURFACES = ("RECO", "SEARCH")


def test_options_are_taken_for_each_text_and_have_defaults() -> None:
    plain = SuggestRequest.parse({"typed": texts(["송ㄱ"])}, SURFACES)
    assert (plain.typed, plain.options) == (["송ㄱ"], [SuggestOptions(5, None)])
    given = SuggestRequest.parse(
        {"typed": texts(["a", "b"]), "top_k": np.array([[1], [20]]), "surface": texts(["RECO", "SEARCH"])}, SURFACES
    )
    assert given.options == [SuggestOptions(1, "RECO"), SuggestOptions(20, "SEARCH")]


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({}, "typed is missing"),
        ({"typed": texts([" "])}, "typed is blank"),
        ({"typed": texts([b"\xff"])}, "typed is not UTF-8"),
        ({"typed": texts(["a" * 8193])}, "typed is 8193 bytes long: at most 8192 are taken"),
        ({"typed": texts(["a"])[0]}, r"typed has shape \[1\]: it must have 2 dimensions"),
        ({"typed": texts(["a"]), "top_k": np.array([[0]])}, "top_k is 0: it must be from 1 to 20"),
        ({"typed": texts(["a"]), "top_k": np.array([[21]])}, "top_k is 21: it must be from 1 to 20"),
        ({"typed": texts(["a"]), "surface": texts(["MOON"])}, "surface is 'MOON': the catalog has RECO, SEARCH"),
    ],
)
def test_a_bad_request_is_refused_with_field_value_and_bound(tensors: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SuggestRequest.parse(tensors, SURFACES)


def test_an_answer_has_as_many_columns_as_were_asked_for_and_its_padding_can_be_told(tmp_path: Path) -> None:
    generation = generation_of(tmp_path, SERVICES, line("용돈 부치기", 100))
    options = [SuggestOptions(1), SuggestOptions(3)]
    outputs = lay_out(generation, Suggester(generation).suggest(["용", "없는 말"], options), options)
    assert decoded(outputs["text"]) == [["용돈 부치기", "", ""], ["", "", ""]]
    assert decoded(outputs["source"]) == [["query", "", ""], ["", "", ""]]
    assert decoded(outputs["name"])[0] == ["송금", "", ""]
    assert decoded(outputs["path"])[0] == ["전체 > 송금", "", ""]
    assert outputs["id"].tolist() == [[100, -1, -1], [-1, -1, -1]]
    assert outputs["score"][0, 0] > 0.5
    assert outputs["score"][0, 1:].tolist() == [-1, -1]
    assert outputs["generation"].tolist() == [[generation.number]] * 2
    assert {name: array.dtype.kind for name, array in outputs.items()} == {
        "text": "O", "id": "i", "name": "O", "path": "O", "source": "O", "score": "f", "generation": "i",
    }  # fmt: skip
