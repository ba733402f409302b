"""Statistics and verdicts of whole predictions, and the rows that they become."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.export.rows import RowBuilder
from inference_core.finisher import Finisher
from inference_core.items import Prediction, RawItem
from inference_core.models.package import load_package
from inference_core.pipeline import build_finisher
from inference_core.predictor import Predictor
from inference_core.records import Placement, SourceFacts
from inference_core.spec import ModelSpec
from inference_core.stats.summary import Summary
from inference_core.validation import build_settings, plain_facts
from tests.drawn_images import png_bytes
from tests.specs import package_of
from tests.tiny_models import tiny_classifier, tiny_segmenter

ALWAYS = {"rules": [{"when": {"width": {"above": 0}}, "verdict": "review", "reason": "always"}]}
YOLOX = {"decoder": {"name": "yolox"}, "threshold": 0.25}


def predictor_of(package: Path, **facts: Any) -> tuple[Predictor, RowBuilder]:
    """A package with other facts on top."""
    plain = load_package(str(package))
    spec = build_settings(ModelSpec, {**plain_facts(plain.spec), **facts}, origin="test")
    return Predictor.load(replace(plain, spec=spec), device="cpu"), RowBuilder(spec, model_digest="")


def raw_item(raw: Mapping[str, Any]) -> RawItem:
    """What infer gives for an image of 4 x 4 pixels."""
    placement = Placement(
        image_hw=(4, 4), scaled_hw=(4, 4), canvas_hw=(4, 4), offset_yx=(0, 0), tile_hw=(4, 4), tile_origins_yx=((0, 0),)
    )
    return RawItem(source=SourceFacts(image_id="a", image_hw=(4, 4)), placement=placement, raw=raw)


def finisher_of(**facts: Any) -> tuple[Finisher, RowBuilder]:
    package = package_of(b"", facts)
    return build_finisher(package), RowBuilder(package.spec, model_digest="")


def row_of(builder: RowBuilder, prediction: Prediction) -> dict[str, Any]:
    """As it is read back."""
    rows: list[dict[str, Any]] = builder.table([builder.row(prediction, row_id=0)]).to_pylist()
    return rows[0]


def test_who_asks_for_nothing_gets_nothing(tmp_path: Path) -> None:
    predictor, builder = predictor_of(tiny_classifier(tmp_path))
    prediction = predictor.predict(png_bytes(0))
    assert (prediction.statistics, prediction.verdict, prediction.reasons, prediction.priority) == ({}, None, (), None)
    assert prediction.source.look is None
    assert not {"margin", "brightness", "verdict", "reasons", "priority"} & set(builder.schema.names)


def test_a_classification_is_measured_and_judged(tmp_path: Path) -> None:
    rules = [{"when": {"score": {"below": 0.999}, "brightness": {"above": 0.0}}, "verdict": "reject", "reason": "why"}]
    predictor, builder = predictor_of(tiny_classifier(tmp_path), statistics="full", quality={"rules": rules})
    prediction = predictor.predict(png_bytes(0))
    scores = prediction.result.scores  # type: ignore[union-attr]
    assert list(prediction.statistics) == ["margin", "brightness", "contrast", "sharpness"]
    assert prediction.statistics["margin"] == scores[0] - scores[1]
    assert (prediction.verdict, prediction.reasons) == ("reject", ("why",))
    row = row_of(builder, prediction)
    assert {name: row[name] for name in prediction.statistics} == prediction.statistics
    assert (row["verdict"], row["reasons"], row["priority"]) == ("reject", ["why"], pytest.approx(row["entropy"]))
    assert builder.schema.names.index("margin") == builder.schema.names.index("top_k") + 1
    assert builder.schema.names.index("verdict") < builder.schema.names.index("fetch_ms")


def test_bad_images_have_neither_numbers_nor_a_verdict(tmp_path: Path) -> None:
    predictor, builder = predictor_of(tiny_classifier(tmp_path), statistics="full", quality=ALWAYS)
    prediction = predictor.predict(b"no image")
    row = row_of(builder, prediction)
    assert prediction.verdict is None
    assert [row[name] for name in ("margin", "brightness", "verdict", "reasons", "priority")] == [None] * 5


def test_a_segmentation_is_measured(tmp_path: Path) -> None:
    predictor, builder = predictor_of(tiny_segmenter(tmp_path), statistics="full", quality=ALWAYS)
    prediction = predictor.predict(np.repeat(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8), 8, axis=0))
    row = row_of(builder, prediction)
    assert row["num_regions"] == 1  # red is the background
    assert row["coherence"] == pytest.approx(3 / 11)  # 14 equal pairs less 8 others, of 22
    assert row["score_p50"] == pytest.approx(row["score"], abs=0.01)
    assert row["boundary_uncertainty"] == pytest.approx(1 - row["score"], abs=0.01)
    assert row["interior_uncertainty"] is None  # two columns are all boundary
    assert (row["verdict"], row["reasons"]) == ("review", ["always"])


def test_an_uncertainty_that_is_declared_is_told_once(tmp_path: Path) -> None:
    predictor, builder = predictor_of(
        tiny_segmenter(tmp_path), statistics=["uncertainty", "boundary"], uncertainty={"measure": "entropy"}
    )
    prediction = predictor.predict(np.repeat(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8), 8, axis=0))
    assert builder.schema.names.count("uncertainty") == 1
    assert list(prediction.statistics) == ["boundary_uncertainty", "interior_uncertainty"]
    row = row_of(builder, prediction)
    assert row["boundary_uncertainty"] == pytest.approx(row["uncertainty"], abs=1e-6)


@pytest.mark.parametrize("name", ["uncertainty", "uncertain_frac"])
def test_rules_ask_for_the_uncertainty_that_is_declared(tmp_path: Path, name: str) -> None:
    image = np.repeat(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8), 8, axis=0)
    declared = {"uncertainty": {"measure": "entropy", "threshold": 0.01}}
    rules = [{"when": {name: {"above": 0.01}}, "verdict": "review"}]
    predictor, builder = predictor_of(tiny_segmenter(tmp_path), **declared, quality={"rules": rules})
    prediction = predictor.predict(image)
    row = row_of(builder, prediction)
    assert row[name] > 0.01
    assert prediction.verdict == "review"
    assert row["priority"] == row["uncertainty"]
    rules = [{"when": {name: {"below": row[name]}}, "verdict": "review"}]
    other, _ = predictor_of(tiny_segmenter(tmp_path / "2"), **declared, quality={"rules": rules})
    assert other.predict(image).verdict == "accept"


def test_labels_are_measured_by_all_classes_shown_or_not() -> None:
    finisher, builder = finisher_of(
        task="multilabel", output={"activation": "sigmoid", "top_k": 1}, statistics="full", quality=ALWAYS
    )
    scores = np.array([[0.875, 0.5, 0.25]], np.float32)
    prediction = finisher.finish(raw_item({"class_ids": np.array([[2, 0, 1]], np.int32), "scores": scores}))
    expected = -(scores * np.log2(scores) + (1 - scores) * np.log2(1 - scores)).mean()
    assert prediction.statistics["margin"] == 0.0
    assert prediction.statistics["entropy"] == pytest.approx(expected, abs=1e-6)
    assert prediction.priority == pytest.approx(expected, abs=1e-6)
    assert prediction.statistics["brightness"] is None  # nothing was decoded here
    assert row_of(builder, prediction)["entropy"] == prediction.statistics["entropy"]


def test_labels_without_statistics_have_the_same_priority() -> None:
    facts = {"task": "multilabel", "output": {"activation": "sigmoid"}, "quality": ALWAYS}
    raw = {"class_ids": np.array([[0, 1, 2]], np.int32), "scores": np.array([[0.5, 0.5, 0.5]], np.float32)}
    prediction = finisher_of(**facts)[0].finish(raw_item(raw))
    assert (prediction.statistics, prediction.priority) == ({}, 1.0)


@pytest.mark.parametrize("count", [0, 2])
def test_objects_are_measured(count: int) -> None:
    quality = {"rules": [{"when": {"num_objects": {"below": 1}}, "verdict": "review", "reason": "empty"}]}
    finisher, builder = finisher_of(task="detection", output=YOLOX, statistics="full", quality=quality)
    raw = {
        "boxes_xyxy": np.array([[[0, 0, 2, 2], [1, 1, 4, 4]]], np.float32),
        "scores": np.array([[0.75, 0.25]], np.float32),
        "class_ids": np.array([[0, 1]], np.int32),
        "num_boxes": np.array([count], np.int32),
    }
    prediction = finisher.finish(raw_item(raw))
    row = row_of(builder, prediction)
    names = ("score_mean", "score_min", "score_spread", "near_threshold_frac", "verdict", "reasons", "priority")
    expected: list[Any] = [0.5, 0.25, 0.25, 0.5, "accept", [], 0.5]
    assert [row[name] for name in names] == (expected if count else [None] * 4 + ["review", ["empty"], 0.0])


def test_an_embedding_can_be_judged_by_its_length() -> None:
    quality = {"rules": [{"when": {"norm": {"below": 1}}, "verdict": "reject"}]}
    finisher, _ = finisher_of(task="embedding", classes=None, quality=quality)
    prediction = finisher.finish(raw_item({"vector": np.ones((1, 2), np.float32), "norm": np.array([0.5])}))
    assert (prediction.verdict, prediction.reasons, prediction.priority) == ("reject", ("norm below 1",), 0.0)


def test_a_set_of_several_classes_can_be_a_reason(tmp_path: Path) -> None:
    quality = {"rules": [{"when": {"set_size": {"above": 1}}, "verdict": "review", "reason": "several classes"}]}
    predictor, _ = predictor_of(tiny_classifier(tmp_path), conformal={"quantile": 0.9999}, quality=quality)
    assert predictor.predict(png_bytes(0)).reasons == ("several classes",)


def test_views_that_disagree_can_be_a_reason(tmp_path: Path) -> None:
    quality = {"rules": [{"when": {"disagreement": {"below": 0.5}}, "verdict": "review", "reason": "views agree"}]}
    predictor, _ = predictor_of(tiny_classifier(tmp_path), tta=["hflip"], quality=quality)
    prediction = predictor.predict(png_bytes(0))
    assert prediction.reasons == ("views agree",)  # the model takes a mean over all pixels: a flip changes nothing


def test_predictions_travel_between_processes(tmp_path: Path) -> None:
    predictor, _ = predictor_of(tiny_classifier(tmp_path), statistics="full", quality=ALWAYS)
    prediction = predictor.predict(png_bytes(0))
    again = pickle.loads(pickle.dumps(prediction))
    assert (again.statistics, again.verdict, again.reasons) == (prediction.statistics, "review", ("always",))


def test_rows_of_a_run_are_summed_up(tmp_path: Path) -> None:
    predictor, builder = predictor_of(tiny_classifier(tmp_path), statistics="full", quality=ALWAYS)
    images = [png_bytes(index) for index in range(5)] + [b"no image"]
    predictions = predictor.predict_batch(images)
    table = builder.table([builder.row(one, row_id=index) for index, one in enumerate(predictions)])
    quality = Summary.of(table, task="classification", class_names=["red", "green", "blue"], review_size=3).quality
    assert quality.verdicts == {"accept": 0, "review": 5, "reject": 0}
    assert quality.reasons == {"always": 5}
    assert quality.quantities["margin"].count == 5
    assert quality.quantities["brightness"].mean == pytest.approx(
        np.mean([one.statistics["brightness"] for one in predictions if one.is_ok])
    )
    by_priority = sorted(
        (one for one in predictions if one.is_ok), key=lambda one: (-(one.priority or 0), one.source.image_id)
    )
    assert [image.image_id for image in quality.queue] == [one.source.image_id for one in by_priority[:3]]
