"""The records that travel between the three verbs: decoded image, prepared tiles, raw output, prediction.

All are frozen. Arrays in them are to be treated as read-only. ``repr`` shows shapes, never pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.run_length import BoolArray, decode_mask
from inference_core.safe_text import visible_text
from inference_core.status import Status
from inference_core.verdict import Verdict

Uint8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Int32Array = NDArray[np.int32]


MAX_SHOWN_NUMBERS = 16
"""Of an array in a notebook; a longer one shows its shape."""


class ArrayRecord:
    """Gives frozen dataclasses a ``repr`` that prints arrays as ``uint8[480, 640, 3]``."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = (f"{f.name}={describe_value(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """The fields as a table, as notebooks show them."""
        cells = (f"<tr><th>{f.name}</th><td>{html_of(getattr(self, f.name))}</td></tr>" for f in fields(self))  # type: ignore[arg-type]
        return f"<table><caption>{type(self).__name__}</caption>{''.join(cells)}</table>"


def describe_value(value: Any) -> str:
    """A short text for a value: dtype and shape for an array, a count for a long sequence, else its repr."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, tuple | list) and len(value) > 8:
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)


def html_of(value: Any) -> str:
    """A value in a cell of a page: records as tables, short arrays as their numbers; texts are harmless."""
    if isinstance(value, ArrayRecord):
        return value._repr_html_()
    is_short = isinstance(value, np.ndarray) and value.size <= MAX_SHOWN_NUMBERS
    text = str(value.round(4).tolist()) if is_short else describe_value(value)
    return escape(visible_text(text))


def check_array(name: str, array: NDArray[Any], *, ndim: int, dtype: type[np.generic]) -> None:
    """Raise ShapeError unless ``array`` has ``ndim`` dimensions and exactly ``dtype``."""
    if array.ndim != ndim or array.dtype != np.dtype(dtype):
        raise ShapeError(f"{name} must be a {ndim}-D {np.dtype(dtype)} array, got {array.dtype}{list(array.shape)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoTag:
    """A tag of a GeoTIFF that says where on Earth its pixels lie."""

    code: int
    kind: int
    """Type of the values, as TIFF numbers them."""
    values: tuple[float, ...] | str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DecodedImage(ArrayRecord):
    """One image as pixels, policies applied."""

    pixels: Uint8Array
    """(H, W, 3) uint8 RGB, upright (EXIF orientation applied), H and W at least 1."""
    format: str
    """What the signature says: jpeg, png, tiff, webp, bmp, gif, npy, avif, array."""
    decoder: str
    """The library that decoded: opencv, pillow, tifffile or numpy."""
    orientation: int = 1
    """EXIF orientation found in the file, 1 to 8; 1 where there was none."""
    page: int = 0
    """The page or frame that was read, from 0."""
    num_pages: int = 1
    """Pages or frames in the file."""
    geo_tags: tuple[GeoTag, ...] = ()
    """Of a GeoTIFF whose pixels lie as they are stored."""

    def __post_init__(self) -> None:
        check_array("pixels", self.pixels, ndim=3, dtype=np.uint8)
        if self.pixels.shape[2] != 3 or 0 in self.pixels.shape:
            raise ShapeError(f"pixels must be (H, W, 3) with H, W >= 1, got {list(self.pixels.shape)}")

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an image lies in the model's input: one affine map and a grid of tiles.

    The image is scaled to ``scaled_hw``, put with its top left corner at ``offset_yx`` of a canvas of
    ``canvas_hw`` pixels (a negative offset means cropped, the rest is padding), and the canvas is cut into
    windows of ``tile_hw`` whose top left corners are ``tile_origins_yx``.
    In continuous coordinates (pixel centres at .5): ``canvas = image * scaled / image_size + offset``.
    """

    image_hw: tuple[int, int]
    """Size of the decoded image."""
    scaled_hw: tuple[int, int]
    """Size of the whole image after scaling."""
    canvas_hw: tuple[int, int]
    """Size of the canvas that the tiles cover."""
    offset_yx: tuple[int, int]
    """Canvas position of the scaled image's top left corner; negative where it was cropped."""
    tile_hw: tuple[int, int]
    """Size of one tile, which is the model's input size."""
    tile_origins_yx: tuple[tuple[int, int], ...]
    """Top left corner of each tile in the canvas, row by row."""

    @property
    def num_tiles(self) -> int:
        """How many tiles the image became."""
        return len(self.tile_origins_yx)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Prepared(ArrayRecord):
    """One image ready for the model: uint8 tiles, not normalised, and where they lie."""

    tiles: Uint8Array
    """(T, h, w, C) uint8; C is 3, or 1 for a model of gray input."""
    placement: Placement

    def __post_init__(self) -> None:
        check_array("tiles", self.tiles, ndim=4, dtype=np.uint8)
        expected = (self.placement.num_tiles, *self.placement.tile_hw)
        if self.tiles.shape[:3] != expected or self.tiles.shape[3] not in (1, 3):
            raise ShapeError(
                f"tiles must be (T, h, w, 1 or 3) with (T, h, w) = {expected}, got {list(self.tiles.shape)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLook:
    """How a decoded image looks as a whole."""

    brightness: float
    """Mean luminance, 0 is black and 1 is white."""
    contrast: float
    """Standard deviation of the luminance, 0 to 0.5."""
    sharpness: float
    """Variance of the luminance's Laplacian, in squared steps of 255; blur lowers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What is known of one input before its pixels: filled as far as the image got."""

    image_id: str
    """Stable key, unique in a run: for a folder, the path below it."""
    uri: str = ""
    """Where the bytes came from, "" for arrays and bytes."""
    size_bytes: int = 0
    """Bytes read."""
    sha256: str = ""
    """Hex digest of the bytes, "" where none were read."""
    format: str = ""
    decoder: str = ""
    orientation: int = 1
    page: int = 0
    num_pages: int = 0
    image_hw: tuple[int, int] = (0, 0)
    frame_index: int | None = None
    """Which frame of a video, from 0; None for an image of its own."""
    time_s: float | None = None
    """Time of that frame since the start of the video."""
    geo_tags: tuple[GeoTag, ...] = ()
    """Of a GeoTIFF."""
    look: ImageLook | None = None
    """None where the package does not ask for it, or nothing was decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What one further view or member changed of an image's answer."""

    name: str
    """Of the view or member."""
    changed_frac: float
    """Share of what is decided (the class, the pixels, the labels, the objects) that is another with it than without;
    of a single class 0 or 1."""
    score_shift: float
    """Mean absolute change of the scores of what is decided."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Spread(ArrayRecord):
    """How far the forwards of one answer agree."""

    mutual_information: float | None = None
    """Entropy of the mean scores less the mean entropy of the scores, over the same maximum, in [0, 1]; None where it
    is not told."""
    score_std: float | None = None
    """Standard deviation over the forwards of the score of the best class; None likewise."""
    gains: tuple[Gain, ...] = ()
    """Of every view or member after the first, in order."""
    pixels: Uint8Array | None = None
    """(H, W) uint8, segmentation: the uncertainty of each pixel times 255; None where it is not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Classification(ArrayRecord):
    """The answer of a classification model for one image."""

    class_ids: Int32Array
    """(k,) int32, best first."""
    scores: FloatArray
    """(k,) float32 in [0, 1], descending, of ``class_ids``."""
    labels: tuple[str, ...]
    """(k,) names of ``class_ids``."""
    entropy: float
    """Entropy of all class scores divided by its maximum, in [0, 1]."""
    spread: Spread | None = None
    """Of several forwards, None of one."""
    prediction_set: Int32Array | None = None
    """(n,) int32 classes of the conformal set, best first; None where the package declares none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEffect:
    """What one step did to one class of a mask."""

    class_id: int
    """The class that lost pixels to the background or another class, or that got them from the background."""
    num_components: int
    """Components that were removed, or holes that were filled; 0 of steps that look at neither."""
    num_pixels: int
    """Pixels that are of another class now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEffect:
    """What one step of postprocessing did to a mask."""

    name: str
    """Of the step, or the import path of a function."""
    value: int | None
    """Its number, None where it is a switch or a function."""
    classes: tuple[ClassEffect, ...] = ()
    """Those that it changed, by class id."""

    @property
    def num_components(self) -> int:
        """Components that were removed, or holes that were filled, of all classes."""
        return sum(effect.num_components for effect in self.classes)

    @property
    def num_pixels(self) -> int:
        """Pixels that are of another class now."""
        return sum(effect.num_pixels for effect in self.classes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Components(ArrayRecord):
    """The connected components of a mask: pixels of one class that touch at an edge or a corner; largest first."""

    num_found: int
    """Of the image, kept here or not."""
    class_ids: Int32Array
    """(N,) int32."""
    areas_px: NDArray[np.int64]
    """(N,) int64 pixels, descending; equal ones by class id, then by their first pixel."""
    scores: FloatArray
    """(N,) float32, the mean of the mask's ``scores`` over each."""
    boxes_xyxy: Int32Array
    """(N, 4) int32, half-open."""
    centroids_xy: FloatArray
    """(N, 2) float32, where the middle of the pixel in the top left corner is (0.5, 0.5)."""
    eccentricities: FloatArray
    """(N,) float32 in [0, 1], of the ellipse with the same second moments: 0 of a disc, 1 of a line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Segmentation(ArrayRecord):
    """The answer of a segmentation model for one image, in the image's own pixels."""

    mask: Uint8Array
    """(H, W) uint8 class ids."""
    scores: Uint8Array
    """(H, W) uint8: score of the chosen class (multi-class) or of the foreground (binary), times 255."""
    class_pixels: NDArray[np.int64]
    """(K,) int64, pixels of each class; sums to H * W."""
    class_scores: FloatArray
    """(K,) float32, mean score over the pixels of each class, 0 for an absent class."""
    labels: tuple[str, ...]
    """(K,) class names."""
    spread: Spread | None = None
    """Of several forwards, or with ``uncertainty``; else None."""
    effects: tuple[StepEffect, ...] = ()
    """What each step of ``postprocess`` did, in order."""
    components: Components | None = None
    """None where the package does not ask for them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MultiLabel(ArrayRecord):
    """The answer of a multi-label model for one image: the classes it shows, and the best ones in any case."""

    class_ids: Int32Array
    """(n,) int32, the classes that reach their threshold, best first."""
    scores: FloatArray
    """(n,) float32 in [0, 1], of ``class_ids``."""
    labels: tuple[str, ...]
    """(n,) names of ``class_ids``."""
    top_class_ids: Int32Array
    """(k,) int32, the best classes whatever their score, best first; k is at least 1."""
    top_scores: FloatArray
    """(k,) float32 in [0, 1], descending, of ``top_class_ids``."""
    top_labels: tuple[str, ...]
    """(k,) names of ``top_class_ids``."""
    spread: Spread | None = None
    """Of several forwards, None of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMask:
    """The pixels of one object, as runs: its size is that of its outline, not of the image."""

    size_hw: tuple[int, int]
    """Height and width of the image."""
    counts: str
    """Compressed run lengths, as COCO's tools read them."""
    area_px: int
    """Pixels of the object."""

    def to_array(self) -> BoolArray:
        """(H, W) bool, True where the object is."""
        return decode_mask(self.counts, image_hw=self.size_hw)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Detection(ArrayRecord):
    """The answer of a detection model for one image, best box first."""

    boxes_xyxy: FloatArray
    """(N, 4) float32, half-open, in the image's own pixels and not empty; within the image unless the package says
    otherwise."""
    scores: FloatArray
    """(N,) float32 in [0, 1], descending."""
    class_ids: Int32Array
    """(N,) int32."""
    labels: tuple[str, ...]
    """(N,) names of ``class_ids``."""
    masks: tuple[InstanceMask, ...] | None = None
    """(N,) the objects' pixels, None where the model gives none."""
    spread: Spread | None = None
    """Of several forwards, None of one."""

    def __post_init__(self) -> None:
        check_array("boxes_xyxy", self.boxes_xyxy, ndim=2, dtype=np.float32)
        num_masks = len(self.boxes_xyxy if self.masks is None else self.masks)
        sizes = {len(self.boxes_xyxy), len(self.scores), len(self.class_ids), len(self.labels), num_masks}
        if self.boxes_xyxy.shape[1] != 4 or len(sizes) != 1:
            raise ShapeError(
                f"boxes_xyxy must be (N, 4) with N scores, class_ids, labels and masks, if any, got "
                f"{list(self.boxes_xyxy.shape)}, {len(self.scores)}, {len(self.class_ids)}, {len(self.labels)} and "
                f"{num_masks}"
            )

    def where(self, is_kept: NDArray[Any]) -> Detection:
        """Some of the objects, with all that belongs to them.

        Args:
            is_kept: (N,) bool, true for those that stay; or the positions of those that stay, in their new order.
        """
        kept = np.arange(len(self.scores))[is_kept]
        return Detection(
            boxes_xyxy=self.boxes_xyxy[kept],
            scores=self.scores[kept],
            class_ids=self.class_ids[kept],
            labels=tuple(self.labels[index] for index in kept),
            masks=None if self.masks is None else tuple(self.masks[index] for index in kept),
            spread=self.spread,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Embedding(ArrayRecord):
    """The answer of an embedding model for one image."""

    vector: FloatArray
    """(D,) float32, of length 1 where the package says so."""
    norm: float
    """Euclidean length of what the model gave."""


Result = Classification | MultiLabel | Detection | Segmentation | Embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMs:
    """Milliseconds that one image spent in each verb; the infer time is its share of the batch."""

    fetch: float = 0.0
    prepare: float = 0.0
    infer: float = 0.0
    finish: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Prediction(ArrayRecord):
    """What became of one image. There is exactly one for every input."""

    source: SourceFacts
    status: Status
    error: str = ""
    """Why, where ``status`` is not ``ok``."""
    result: Result | None = None
    """The answer, None where ``status`` is not ``ok``, or where a job knows it from the same bytes."""
    stage_ms: StageMs = StageMs()
    model_digest: str = ""
    """Identifies the spec and the weights that gave the answer."""
    engine: str = ""
    """What ran the model, "" where nothing did."""
    statistics: Mapping[str, float | None] = field(default_factory=dict)
    """The numbers that the package asks for, by name; None for what this answer does not have."""
    verdict: Verdict | None = None
    """None where the package declares no ``quality``, or there is no answer."""
    reasons: tuple[str, ...] = ()
    """Of the rules that hold, in their order."""
    priority: float | None = None
    """With a verdict: how uncertain the answer is and how far its forwards disagree, in [0, 1]."""

    @property
    def is_ok(self) -> bool:
        """Whether there is a result."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PreparedItem(ArrayRecord):
    """One input after prepare: ready for the model, or failed with its reason."""

    source: SourceFacts
    prepared: Prepared | None = None
    """None where ``status`` is not ``ok``, or where the answer for the same bytes is known and nothing is to infer."""
    others: tuple[Prepared, ...] = ()
    """The same image as further inputs, of an ensemble whose members take different ones; in the order of the blocks
    of its package, ``prepared`` being the first."""
    status: Status = "ok"
    error: str = ""
    stage_ms: StageMs = StageMs()

    @property
    def blocks(self) -> tuple[Prepared, ...]:
        """All inputs that the image became, none where there is nothing to infer."""
        return () if self.prepared is None else (self.prepared, *self.others)

    @property
    def num_bytes(self) -> int:
        """Of all tiles."""
        return sum(block.tiles.nbytes for block in self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RawPart(ArrayRecord):
    """What one member of an ensemble gave for one image."""

    placement: Placement
    raw: Mapping[str, NDArray[Any]]
    """Arrays by name, the first axis is the tiles of the member's own input."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RawItem(ArrayRecord):
    """One input after infer: the model's reduced output, or failed with its reason."""

    source: SourceFacts
    placement: Placement | None = None
    """None where nothing was inferred."""
    raw: Mapping[str, NDArray[Any]] | None = None
    """Arrays by name, the first axis is the image's tiles; None where nothing was inferred."""
    others: tuple[RawPart, ...] = ()
    """Of an ensemble whose members take different inputs: what its members after the first gave, in their order.
    ``placement`` and ``raw`` are then the first member's."""
    engine: str = ""
    """What ran the model, "" where nothing did."""
    status: Status = "ok"
    error: str = ""
    stage_ms: StageMs = StageMs()

    @property
    def parts(self) -> tuple[RawPart, ...]:
        """What each member gave, or the lone model; none where nothing was inferred."""
        if self.raw is None or self.placement is None:
            return ()
        return (RawPart(placement=self.placement, raw=self.raw), *self.others)

    @property
    def num_bytes(self) -> int:
        """Of all arrays."""
        return sum(array.nbytes for part in self.parts for array in part.raw.values())
