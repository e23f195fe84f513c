"""Settings files: calibrated, read strictly, stored with a generation; options and an edited catalog override them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index import reader
from malgil_core.index.writer import publish as write_generation
from malgil_core.lexical.index import Weights
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.cuda import CudaScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions

from export.__main__ import main
from export.catalog import embedding, service_thresholds, weights
from export.catalog.labelled import Labelled
from tests.index import CATALOG, ENCODER, NULL_TOPICS, OTHER_ENCODER, embed, hits

TUNED = Weights(first_prefix=0.5, word_prefix=0.2, phrase=0.9, fuzzy=0.4, words=0.3)
QUERIES = [("송ㄱ", 7), ("돈 보내", 7), ("이체", 7), ("환전", 3), ("달러", 3), ("대출", 2), ("이자", 2), ("한도", 2)]


def content(**changes: Any) -> dict[str, Any]:
    found = {
        "version": 1,
        "encoder": {"name": "small", "fingerprint": ENCODER.fingerprint},
        "created": "2026-11-29T00:00:00Z",
        "weights": asdict(TUNED),
        "default_threshold": 0.25,
        "thresholds": [{"id": 7, "catalog": 0.5, "threshold": 0.125}],
        "null": {"loss": 0.03, "margin": 0.25, "floor": -1},
        "figures": {"before": {"recall@5": 0.5}},
    }
    return found | changes


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository whose encoder is never run."""
    (tmp_path / "model_repository/tokenizer/1").mkdir(parents=True)
    ENCODER.write(tmp_path / "model_repository/tokenizer/1/encoder.json")
    return tmp_path / "model_repository"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(content()))
    return file


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return write(tmp_path / "catalog.jsonl", (*CATALOG, *NULL_TOPICS))


def write(file: Path, entries: Any) -> Path:
    lines = [json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in entries]
    file.write_text("".join(lines), encoding="utf-8")
    return file


