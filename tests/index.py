"""A small catalog, an index of it, and the plain ranking that answers are measured against, made on the spot."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from malgil_core.catalog.reading import NullTopic, Service
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.generation import Generation
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions, Ranked

DIMENSION = 8
ENCODER = EncoderMetadata(
    name="small",
    family="bert",
    graph="packed",
    precision="fp32",
    vocabulary="all",
    dimension=DIMENSION,
    max_length=8,
    pooling="mean",
    normalize=True,
    prompts={"query": "query: ", "passage": "passage: "},
    files={"model.onnx": "1" * 64, "tokenizer.json": "2" * 64},
    fingerprint="5" * 64,
)
OTHER_ENCODER = dataclasses.replace(ENCODER, fingerprint="7" * 64)


def service(number: int, name: str, *phrases: str, **fields: Any) -> Service:
    """An open service of a catalog, with what `fields` says otherwise."""
    defaults: dict[str, Any] = {
        "parent_id": None,
        "service_id": f"service-{number}",
        "path": f"전체 > {name}",
        "open": True,
        "memo": "",
        "surfaces": (),
        "threshold": None,
    }
    return Service(id=number, name=name, phrases=phrases or (f"{name} 하기",), **{**defaults, **fields})


CATALOG = (
    service(7, "송금", "이체", "돈 보내기", surfaces=("SEARCH", "RECO"), threshold=0.5),
    service(3, "환전", "달러 사기", surfaces=("SEARCH",)),
    service(5, "닫힌 메뉴", "아무도 못 보는 문장", open=False, surfaces=("HIDDEN",)),
    service(2, "대출", "돈 빌리기", "이자 알아보기", "한도 조회"),
)

NULL_TOPICS = (
    NullTopic("날씨", ("오늘 날씨", "내일 비 와?")),
    NullTopic("인사", ("안녕", "좋은 아침이에요", "반가워")),
)


def embed(texts: Sequence[str]) -> Floats:
    """A direction of its own for each text, always the same; not of unit length."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
    return np.array([np.random.default_rng(seed).normal(size=DIMENSION) for seed in seeds], dtype=np.float32)


def as_format_1(folder: Path) -> None:
    """Make a generation without null topics what earlier versions published."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name in ("lexical.safetensors", "null_topics.jsonl"):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 1}), encoding="utf-8")


def generation(
    matrix: Floats,
    service_of_row: Sequence[int] | npt.NDArray[Any],
    ids: Sequence[int] | npt.NDArray[Any],
    thresholds: Sequence[float] | npt.NDArray[Any] | None = None,
    surfaces: dict[str, npt.NDArray[np.bool_]] | None = None,
) -> Generation:
    """A generation in memory; names, paths and phrases say which service or row they belong to."""

    def texts(kind: str, count: int) -> npt.NDArray[np.object_]:
        padded = np.empty(count + 1, dtype=np.object_)
        padded[:] = [f"{kind} {i}".encode() for i in range(count)] + [b""]
        return padded

    return Generation(
        number=42,
        matrix=np.asarray(matrix, dtype=np.float32),
        service_of_row=np.asarray(service_of_row, dtype=np.int32),
        ids_padded=np.append(np.asarray(ids, dtype=np.int64), -1),
        names_padded=texts("name", len(ids)),
        paths_padded=texts("path", len(ids)),
        phrases_padded=texts("phrase", len(matrix)),
        thresholds=np.asarray([-np.inf] * len(ids) if thresholds is None else thresholds, dtype=np.float32),
        surfaces=surfaces or {},
    )


def random_generation(
    rng: np.random.Generator, rows: int, services: int, dimension: int = 16, closeness: float = 0.0
) -> Generation:
    """Services of all sizes, a fifth of the rows twice, thresholds and surfaces; ids in no order.

    `closeness` moves all vectors together: 0 spreads cosines around 0, 4 leaves them between 0.78 and 1, as e5 does.
    """
    services = min(services, rows)
    owners = np.sort(np.append(np.arange(services), rng.integers(0, services, rows - services)))
    matrix = rng.normal(size=(rows, dimension)) + closeness * np.ones(dimension)
    matrix[rng.integers(0, rows, rows // 5)] = matrix[rng.integers(0, rows, rows // 5)]
    thresholds = np.where(rng.random(services) < 0.3, rng.uniform(-0.2, 1, services), -np.inf)
    return generation(
        unit(matrix.astype(np.float32)),
        owners,
        rng.permutation(services) * 3 + 100,
        thresholds,
        {"RECO": rng.random(services) < 0.5, "RARE": rng.random(services) < 0.02},
    )


def random_queries(rng: np.random.Generator, count: int, index: Generation, closeness: float = 0.0) -> Floats:
    """Queries among the vectors of an index."""
    spread = rng.normal(size=(count, index.dimension)) + closeness * np.ones(index.dimension)
    return unit(spread.astype(np.float32))


Hit = tuple[int, int, float]  # service's id, row of its phrase, score


def hits(index: Generation, ranked: Ranked) -> list[Hit]:
    """What was ranked, in a form that compares exactly."""
    ids = index.ids_padded[ranked.services]
    return list(zip(ids.tolist(), ranked.rows.tolist(), ranked.scores.tolist(), strict=True))


def brute_force(index: Generation, query: Floats, options: QueryOptions) -> list[Hit]:
    """A plain ranking: every row scored, every service compared, everything sorted."""
    cosines = (index.matrix.astype(np.float64) @ query.astype(np.float64)).tolist()
    best: dict[int, tuple[float, int]] = {}
    for row, service in enumerate(index.service_of_row.tolist()):
        score = float(np.float32(round(cosines[row], 6)))
        if service not in best or score > best[service][0]:
            best[service] = (score, row)
    found: list[Hit] = []
    for service, (score, row) in best.items():
        enough = score >= index.thresholds[service]
        enough &= options.min_score is None or score >= np.float32(options.min_score)
        if enough and (options.surface is None or index.surfaces[options.surface][service]):
            found.append((int(index.ids_padded[service]), row, score))
    return sorted(found, key=lambda hit: (-hit[2], hit[0]))[: options.top_k]
