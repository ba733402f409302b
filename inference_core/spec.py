"""The model package's ``model.yaml``: every fact that a prediction depends on, checked as a whole."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from inference_core.detection_spec import ROLES_OF_DECODER, DecoderSpec, NmsSpec
from inference_core.validation import Frozen

TaskName = Literal["classification", "multilabel", "detection", "segmentation", "embedding"]
Format = Literal["state_dict", "torchscript", "torch_export", "onnx", "openvino", "savedmodel", "tflite", "keras"]
Fit = Literal["letterbox", "stretch", "shortest_side_crop", "tile", "native"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]
Resampler = Literal["pillow", "torch", "opencv"]
PostprocessName = Literal["min_area_px", "fill_holes", "open_px", "close_px"]

PositiveInt = Annotated[int, Field(gt=0)]
SizeHW = tuple[PositiveInt, PositiveInt]
Score = Annotated[float, Field(gt=0, lt=1)]

MAX_CLASSES = 256
"""Class maps are uint8."""


class ArchitectureSpec(Frozen):
    """Which module a state dict belongs to: a built-in name or any factory by import path."""

    name: str | None = None
    """Built-in architecture, e.g. ``unet``."""
    import_path: str | None = Field(default=None, alias="import", pattern=r"^\w+(\.\w+)*:\w+(\.\w+)*$")
    """``package.module:callable`` in the user's environment; called with ``options``, returns the module."""
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_one_source(self) -> ArchitectureSpec:
        if (self.name is None) == (self.import_path is None):
            raise ValueError("must have exactly one of 'name' and 'import'; name a built-in or an import path")
        return self


class GrayFilter(Frozen):
    """Luminance (ITU-R 601, as Pillow's ``L``) in every channel."""

    name: Literal["gray"] = "gray"


class StretchMinmaxFilter(Frozen):
    """The image's own darkest value to 0 and brightest to 255."""

    name: Literal["stretch_minmax"] = "stretch_minmax"


class ClaheFilter(Frozen):
    """Contrast-limited adaptive histogram equalisation, on the luminance."""

    name: Literal["clahe"] = "clahe"
    clip_limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    grid: tuple[PositiveInt, PositiveInt] = (8, 8)
    """Tiles down and across."""


class GammaFilter(Frozen):
    """``255 * (pixel / 255) ** (1 / gamma)``: above 1 is brighter."""

    name: Literal["gamma"] = "gamma"
    gamma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


FilterSpec = Annotated[GrayFilter | StretchMinmaxFilter | ClaheFilter | GammaFilter, Field(discriminator="name")]
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
    page: Annotated[int, Field(ge=0)] = 0
    """Page of a multi-page TIFF or frame of an animation."""


SCALING_FITS = ("shortest_side_crop", "native", "tile")
FITS_OF_OPTION = {
    "resize_px": SCALING_FITS,
    "long_side_rounding": SCALING_FITS,
    "crop_rounding": ("shortest_side_crop",),
    "multiple_px": ("native",),
    "overlap_px": ("tile",),
}
"""Options that only some fits read; with another fit they are refused, not ignored."""

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
    long_side_rounding: Literal["truncate", "nearest"] = "truncate"
    """Of the long side where ``resize_px`` sets the short one: as torchvision and timm do, or to the nearest pixel."""
    crop_rounding: Literal["half_even", "floor"] = "half_even"
    """``shortest_side_crop``: of the crop's corner: as torchvision and timm do, or as transformers does."""
    multiple_px: PositiveInt = 32
    """``native``: height and width are padded up to a multiple of this."""
    overlap_px: Annotated[int, Field(ge=0)] = 0
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


