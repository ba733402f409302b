"""What a package may say of several forwards, and what does not go together."""

from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.validation import plain_facts
from tests.specs import model_spec

DETECTION = {"task": "detection", "output": {"decoder": {"name": "yolov8"}}}
SEGMENTATION = {"task": "segmentation"}
EMBEDDING = {"task": "embedding", "classes": None}
OBLONG = {"input": {"fit": "stretch", "size_hw": [8, 16]}}
MEMBERS = {"members": [{"package": "a"}, {"package": "b"}]}
LAYERED = {"format": "timm", "architecture": {"name": "resnet18"}}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param({"tta": []}, "tta.views: .*at least 1", id="no view"),
        pytest.param({"tta": ["flip"]}, "tta.views: must be identity, hflip, .*, got 'flip'", id="unknown view"),
        pytest.param(
            {"tta": ["hflip", "vflip*rot180"]}, "got hflip and vflip.rot180, which are the same", id="doubled"
        ),
        pytest.param(
            {"tta": {"views": ["hflip"], "merge": "median"}}, "tta.merge: must be 'mean', .* got 'median'", id="merge"
        ),
        pytest.param(
            {**OBLONG, "tta": ["rot90"]},
            r"no quarter turns \(rot90, rot270\) with an input that is not square, got rot90 "
            r"with size_hw \[8, 16\]; use rot180",
            id="turn of an oblong",
        ),
        pytest.param(
            {**OBLONG, "tta": ["hflip*rot270"]}, "must have no quarter turns .*got hflip.rot270", id="in a product"
        ),
        pytest.param(
            {"tta": ["scale:1.25"]},
            "no scales with an input of fixed size, got scale:1.25; take fit native",
            id="scale",
        ),
        pytest.param(
            {"tta": {"views": ["hflip"], "merge": "wbf"}},
            "tta.merge must be mean, .* with task classification",
            id="boxes of none",
        ),
        pytest.param(
            {**DETECTION, "tta": {"views": ["hflip"], "merge": "mean"}},
            "tta.merge must be wbf, nms with task detection",
            id="mean of boxes",
        ),
        pytest.param(
            {**DETECTION, "tta": {"views": ["hflip"], "iou_threshold": 0.7}},
            "tta.iou_threshold must go with merge wbf",
            id="unread threshold",
        ),
        pytest.param(
            {**EMBEDDING, "tta": {"views": ["hflip"], "merge": "max"}},
            "tta.merge must be mean with task embedding",
            id="features",
        ),
        pytest.param(
            {**EMBEDDING, "format": "ensemble", "weights": None, "ensemble": {**MEMBERS, "merge": "mean"}},
            "ensemble.merge must be concat with task embedding, got mean",
            id="mean of members' features",
        ),
        pytest.param(
            {**EMBEDDING, "tta": {"views": ["hflip"], "merge": "concat"}},
            "tta.merge must be mean with task embedding, got concat",
            id="views side by side",
        ),
        pytest.param(
            {"dropout": {"samples": 10}},
            "dropout must go with a model whose layers can be switched .*, got format onnx",
            id="graph",
        ),
        pytest.param(
            {**LAYERED, "dropout": {"samples": 1}},
            "dropout.samples: must be greater than or equal to 2",
            id="one sample",
        ),
        pytest.param(
            {**LAYERED, "dropout": {"samples": 4, "seed": -1}},
            "dropout.seed: must be greater than or equal to 0",
            id="seed",
        ),
        pytest.param(
            {"format": "ensemble", "weights": None},
            "ensemble must go with format ensemble; set both or none",
            id="no members",
        ),
        pytest.param(
            {"ensemble": MEMBERS}, "ensemble must go with format ensemble; set both or none", id="members of none"
        ),
        pytest.param(
            {"uncertainty": {}}, "uncertainty must go with task segmentation, got classification", id="pixels of none"
        ),
        pytest.param(
            {**SEGMENTATION, "uncertainty": {"measure": "std"}},
            "uncertainty.measure must be entropy with a single forward, got std",
            id="std of one",
        ),
        pytest.param(
            {**SEGMENTATION, "uncertainty": {"threshold": 1.5}},
            "uncertainty.threshold: must be less than or equal to 1",
            id="share",
        ),
        pytest.param(
            {**SEGMENTATION, "conformal": {"quantile": 0.5}},
            "conformal must go with task classification",
            id="sets of pixels",
        ),
        pytest.param(
            {"output": {"activation": "sigmoid"}, "conformal": {"quantile": 0.5}},
            "and scores that sum to 1",
            id="sets of sigmoids",
        ),
        pytest.param({"conformal": {}}, "conformal.quantile: is required and missing", id="no quantile"),
        pytest.param(
            {"conformal": {"quantile": 1.5}},
            "conformal.quantile must be at most 1 with method lac, got 1.5",
            id="quantile",
        ),
        pytest.param(
            {"conformal": {"quantile": 0.5, "coverage": 1.0}}, "conformal.coverage: must be less than 1", id="coverage"
        ),
    ],
)
def test_what_does_not_fit_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_spec(spec)


@pytest.mark.parametrize(
    ("spec", "has_several"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"tta": ["identity"]}, False, id="the image itself"),
        pytest.param({"tta": ["hflip"]}, True, id="views"),
        pytest.param({"input": {"fit": "native"}, "tta": ["rot90", "scale:1.5"]}, True, id="free sizes"),
        pytest.param({**LAYERED, "dropout": {"samples": 2}}, True, id="samples"),
        pytest.param({**SEGMENTATION, "uncertainty": {}}, False, id="uncertainty"),
        pytest.param({"format": "ensemble", "weights": None, "ensemble": MEMBERS}, True, id="members"),
        pytest.param({"conformal": {"method": "aps", "quantile": 0.99}}, False, id="sets"),
    ],
)
def test_what_makes_several_forwards(spec: dict[str, Any], has_several: bool) -> None:
    assert model_spec(spec).has_several_forwards == has_several


def test_a_package_that_says_nothing_keeps_its_facts() -> None:
    new = {"tta", "dropout", "ensemble", "uncertainty", "conformal"}
    assert not new & set(plain_facts(model_spec()))


def test_a_list_of_views_is_short_for_their_mapping() -> None:
    assert model_spec({"tta": ["hflip"]}) == model_spec({"tta": {"views": ["identity", "hflip"]}})
