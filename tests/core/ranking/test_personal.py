"""Personal layers: they order what would be shown without them, exactly, on both devices, and touch nothing else."""

from __future__ import annotations

import base64
import dataclasses
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.index.generation import Generation
from malgil_core.lexical.index import BEGINS, INITIALS, NO_MATCHES, LexicalMatches
from malgil_core.ranking import cpu
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.cuda import CudaScorer
from malgil_core.ranking.fusion import fused
from malgil_core.ranking.personal import HEADER, SCALE, SHIFT, apply, parse_layer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, Layers, QueryOptions, Ranked, Scorer

from tests.core.ranking.test_scope import with_null
from tests.index import generation, hits, random_generation, random_queries

ENCODER = "5" * 64


def matches_of(scores: dict[int, float], completion: int = BEGINS) -> LexicalMatches:
    """The lexical matches of these rows, for a query that begins them."""
    rows = sorted(scores)
    values = np.array([scores[row] for row in rows], dtype=np.float64)
    return LexicalMatches(np.array(rows, dtype=np.int64), values, np.full(len(rows), completion, dtype=np.int64))


def layer(rng: np.random.Generator, dimension: int, size: float = 1.0) -> Floats:
    """A layer within its bounds; `size` 1 goes up to them."""
    scale = rng.uniform(-SCALE, SCALE, dimension)
    shift = rng.normal(size=dimension)
    return np.append(size * scale, size * SHIFT * shift / np.linalg.norm(shift)).astype(np.float32)


def packed(vector: Floats, encoder: str = ENCODER, **changed: Any) -> bytes:
    """A layer as bytes, by the documented format."""
    fields: dict[str, Any] = {"magic": b"MGPL", "version": 1, "kind": 0, "dimension": vector.size // 2}
    fields |= changed
    body = bytes.fromhex(encoder) + vector.astype("<f4").tobytes()
    return HEADER.pack(*fields.values(), zlib.crc32(body), body[:32]) + body[32:]


def plain_ranking(
    index: Generation, query: Floats, own: Floats, options: QueryOptions, matches: LexicalMatches
) -> list[tuple[int, float]]:
    """(id, score) as the documentation says it: shown by q, ordered by q'."""

    def cosines(vector: Floats) -> Floats:
        exact: Floats = (index.matrix.astype(np.float64) @ vector.astype(np.float64)).round(6).astype(np.float32)
        return exact

    dense, by_layer = cosines(query), cosines(apply(query[np.newaxis], own[np.newaxis])[0])
    scores = dict(zip(matches.rows.tolist(), matches.scores.tolist(), strict=True))
    found = []
    for service in range(len(index.thresholds)):
        rows = np.flatnonzero(index.service_of_row == service)
        share = np.array([max(scores.get(int(row), 0.0) for row in rows)], np.float32)
        before = dense[rows].max(keepdims=True)
        score = float(fused(before, share)[0])
        enough = score >= index.thresholds[service] and (
            options.min_score is None or score >= np.float32(options.min_score)
        )
        if enough and (options.surface is None or index.surfaces[options.surface][service]):
            gap = share.astype(np.float64) * (1 - before.astype(np.float64))
            personal = (by_layer[rows].max() + gap).round(6).astype(np.float32) if share else by_layer[rows].max()
            found.append((int(index.ids_padded[service]), float(np.squeeze(personal))))
    found = sorted(found, key=lambda hit: (-hit[1], hit[0]))[: options.top_k]
    return [(one, min(score, 1.0)) for one, score in found]


OPTIONS = st.builds(
    QueryOptions,
    top_k=st.sampled_from([1, 2, 10, 1000]),
    surface=st.sampled_from([None, "RECO", "RARE"]),
    min_score=st.none() | st.sampled_from([0.85, 0.95]),
)


@pytest.mark.parametrize("device", ["numpy", "numpy in parts", "torch"])
@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 40, 700]),
    st.sampled_from([1, 3, 300]),
    st.sampled_from([0.0, 4.0]),
    st.lists(st.tuples(st.integers(0, 60), OPTIONS, st.sampled_from([0.0, 0.1, 1.0])), min_size=1, max_size=5),
)
def test_a_person_s_order_is_exact_and_nobody_else_in_the_batch_sees_it(
    device: str, seed: int, rows: int, services: int, closeness: float, asked: list[tuple[int, QueryOptions, float]]
) -> None:
    rng = np.random.default_rng(seed)
    index = random_generation(rng, rows, services, closeness=closeness)
    queries = random_queries(rng, len(asked), index, closeness)
    chosen = [rng.choice(rows, min(matched, rows), replace=False) for matched, *_ in asked]
    matches = [matches_of({int(row): float(rng.choice([0.3, 0.9, 1.0])) for row in part}) for part in chosen]
    options = [query for _, query, _ in asked]
    own = [layer(rng, index.dimension, size) if size else None for *_, size in asked]
    scorer: Scorer = CudaScorer(index, "cpu") if device == "torch" else CpuScorer(index)
    embeddings = torch.from_numpy(queries) if device == "torch" else queries
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "PART_ROWS", 2000 if device == "numpy in parts" else cpu.PART_ROWS)
        answers = scorer.rank(embeddings, options, matches, Layers.of(own))
        without = scorer.rank(embeddings, options, matches)
    for i, ranked in enumerate(answers):
        mine = own[i]
        if mine is None or not len(matches[i].rows):
            assert hits(index, ranked) == hits(index, without[i])
            continue
        ids = index.ids_padded[ranked.services].tolist()
        expected = plain_ranking(index, queries[i], mine, options[i], matches[i])
        assert list(zip(ids, ranked.scores.tolist(), strict=True)) == expected


