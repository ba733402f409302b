"""The configuration of a Hugging Face image processor as facts about a package's input.

A processor is a class with its own steps, and its file says the numbers, mostly without those that are the class's own.
So each class that is known here has a line; of another one only the mean and the standard deviation are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.huggingface_processor import PROCESSOR_FILE, Processor
from inference_core.importing.input_facts import FIT_GAP, PIXEL_GAPS

KERNELS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "area"}
"""Pillow's numbers, as processors store them; 5, Hamming's, has no counterpart."""
TORCH_KERNELS = ("nearest", "bilinear", "bicubic")

CONVNEXT_STRETCH_PX, CONVNEXT_CROP_FRAC = 384, 224 / 256
"""From this side on ConvNeXt's images are stretched, below it cut out of a larger short side."""
LEVIT_FACTOR = 256 / 224
YOLOS_MULTIPLE_PX = 16


class UnmappedStepError(Exception):
    """A step that no fact says; the gap is the argument."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap.reason)
        self.gap = gap


def draft_processor(facts: Mapping[str, Any] | None, *, num_channels: int) -> Draft:
    """How a processor prepares an image, fact by fact.

    Args:
        facts: of its file; None where there is none.
        num_channels: of the model's input.
    """
    if facts is None:
        return without_processor()
    processor = Processor(facts=facts)
    found: list[Fact] = []
    missing: list[Gap] = []
    for step in (fit_facts, pixel_facts, color_facts):
        try:
            found += [
                Fact(key=f"input.{key}", value=value, origin=origin)
                for key, (value, origin) in step(processor, num_channels).items()
            ]
        except UnmappedStepError as exc:
            missing.append(exc.gap)
    resampler, origin = resampler_of(processor)
    assumed = (Fact(key="input.resampler", value=resampler, origin=origin),)
    return Draft(found=tuple(found), assumed=assumed, missing=tuple(missing))


def without_processor() -> Draft:
    """A folder that says nothing of its images."""
    return Draft(found=(), missing=(FIT_GAP, *PIXEL_GAPS))


Facts = dict[str, tuple[Any, str]]
"""Value and origin by key below ``input``."""


def fit_facts(processor: Processor, num_channels: int) -> Facts:
    """How an image of any size becomes the input.

    Raises:
        UnmappedStepError: it is done in a way that no fit does.
    """
    if processor.kind is None:
        raise UnmappedStepError(fit_gap(f"the steps of {processor.name or 'a processor without a name'} are not known"))
    facts = processor.facts
    if not processor.does("resize", default=True):
        raise UnmappedStepError(
            fit_gap("do_resize is off: images must have the model's size already, or any", "native")
        )
    if facts.get("do_random_cropping") or facts.get("do_thumbnail") or facts.get("do_align_long_axis"):
        raise UnmappedStepError(fit_gap("it turns or cuts images in a way that no fit does"))
    if processor.size is None or "resample" not in facts:
        raise UnmappedStepError(fit_gap(f"{PROCESSOR_FILE} holds no {'resample' if processor.size else 'size'}"))
    rest: Facts = {"interpolation": (kernel_of(facts["resample"]), f"resample: {facts['resample']}")}
    steps, size = processor.kind.steps, processor.size
    match steps:
        case "aspect" | "yolos":
            own = aspect_fit(processor, size, multiple_px=YOLOS_MULTIPLE_PX if steps == "yolos" else 1)
        case "convnext":
            own = convnext_fit(processor, size)
        case _:
            own = plain_fit(processor, size, factor=LEVIT_FACTOR if steps == "levit" else 1.0)
    return own | rest


def plain_fit(processor: Processor, size: Mapping[str, int], *, factor: float) -> Facts:
    """Resize to a size or a short side, then cut the centre, or not."""
    origin, crop_hw = f"size: {dict(size)}", crop_size(processor)
    if set(size) == {"height", "width"}:
        full = [size["height"], size["width"]]
        if crop_hw is None or crop_hw == full:
            return {"fit": ("stretch", origin), "size_hw": (full, origin)}
        check_crop(crop_hw, short_px=min(full), long_px=max(full))
        return {
            "fit": ("stretch", origin),
            "size_hw": (crop_hw, crop_origin(processor)),
            "resize_hw": (full, origin),
            "crop_rounding": ("floor", "as transformers cuts"),
        }
    if set(size) != {"shortest_edge"}:
        raise UnmappedStepError(fit_gap(f"{origin} is no height and width and no shortest_edge"))
    short_px = size["shortest_edge"]
    if crop_hw is None:
        return {
            "fit": ("native", f"{origin}, without a crop"),
            "resize_px": (short_px, origin),
            "multiple_px": (1, origin),
        }
    resize_px = int(factor * short_px)
    check_crop(crop_hw, short_px=resize_px, long_px=resize_px)
    return {
        "fit": ("shortest_side_crop", origin),
        "size_hw": (crop_hw, crop_origin(processor)),
        "resize_px": (resize_px, origin),
        "crop_rounding": ("floor", "as transformers cuts"),
    }


def crop_size(processor: Processor) -> list[int] | None:
    """Height and width of the centre crop, None where there is none.

    Raises:
        UnmappedStepError: it is on and its size is not said.
    """
    if not processor.does("center_crop", default=processor.kind is not None and processor.kind.crops):
        return None
    size = processor.facts.get("crop_size")
    if isinstance(size, int):
        return [size, size]
    if isinstance(size, Mapping) and {"height", "width"} <= set(size):
        return [int(size["height"]), int(size["width"])]
    raise UnmappedStepError(fit_gap(f"do_center_crop is on and crop_size is {size}"))


def crop_origin(processor: Processor) -> str:
    """Where a crop's size stands."""
    return f"crop_size: {processor.facts['crop_size']}"


