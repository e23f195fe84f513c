"""What makes a variant: what serves, but for the encoder."""

from __future__ import annotations

from pathlib import Path

import click

from export import ROOT
from export.__main__ import cli
from feedback.loop import variant

MADE = ("model.onnx", "tokenizer.json", "encoder.json")


def test_a_variant_has_all_models_and_no_encoder_of_before(tmp_path: Path) -> None:
    variant.copy(ROOT / "model_repository", tmp_path / "copy")
    names = {path.name for path in (ROOT / "model_repository").iterdir() if path.is_dir()}
    assert {path.name for path in (tmp_path / "copy").iterdir() if path.is_dir()} == names - {"__pycache__"}
    copied = {path.name for path in (tmp_path / "copy").rglob("*")}
    assert not copied & {*MADE, "__pycache__"}
    assert {"config.pbtxt", "model.py"} <= copied
    assert variant.hash_of(tmp_path / "copy") == variant.hash_of(ROOT / "model_repository")


def test_a_variant_completes_from_what_people_chose_and_is_calibrated_as_what_serves(tmp_path: Path) -> None:
    for name in ("catalog.jsonl", "suggestions.jsonl", "queries.jsonl"):
        (tmp_path / name).touch()
    sources = tmp_path / "catalog.jsonl", tmp_path / "suggestions.jsonl", [tmp_path / "queries.jsonl"]
    made = variant.commands(tmp_path / "encoder", *sources, tmp_path)
    assert [words[:3] for words in made[1:]] == [["export", "catalog", "calibrate"], ["export", "catalog", "publish"]]
    parsed = [parse(words) for words in made]
    assert parsed[2]["suggestions"] == tmp_path / "suggestions.jsonl"
    assert parsed[2]["settings"] == parsed[1]["write"] == tmp_path / "settings.json"
    assert parsed[0]["repository"] == parsed[2]["repository"] == tmp_path / "model_repository"
    assert parsed[2]["index"] == tmp_path / "index"
    bare = [parse(words) for words in variant.commands(tmp_path / "encoder", tmp_path / "c", None, [], tmp_path)]
    assert (bare[1]["suggestions"], bare[1]["settings"]) == (None, None)


def parse(words: list[str]) -> dict[str, object]:
    """The options of a command line, which is not run."""
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None
        command = found
    return command.make_context("command", rest).params