def rank(
    index: Generation, query: Any, own: Floats | None, matches: LexicalMatches | None = None, **options: Any
) -> Ranked:
    """The answer to one query, the same from both devices; by its cosine alone without `matches`."""
    embeddings, asked = unit(np.array([query], np.float32)), [QueryOptions(**options)]
    found = [matches] if matches else []
    (on_cpu,) = CpuScorer(index).rank(embeddings, asked, found, Layers.of([own]))
    (on_cuda,) = CudaScorer(index, "cpu").rank(embeddings, asked, found, Layers.of([own]))
    assert (hits(index, on_cpu), on_cpu.null) == (hits(index, on_cuda), on_cuda.null)
    return on_cpu


TO_FIRST = np.array([0, 0, 0, 0.15, -0.1, 0], np.float32)  # from service 20 to service 10


@pytest.fixture
def index() -> Generation:
    """Services 10 and 20 along two axes, with a null phrase along the third."""
    plain = generation(np.array([[1, 0, 0], [0, 1, 0]], np.float32), [0, 1], [10, 20], [0.5, 0.5])
    return with_null(plain, np.array([[0, 0, 1]], np.float32), [0], margin=0.05, floor=0.6)


def test_a_layer_puts_first_what_its_owner_chooses(index: Generation) -> None:
    query = [0.69, 0.72, 0]
    assert index.ids_padded[rank(index, query, None).services].tolist() == [20, 10]
    assert index.ids_padded[rank(index, query, TO_FIRST).services].tolist() == [10, 20]


def test_a_query_that_is_out_of_scope_stays_unanswered_whatever_a_layer_adds(index: Generation) -> None:
    outside = [0.55, 0, 0.8]
    moved = apply(unit(np.array([outside], np.float32)), TO_FIRST[np.newaxis])
    assert float(moved[0, 0]) > 0.6  # by q' it would be above the floor
    refused = rank(index, outside, TO_FIRST)
    assert not len(refused.services)
    assert refused.null == rank(index, outside, None).null
    assert refused.null
    assert refused.null.refused_by == "null"


def test_a_layer_brings_no_service_over_its_threshold_and_takes_none_below(index: Generation) -> None:
    query = [0.8, 0.45, 0.3]
    assert index.ids_padded[rank(index, query, None).services].tolist() == [10]
    assert index.ids_padded[rank(index, query, -TO_FIRST).services].tolist() == [10]
    both = [0.5001, 0.7, 0.05]
    assert len(rank(index, both, None).services) == len(rank(index, both, -TO_FIRST).services) == 2
    assert len(rank(index, both, -TO_FIRST, min_score=0.6).services) == 1


def test_what_a_person_has_taught_counts_where_the_query_begins_many_names(index: Generation) -> None:
    query, typed = [0.6, 0.6, 0], matches_of({0: 0.9, 1: 0.95})
    assert index.ids_padded[rank(index, query, None, typed).services].tolist() == [20, 10]
    answer = rank(index, query, TO_FIRST, typed)
    assert index.ids_padded[answer.services].tolist() == [10, 20]
    assert answer.scores.max() <= 1


@pytest.mark.parametrize("completion", [0, INITIALS])
def test_a_sentence_says_what_is_meant_and_is_answered_the_same_for_everybody(
    index: Generation, completion: int
) -> None:
    query = [0.69, 0.72, 0]
    for matches in (NO_MATCHES, matches_of({0: 0.2, 1: 0.2}, completion)):
        mine, plain = (rank(index, query, own, matches) for own in (TO_FIRST, None))
        assert hits(index, mine) == hits(index, plain)
        assert mine.null == plain.null
    assert hits(index, rank(index, query, TO_FIRST, matches_of({0: 0.2}))) != hits(index, rank(index, query, None))


@pytest.mark.parametrize("seed", range(3))
def test_a_layer_of_zeros_is_no_layer_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = random_generation(rng, 900, 120, closeness=4)
    queries = random_queries(rng, 6, index, 4)
    zero = parse_layer(packed(np.zeros(2 * index.dimension, np.float32)), index.dimension, ENCODER)
    minus = parse_layer(packed(np.full(2 * index.dimension, -0.0, np.float32)), index.dimension, ENCODER)
    assert zero is None
    assert minus is None
    for scorer in (CpuScorer(index), CudaScorer(index, "cpu")):
        with_zero = scorer.rank(queries, [QueryOptions()] * 6, (), Layers.of([zero] * 6))
        for mine, other in zip(with_zero, scorer.rank(queries, [QueryOptions()] * 6), strict=True):
            for part in ("services", "rows", "scores", "dense", "lexical"):
                np.testing.assert_array_equal(getattr(mine, part), getattr(other, part))


