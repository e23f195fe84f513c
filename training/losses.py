"""The losses of sentence-transformers by their names here."""

from __future__ import annotations

from typing import Any

from training.data.kinds import NLI_LABELS

LOSSES = {
    "softmax": "cross-entropy of a linear classifier over u, v and |u − v| (Sentence-BERT)",
    "triplet": "max(‖a − p‖ − ‖a − n‖ + margin, 0), Euclidean",
    "mnr": "multiple negatives ranking: cross-entropy over all positives and negatives of the batch",
    "cosent": "CoSENT: pairs ranked by their cosine as by their label",
}


def make(name: str, model: Any, margin: float, scale: float, chunk: int | None) -> Any:
    """A loss over a SentenceTransformer.

    Args:
        name: one of LOSSES.
        model: the SentenceTransformer.
        margin: of `triplet`.
        scale: of `mnr`: cosines are multiplied by it, 1 / temperature.
        chunk: rows embedded at a time by `mnr` with gradient caching (GradCache); None for all at once.
    """
    from sentence_transformers.sentence_transformer import losses

    if name == "softmax":
        return losses.SoftmaxLoss(model, model.get_embedding_dimension(), num_labels=len(NLI_LABELS))
    if name == "triplet":
        euclidean = losses.TripletDistanceMetric.EUCLIDEAN
        return losses.TripletLoss(model, distance_metric=euclidean, triplet_margin=margin)
    if name == "cosent":
        return losses.CoSENTLoss(model)
    if chunk is None:
        return losses.MultipleNegativesRankingLoss(model, scale=scale)
    return losses.CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=chunk)