def check_crop(crop_hw: list[int], *, short_px: int, long_px: int) -> None:
    """Raise UnmappedStepError where a crop is larger than what it is cut from: the rest is filled in several ways."""
    if min(crop_hw) > short_px or max(crop_hw) > long_px:
        raise UnmappedStepError(
            fit_gap(f"the crop {crop_hw} is larger than the resized image, which is then filled with black")
        )


def convnext_fit(processor: Processor, size: Mapping[str, int]) -> Facts:
    """Stretched from 384 pixels on; below, cut out of a short side of ``shortest_edge / crop_pct``."""
    origin, side = f"size: {dict(size)}", size.get("shortest_edge")
    if side is None or len(size) > 1 or processor.does("center_crop", default=False):
        raise UnmappedStepError(fit_gap(f"{origin} with this processor is no shortest_edge alone"))
    if side >= CONVNEXT_STRETCH_PX:
        return {"fit": ("stretch", f"{origin}: {CONVNEXT_STRETCH_PX} or more"), "size_hw": ([side, side], origin)}
    crop_frac = float(processor.facts.get("crop_pct") or CONVNEXT_CROP_FRAC)
    return {
        "fit": ("shortest_side_crop", f"{origin}: under {CONVNEXT_STRETCH_PX}"),
        "size_hw": ([side, side], origin),
        "resize_px": (int(side / crop_frac), f"shortest_edge / crop_pct ({crop_frac:g})"),
        "crop_rounding": ("floor", "as transformers cuts"),
    }