def test_the_most_that_a_layer_can_do_leaves_a_query_within_30_degrees() -> None:
    rng = np.random.default_rng(0)
    queries = unit(rng.normal(size=(500, 8)).astype(np.float32))
    for query in queries:
        signs = np.where(rng.random(8) < 0.5, SCALE, -SCALE)
        scaled = query * (1 + signs)
        away = -query + (query @ scaled) / (scaled @ scaled) * scaled  # at right angles, on the other side
        shift = SHIFT * away / max(float(np.linalg.norm(away)), 1e-9)
        moved = apply(query[np.newaxis], np.append(signs, shift).astype(np.float32)[np.newaxis])[0]
        assert np.isfinite(moved).all()
        assert float(moved @ query) >= np.cos(np.radians(30)) - 1e-6
        assert float(np.linalg.norm(moved)) == pytest.approx(1, abs=1e-6)


def test_a_layer_is_read_from_bytes_and_from_base64_and_an_empty_text_is_none() -> None:
    vector = layer(np.random.default_rng(1), 8)
    for raw in (packed(vector), base64.b64encode(packed(vector)), packed(vector, "0" * 64)):
        found = parse_layer(raw, 8, ENCODER)
        assert found is not None
        np.testing.assert_array_equal(found, vector)
    assert parse_layer(b"", 8, ENCODER) is None


def _broken(**values: float) -> Floats:
    vector = np.zeros(16, np.float32)
    for place, value in values.items():
        vector[int(place[1:])] = value
    return vector


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"\0", "personal is 1 bytes without the header of a layer: send PersonalLayer.to_bytes()"),
        (b"MGPL", "personal is 4 bytes without the header of a layer: send PersonalLayer.to_bytes()"),
        (b"TUdQ!", "personal is not Base64: "),
        (packed(_broken(), version=2), "personal has version 2: this server reads 1"),
        (packed(_broken(), kind=1), "personal is of kind 1, an update for `feedback average`: a layer has 0"),
        (packed(np.zeros(12, np.float32)), "personal is of dimension 6: this index takes 8"),
        (packed(_broken(), dimension=2**32 - 1), "personal is of dimension 4294967295: this index takes 8"),
        (
            packed(_broken(), "7" * 64),
            f"personal is of encoder {'7' * 12}, the one that serves is {'5' * 12}: start a new",
        ),
        (packed(_broken())[:-1], "personal is 111 bytes long: a layer of dimension 8 has 112"),
        (packed(_broken()) + b"\0" * 10_000, "personal is 10112 bytes long: a layer of dimension 8 has 112"),
        (packed(_broken(p3=0.1))[:-4] + struct.pack("<f", 0.1), "personal is damaged: its checksum is not that"),
        (packed(_broken(p3=np.nan)), "personal holds NaN or an infinite number: all must be finite"),
        (packed(_broken(p15=-np.inf)), "personal holds NaN or an infinite number: all must be finite"),
        (packed(_broken(p7=-0.2502)), "personal scales a coordinate by 0.2502: it must be at most 0.25"),
        (packed(_broken(p8=0.2, p9=0.2)), "personal has a shift of length 0.2828: it must be at most 0.2"),
        (packed(_broken(p8=3e38)), "personal has a shift of length 3e+38: it must be at most 0.2"),
    ],
)
def test_a_bad_layer_is_refused_in_a_sentence(raw: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^personal ") as refused:
        parse_layer(raw, 8, ENCODER)
    assert str(refused.value).startswith(sentence)


def test_an_index_without_services_answers_a_layer_with_nothing() -> None:
    empty = generation(np.empty((0, 3), np.float32), [], [])
    queries, own = unit(np.ones((1, 3), np.float32)), Layers.of([TO_FIRST])
    for scorer in (CpuScorer(empty), CudaScorer(empty, "cpu")):
        assert not len(scorer.rank(queries, [QueryOptions()], (), own)[0].services)


def test_a_person_s_answer_does_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(9)
    index = dataclasses.replace(random_generation(rng, 1500, 200, closeness=4), encoder=ENCODER)
    queries = random_queries(rng, 32, index, 4)
    own = [layer(rng, index.dimension) if i % 3 else None for i in range(32)]
    options = [QueryOptions((1, 10, 300)[i % 3], (None, "RECO")[i % 2]) for i in range(32)]
    together = CpuScorer(index).rank(queries, options, (), Layers.of(own))
    for i in range(32):
        (alone,) = CpuScorer(index).rank(queries[i : i + 1], options[i : i + 1], (), Layers.of([own[i]]))
        assert hits(index, alone) == hits(index, together[i])
