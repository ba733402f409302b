"""The usual recipes of preprocessing by name: what a user says with one word instead of four facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference_core.errors import ConfigError

IMAGENET = {"input.scale": 255.0, "input.mean": [0.485, 0.456, 0.406], "input.std": [0.229, 0.224, 0.225]}
SIGNED = {"input.scale": 127.5, "input.mean": [1.0], "input.std": [1.0]}
UNIT = {"input.scale": 255.0, "input.mean": [0.0], "input.std": [1.0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One recipe."""

    meaning: str
    """For help and docs."""
    facts: Mapping[str, Any]
    """By dotted key."""
    crop_frac: float | None = None
    """With ``shortest_side_crop``: the crop's side over the short side before it."""


PRESETS: dict[str, Preset] = {
    "imagenet": Preset(meaning="0 to 1, then ImageNet's mean and standard deviation", facts=IMAGENET),
    "torchvision": Preset(
        meaning="imagenet, cut out of the centre of a short side of size / 0.875 (256 for 224)",
        facts={**IMAGENET, "input.fit": "shortest_side_crop", "input.interpolation": "bilinear"},
        crop_frac=0.875,
    ),
    "inception": Preset(meaning="-1 to 1: pixel / 127.5 - 1", facts=SIGNED),
    "minus_one_to_one": Preset(meaning="the same as inception", facts=SIGNED),
    "unit": Preset(meaning="0 to 1: pixel / 255", facts=UNIT),
    "raw_255": Preset(
        meaning="the pixels themselves, 0 to 255",
        facts={"input.scale": 1.0, "input.mean": [0.0], "input.std": [1.0]},
    ),
    "caffe_bgr": Preset(
        meaning="BGR pixels, 0 to 255, minus ImageNet's mean",
        facts={
            "input.color": "bgr",
            "input.scale": 1.0,
            "input.mean": [103.939, 116.779, 123.68],
            "input.std": [1.0],
        },
    ),
    "clip": Preset(
        meaning="CLIP: bicubic, cut out of the centre, 0 to 1, then CLIP's mean and standard deviation",
        facts={
            "input.fit": "shortest_side_crop",
            "input.interpolation": "bicubic",
            "input.scale": 255.0,
            "input.mean": [0.48145466, 0.4578275, 0.40821073],
            "input.std": [0.26862954, 0.26130258, 0.27577711],
        },
        crop_frac=1.0,
    ),
    "yolo": Preset(
        meaning="Ultralytics and YOLOv5 to v11: letterbox on gray 114 by OpenCV, 0 to 1",
        facts={
            **UNIT,
            "input.fit": "letterbox",
            "input.pad_value": 114,
            "input.interpolation": "bilinear",
            "input.resampler": "opencv",
        },
    ),
}


def find_preset(name: object) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: there is none.
    """
    found = PRESETS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigError(f"must be one of {', '.join(PRESETS)}, got {name!r}; correct it", key="preset")
    return found