class OutputSpec(Frozen):
    """How the model's raw output is read."""

    name: str | None = None
    """Which output, where the model has several; by default its only one or its first."""
    names: dict[str, str] = Field(default_factory=dict)
    """Detection from several outputs: which one is ``boxes``, ``scores``, ... of the decoder, where it is called
    otherwise."""
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    """Turns the raw output into scores; ``none`` where the model gives probabilities. Multi-label takes ``sigmoid`` or
    ``none``; a detection decoder has its own."""
    layout: Literal["BCHW", "BHWC"] = "BCHW"
    """Segmentation: order of the output's axes."""
    skip_classes: Annotated[int, Field(ge=0)] = 0
    """Classification: leading outputs of the model that are none of ``classes``; 1 where the first of 1,001 is a
    background. Dropped after the activation."""
    top_k: PositiveInt = 5
    """Classification and multi-label: how many of the best classes a row keeps."""
    threshold: Score = 0.5
    """Least score: of a class (multi-label), a box (detection), the foreground (segmentation with two classes)."""
    thresholds: dict[str, Score] = Field(default_factory=dict)
    """Multi-label: thresholds of single classes by name; ``threshold`` holds for the others."""
    decoder: DecoderSpec | None = None
    """Detection: how raw outputs become boxes."""
    nms: NmsSpec = NmsSpec()
    """Detection: which of overlapping boxes are kept."""
    clip_boxes: bool = True
    """Detection: whether boxes end at the image's edge; else they keep what the model says to lie beyond it."""
    l2_normalize: bool = False
    """Embedding: whether vectors are scaled to length 1."""
    resize_from: Literal["class_map", "scores"] = "class_map"
    """Segmentation with more classes: what is scaled to the image's size. ``scores`` is smoother and heavier."""


TASKS_OF_OPTION: dict[str, tuple[TaskName, ...]] = {
    "names": ("detection",),
    "skip_classes": ("classification",),
    "activation": ("classification", "multilabel", "segmentation"),
    "thresholds": ("multilabel",),
    "decoder": ("detection",),
    "nms": ("detection",),
    "clip_boxes": ("detection",),
    "l2_normalize": ("embedding",),
}
"""Options of ``output`` that only some tasks read; with another task they are refused, not ignored."""


class CalibrationSpec(Frozen):
    """Adjusts confidence without changing the order of classes."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class PostprocessSpec(Frozen):
    """One step on the mask in the image's own pixels."""

    name: PostprocessName
    value: bool | int
    """Pixels; for ``fill_holes`` true or false."""

    @field_validator("value", mode="before")
    @classmethod
    def _check_value(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.data.get("name")  # absent where the name itself is wrong
        if name == "fill_holes" and not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value!r}; correct it")
        if name != "fill_holes" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name or 'value'} must be a whole number of at least 1, got {value!r}; correct it")
        if name in ("open_px", "close_px") and value % 2 == 0:
            raise ValueError(f"{name} must be odd, the diameter of a disc, got {value}; take one more or less")
        return value


