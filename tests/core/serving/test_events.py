"""The settings of the log of events: who goes first, and what is no setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]
from malgil_core.events.log import DEFAULTS
from malgil_core.serving.events import Settings
from tritonclient.grpc import model_config_pb2

from export import ROOT

MODEL = ROOT / "model_repository" / "events"
PARAMETERS = {
    "folder": "../../events", "log_queries": "off", "interval_ms": "1000", "segment_mib": "16",
    "segment_seconds": "600", "max_mib": "1024", "nice": "10",
}  # fmt: skip


def test_the_bounds_of_the_configuration_are_those_of_the_code() -> None:
    config = text_format.Parse((MODEL / "config.pbtxt").read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
    assert {name: one.string_value for name, one in config.parameters.items()} == PARAMETERS
    settings = Settings.read(PARAMETERS, {}, MODEL)
    assert settings.bounds == DEFAULTS
    assert settings.folder.resolve() == ROOT / "events"
    assert not settings.log_queries


def test_queries_are_kept_only_where_that_was_asked_for_and_the_environment_goes_first() -> None:
    for configured, variable, kept in (
        ("off", None, False), ("off", "", False), ("off", "0", False), ("off", "1", True),
        ("on", None, True), ("on", "", True), ("on", "0", False), ("on", "1", True),
    ):  # fmt: skip
        environment = {} if variable is None else {"MALGIL_LOG_QUERIES": variable}
        settings = Settings.read({**PARAMETERS, "log_queries": configured}, environment, MODEL)
        assert settings.log_queries is kept


def test_a_folder_of_the_environment_goes_first_and_an_empty_one_is_none() -> None:
    assert Settings.read(PARAMETERS, {"MALGIL_EVENTS": "/srv/events"}, MODEL).folder == Path("/srv/events")
    assert Settings.read(PARAMETERS, {"MALGIL_EVENTS": ""}, MODEL).folder == MODEL / "../../events"


@pytest.mark.parametrize(
    ("parameters", "environment", "sentence"),
    [
        ({}, {"MALGIL_LOG_QUERIES": "yes"}, "MALGIL_LOG_QUERIES is 'yes': it must be 1 or 0"),
        ({"log_queries": "no"}, {}, "parameter log_queries is 'no': it must be on or off"),
        ({"interval_ms": "0"}, {}, "parameter interval_ms is '0': it must be a whole number from 1"),
        ({"max_mib": "-1"}, {}, "parameter max_mib is '-1': it must be a whole number from 1"),
    ],
)
def test_what_is_no_setting_is_an_error_and_not_a_guess(
    parameters: dict[str, Any], environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings.read({**PARAMETERS, **parameters}, environment, MODEL)