def aspect_fit(processor: Processor, size: Mapping[str, int], *, multiple_px: int) -> Facts:
    """A short side with a limit on the long one, the aspect kept; or a fixed size."""
    origin = f"size: {dict(size)}"
    divisor = int(processor.facts.get("size_divisor", processor.kind.divisor_px if processor.kind else 0) or 1)
    if set(size) == {"height", "width"}:
        size_hw = [-(-size[side] // divisor) * divisor for side in ("height", "width")]
        return {"fit": ("stretch", origin), "size_hw": (size_hw, origin)}
    if divisor > 1:
        raise UnmappedStepError(fit_gap(f"size_divisor {divisor} rounds sides up, which no fit does", "native"))
    if set(size) != {"shortest_edge", "longest_edge"}:
        raise UnmappedStepError(fit_gap(f"{origin} is no shortest_edge with a longest_edge"))
    if processor.facts.get("pad_size"):
        raise UnmappedStepError(fit_gap("pad_size fills images up, and the model is told where; no fit does"))
    # do_pad fills the images of a batch up to the largest; images of one size alone share a forward here.
    facts: Facts = {
        "fit": ("native", origin),
        "resize_px": (size["shortest_edge"], origin),
        "longest_px": (size["longest_edge"], origin),
        "multiple_px": (1, "images are not padded"),
    }
    return facts | ({"scaled_multiple_px": (multiple_px, "as this processor rounds")} if multiple_px > 1 else {})


def pixel_facts(processor: Processor, num_channels: int) -> Facts:
    """``scale``, ``mean`` and ``std``.

    Raises:
        UnmappedStepError: the file does not say them, or not for this number of channels.
    """
    facts = processor.facts
    factor = float(facts.get("rescale_factor") or 1 / 255) if processor.does("rescale", default=True) else 1.0
    scale = 255.0 if abs(factor * 255 - 1) < 1e-9 else 1 / factor
    origin = f"rescale_factor: {factor:g}" if processor.does("rescale", default=True) else "do_rescale is off"
    offset = 1.0 if facts.get("rescale_offset") else 0.0
    mean, std, from_where = [offset], [1.0], "do_normalize is off"
    if processor.does("normalize", default=processor.kind is None or processor.kind.normalizes):
        from_where = "image_mean and image_std"
        if "image_mean" not in facts or "image_std" not in facts:
            raise UnmappedStepError(PIXEL_GAPS[1])
        mean = [float(value) + offset for value in as_list(facts["image_mean"])]
        std = [float(value) for value in as_list(facts["image_std"])]
    if processor.kind and processor.kind.steps == "efficientnet" and facts.get("include_top", True):
        if "image_std" not in facts:
            raise UnmappedStepError(PIXEL_GAPS[2])
        from_where += ", and image_std a second time (include_top)"
        std = [first * float(second) for first, second in zip(std, as_list(facts["image_std"]), strict=True)]
    if len(mean) not in (1, num_channels) or len(std) not in (1, num_channels):
        raise UnmappedStepError(
            Gap(
                key="input.mean",
                reason=f"image_mean has {len(mean)} values, the model {num_channels} channels",
                example="[0.5]",
            )
        )
    return {"scale": (scale, origin), "mean": (mean, from_where), "std": (std, from_where)}


def as_list(value: Any) -> list[Any]:
    """One value for all channels as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def color_facts(processor: Processor, num_channels: int) -> Facts:
    """Order and number of channels.

    Raises:
        UnmappedStepError: no image has that many.
    """
    if num_channels not in (1, 3):
        raise UnmappedStepError(
            Gap(
                key="input.color",
                reason=f"the model takes {num_channels} channels; images have 3, or 1 with gray",
                example="rgb",
            )
        )
    if num_channels == 1:
        return {"color": ("gray", "num_channels: 1")}
    flips = processor.name == "MobileViTImageProcessor" and processor.does("flip_channel_order", default=True)
    return {"color": ("bgr", "do_flip_channel_order")} if flips else {}


def kernel_of(resample: Any) -> str:
    """The kernel of a number of Pillow's.

    Raises:
        UnmappedStepError: it has no counterpart.
    """
    kernel = KERNELS.get(resample) if isinstance(resample, int) else None
    if kernel is None:
        raise UnmappedStepError(fit_gap(f"resample {resample} is a kernel that is not known here"))
    return kernel


def resampler_of(processor: Processor) -> tuple[str, str]:
    """Whose resize, and why it may be assumed."""
    resample = processor.facts.get("resample")
    if processor.is_fast and KERNELS.get(resample if isinstance(resample, int) else -1) in TORCH_KERNELS:
        return "torch", f"{processor.facts['image_processor_type']} resizes with torchvision; with Pillow set pillow"
    return "pillow", (
        "processors resized with Pillow before transformers 5, which resizes with torchvision (at most 1 of 255 "
        "otherwise); for a model that was trained so set torch"
    )


def fit_gap(reason: str, example: str = "stretch") -> Gap:
    """The fit is not told; ``size_hw`` and ``resize_px`` go with it."""
    return Gap(key=FIT_GAP.key, reason=f"{reason}; say it with size_hw and the like", example=example)
