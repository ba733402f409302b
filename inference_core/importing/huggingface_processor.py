"""A Hugging Face image processor: what its file says, and what its class does where the file does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PROCESSOR_FILE = "preprocessor_config.json"

Steps = Literal["plain", "convnext", "levit", "aspect", "yolos", "efficientnet"]
"""``plain`` resizes and cuts the centre as its file says; the others say below what they do otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorKind:
    """What a class of processors does where its file does not say."""

    steps: Steps = "plain"
    is_square: bool = True
    """Whether one number as ``size`` is both sides; else it is the short one."""
    crops: bool = False
    normalizes: bool = True
    divisor_px: int = 0
    """Sides are rounded up to a multiple of it after scaling; 0 rounds nothing."""


KINDS: dict[str, ProcessorKind] = {
    "BeitImageProcessor": ProcessorKind(),
    "BitImageProcessor": ProcessorKind(is_square=False, crops=True),
    "CLIPImageProcessor": ProcessorKind(is_square=False, crops=True),
    "ConditionalDetrImageProcessor": ProcessorKind(steps="aspect", is_square=False),
    "ConvNextImageProcessor": ProcessorKind(steps="convnext", is_square=False),
    "DeformableDetrImageProcessor": ProcessorKind(steps="aspect", is_square=False),
    "DeiTImageProcessor": ProcessorKind(crops=True),
    "DetrImageProcessor": ProcessorKind(steps="aspect", is_square=False),
    "EfficientNetImageProcessor": ProcessorKind(steps="efficientnet"),
    "LevitImageProcessor": ProcessorKind(steps="levit", is_square=False, crops=True),
    "Mask2FormerImageProcessor": ProcessorKind(steps="aspect", is_square=False, divisor_px=32),
    "MaskFormerImageProcessor": ProcessorKind(steps="aspect", is_square=False, divisor_px=32),
    "MobileNetV1ImageProcessor": ProcessorKind(is_square=False, crops=True),
    "MobileNetV2ImageProcessor": ProcessorKind(is_square=False, crops=True),
    "MobileViTImageProcessor": ProcessorKind(is_square=False, crops=True, normalizes=False),
    "PvtImageProcessor": ProcessorKind(),
    "RTDetrImageProcessor": ProcessorKind(steps="aspect", is_square=False, normalizes=False),
    "SegformerImageProcessor": ProcessorKind(),
    "SiglipImageProcessor": ProcessorKind(),
    "ViTImageProcessor": ProcessorKind(),
    "YolosImageProcessor": ProcessorKind(steps="yolos", is_square=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What a processor's file says."""

    facts: Mapping[str, Any]

    @property
    def kind(self) -> ProcessorKind | None:
        """What its class does, None where that is not known."""
        return KINDS.get(self.name)

    @property
    def name(self) -> str:
        """The class without what tells its implementation, by its present name."""
        name = str(self.facts.get("image_processor_type") or self.facts.get("feature_extractor_type") or "")
        name = name.removesuffix("Fast").removesuffix("Pil")
        return name.replace("FeatureExtractor", "ImageProcessor")

    @property
    def is_fast(self) -> bool:
        """Whether torchvision resized in training, and not Pillow."""
        return str(self.facts.get("image_processor_type", "")).endswith("Fast")

    @property
    def size(self) -> dict[str, int] | None:
        """Sides by name, None where the file does not say them."""
        size = self.facts.get("size")
        if isinstance(size, list | tuple) and len(size) == 2:
            return {"height": int(size[0]), "width": int(size[1])}
        if not isinstance(size, int):
            return {key: int(side) for key, side in size.items() if side} if isinstance(size, Mapping) else None
        if self.kind is None or self.kind.is_square:
            return {"height": size, "width": size}
        longest = self.facts.get("max_size")
        return {"shortest_edge": size} | ({"longest_edge": int(longest)} if longest else {})

    def does(self, step: str, *, default: bool) -> bool:
        """Whether a step is on."""
        value = self.facts.get(f"do_{step}")
        return default if value is None else bool(value)