@pytest.fixture
def run(repository: Path, catalog: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(embedding, "offline", lambda *_: embed)

    def publish(*options: str) -> int:
        folders = ["--index", str(index), "--repository", str(repository)]
        return main(["catalog", "publish", str(catalog), "--offline", *folders, *options])

    return publish


def load(index: Path, number: int) -> Any:
    return reader.load(reader.folder_of(index, number))


def threshold(generation: Any, id: int) -> float:
    return float(generation.thresholds[generation.ids_padded.tolist().index(id)])


def test_what_was_calibrated_is_what_a_scorer_loads(run: Any, index: Path, settings: Path) -> None:
    assert run("--settings", str(settings)) == 0
    found = load(index, 1)
    assert found.lexical.weights == TUNED
    assert (threshold(found, 7), threshold(found, 3)) == (0.125, 0.25)
    assert (found.null.margin, found.null.floor) == (0.25, -np.inf)


def test_without_settings_everything_is_as_in_an_index_that_has_no_weights(run: Any, index: Path) -> None:
    assert run() == 0
    found, folder = load(index, 1), reader.folder_of(index, 1)
    assert found.lexical.weights == Weights()
    assert (threshold(found, 7), threshold(found, 3)) == (0.5, -np.inf)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert not {"thresholds", "settings"} & manifest.keys()
    del manifest["weights"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    older = load(index, 1)
    for query in ("송ㄱ", "이자 알", "ㅎㅈ"):
        np.testing.assert_array_equal(older.lexical.matches(query).scores, found.lexical.matches(query).scores)


def test_options_count_instead_of_the_file(run: Any, index: Path, settings: Path) -> None:
    assert run("--settings", str(settings), "--default-threshold", "0.75", "--null-margin", "0.5") == 0
    found = load(index, 1)
    assert (threshold(found, 3), found.null.margin, found.lexical.weights) == (0.75, 0.5, TUNED)
    assert run("--settings", str(settings), "--null-loss", "1") == 0
    assert load(index, 2).null.margin < 0.001  # that of the file would leave the option without effect


def test_a_threshold_edited_in_the_catalog_counts_again(
    run: Any, index: Path, settings: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(catalog, (replace(CATALOG[0], threshold=0.75), *CATALOG[1:]))
    assert run("--settings", str(settings)) == 0
    assert threshold(load(index, 1), 7) == 0.75
    assert "threshold of service 7 is left out: the catalog's was 0.5 when" in capsys.readouterr().out
    write(catalog, CATALOG[1:])
    assert run("--settings", str(settings)) == 0
    assert "threshold of service 7 is left out: the catalog has no such service" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"more": 1}, "unknown field 'more'"),
        ({"version": 2}, "version is 2: it must be 1"),
        ({"weights": asdict(TUNED) | {"fuzzy": 1}}, "weights.fuzzy is 1: it must be less than 1"),
        ({"weights": asdict(TUNED) | {"taste": 0.5}}, "unknown field 'weights.taste'"),
        ({"weights": {}}, "weights.first_prefix is missing"),
        ({"default_threshold": 1.5}, "default_threshold is 1.5: it must be less than or equal to 1"),
        ({"default_threshold": "0.5"}, 'default_threshold is "0.5": it must be a valid number'),
        ({"default_threshold": float("nan")}, "default_threshold is NaN: it must be a finite number"),
        ({"thresholds": [{"id": 7, "catalog": 0.5, "threshold": -2}]}, "thresholds.0.threshold is -2: it must be "),
        ({"thresholds": [{"id": 7, "catalog": 0, "threshold": 0}] * 2}, "thresholds: service 7 stands there twice"),
        ({"null": {"loss": 0.03, "margin": 3, "floor": None}}, "null.margin is 3: it must be less than or equal to 2"),
        ({"encoder": {"name": "x", "fingerprint": "7" * 64}}, "encoder.fingerprint is 777777777777…, that of the exp"),
        ([], "settings are []: it must be an object"),
        ("{", "not JSON: EOF while parsing"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_one_sentence_and_nothing_is_published(
    changes: Any, sentence: str, run: Any, index: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = changes if isinstance(changes, str) else json.dumps(content(**changes) if changes else changes)
    settings.write_text(text)
    assert run("--settings", str(settings)) == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"{settings}: {sentence}")
    assert reader.current(index) is None


def test_only_a_changed_settings_file_is_published_again(
    run: Any, index: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--settings", str(settings), "--only-if", "changed")
    assert run(*options) == run(*options) == 0
    assert "serves what was published already" in capsys.readouterr().out
    settings.write_text(json.dumps(content(weights=asdict(Weights()))))
    assert run(*options) == 0
    assert f"generation 1 has other settings than {settings}" in capsys.readouterr().out
    assert run("--only-if", "changed") == 0  # settings that were given stay
    assert reader.current(index) == 2


def test_list_diff_rollback_and_verify_tell_of_settings(
    run: Any, repository: Path, index: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--settings", str(settings)) == run("--null-margin", "0.25", "--null-floor", "-1") == 0
    folder = ["--index", str(index)]
    capsys.readouterr()
    assert main(["catalog", "diff", "2", "1", *folder]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "weight first_prefix: 0.75 → 0.5", "weight word_prefix: 0.45 → 0.2", "weight phrase: 0.65 → 0.9",
        "weight fuzzy: 0.7 → 0.4", "weight words: 0.6 → 0.3", "default threshold: null → 0.25",
        "threshold of service 7: null → 0.125", "0 services differ between generations 2 and 1",
    ]  # fmt: skip
    assert main(["catalog", "show", "1", *folder]) == 0
    assert '"id": 7' in (shown := capsys.readouterr().out)
    assert '"threshold": 0.5' in shown  # the catalog's, as it was published
    assert main(["catalog", "rollback", *folder, "--repository", str(repository)]) == 0
    assert load(index, 3).lexical.weights == TUNED
    assert main(["catalog", "list", *folder]) == 0
    assert "generations made with settings of 2026-11-29T00:00:00+00:00 (" in (said_list := capsys.readouterr().out)
    assert said_list.rstrip().endswith(": 1, 3")
    manifest = reader.folder_of(index, 1) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"fuzzy": 0.4', '"fuzzy": 1.4'))
    assert main(["catalog", "verify", *folder]) == 1
    assert "weights: weight fuzzy is 1.4: it must be from 0 to below 1" in capsys.readouterr().out


def test_a_tuned_search_is_the_same_alone_in_a_batch_and_on_both_devices(run: Any, index: Path, settings: Path) -> None:
    import torch

    assert run("--settings", str(settings)) == 0
    found = load(index, 1)
    texts = [text for text, _ in QUERIES] + ["오늘 날씨", "ㅅㄱ"]
    queries, options = unit(embed(texts)), [QueryOptions(3)] * len(texts)
    matches = found.lexical.all_matches(texts)
    batch = CpuScorer(found).rank(queries, options, matches)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    other = CudaScorer(found, device).rank(torch.from_numpy(queries).to(device), options, matches)
    plain = CpuScorer(replace(found, lexical=None)).rank(
        queries, options, found.lexical.with_weights(Weights()).all_matches(texts)
    )
    assert [hits(found, one) for one in batch] != [hits(found, one) for one in plain]
    for at, text in enumerate(texts):
        (alone,) = CpuScorer(found).rank(queries[at : at + 1], options[:1], [found.lexical.matches(text)])
        assert hits(found, alone) == hits(found, batch[at]) == hits(found, other[at])


def test_calibrating_writes_settings_that_a_publish_takes(
    run: Any, repository: Path, catalog: Path, index: Path, tmp_path: Path
) -> None:
    labelled = [{"query": f"{text} {i}", "id": id, "kind": "keyword"} for text, id in QUERIES for i in range(6)]
    labelled += [{"query": f"오늘 날씨 {i}", "id": None, "kind": "out_of_scope"} for i in range(12)]
    queries, file = tmp_path / "queries.jsonl", tmp_path / "chosen.json"
    queries.write_text("".join(json.dumps(one) + "\n" for one in labelled))
    command = ["catalog", "calibrate", str(catalog), "--queries", str(queries), "--repository", str(repository)]
    assert main([*command, "--steps", "5", "--write", str(file)]) == 0
    assert run("--settings", str(file)) == 0
    chosen, found = json.loads(file.read_text()), load(index, 1)
    assert chosen["weights"] == asdict(found.lexical.weights)
    assert [one["id"] for one in chosen["thresholds"]] == [7]
    assert threshold(found, 7) == np.float32(chosen["thresholds"][0]["threshold"])
    assert chosen["null"]["margin"] == found.null.margin
    assert list(chosen["figures"])[:3] == ["before", "weights", "thresholds of services"]
    assert main([*command, "--steps", "0", "--keep-thresholds", "--write", str(file)]) == 0
    kept = json.loads(file.read_text())
    assert (kept["weights"], kept["thresholds"]) == (asdict(Weights()), [])
    OTHER_ENCODER.write(repository / "tokenizer/1/encoder.json")
    assert run("--settings", str(file)) == 1
    assert main([*command, "--write", str(tmp_path / "absent/x.json")]) == 1


def test_the_search_for_weights_never_makes_the_tuning_half_worse_and_is_repeatable(tmp_path: Path) -> None:
    write_generation(CATALOG, tmp_path, ENCODER, embed)
    generation = load(tmp_path, 1)
    labelled = [Labelled(f"{text}{i}", id, "keyword") for text, id in QUERIES for i in range(8)]
    sampled = weights.sample(labelled, CATALOG, 0)
    asked = weights.Asked.of(sampled, unit(embed([one.query for one in sampled])), generation).half(held_out=False)

    def value(found: Weights) -> float:
        figures = asked.figures(generation.lexical.with_weights(found))
        return float(np.mean([one.recall_5 + one.mrr for one in figures.values()]))

    first, again = (weights.search(asked, generation.lexical, 20, 0, lambda *_: None) for _ in range(2))
    assert first == again
    assert value(first) >= value(Weights())
    assert generation.lexical.weights == Weights()


def test_a_service_s_own_queries_reach_its_new_threshold(tmp_path: Path) -> None:
    write_generation(CATALOG, tmp_path, ENCODER, embed)
    generation = load(tmp_path, 1)
    labelled = [Labelled(text, id, "keyword") for text, id in QUERIES]
    vectors = unit(embed([one.query for one in labelled]))
    (found,) = service_thresholds.proposals(CATALOG, generation, labelled, vectors, 0.0)
    assert (found.id, found.catalog, found.queries) == (7, 0.5, 6)  # three labelled, the name and two phrases
    shown = CpuScorer(replace(generation, thresholds=np.full(3, found.threshold, np.float32))).rank(
        vectors[:3], [QueryOptions(9)] * 3, generation.lexical.all_matches([one.query for one in labelled[:3]])
    )
    assert all(7 in generation.ids_padded[one.services] for one in shown)
    (half,) = service_thresholds.proposals(CATALOG, generation, labelled, vectors, 0.5)
    assert half.threshold > found.threshold