class ModelSpec(Frozen):
    """A whole ``model.yaml``."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.\-]+$")]
    task: TaskName
    format: Format
    weights: str
    """Path relative to the package, or any URI."""
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    architecture: ArchitectureSpec | None = None
    classes: tuple[str, ...] = ()
    """Names in the order of the model's output; in the file, a list or the name of a text file with one a line.
    Required but for embeddings, which have none."""
    input: InputSpec
    output: OutputSpec = OutputSpec()
    calibration: CalibrationSpec = CalibrationSpec()
    postprocess: tuple[PostprocessSpec, ...] = ()

    @field_validator("postprocess", mode="before")
    @classmethod
    def _read_postprocess(cls, value: Any) -> Any:
        return tuple(read_postprocess(entry) for entry in value) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _check(self) -> ModelSpec:
        if bool(self.classes) == (self.task == "embedding"):
            raise ValueError(
                "classes must be absent with task embedding; remove it"
                if self.classes
                else "classes must name at least one class, got none; list them in output order"
            )
        if len(set(self.classes)) != len(self.classes):
            doubles = sorted({c for c in self.classes if self.classes.count(c) > 1})
            raise ValueError(f"classes must be distinct, got {', '.join(doubles[:5])} more than once; rename them")
        if self.format == "state_dict" and self.architecture is None:
            raise ValueError("architecture must be given with format state_dict, which holds no code; name one")
        if self.format != "state_dict" and self.architecture is not None:
            raise ValueError(f"architecture must be absent with format {self.format}, which holds it; remove it")
        if self.calibration.temperature != 1.0 and self.output.activation == "none":
            raise ValueError("calibration.temperature must be 1 with output.activation none, which has no logits")
        if self.task not in ("segmentation", "detection") and self.input.fit == "tile":
            raise ValueError("input.fit tile must go with task segmentation or detection; choose another fit")
        if self.task != "segmentation" and self.postprocess:
            raise ValueError("postprocess must go with task segmentation, whose masks it changes; remove it")
        self._check_output()
        if self.task == "segmentation":
            self._check_segmentation()
        return self

    def _check_output(self) -> None:
        for name, tasks in TASKS_OF_OPTION.items():
            field = OutputSpec.model_fields[name]
            if self.task not in tasks and getattr(self.output, name) != field.get_default(call_default_factory=True):
                raise ValueError(f"output.{name} must go with task {' or '.join(tasks)}, got {self.task}; remove it")
        if self.calibration.temperature != 1.0 and self.task in ("detection", "embedding"):
            raise ValueError(f"calibration.temperature must be 1 with task {self.task}; remove it")
        if self.task == "multilabel" and self.output.activation == "softmax":
            raise ValueError("output.activation must be sigmoid or none with task multilabel, got softmax; set it")
        if self.task == "detection" and self.output.decoder is None:
            raise ValueError("output.decoder must be given with task detection; set output.decoder: {name: ...}")
        roles = ROLES_OF_DECODER.get(self.output.decoder.name, ()) if self.output.decoder else ()
        if unknown := sorted(set(self.output.names) - set(roles)):
            known = ", ".join(roles) or "absent with this decoder, which reads one output"
            raise ValueError(f"output.names must be {known}, got {', '.join(unknown[:5])}; correct the names")
        if roles and self.output.name is not None:
            raise ValueError(f"output.name must be absent with a decoder of {len(roles)} outputs; use output.names")
        if unknown := sorted(set(self.output.thresholds) - set(self.classes)):
            raise ValueError(f"output.thresholds must name classes, got {', '.join(unknown[:5])}; correct the names")

    def _check_segmentation(self) -> None:
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(
                f"classes must be 2 to {MAX_CLASSES} for segmentation, background included, got {len(self.classes)}"
            )
        if self.output.activation == "sigmoid" and len(self.classes) != 2:
            raise ValueError("output.activation sigmoid must go with two classes in segmentation; use softmax")

    @property
    def is_binary(self) -> bool:
        """Whether the task is segmentation of one foreground class."""
        return self.task == "segmentation" and len(self.classes) == 2


def read_filter(entry: Any) -> Any:
    """``gray``, ``{gamma: 1.2}`` or ``{clahe: {clip_limit: 2.0}}`` as the fields of a filter."""
    if isinstance(entry, Frozen):
        return entry
    value: Any
    if isinstance(entry, dict) and "name" in entry:
        others = {key: option for key, option in entry.items() if key != "name"}
        name, value = entry["name"], others or None
    else:
        name, value = (entry, None) if isinstance(entry, str) else single_item(entry, "a filter must be a name or")
    if name not in FIRST_OPTION:
        raise ValueError(f"filters must be among {', '.join(FIRST_OPTION)}, got {name!r}; correct the name")
    if value is None or value is True:
        return {"name": name}
    if isinstance(value, dict):
        return {"name": name, **value}
    option = FIRST_OPTION[name]
    if option is None:
        raise ValueError(f"filter {name} must have no value, got {value!r}; write it alone")
    return {"name": name, option: value}


def read_postprocess(entry: Any) -> Any:
    """``{min_area_px: 64}`` as the fields of a PostprocessSpec."""
    if isinstance(entry, PostprocessSpec) or (isinstance(entry, dict) and "name" in entry):
        return entry
    name, value = single_item(entry, "a postprocess step must be")
    return {"name": name, "value": value}


def single_item(entry: Any, rule: str) -> tuple[str, Any]:
    """The only key and value of a mapping."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError(f"{rule} a mapping of one name to its value, got {entry!r}; correct it")
    return next(iter(entry.items()))
