"""timm's configuration of preprocessing as facts about a package's input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.models.timm_model import import_timm

INTERPOLATIONS = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "nearest": "nearest",
    "lanczos": "lanczos",
    "box": "area",
}
"""timm's names and ours."""


def draft_timm_input(config: Mapping[str, Any], *, is_own: bool, options: Mapping[str, Any], origin: str) -> Draft:
    """How timm's evaluation transforms prepare an image, fact by fact.

    Args:
        config: timm's ``pretrained_cfg``.
        is_own: whether it came with the weights, so that its facts are found and not assumed.
        options: of the architecture; ``in_chans`` and ``img_size`` win.
        origin: where the configuration stands.

    Source: huggingface/pytorch-image-models, ``timm/data/transforms_factory.py``, ``transforms_imagenet_eval``.
    """
    resolved = import_timm().data.resolve_data_config({}, pretrained_cfg=dict(config))
    channels = int(options.get("in_chans", resolved["input_size"][0]))
    size_hw = input_size(resolved, options)
    missing: list[Gap] = []
    facts: dict[str, Any] = {"input.size_hw": list(size_hw)}
    facts |= fit_facts(size_hw, mode=resolved["crop_mode"], crop_frac=float(resolved["crop_pct"]), missing=missing)
    interpolation = INTERPOLATIONS.get(resolved["interpolation"])
    if interpolation is None:
        missing.append(interpolation_gap(resolved["interpolation"]))
    else:
        facts["input.interpolation"] = interpolation
    facts["input.scale"] = 255.0
    for key in ("mean", "std"):
        values = [float(value) for value in resolved[key]]
        if len(values) in (1, channels):
            facts[f"input.{key}"] = values
        else:
            missing.append(channel_gap(key, values, channels=channels))
    if channels == 1:
        facts["input.color"] = "gray"
    elif channels != 3:
        missing.append(color_gap(channels))
    rows = tuple(Fact(key=key, value=value, origin=origin) for key, value in facts.items())
    assumed = (Fact(key="input.resampler", value="pillow", origin="timm transforms Pillow's images"),)
    if is_own:
        return Draft(found=rows, assumed=assumed, missing=tuple(missing))
    return Draft(found=(), assumed=(*rows, *assumed), missing=tuple(missing))


def input_size(resolved: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width."""
    size = options.get("img_size")
    if size is None:
        size = resolved["input_size"][1:]
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def fit_facts(size_hw: tuple[int, int], *, mode: str, crop_frac: float, missing: list[Gap]) -> dict[str, Any]:
    """How an image of any size becomes the input; what has no counterpart goes to ``missing``."""
    scaled_hw = [math.floor(side / crop_frac) for side in size_hw]
    beside = {"input.pad_value": 0} if scaled_hw < list(size_hw) else {}  # timm fills a short image with black
    if mode == "squash":
        cut = {"input.resize_hw": scaled_hw} if scaled_hw != list(size_hw) else {}
        return {"input.fit": "stretch", **cut, **beside}
    if mode == "center" and size_hw[0] == size_hw[1]:
        return {"input.fit": "shortest_side_crop", "input.resize_px": scaled_hw[0], **beside}
    what = "an oblong crop" if mode == "center" else f"crop_mode {mode}"
    missing.append(
        Gap(
            key="input.fit",
            reason=f"timm prepares this model with {what} (crop_pct {crop_frac:g}), which no fit does exactly",
            example="letterbox" if mode == "border" else "shortest_side_crop",
        )
    )
    return {}


def interpolation_gap(name: str) -> Gap:
    """A kernel that has no counterpart."""
    return Gap(
        key="input.interpolation",
        reason=f"timm resizes for this model with {name!r}, which is not one that is fixed and known here",
        example="bicubic",
    )


def channel_gap(key: str, values: list[float], *, channels: int) -> Gap:
    """Mean or standard deviation of another number of channels."""
    return Gap(
        key=f"input.{key}",
        reason=f"the configuration has {values}, the model has {channels} channel{'s' if channels > 1 else ''}",
        example="[0.5]",
    )


def color_gap(channels: int) -> Gap:
    """Channels that no image has."""
    return Gap(
        key="input.color",
        reason=f"the model takes {channels} channels; images have 3, or 1 with gray",
        example="rgb",
    )
