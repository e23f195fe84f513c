"""An index embedded by one onnxruntime and searched through another, as in containers, finds the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from malgil_core.catalog import reading
from malgil_core.encoder import EncoderMetadata
from malgil_core.text.tokenization import Tokenization

from export.catalog import embedding
from export.encoder import existing
from tests.conftest import CATALOG
from training.evaluation.corpus import Corpus, Entry

pytestmark = pytest.mark.slow


def test_every_phrase_finds_its_service_with_full_score_though_another_runtime_rounds_otherwise(
    repository: Path,
) -> None:
    """Without graph optimisations, onnxruntime runs other kernels, as another version of it does."""
    assert existing.why_missing(repository) is None
    services = [service for service in reading.read(CATALOG) if service.open]
    phrases = [text for service in services for text in service.texts]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(repository / "encoder/1/model.onnx"), options)
    ids = Tokenization.load(repository / "tokenizer/1").encode(phrases, ["query"] * len(phrases))
    parts = [ids[at : at + embedding.BATCH] for at in range(0, len(ids), embedding.BATCH)]
    queries = np.concatenate(
        [
            session.run(None, {
                "input_ids": np.concatenate(part),
                "lengths": np.array([[len(item)] for item in part], dtype=np.int32),
            })[0]
            for part in parts
        ]
    )  # fmt: skip
    corpus = Corpus([Entry(service.id, service.texts) for service in services], embedding.offline(repository))
    if EncoderMetadata.of(repository).precision == "int8":
        cosines = (corpus.matrix * queries).sum(axis=1)
        assert 0.99 < cosines.min() < 0.9995  # there is something to forgive
        assert cosines.mean() > embedding.SAME
    ranked = corpus.malgil(queries, phrases)
    expected = [service.id for service in services for _ in service.texts]
    assert [ids[0] for ids in corpus.ids(ranked)] == expected
    assert min(float(one.scores[0]) for one in ranked) > 0.999
