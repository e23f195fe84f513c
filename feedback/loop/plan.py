"""The steps of the loop: what each is made of, and what it runs. Each stands on what those before it made."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from malgil_core.events import reading
from malgil_core.events.segment import OPEN
from malgil_core.index import history, reader

from feedback.errors import FeedbackError
from feedback.loop import variant
from feedback.loop.settings import Settings
from feedback.loop.steps import Done, Step, combined, command, hash_of, shown

PAIRS, HELD_OUT, CATALOG, REPORT = "pairs.jsonl", "held_out.jsonl", "catalog.jsonl", "evaluation.json"
EXPERIMENT = "experiment.json"
LEVEL = 0.05  # of the test that calls an encoder worse than its base
NAMES = ("pairs", "training", "evaluation", "generation", "experiment")
Builder = Callable[[Settings, Mapping[str, Done]], Step]


def pairs(settings: Settings, before: Mapping[str, Done]) -> Step:
    """The events of the log into pairs, and the catalog that serves beside them."""
    number = history.resolve(settings.index, None)
    folder = reader.folder_of(settings.index, number)
    where = ["--events", str(settings.events), "--index", str(settings.index), "--repository", str(settings.repository)]

    def words(out: Path) -> list[str]:
        files = ["--out", str(out / PAIRS), "--held-out", str(out / HELD_OUT)]
        return ["feedback", "pairs", *files, *where, "--offline", *settings.pairs]

    show = ["export", "catalog", "show", str(number), "--index", str(settings.index)]

    def work(out: Path) -> Mapping[str, Any]:
        command(show, out / CATALOG)
        if (folder / reader.SUGGESTIONS).exists():
            shutil.copyfile(folder / reader.SUGGESTIONS, out / reader.SUGGESTIONS)
        command(words(out))
        return {"generation": number, "pairs": _lines(out / PAIRS), "held_out": _lines(out / HELD_OUT)}

    inputs = {
        "events": _events(settings.events),
        "generation": hash_of(folder / "manifest.json"),
        "encoder": hash_of(settings.repository / "tokenizer" / "1" / "encoder.json"),
        "options": json.dumps(settings.pairs, ensure_ascii=False),
    }
    return Step("pairs", inputs, (shown(show), shown(words(Path("…")))), work)


def training(settings: Settings, before: Mapping[str, Done]) -> Step:
    """The pairs, and the phrases of the catalog, into an encoder."""
    made = before["pairs"]
    if made.figures["pairs"] < settings.least_pairs:
        raise FeedbackError(
            f"{made.folder}: {made.figures['pairs']} pairs: at least {settings.least_pairs} are trained on "
            "(--least-pairs)"
        )
    base = Path(settings.base)

    def words(out: Path) -> list[str]:
        data = ["--catalog", str(made.folder / CATALOG), "--feedback", str(made.folder / PAIRS)]
        recipe = ["--recipe", settings.recipe] if settings.recipe else []
        return ["training", "encoder", settings.base, "--out", str(out), *recipe, *data, *settings.train]

    def work(out: Path) -> Mapping[str, Any]:
        command(words(trained(out)))
        return {}

    own = settings.recipe is not None and settings.recipe.endswith(".toml")
    inputs = {
        PAIRS: made.hash_of(PAIRS),
        CATALOG: made.hash_of(CATALOG),
        "base": hash_of(base) if base.is_dir() else settings.base,
        "recipe": hash_of(Path(settings.recipe)) if settings.recipe and own else str(settings.recipe),
        "options": json.dumps(settings.train, ensure_ascii=False),
    }
    return Step("training", inputs, (shown(words(Path("…"))),), work)


def evaluation(settings: Settings, before: Mapping[str, Done]) -> Step:
    """The encoder against its base, on what was held out of the log and on labelled queries."""
    made, encoder = before["pairs"], before["training"]
    files = [made.folder / HELD_OUT, *settings.queries] if made.figures["held_out"] else [*settings.queries]
    if not files:
        raise FeedbackError(f"{made.folder}: nothing was held out to evaluate on: name labelled queries (--queries)")

    def words(out: Path) -> list[str]:
        asked = [word for file in files for word in ("--queries", str(file))]
        written = ["--json", str(out / REPORT), "--page", str(out / "evaluation.md")]
        encoders = [settings.base, str(trained(encoder.folder))]
        catalog = ["--catalog", str(made.folder / CATALOG)]
        return ["training", "evaluate", *encoders, *catalog, *asked, "--parts", "queries", *written]

    def work(out: Path) -> Mapping[str, Any]:
        command(words(out))
        return _verdict(json.loads((out / REPORT).read_text(encoding="utf-8")))

    inputs = {
        "encoder": _weights(encoder),
        "base": encoder.inputs["base"],
        CATALOG: made.hash_of(CATALOG),
        HELD_OUT: made.hash_of(HELD_OUT),
        "queries": json.dumps([hash_of(file) for file in settings.queries]),
    }
    return Step("evaluation", inputs, (shown(words(Path("…"))),), work)


def generation(settings: Settings, before: Mapping[str, Done]) -> Step:
    """The encoder exported, and the catalog published with it, into folders of their own: a variant."""
    made, encoder, report = before["pairs"], before["training"], before["evaluation"]
    if report.figures["verdict"] == "worse" and not settings.even_if_worse:
        raise FeedbackError(
            f"{report.folder}: the encoder finds less than its base ({report.figures['difference']:+.3f} of recall@1, "
            f"p {report.figures['p']:.3f}): --even-if-worse makes it a variant all the same"
        )
    suggestions = made.folder / reader.SUGGESTIONS if reader.SUGGESTIONS in made.outputs else None
    sources = made.folder / CATALOG, suggestions, settings.queries

    def work(out: Path) -> Mapping[str, Any]:
        variant.copy(settings.repository, out / variant.REPOSITORY)
        for words in variant.commands(trained(encoder.folder), *sources, out):
            command(words)
        return {"generation": reader.current(out / variant.INDEX)}

    inputs = {
        "encoder": _weights(encoder),
        CATALOG: made.hash_of(CATALOG, reader.SUGGESTIONS),
        "queries": json.dumps([hash_of(file) for file in settings.queries]),
        "repository": variant.hash_of(settings.repository),
    }
    says = tuple(map(shown, variant.commands(trained(encoder.folder), *sources, Path("…"))))
    return Step("generation", inputs, says, work)


def experiment(settings: Settings, before: Mapping[str, Done]) -> Step:
    """What is to be done to serve the variant beside what serves now; nothing of it is done here."""
    made = before["generation"]

    def work(out: Path) -> Mapping[str, Any]:
        described = variant.experiment(settings, made, before)
        (out / EXPERIMENT).write_text(json.dumps(described, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return {"name": described["name"]}

    inputs = {
        "variant": made.hash_of(variant.INDEX, variant.REPOSITORY),
        "generation": before["pairs"].inputs["generation"],
        "name": settings.name,
        "share": str(settings.share),
    }
    return Step("experiment", inputs, (f"(writes {EXPERIMENT}; starts and publishes nothing)",), work)


BUILDERS: dict[str, Builder] = dict(zip(NAMES, (pairs, training, evaluation, generation, experiment), strict=True))


def trained(folder: Path) -> Path:
    """The encoder in a folder of the training: of its name, so that no two are called the same in tables."""
    return folder / folder.name.removesuffix(".part")


def _weights(done: Done) -> str:
    """The hash of a trained encoder, whose folder's name is another one for each training; its card says when."""
    return done.hash_of(trained(done.folder).name)


def _events(folder: Path) -> str:
    """A hash of the segments: of their lines, that is, whether they are sealed or not."""
    return combined({path.name.removesuffix(OPEN): _lines_hash(path) for path in reading.segments(folder)})


def _lines_hash(path: Path) -> str:
    digest = hashlib.sha256()
    for line in reading.lines_of(path):
        digest.update(line + b"\n")
    return digest.hexdigest()


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _verdict(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Recall@1 of all queries with lexical matches, as served, of the base and the encoder; whether that is worse."""
    rows = [row for row in report["rows"] if (row["kind"], row["method"]) == ("all", "dense and lexical")]
    base, encoder = rows[0], rows[-1]
    against = encoder["against_first"]["recall@1"]
    is_other = against["p"] < LEVEL
    verdict = "no different" if not is_other else "worse" if against["difference"] < 0 else "better"
    return {
        "verdict": verdict, "queries": encoder["count"], "base": base["figures"]["recall@1"],
        "encoder": encoder["figures"]["recall@1"], "difference": against["difference"], "p": against["p"],
    }  # fmt: skip
