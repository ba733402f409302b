"""What ``input`` of a model says: how files become pixels and pixels the model's input."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from inference_core.hook_spec import HookSpec, read_hook
from inference_core.validation import HOOK_TAG, Frozen, NonNegativeInt, PositiveFloat, PositiveInt, single_item

Fit = Literal["letterbox", "stretch", "shortest_side_crop", "tile", "native"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]
Resampler = Literal["pillow", "torch", "opencv"]

SizeHW = tuple[PositiveInt, PositiveInt]


class GrayFilter(Frozen):
    """Luminance (ITU-R 601, as Pillow's ``L``) in every channel."""

    name: Literal["gray"] = "gray"


class StretchMinmaxFilter(Frozen):
    """The image's own darkest value to 0 and brightest to 255."""

    name: Literal["stretch_minmax"] = "stretch_minmax"


class ClaheFilter(Frozen):
    """Contrast-limited adaptive histogram equalisation, on the luminance."""

    name: Literal["clahe"] = "clahe"
    clip_limit: PositiveFloat = 2.0
    grid: tuple[PositiveInt, PositiveInt] = (8, 8)
    """Tiles down and across."""


class GammaFilter(Frozen):
    """``255 * (pixel / 255) ** (1 / gamma)``: above 1 is brighter."""

    name: Literal["gamma"] = "gamma"
    gamma: PositiveFloat = 1.0


FilterSpec = Annotated[
    GrayFilter | StretchMinmaxFilter | ClaheFilter | GammaFilter | HookSpec, Field(discriminator="name")
]
"""One step on the decoded pixels before the fit."""

FIRST_OPTION = {"gray": None, "stretch_minmax": None, "clahe": "clip_limit", "gamma": "gamma"}
"""Every filter, with the option that a bare value in YAML sets."""


class DecodeSpec(Frozen):
    """Policies that turn a file into RGB pixels; part of the contract because training fixed them."""

    apply_orientation: bool = True
    """Turn the image upright as its EXIF says."""
    alpha: Literal["white", "black", "drop"] = "white"
    """What lies behind transparent pixels; ``drop`` keeps the colours as stored."""
    cmyk: Literal["profile", "naive"] = "profile"
    """Convert through the embedded profile, or by the plain formula."""
    depth: Literal["type_range", "image_range"] = "type_range"
    """What of more than 8 bits becomes 0 and 255: the range of the stored type, or the image's own."""
    page: NonNegativeInt = 0
    """Page of a multi-page TIFF or frame of an animation."""


SCALING_FITS = ("shortest_side_crop", "native", "tile")
FITS_OF_OPTION = {
    "resize_px": SCALING_FITS,
    "resize_hw": ("stretch",),
    "longest_px": ("native",),
    "scaled_multiple_px": ("native",),
    "long_side_rounding": SCALING_FITS,
    "crop_rounding": ("shortest_side_crop", "stretch"),
    "multiple_px": ("native",),
    "overlap_px": ("tile",),
}
"""Options that only some fits read; with another fit they are refused, not ignored."""

ENGINE_OPTIONS = ("layout", "scale", "mean", "std")
"""Options that change the model's input but not the tiles that are prepared for it, like the order of colours."""

TORCH_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
"""Those that torch has a uint8 kernel for."""


class InputSpec(Frozen):
    """How pixels become the model's input."""

    fit: Fit
    size_hw: SizeHW | None = None
    """Height and width of the input; of one tile for ``tile``; not given for ``native``."""
    resize_px: PositiveInt | None = None
    """Short side after scaling: ``shortest_side_crop`` (default: the longer of ``size_hw``), ``native`` and ``tile``
    (default: no scaling)."""
    resize_hw: SizeHW | None = None
    """``stretch``: height and width after scaling, out of which the centre of ``size_hw`` is cut (default: no cut)."""
    longest_px: PositiveInt | None = None
    """``native`` with ``resize_px``: most pixels of the long side; the short side follows (default: any)."""
    scaled_multiple_px: PositiveInt = 1
    """``native``: sides after scaling are rounded down to a multiple of this, before they are padded."""
    long_side_rounding: Literal["truncate", "nearest"] = "truncate"
    """Of the long side where ``resize_px`` sets the short one: as torchvision and timm do, or to the nearest pixel."""
    crop_rounding: Literal["half_even", "floor"] = "half_even"
    """Of the centre crop's corner: as torchvision and timm do, or as transformers does."""
    multiple_px: PositiveInt = 32
    """``native``: height and width are padded up to a multiple of this."""
    overlap_px: NonNegativeInt = 0
    """``tile``: pixels that neighbouring tiles share; seams are blended over them."""
    pad_value: Annotated[int, Field(ge=0, le=255)] = 114
    """Value of padded pixels where the pad mode is constant."""
    pad_mode: Literal["constant", "reflect", "edge"] = "constant"
    """How what lies outside the image is filled."""
    interpolation: Interpolation = "bilinear"
    resampler: Resampler = "pillow"
    """Whose resize the training used: they differ in more than half of all values."""
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    layout: Literal["BCHW", "BHWC"] = "BCHW"
    scale: float = 255.0
    """The input is ``(pixel / scale - mean) / std``."""
    mean: tuple[float, ...] = (0.0,)
    """Per channel in the order of ``color``, or one for all; in units of ``pixel / scale``."""
    std: tuple[float, ...] = (1.0,)
    """Likewise."""
    filters: tuple[FilterSpec, ...] = ()
    decode: DecodeSpec = DecodeSpec()

    @field_validator("filters", mode="before")
    @classmethod
    def _read_filters(cls, value: Any) -> Any:
        return tuple(read_filter(entry) for entry in value) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _check(self) -> InputSpec:
        if self.fit == "native" and self.size_hw is not None:
            raise ValueError("size_hw must be absent with fit native, which keeps each image's size; remove it")
        if self.fit != "native" and self.size_hw is None:
            raise ValueError(f"size_hw must be given with fit {self.fit}; add size_hw: [height, width]")
        for name, fits in FITS_OF_OPTION.items():
            if self.fit not in fits and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} must go with fit {' or '.join(fits)}, got fit {self.fit}; remove it")
        if self.fit == "stretch" and self.resize_hw is None and self.crop_rounding != "half_even":
            raise ValueError("crop_rounding must go with fit shortest_side_crop, or stretch with resize_hw; remove it")
        if self.longest_px is not None and self.resize_px is None:
            raise ValueError("longest_px must go with resize_px, which it limits; add resize_px or remove it")
        if self.size_hw is not None and self.fit == "tile" and self.overlap_px * 2 > min(self.size_hw):
            raise ValueError(f"overlap_px must be at most half a tile's side, got {self.overlap_px}; lower it")
        if self.resampler == "torch" and self.interpolation not in TORCH_INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be {', '.join(TORCH_INTERPOLATIONS)} with resampler torch, got "
                f"{self.interpolation}; choose one of these or another resampler"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.num_channels) or not all(math.isfinite(v) for v in values):
                raise ValueError(
                    f"{name} must have 1 or {self.num_channels} finite values for color {self.color}, got "
                    f"{list(values)}"
                )
        if self.scale == 0 or not math.isfinite(self.scale) or 0 in self.std:
            raise ValueError("scale and std must be finite and not 0; they divide the pixels")
        return self

    @property
    def num_channels(self) -> int:
        """Channels of the model's input: 1 for gray, else 3."""
        return 1 if self.color == "gray" else 3

    @property
    def sees_whole_image(self) -> bool:
        """Whether no part of an image is cut away."""
        return self.fit != "shortest_side_crop" and self.resize_hw is None

    def prepares_like(self, other: InputSpec) -> bool:
        """Whether both make the same uint8 tiles of every image, whatever engines make of them."""
        return self._prepared_part() == other._prepared_part()

    def _prepared_part(self) -> InputSpec:
        """This input without what is left to the engine: the order of channels, normalisation, and layout."""
        plain = {name: type(self).model_fields[name].default for name in ENGINE_OPTIONS}
        return self.model_copy(update={**plain, "color": "gray" if self.color == "gray" else "rgb"})


def read_filter(entry: Any) -> Any:
    """``gray``, ``{gamma: 1.2}``, ``{clahe: {clip_limit: 2.0}}`` or ``{import: ...}`` as the fields of a filter."""
    entry = read_hook(entry)
    if isinstance(entry, Frozen) or (isinstance(entry, dict) and entry.get("name") == HOOK_TAG):
        return entry
    value: Any
    if isinstance(entry, dict) and "name" in entry:
        others = {key: option for key, option in entry.items() if key != "name"}
        name, value = entry["name"], others or None
    else:
        name, value = (entry, None) if isinstance(entry, str) else single_item(entry, "a filter must be a name or")
    if name not in FIRST_OPTION:
        raise ValueError(
            f"filters must be among {', '.join(FIRST_OPTION)}, or {{import: ...}}, got {name!r}; correct the name"
        )
    if value is None or value is True:
        return {"name": name}
    if isinstance(value, dict):
        return {"name": name, **value}
    option = FIRST_OPTION[name]
    if option is None:
        raise ValueError(f"filter {name} must have no value, got {value!r}; write it alone")
    return {"name": name, option: value}
