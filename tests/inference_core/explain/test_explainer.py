from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from inference_core.errors import ConfigError, DecodeError, TooLargeError, UnsupportedError
from inference_core.explain.explainer import Explainer
from inference_core.explain.explanation import Explanation, Method
from inference_core.images import Limits
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.records import Uint8Array
from inference_core.results import Detection
from tests.explained_nets import explained_package
from tests.tiny_models import tiny_classifier, tiny_segmenter

METHODS = get_args(Method)


@pytest.fixture
def lamp() -> Uint8Array:
    """A bright square on a dark ground."""
    pixels = np.random.default_rng(2).integers(20, 60, (48, 48, 3), np.uint8)
    pixels[24:36, 12:24] = 250
    return pixels


KINDS: dict[str, dict[str, Any]] = {
    "deep": {},
    "planes": {},
    "cells": {},
    "several labels": {"task": "multilabel", "output": {"activation": "sigmoid"}},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_all_tasks_by_all_methods_twice_the_same(kind: str, method: str, lamp: Uint8Array, tmp_path: Path) -> None:
    package = explained_package(tmp_path, kind if kind in ("planes", "cells") else "deep", **KINDS[kind])
    first, again = (Explainer(package).explain(lamp, method=method) for _ in range(2))
    assert first.heatmap.shape == (48, 48)
    assert np.isfinite(first.heatmap).all()
    assert first.heatmap.any()
    np.testing.assert_array_equal(first.heatmap, again.heatmap)
    assert first.facts() == again.facts()
    assert first.method == method
    assert 0 <= first.score <= 1
    if method in ("gradcam", "saliency"):
        assert first.heatmap.min() >= 0


def test_the_class_and_the_score_are_those_of_the_answer(lamp: Uint8Array, tmp_path: Path) -> None:
    predictor = Predictor.load(explained_package(tmp_path, "deep"), device="cpu")
    result: Any = predictor.predict(lamp).result
    for rank in (0, 2):
        explanation = predictor.explain(lamp, class_name=result.labels[rank] if rank else "")
        assert explanation.class_id == result.class_ids[rank]
        assert explanation.score == pytest.approx(result.scores[rank], abs=1e-6)


@pytest.mark.parametrize("method", ["gradcam", "saliency", "occlusion"])
def test_an_object_is_explained_by_where_it_is(method: str, lamp: Uint8Array, tmp_path: Path) -> None:
    predictor = Predictor.load(explained_package(tmp_path, "cells", side_px=48), device="cpu")
    result = predictor.predict(lamp).result
    assert isinstance(result, Detection)
    index = int(np.flatnonzero(result.class_ids == 0)[-1])
    explanation = predictor.explain(lamp, method=method, object_index=index)
    assert explanation.box_xyxy == pytest.approx(result.boxes_xyxy[index].tolist())
    left, top, right, bottom = (round(side) for side in explanation.box_xyxy or ())
    peak_y, peak_x = np.unravel_index(np.abs(explanation.heatmap).argmax(), (48, 48))
    assert top - 4 <= peak_y < bottom + 4
    assert left - 4 <= peak_x < right + 4


def test_the_best_object_of_a_class(lamp: Uint8Array, tmp_path: Path) -> None:
    explainer = Explainer(explained_package(tmp_path, "cells"))
    assert explainer.explain(lamp, class_name="lamp").label == "lamp"
    with pytest.raises(UnsupportedError, match="must show an object of class 'hole' to be explained, got none"):
        explainer.explain(lamp, class_name="hole")
    with pytest.raises(UnsupportedError, match=r"object must be the number, from 0, .* got 99; choose another"):
        explainer.explain(lamp, object_index=99)


def test_a_class_that_the_mask_does_not_hold(tmp_path: Path) -> None:
    explainer = Explainer(load_package(str(tiny_segmenter(tmp_path))))
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = 200
    red[4:8, 4:8] = (0, 200, 0)
    # Red is class 0, the background: green is the largest other class.
    assert explainer.explain(red).label == "green"
    with pytest.raises(UnsupportedError, match="predicted mask, which holds red, green; got 'blue'; choose one"):
        explainer.explain(red, class_name="blue")


def test_a_mask_of_class_ids_is_explained_by_the_pixels_that_stay(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    from tests.tiny_models import save_graph, tiny_spec, write_package

    matrix = numpy_helper.from_array((4 * np.eye(3)).astype(np.float32)[:, :, None, None], "matrix")
    nodes = [
        helper.make_node("Conv", ["image", "matrix"], ["planes"]),
        helper.make_node("ArgMax", ["planes"], ["ids"], axis=1, keepdims=0),
        helper.make_node("Cast", ["ids"], ["found"], to=TensorProto.INT64),
    ]
    path, shape = tmp_path / "tiny.onnx", ["batch", 3, "height", "width"]
    save_graph(path, nodes, [matrix], shape=shape, output=("found", ["batch", "height", "width"]))
    import onnx

    graph = onnx.load(path)
    graph.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(graph, path)
    package = load_package(str(write_package(tmp_path, tiny_spec("segmentation", {"fit": "native", "multiple_px": 8}))))
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[..., 0] = 200
    pixels[4:8, 4:8] = (0, 200, 0)
    explanation = Explainer(package).explain(pixels)
    assert (explanation.label, explanation.value) == ("green", 16.0)
    assert explanation.heatmap[5, 5] > 0
    assert explanation.heatmap[12:, 12:].max() == 0


@pytest.mark.parametrize("method", ["gradcam", "saliency", "integrated_gradients"])
def test_a_graph_without_gradients_says_what_to_take(method: str, tmp_path: Path) -> None:
    explainer = Explainer(load_package(str(tiny_classifier(tmp_path))))
    message = (
        f"method: {method} needs a model that torch runs, for its gradients .* got format onnx; take method: "
        "occlusion, or a package of format state_dict"
    )
    with pytest.raises(ConfigError, match=message):
        explainer.check(method=method)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        pytest.param({"method": "gradcm"}, r"method: must be auto or one of gradcam, .* got 'gradcm'", id="method"),
        pytest.param({"class_name": "bb"}, r"class: must be one of the model's 4 classes, got 'bb'; did", id="class"),
        pytest.param({"class_name": "zebra"}, r"got 'zebra'; classes: a, b, c, d", id="class unlike any"),
        pytest.param({"method": "occlusion", "layer": "stem"}, r"layer: must go with method gradcam", id="layer"),
        pytest.param({"object_index": 0}, r"object: must go with task detection, got classification", id="object"),
    ],
)
def test_wishes_that_make_no_sense(wish: dict[str, Any], message: str, lamp: Uint8Array, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        Explainer(explained_package(tmp_path, "deep")).explain(lamp, **wish)


def test_a_part_of_a_class_name_is_told_the_whole(tmp_path: Path) -> None:
    names = ["n02391049 zebra", "n01440764 tench", "c", "d"]
    with pytest.raises(ConfigError, match="got 'Zebra'; did you mean n02391049 zebra"):
        Explainer(explained_package(tmp_path, "deep", classes=names)).check(class_name="Zebra")


def test_an_embedding_has_no_class_to_explain(tmp_path: Path) -> None:
    package = explained_package(tmp_path, "deep", task="embedding", classes=[])
    with pytest.raises(ConfigError, match=r"task: must be classification, .* got embedding, which names no class"):
        Explainer(package)


def test_bad_images_raise_what_they_are(tmp_path: Path) -> None:
    explainer = Explainer(explained_package(tmp_path, "deep"), limits=Limits(max_pixels=100))
    with pytest.raises(TooLargeError):
        explainer.explain(np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(DecodeError):
        explainer.explain(b"\xff\xd8\xff\xe0 not a whole file")


def test_an_image_of_too_many_tiles_is_refused(tmp_path: Path) -> None:
    fit = {"fit": "tile", "size_hw": [16, 16]}
    explainer = Explainer(explained_package(tmp_path, "planes", input=fit))
    assert explainer.explain(np.full((128, 128, 3), 99, np.uint8), method="saliency").heatmap.shape == (128, 128)
    with pytest.raises(TooLargeError, match="explained must be at most 64, got 81; explain a part of it"):
        explainer.explain(np.zeros((140, 140, 3), np.uint8))


def test_views_count_for_occlusion_alone(tmp_path: Path) -> None:
    pixels = np.full((32, 32, 3), 60, np.uint8)
    pixels[20:28, 20:28] = 250
    plain = Explainer(explained_package(tmp_path / "plain", "corner"))
    mirrored = Explainer(explained_package(tmp_path / "views", "corner", tta=["identity", "hflip"]))

    def left_and_right(explainer: Explainer, method: str) -> tuple[float, float]:
        heat = np.abs(explainer.explain(pixels, method=method, class_name="bright").heatmap)
        return float(heat[:, :12].max()), float(heat[:, 20:].max())

    assert left_and_right(plain, "occlusion")[0] == 0
    left, right = left_and_right(mirrored, "occlusion")
    assert left > 0.002
    assert right > left  # what is bright lies there
    assert left_and_right(plain, "saliency") == left_and_right(mirrored, "saliency")


def test_an_ensemble_is_explained_by_occlusion(lamp: Uint8Array, tmp_path: Path) -> None:
    explained_package(tmp_path / "one", "deep")
    explained_package(tmp_path / "two", "deep")
    facts = yaml.safe_load((tmp_path / "one" / "model.yaml").read_text())
    spec = {
        "name": "both",
        "task": "classification",
        "format": "ensemble",
        "classes": facts["classes"],
        "input": facts["input"],
        "ensemble": {"members": [{"package": str(tmp_path / name)} for name in ("one", "two")]},
    }
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "model.yaml").write_text(yaml.safe_dump(spec))
    explainer = Explainer(load_package(str(tmp_path / "both")))
    together = explainer.explain(lamp)
    alone = Explainer(load_package(str(tmp_path / "one"))).explain(lamp, method="occlusion")
    assert together.method == "occlusion"
    np.testing.assert_allclose(together.heatmap, alone.heatmap, atol=1e-4)  # merged scores are logits no more
    of_both, of_one = (
        one.explain(lamp, method="gradcam").heatmap
        for one in (explainer, Explainer(load_package(str(tmp_path / "one"))))
    )
    np.testing.assert_allclose(of_both, of_one / of_one.max(), atol=1e-6)  # the same twice, on a scale of its own


def test_an_absent_captum_names_the_extra(lamp: Uint8Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    explainer = Explainer(explained_package(tmp_path, "deep"))
    with pytest.raises(
        ConfigError, match=r"captum, which is not installed; pip install 'millrace\[explain\]', or take"
    ):
        explainer.explain(lamp, method="saliency")
    assert isinstance(explainer.explain(lamp, method="gradcam"), Explanation)


def test_a_predictor_explains_with_the_engine_that_it_has(lamp: Uint8Array, tmp_path: Path) -> None:
    predictor = Predictor.load(str(tiny_classifier(tmp_path)), device="cpu")
    explanation = predictor.explain(lamp, image_id="lamp")
    assert explanation.source.image_id == "lamp"
    assert (explanation.method, explanation.heatmap.shape) == ("occlusion", (48, 48))


def test_an_image_that_reaches_no_layer_changes_nothing_for_others(lamp: Uint8Array, tmp_path: Path) -> None:
    package = explained_package(tmp_path, "gated")
    alone, after = Explainer(package), Explainer(package)
    assert after.explain(np.zeros_like(lamp)).method == "occlusion"
    assert alone.explain(lamp).method == after.explain(lamp).method == "gradcam"
