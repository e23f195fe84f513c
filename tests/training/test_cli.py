"""The command line of training: a recipe and options in, a directory with a card out, or one sentence."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import tomllib
from safetensors import safe_open

from export import ROOT
from export.__main__ import cli as exporting
from export.__main__ import main as export
from training.cli import cli as training
from training.cli import main
from training.errors import TrainingError
from training.settings import RECIPES, recipe, settings

HEAVY = {"torch", "transformers", "sentence_transformers", "datasets", "peft", "bm25s", "rich", "numpy", "pydantic"}
RECIPE = """
steps = 6
batch_size = 8
lora = 2
max_length = 16

[[data]]
kind = "sts"
file = "korsts/sts-train.tsv"
licence = "CC BY-SA 4.0"

[[data]]
kind = "questions"
file = "question_pair/kor_pair_train.csv"
"""


@pytest.fixture
def short(tmp_path: Path) -> str:
    """The name of a short recipe."""
    file = tmp_path / "short.toml"
    file.write_text(RECIPE, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("words", [["--help"], ["encoder", "--help"]], ids=" ".join)
def test_help_loads_nothing_but_the_command_line(words: list[str]) -> None:
    code = f"import sys\nfrom training.cli import main\nassert main({words}) == 0\nprint('\\0', *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    help_text, _, modules = ended.stdout.rpartition("\0")
    assert "encoder" in help_text
    assert not HEAVY & {*modules.split()}


def test_a_recipe_and_options_become_a_directory_that_the_export_takes(
    short: str, base: Path, catalog: Path, sts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "korsts").mkdir(parents=True)
    (data / "korsts" / "sts-train.tsv").write_bytes(sts.read_bytes())
    out = tmp_path / "out"
    words = ["encoder", str(base), "--out", str(out), "--recipe", short, "--data", str(data), "--catalog", str(catalog)]
    assert main([*words, "--hard-negatives", "0.5", "--save-steps", "3", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "skipped: question_pair/kor_pair_train.csv is not there" in printed
    assert "trained 1,664 of " in printed
    assert not out.with_name("out.part").exists()

    card = (out / "README.md").read_text(encoding="utf-8")
    for line in (
        "| sts-train.tsv | sts | cosent | CC BY-SA 4.0 |",
        "| catalog.jsonl | catalog | mnr | not stated |",
        "- mnr: multiple negatives ranking",
        "mean cosine of pairs that mean the same: 0.",
        "`adapter/` holds the adapter alone",
    ):
        assert line in card
    used = tomllib.loads(card.split("```toml\n")[1].split("```")[0])
    assert (used["steps"], used["lora"], used["hard_negatives"], used["seed"]) == (6, 2, 0.5, 0)
    assert json.loads((out / "config_sentence_transformers.json").read_text())["prompts"]["query"] == "query: "
    assert not [file.name for file in out.rglob("*") if file.suffix in (".bin", ".pt", ".pth", ".pkl")]
    with safe_open(out / "model.safetensors", "pt") as weights:
        assert not [name for name in weights.keys() if "lora" in name]  # noqa: SIM118  # no dict

    repository = tmp_path / "repository"
    assert export(["encoder", str(out), "--precision", "fp32", "--no-compare", "--repository", str(repository)]) == 0
    assert (repository / "encoder" / "1" / "model.onnx").is_file()


def test_an_encoder_exported_with_an_adapter_gives_the_trained_vectors_and_is_another_source(
    base: Path, catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    from export.catalog.embedding import offline

    out = tmp_path / "out"
    numbers = ["--steps", "3", "--batch-size", "8", "--lora", "2", "--learning-rate", "0.01", "--device", "cpu"]
    assert main(["encoder", str(base), "--out", str(out), "--catalog", str(catalog), *numbers]) == 0
    made = {}
    for name, source in {
        "out": [str(out)],
        "adapter": [str(base), "--adapter", str(out / "adapter")],
        "base": [str(base)],
    }.items():
        repository = tmp_path / name
        words = [*source, "--precision", "fp32", "--no-compare", "--repository", str(repository)]
        assert export(["encoder", *words]) == 0
        assert export(["encoder", *words, "--only-if", "changed"]) == 0
        assert "holds the encoder already" in capsys.readouterr().out
        made[name] = offline(repository)(["송금", "남은 용돈 어디서 봐"])
    np.testing.assert_allclose(made["adapter"], made["out"], atol=1e-5)
    assert np.abs(made["adapter"] - made["base"]).max() > 1e-3
    words = ["encoder", str(base), "--precision", "fp32", "--no-compare", "--only-if", "changed"]
    assert export([*words, "--repository", str(tmp_path / "adapter")]) == 0
    assert f"has source {base} with adapter " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no data set to train on: name one, or a recipe and --data"),
        (["--recipe", "serach"], "recipe serach: there is none; there are search, talk, or name a .toml file"),
        (["--steps", "0", "--catalog", "CATALOG"], "options: steps is 0: it must be greater than or equal to 1"),
        (["--hard-negatives", "nan", "--catalog", "CATALOG"], "options: hard_negatives is NaN: it must be"),
        (["--loss", "nli=triplet", "--catalog", "CATALOG"], "--loss nli=triplet: there is no data of kind 'nli'"),
        (["--loss", "catalog=softmax", "--catalog", "CATALOG"], "loss 'softmax' of catalog: it must be mnr, triplet"),
        (["--layers", "9", "--catalog", "CATALOG"], "layers is 9: this encoder has 2"),
        (["--catalog", "absent.jsonl"], "absent.jsonl: No such file or directory"),
        (["--sts", "CATALOG"], ":1: no column 'score'"),
        (["--resume", "--catalog", "CATALOG"], "out.part does not exist: there is nothing to resume"),
        (["--out", "BASE", "--catalog", "CATALOG"], "exists already: move it away or name another --out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    words: list[str], sentence: str, base: Path, catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [{"CATALOG": str(catalog), "BASE": str(base)}.get(word, word) for word in words]
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    assert main(["encoder", str(base), *out, *named]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("out")]


def test_an_interrupted_training_is_neither_overwritten_nor_continued_as_another(tmp_path: Path) -> None:
    from training.encoder import output

    out, work = tmp_path / "out", tmp_path / "out.part"
    first, other = (settings({"steps": steps}, "test") for steps in (5, 7))
    with pytest.raises(KeyboardInterrupt), output(out, first, "bundled", resume=False):
        raise KeyboardInterrupt
    with pytest.raises(TrainingError, match="holds an interrupted training: --resume continues it; or remove it"):
        output(out, first, "bundled", resume=False).__enter__()
    with pytest.raises(TrainingError, match="was begun with another steps: --resume takes the same settings"):
        output(out, other, "bundled", resume=True).__enter__()
    with output(out, first, "bundled", resume=True):
        (work / "model").mkdir()
    assert out.is_dir()
    assert not work.exists()


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.toml")))
def test_a_recipe_that_ships_can_be_used_and_says_what_licence_its_data_has(name: str) -> None:
    made = settings(recipe(name), name)
    assert made.data
    assert all(one.licence != "not stated" for one in made.data)


def test_every_command_of_the_page_parses_and_names_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("my.jsonl", "my_queries.jsonl", "settings.json"):  # the reader's
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    named = [shlex.split(line.removeprefix("$ ")) for line in page.splitlines() if line.startswith("$ ")]
    commands = [words[2:] for words in named if words[1:3] in (["-m", "training"], ["-m", "export"])]
    assert len(commands) > 8
    groups = {"training": training, "export": exporting}
    for module, name, *words in commands:
        context = click.Context(groups[module])
        command = groups[module].get_command(context, name)
        assert command is not None
        parsed = command.make_context(name, words, parent=context)
        if parsed.params.get("recipe"):
            assert recipe(parsed.params["recipe"])


def test_a_misspelt_number_of_a_recipe_is_not_ignored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.toml"
    file.write_text("step = 3\n", encoding="utf-8")
    assert main(["encoder", "--out", str(tmp_path / "out"), "--recipe", str(file)]) == 1
    assert "own.toml: step is 3: it is not known; known are data, layers, lora, steps" in capsys.readouterr().err
