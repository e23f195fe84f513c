"""Parameters of a model: a mistake in config.pbtxt is refused by name when the model loads."""

from __future__ import annotations

import json

import pytest
from malgil_core.serving.parameters import is_on, positive, read_parameters


def test_the_parameters_of_a_config_are_read_as_triton_hands_them_over() -> None:
    config = {"name": "scorer", "parameters": {"device": {"string_value": "auto"}, "index": {"string_value": "../x"}}}
    assert read_parameters(json.dumps(config)) == {"device": "auto", "index": "../x"}


def test_a_switch_is_on_or_off_and_anything_else_is_named() -> None:
    assert (is_on("lexical", "on"), is_on("lexical", "off")) == (True, False)
    for value in ("true", "ON", ""):
        with pytest.raises(ValueError, match=rf"^parameter lexical is '{value}': it must be on or off$"):
            is_on("lexical", value)


@pytest.mark.parametrize("value", ["0", "-1", "", "1.5", "많이", "²", "１"])
def test_a_bound_that_is_no_whole_number_from_1_is_named(value: str) -> None:
    assert positive("max_pending", "256") == 256
    with pytest.raises(ValueError, match=rf"^parameter max_pending is '{value}': it must be a whole number from 1$"):
        positive("max_pending", value)
