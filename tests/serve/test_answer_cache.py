from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.items import Prediction
from inference_core.records import SourceFacts
from inference_core.results import Detection, InstanceMask, Segmentation
from inference_core.status import Status
from serve.answer_cache import BASE_BYTES, AnswerCache, relabelled, size_of
from serve.answers import Answer, PredictRequest


def answer(*, side_px: int = 0, status: Status = "ok") -> Answer:
    result = None
    if side_px:
        plane = np.zeros((side_px, side_px), np.uint8)
        result = Segmentation(
            mask=plane,
            scores=plane,
            class_pixels=np.zeros(2, np.int64),
            class_scores=np.zeros(2, np.float32),
            labels=("a", "b"),
        )
    prediction = Prediction(source=SourceFacts(image_id="first", uri="here"), status=status, result=result)
    row: dict[str, Any] = {"image_id": "first", "uri": "here", "status": status}
    return Answer(prediction=prediction, row=row, model="m", model_digest="d")


def test_gives_back_what_was_put() -> None:
    cache, kept = AnswerCache(1 << 20), answer()
    assert cache.get("a") is None
    cache.put("a", kept)
    assert cache.get("a") is kept
    assert (cache.num_hits, cache.num_misses) == (1, 1)


def test_never_holds_more_bytes_than_allowed_and_forgets_what_was_wanted_longest_ago() -> None:
    size = size_of(answer(side_px=64))
    cache = AnswerCache(5 * size)
    for key in "abcde":
        cache.put(key, answer(side_px=64))
    cache.get("a")
    cache.put("f", answer(side_px=64))
    assert [key for key in "abcdef" if cache.get(key)] == ["a", "c", "d", "e", "f"]
    assert cache.num_bytes == 5 * size


def test_an_answer_too_large_is_not_kept() -> None:
    cache = AnswerCache(64 * 1024)
    cache.put("large", answer(side_px=512))
    assert cache.get("large") is None
    assert cache.num_bytes == 0


def test_without_memory_nothing_is_kept() -> None:
    cache = AnswerCache(0)
    cache.put("a", answer())
    assert cache.get("a") is None


@pytest.mark.parametrize(
    ("status", "is_kept"),
    [("ok", True), ("decode_error", True), ("too_large", True), ("unsupported", True), ("oom", False),
     ("infer_error", False), ("crashed", False), ("fetch_error", False)],
)  # fmt: skip
def test_only_what_the_same_bytes_lead_to_again_is_kept(status: Status, is_kept: bool) -> None:
    cache = AnswerCache(1 << 20)
    cache.put("a", answer(status=status))
    assert (cache.get("a") is not None) is is_kept


def test_putting_a_key_again_counts_once() -> None:
    cache = AnswerCache(1 << 20)
    cache.put("a", answer())
    cache.put("a", answer())
    assert cache.num_bytes == size_of(answer())
    assert len(cache) == 1


def test_size_counts_arrays_and_run_lengths() -> None:
    assert size_of(answer(side_px=100)) == BASE_BYTES + 2 * 100 * 100 + 2 * 8 + 2 * 4
    masks = (InstanceMask(size_hw=(9, 9), counts="x" * 1000, area_px=3),)
    boxes = Detection(
        boxes_xyxy=np.zeros((1, 4), np.float32),
        scores=np.zeros(1, np.float32),
        class_ids=np.zeros(1, np.int32),
        labels=("a",),
        masks=masks,
    )
    prediction = Prediction(source=SourceFacts(image_id=""), status="ok", result=boxes)
    assert size_of(Answer(prediction=prediction, row={}, model="", model_digest="")) == BASE_BYTES + 16 + 4 + 4 + 2000


def test_another_request_gets_the_answer_under_its_own_names() -> None:
    own = relabelled(answer(), PredictRequest(model="m", image=b"", image_id="second", uri="there"))
    assert (own.prediction.source.image_id, own.row["image_id"]) == ("second", "second")
    assert (own.prediction.source.uri, own.row["uri"]) == ("there", "there")
    assert own.was_cached
