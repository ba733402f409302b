from __future__ import annotations

from typing import Any

import pytest

from inference_core.items import Prediction
from inference_core.records import SourceFacts
from serve.answers import Answer
from serve.metrics.metered_backend import count_answer
from serve.metrics.names import CACHE_HITS, REASONS, SCORE, VERDICTS
from serve.metrics.tally import Snapshot, Tally


def counted(*answers: Answer) -> Snapshot:
    tally = Tally()
    for answer in answers:
        count_answer(tally, answer)
    return tally.snapshot("a")


def graded(*reasons: str, score: float | None = 0.5, is_cached: bool = False, **facts: Any) -> Answer:
    prediction = Prediction(source=SourceFacts(image_id="0"), status="ok", reasons=reasons, **facts)
    row = {"status": "ok", "score": score}
    return Answer(prediction=prediction, row=row, model="m", model_digest="d", was_cached=is_cached)


def test_verdicts_and_their_reasons_are_counted_from_memory_too() -> None:
    found = counted(
        graded(verdict="accept"),
        graded("dark", "unsure", verdict="reject"),
        graded("unsure", verdict="review", is_cached=True),
    ).values
    assert found[VERDICTS.name] == {("m", "accept"): 1, ("m", "reject"): 1, ("m", "review"): 1}
    assert found[REASONS.name] == {("m", "dark"): 1, ("m", "unsure"): 2}
    assert found[CACHE_HITS.name] == {("m",): 1}


def test_a_model_without_rules_has_no_verdicts() -> None:
    assert not {VERDICTS.name, REASONS.name} & counted(graded()).values.keys()


@pytest.mark.parametrize(
    ("score", "bucket"), [(0.0, 0), (0.05, 0), (0.0501, 1), (0.999, 19), (1.0, 19), (None, None)], ids=str
)
def test_scores_fall_into_twenty_buckets(score: float | None, bucket: int | None) -> None:
    found = counted(graded(score=score)).histograms.get(SCORE.name, {})
    assert [values.counts.index(1) for values in found.values()] == ([] if bucket is None else [bucket])
    assert all(len(values.counts) == 21 and values.total == score for values in found.values())
