"""Whatever a package can say is in its digest: every field of every settings class is changed, one after the other."""

from __future__ import annotations

from typing import Any

import pytest

from inference_core.models.package import NOT_IN_DIGEST, model_digest
from inference_core.spec import ModelSpec
from inference_core.validation import all_settings_classes
from tests.changed_settings import Path, changed_settings, nested_settings
from tests.specs import model_spec

HOOK = {"import": "tests.hook_functions:double", "options": {"by": 2}}
RULE = {"when": {"score": {"below": 0.5}}, "verdict": "review"}
CURVE = {"x": [0.1, 0.9], "y": [0.2, 0.8]}
MEMBERS = [{"package": "a"}, {"package": "b", "weight": 2.0}]
SHAPE = {"fit": "stretch", "size_hw": [8, 8]}
MASK_STEPS = [{"min_area_px": 9}, {"fill_holes": True, "classes": ["blue"]}, HOOK]
SSD = {"name": "ssd", "priors": [{"stride": 8, "sizes_hw": [[4, 4]]}]}
DECODERS: list[Any] = ["yolox", "yolov5", "yolov8", "fastestdet", "torchvision", "detr", "mask2former"]

PACKAGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "classes": {
        "format": "timm",
        "architecture": {"name": "resnet18", "options": {"depth": 1}},
        "calibration": {"temperature": {"red": 2.0}},
        "tta": ["hflip"],
        "dropout": {"samples": 3},
        "conformal": {"quantile": 0.5},
        "statistics": ["margin"],
        "quality": {"rules": [RULE]},
        "input": {**SHAPE, "filters": ["gray", "stretch_minmax", {"clahe": 3.0}, {"gamma": 1.2}, HOOK]},
    },
    "labels": {
        "task": "multilabel",
        "output": {"activation": "sigmoid", "thresholds": {"red": 0.3}},
        "calibration": {"platt": {"red": {"a": 2.0}}},
    },
    "curve of all": {
        "task": "multilabel",
        "output": {"activation": "sigmoid"},
        "calibration": {"isotonic": CURVE},
    },
    "masks": {
        "task": "segmentation",
        "postprocess": MASK_STEPS,
        "components": {"max_count": 7},
        "uncertainty": {"measure": "entropy"},
    },
    "ensemble": {"format": "ensemble", "weights": None, "ensemble": {"members": MEMBERS}},
    **{f"boxes of {name}": {"task": "detection", "output": {"decoder": {"name": name}}} for name in DECODERS},
    "boxes of ssd": {"task": "detection", "output": {"decoder": SSD}},
}

PLACES: set[Path] = {*((name,) for name in NOT_IN_DIGEST), ("ensemble", "members", 0, "package")}
"""What does not count: where packages lie and what they are called, but for the names that rows tell."""


def digest(spec: Any) -> str:
    """Of a package that was never written, whose members are always the same."""
    members = ["1" * 64, "2" * 64] if spec.ensemble is not None else []
    return model_digest(spec, weights_sha256="0" * 64, members=members)


def test_every_settings_class_is_looked_at() -> None:
    shown = {type(found) for facts in PACKAGES.values() for _, found in nested_settings(model_spec(facts))}
    missing = sorted(cls.__name__ for cls in set(all_settings_classes(ModelSpec)) - shown)
    assert not missing, "add a package that uses them to PACKAGES"


@pytest.mark.parametrize("name", PACKAGES)
def test_every_setting_makes_another_digest_but_places(name: str) -> None:
    spec = model_spec(PACKAGES[name])
    own = digest(spec)
    assert model_spec(PACKAGES[name]) == spec
    free = {path for path, changed in changed_settings(spec) if digest(changed) == own}
    assert free == {path for path in PLACES if spec.ensemble is not None or len(path) == 1}
