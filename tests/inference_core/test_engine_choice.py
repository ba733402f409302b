from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core import engine_choice
from inference_core.agreement import disagreement, largest_difference, unshared_frac
from inference_core.engine_choice import Trial, choose_engine
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from inference_core.records import Classification, Detection, Prediction, PreparedItem, Segmentation, SourceFacts
from tests.drawn_images import png_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter

pytest.importorskip("openvino", reason="the extra openvino is not installed")


def prepared(package: ModelPackage, count: int) -> list[PreparedItem]:
    preparer = build_preparer(package)
    return [preparer.prepare(png_bytes(index), image_id=str(index)) for index in range(count)]


@pytest.mark.parametrize("build", [tiny_classifier, tiny_segmenter], ids=["classifier", "segmenter"])
def test_all_candidates_are_measured_and_compared(tmp_path: Path, build: Any) -> None:
    package = load_package(str(build(tmp_path)))
    choice = choose_engine(package, prepared(package, 5), device="cpu", precision="fp32", batch_size=2)
    assert [str(one) for one in choice.table] == ["onnxruntime fp32", "openvino fp32"]
    for one in choice.table:
        assert one.images_per_s > 0
        assert one.max_difference is not None
        assert one.max_difference < 1e-4
        assert (one.flips_frac, one.is_finite, one.refusal) == (0.0, True, "")


def test_a_candidate_that_does_not_run_says_why_and_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    candidates = (("onnxruntime", "fp32"), ("openvino", "fp16"))
    monkeypatch.setattr(engine_choice, "list_candidates", lambda *_, **__: candidates)
    choice = choose_engine(package, prepared(package, 2), device="cpu", batch_size=2)
    assert choice.engine == "onnxruntime"
    assert choice.table[1].refusal.startswith("precision: must be fp32, bf16 or auto on the CPU")


def test_bad_images_are_left_out_and_none_at_all_is_refused(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    bad = build_preparer(package).prepare(b"no image", image_id="bad")
    assert choose_engine(package, [bad, *prepared(package, 1)], device="cpu", batch_size=2).table[0].images_per_s > 0
    for items in ([], [bad]):
        with pytest.raises(ConfigError, match="engine: must be named where no image of the sample can be read"):
            choose_engine(package, items, device="cpu", batch_size=2)


@pytest.mark.parametrize(("max_round_s", "expected"), [(1e-9, 2), (1e9, 5)], ids=["slow-model", "fast-model"])
def test_a_slow_model_is_measured_on_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_round_s: float, expected: int
) -> None:
    monkeypatch.setattr(engine_choice, "MAX_ROUND_S", max_round_s)
    package = load_package(str(tiny_classifier(tmp_path)))
    trial = Trial(package, prepared(package, 5), device="cpu", batch_size=2, num_threads=1)
    trial.measure_reference("onnxruntime", "fp32")
    assert trial.num_images == expected


ONE, TWO = np.float32([[1, 2]]), np.float32([[1, 2.5]])


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        pytest.param({}, {}, 0.0, id="none"),
        pytest.param({"a": ONE}, {"b": ONE}, 0.0, id="other-name"),
        pytest.param({"a": ONE}, {"a": TWO}, 0.5, id="values"),
        pytest.param({"a": ONE, "b": ONE}, {"a": ONE, "b": TWO}, 0.5, id="second"),
        pytest.param({"a": ONE}, {"a": ONE[:, :1]}, None, id="shape"),
        pytest.param({"a": ONE}, {}, None, id="missing"),
        pytest.param({"a": ONE}, {"a": ONE * np.float32("nan")}, None, id="nan"),
        pytest.param({"a": ONE}, {"a": ONE * np.float32("inf")}, None, id="inf"),
    ],
)
def test_the_largest_difference(expected: Any, found: Any, difference: float | None) -> None:
    assert largest_difference(expected, found) == difference


def answer(result: Any) -> Prediction:
    status = "ok" if result is not None else "infer_error"
    return Prediction(source=SourceFacts(image_id="a"), status=status, error="" if result else "x", result=result)


def label(*class_ids: int) -> Prediction:
    scores = np.linspace(1, 0, len(class_ids), dtype=np.float32)
    labels = tuple(map(str, class_ids))
    return answer(Classification(class_ids=np.int32(class_ids), scores=scores, labels=labels, entropy=0.5))


def mask(*values: int) -> Prediction:
    pixels = np.uint8([values])
    zeros = np.zeros(9)
    return answer(
        Segmentation(
            mask=pixels,
            scores=pixels,
            class_pixels=zeros.astype(np.int64),
            class_scores=zeros.astype(np.float32),
            labels=tuple("abcdefghi"),
        )
    )


def objects(*class_ids: int) -> Prediction:
    count = len(class_ids)
    return answer(
        Detection(
            boxes_xyxy=np.tile(np.float32([0, 0, 1, 1]), (count, 1)),
            scores=np.ones(count, np.float32),
            class_ids=np.array(class_ids, np.int32),
            labels=tuple(map(str, class_ids)),
        )
    )


@pytest.mark.parametrize(
    ("expected", "found", "share"),
    [
        pytest.param(label(1, 2), label(1, 3), 0.0, id="same-label"),
        pytest.param(label(1, 2), label(2, 1), 1.0, id="other-label"),
        pytest.param(mask(0, 1, 2, 3), mask(0, 1, 2, 3), 0.0, id="same-mask"),
        pytest.param(mask(0, 1, 2, 3), mask(0, 1, 2, 4), 0.25, id="one-pixel-of-four"),
        pytest.param(objects(), objects(), 0.0, id="no-objects"),
        pytest.param(objects(1, 1, 2), objects(2, 1, 1), 0.0, id="same-objects"),
        pytest.param(objects(1, 1, 2), objects(1, 2), 1 / 3, id="one-object-less"),
        pytest.param(label(1), answer(None), 1.0, id="failed"),
        pytest.param(answer(None), answer(None), 0.0, id="both-failed"),
    ],
)
def test_how_far_two_answers_differ(expected: Prediction, found: Prediction, share: float) -> None:
    assert disagreement(expected, found) == pytest.approx(share)
    assert disagreement(found, expected) == pytest.approx(share)


def test_nothing_shared_is_all_unshared() -> None:
    assert unshared_frac(Counter([1]), Counter([2])) == 1.0
