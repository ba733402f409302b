from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.export.rows import RowBuilder
from inference_core.prepare import plan_fit
from inference_core.results import Segmentation
from inference_core.tasks.build import build_task
from inference_core.tasks.enhanced import EnhancedTask, step_names, summarise_pixels
from tests.specs import model_spec

SEGMENTATION = {
    "task": "segmentation",
    "classes": ["back", "front"],
    "output": {"activation": "sigmoid"},
    "input": {"fit": "tile", "size_hw": [8, 8], "overlap_px": 4},
}
DETECTION = {"task": "detection", "output": {"decoder": {"name": "yolov8"}}}
MULTILABEL = {"task": "multilabel", "output": {"activation": "sigmoid"}}
ENSEMBLE = {"format": "ensemble", "weights": None, "ensemble": {"members": [{"package": "a"}, {"package": "b"}]}}
SPREAD = ["mutual_information", "score_std"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        pytest.param({}, [], id="one forward"),
        pytest.param({"tta": ["identity"]}, [], id="one view"),
        pytest.param({"tta": ["hflip"]}, [*SPREAD, "gains"], id="views"),
        pytest.param(
            {"format": "timm", "architecture": {"name": "a"}, "dropout": {"samples": 2}}, SPREAD, id="samples"
        ),
        pytest.param(ENSEMBLE, [*SPREAD, "gains"], id="members"),
        pytest.param(
            {"tta": ["hflip"], "conformal": {"quantile": 0.5}}, ["prediction_set", *SPREAD, "gains"], id="sets"
        ),
        pytest.param({**MULTILABEL, "tta": ["hflip"]}, [*SPREAD, "gains"], id="multi-label"),
        pytest.param({**DETECTION, "tta": ["hflip"]}, ["gains"], id="boxes"),
        pytest.param({**SEGMENTATION, "tta": ["hflip"]}, ["gains"], id="masks"),
        pytest.param(
            {**SEGMENTATION, "uncertainty": {}}, ["uncertainty", "uncertain_frac"], id="pixels of one forward"
        ),
        pytest.param(
            {**SEGMENTATION, "tta": ["hflip"], "uncertainty": {}},
            ["uncertainty", "uncertain_frac", "gains"],
            id="pixels",
        ),
        pytest.param({"task": "embedding", "classes": None, "tta": ["hflip"]}, [], id="embedding"),
    ],
)
def test_columns_that_a_package_adds(spec: dict[str, Any], told: list[str]) -> None:
    plain = {key: value for key, value in spec.items() if key in ("task", "classes", "output", "input")}
    before = [field.name for field in build_task(model_spec(plain)).result_fields]
    assert [field.name for field in build_task(model_spec(spec)).result_fields] == [*before, *told]
    assert set(told) <= set(RowBuilder(model_spec(spec), model_digest="").schema.names)


def test_one_forward_has_the_plain_task() -> None:
    assert not isinstance(build_task(model_spec()), EnhancedTask)


def test_tiles_of_an_image_are_joined_and_averaged() -> None:
    task = build_task(model_spec({**SEGMENTATION, "tta": ["hflip"], "uncertainty": {"threshold": 0.5}}))
    placement = plan_fit((8, 12), fit="tile", size_hw=(8, 8), overlap_px=4)
    assert placement.num_tiles == 2
    raw = {
        "foreground": np.zeros((2, 8, 8), np.uint8),
        "uncertainty": np.full((2, 8, 8), 255, np.uint8) * np.array([[[0]], [[1]]], np.uint8),
        "gain_changed": np.float32([[0.0], [0.5]]),
        "gain_shift": np.float32([[0.1], [0.3]]),
    }
    result = task.finish(raw, placement)
    assert isinstance(result, Segmentation)
    assert result.spread is not None
    assert result.spread.pixels is not None
    assert result.spread.pixels.shape == (8, 12)
    assert (result.spread.pixels[:, :4] == 0).all()
    assert (result.spread.pixels[:, 8:] == 255).all()
    assert (np.diff(result.spread.pixels[0].astype(int)) >= 0).all(), "blended in between"
    row = task.to_row(result)
    assert row["gains"] == [{"name": "hflip", "changed_frac": 0.25, "score_shift": pytest.approx(0.2)}]
    assert row["uncertainty"] == pytest.approx(0.5, abs=0.01)
    assert row["uncertain_frac"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "least", "expected"),
    [
        pytest.param([0], 0.5, (0.0, 0.0), id="one certain pixel"),
        pytest.param([255], 1.0, (1.0, 1.0), id="one uncertain pixel"),
        pytest.param([127, 128], 0.5, (0.5, 0.5), id="the threshold is met to 1/255"),
        pytest.param([0, 0, 255, 51], 0.2, (0.3, 0.5), id="a share that is met exactly"),
        pytest.param([0, 0], 0.0, (0.0, 1.0), id="a threshold of nothing"),
    ],
)
def test_pixels_are_summed_up_exactly(values: list[int], least: float, expected: tuple[float, float]) -> None:
    found = summarise_pixels(np.array([values], np.uint8), least=least)
    assert tuple(found.values()) == pytest.approx(expected)


def test_steps_are_views_or_members() -> None:
    assert step_names(model_spec()) == ("identity",)
    assert list(step_names(model_spec({"tta": ["hflip"]}))) == ["identity", "hflip"]
    members = [{"package": name} for name in ("../a", "s3://bucket/nets/a/", "b", ".")]
    spec = model_spec({**ENSEMBLE, "ensemble": {"members": members}})
    assert list(step_names(spec)) == ["a 1", "a 2", "b", "."]
