"""`python -m benchmarks report`: the page of a sweep, made from its file alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.sweep.plan import Cell, Line, latest

# A 2023 talk's figures for the same shapes, with 256 clients, on an RTX 3090.
PUBLISHED_LENGTHS = (8, 16, 32, 64, 128, 256, 512)
PUBLISHED = {
    "koelectra-small-v3": (19_035, 14_434, 10_400, 6_792, 4_132, 1_912, 788),
    "bert-base-multilingual-cased": (8_608, 5_595, 3_314, 1_799, 904, 429, 187),
}
RANDOM = " (published shape, random weights)"
ABSENT = "–"
PLOTS = (
    "Hollow points: the thirds of that figure differ by over 10 %. The steps' times are Triton's own: a request waits"
    " in a step's queue while that step works on the batch before. What they leave of the client's latency is grey."
)


def page(lines: Sequence[Line], pictures: Iterable[str]) -> str:
    """The page in Markdown.

    Args:
        lines: of the sweep's file; at least one.
        pictures: file names of the plots, beside the page.
    """
    cells = latest(list(lines))
    parts = ["# Speed by sequence length", _introduction(lines[-1], cells)]
    for encoder in dict.fromkeys(cell.encoder for cell in cells):
        parts += [
            f"## {encoder}{RANDOM if encoder in PUBLISHED else ''}",
            _facts(encoder, cells),
            table(encoder, cells),
        ]
    parts += [
        "## Plots",
        PLOTS,
        *(f"![{_title(name)}]({name})" for name in pictures),
    ]
    parts += _left_out(cells)
    return "\n\n".join(parts) + "\n"


def table(encoder: str, cells: dict[Cell, Line]) -> str:
    """One encoder's table: a column for each length; each model at the concurrency of its highest throughput."""
    measured = {cell: line for cell, line in cells.items() if cell.encoder == encoder}
    lengths = sorted({cell.length for cell in measured})
    rows = [["tokens", *map(str, lengths)], ["---", *("---:" for _ in lengths)]]
    for model in dict.fromkeys(cell.model for cell in measured):
        chosen = [best(measured, model, length) for length in lengths]
        rows.append([f"**{model}**, requests/s", *(_rate(line) for line in chosen)])
        rows.append(["at concurrency", *(str(line["concurrency"]) if line else ABSENT for line in chosen)])
        rows.append(["mean latency, ms", *(_ms(line["latency_ms"]["mean"]) if line else ABSENT for line in chosen)])
        rows.append(["p99 latency, ms", *(_ms(line["latency_ms"]["p99"]) if line else ABSENT for line in chosen)])
        rows.append(["encoder's mean batch", *(_batch(line) for line in chosen)])
        alone = [measured.get(Cell(encoder, model, length, 1)) for length in lengths]
        rows.append(["p50 of one client, ms", *(_p50(line) for line in alone)])
    if encoder in PUBLISHED:
        figures = dict(zip(PUBLISHED_LENGTHS, PUBLISHED[encoder], strict=True))
        shown = [figures.get(length) for length in lengths]
        rows.append(["*RTX 3090, 256 clients*, requests/s", *(f"*{n:,}*" if n else ABSENT for n in shown)])
        rows.append(["*the same*, mean latency, ms", *(f"*{_ms(256_000 / n)}*" if n else ABSENT for n in shown)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def best(cells: dict[Cell, Line], model: str, length: int) -> Line | None:
    """The cell of highest throughput among those of a model and length, None where none was measured."""
    measured = [
        line
        for cell, line in cells.items()
        if cell.model == model and cell.length == length and "requests_per_s" in line
    ]
    return max(measured, key=lambda line: float(line["requests_per_s"]), default=None)


def _introduction(last: Line, cells: dict[Cell, Line]) -> str:
    machine, versions = last["machine"], last["versions"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    commits = {_commit(line) for line in cells.values()}
    seconds = sorted({line["asked"]["seconds"] for line in cells.values()})
    return f"""Made by `python -m benchmarks sweep` on **{machine["cpu"]}, {machine["cores"]} cores, \
{machine["memory_gib"]:.0f} GiB, {gpus}**; clients on the same machine. {shown}. Commit {", ".join(sorted(commits))}.

- perf_analyzer sends over gRPC; each client waits for its answer, then sends the next request, for \
{" or ".join(f"{s:g}" for s in seconds)} seconds a figure. Texts are Korean, {last["texts"]} different ones of each \
length, and have exactly so many tokens, special ones and the prompt included.
- `search` is the whole way from text to ranked hits, `embed` ends at the vector, `encoder` takes token ids.
- Each figure is at the concurrency that gave most requests/s; `~` marks those whose thirds differ by over 10 %.
- In italics: what a 2023 talk published for the same shapes **on another machine and another server**; its mean \
latencies follow from 256 clients. They show what the shapes cost, and are not to be compared with these."""


def _facts(encoder: str, cells: dict[Cell, Line]) -> str:
    line = [line for cell, line in cells.items() if cell.encoder == encoder][-1]
    facts, batching = line["encoder_facts"], line["batching"]["encoder"]
    largest = batching["max_batch_size"]
    instances = ", ".join(f"{one['count']} × {one['kind']}" for one in batching["instances"])
    parameters = "".join(f", {key} {value}" for key, value in batching["parameters"].items())
    return (
        f"{facts['name']}: {facts['family']}, {facts['graph']} graph, {facts.get('precision') or 'fp32'}, "
        f"{facts['dimension']} dimensions, {facts['model_mib']:,.0f} MiB. "
        f"Batches up to {largest}, {instances}{parameters}."
    )


def _left_out(cells: dict[Cell, Line]) -> list[str]:
    named = [
        f"- {cell.encoder}, {cell.model}, {cell.length} tokens, {cell.concurrency} clients: {word}, {line[word]}"
        for cell, line in cells.items()
        for word in ("skipped", "failed")
        if word in line
    ]
    return ["## Not measured", "\n".join(named)] if named else []


def _commit(line: Line) -> str:
    code = line["code"]
    return f"{(code['commit'] or 'unknown')[:10]}{' with changes' if code['dirty'] else ''}"


def _rate(line: Line | None) -> str:
    if line is None:
        return ABSENT
    rate = line["requests_per_s"]
    return f"{'' if line['stable'] else '~'}**{rate:,.0f}**" if rate >= 100 else _small(rate, line["stable"])


def _small(rate: float, stable: bool) -> str:
    return f"{'' if stable else '~'}**{rate:.{1 if rate >= 10 else 2}f}**"


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _p50(line: Line | None) -> str:
    return _ms(line["latency_ms"]["p50"]) if line and "latency_ms" in line else ABSENT


def _batch(line: Line | None) -> str:
    return f"{line['steps']['encoder']['mean_batch']:.1f}" if line and "encoder" in line["steps"] else ABSENT


def _title(name: str) -> str:
    return name.rpartition(".")[0].partition("-")[2].replace("-", " ")
