"""Steps of the loop: run once for the same inputs, and again for others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from feedback.errors import FeedbackError
from feedback.loop import steps
from feedback.loop.steps import Step, find, hash_of, locked, run


def step(text: str, inputs: Mapping[str, str] | None = None) -> Step:
    """A step that writes a text."""

    def work(folder: Path) -> Mapping[str, Any]:
        (folder / "below").mkdir()
        (folder / "below" / "made.txt").write_text(text, encoding="utf-8")
        return {"letters": len(text)}

    return Step("writing", inputs or {"text": text}, (f"write {text}",), work)


def test_a_step_with_the_same_inputs_is_found_and_with_others_is_not(tmp_path: Path) -> None:
    assert find(tmp_path, step("one")) is None
    done = run(tmp_path, step("one"))
    assert find(tmp_path, step("one")) == done
    assert find(tmp_path, step("two")) is None
    run(tmp_path, step("two"))
    assert find(tmp_path, step("one")) == done  # the older is still there, to go back to


def test_the_file_of_a_step_says_of_what_it_was_made_and_what_came_of_it(tmp_path: Path) -> None:
    done = run(tmp_path, step("one"))
    value = json.loads((done.folder / "step.json").read_text(encoding="utf-8"))
    assert value["step"] == "writing"
    assert value["inputs"] == {"text": "one"}
    assert value["outputs"] == {"below/made.txt": hash_of(done.folder / "below" / "made.txt")}
    assert value["commands"] == ["write one"]
    assert value["figures"] == {"letters": 3}


@pytest.mark.parametrize("harm", ["changed", "gone", "no json"])
def test_a_step_whose_files_were_touched_is_run_again(harm: str, tmp_path: Path) -> None:
    done = run(tmp_path, step("one"))
    made = done.folder / "below" / "made.txt"
    if harm == "changed":
        made.write_text("two", encoding="utf-8")
    elif harm == "gone":
        made.unlink()
    else:
        (done.folder / "step.json").write_text("{", encoding="utf-8")
    assert find(tmp_path, step("one")) is None
    run(tmp_path, step("one"))
    assert made.read_text(encoding="utf-8") == "one"


def test_a_step_that_failed_leaves_nothing_that_looks_done(tmp_path: Path) -> None:
    def fail(folder: Path) -> Mapping[str, Any]:
        (folder / "half").touch()
        steps.command(["export", "catalog", "check", str(folder / "nowhere.jsonl")])
        return {}

    broken = Step("writing", {"text": "one"}, (), fail)
    with pytest.raises(FeedbackError, match=r"python -m export catalog check .* ended with status 1"):
        run(tmp_path, broken)
    assert find(tmp_path, broken) is None
    run(tmp_path, step("one"))
    assert not (tmp_path / step("one").folder_name / "half").exists()


def test_a_hash_of_a_folder_follows_names_and_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x", encoding="utf-8")
    assert hash_of(tmp_path / "a") == hash_of(tmp_path / "b")
    (tmp_path / "b" / "file").rename(tmp_path / "b" / "other")
    assert hash_of(tmp_path / "a") != hash_of(tmp_path / "b")
    with pytest.raises(FeedbackError, match="is not there"):
        hash_of(tmp_path / "c")


def test_two_loops_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(FeedbackError, match="another loop"), locked(tmp_path):
        pass
