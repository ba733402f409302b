"""The answers of models to one image, by task, and what they tell of themselves.

All are frozen. Arrays in them are to be treated as read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.records import ArrayRecord, FloatArray, Int32Array, Uint8Array, check_array
from inference_core.run_length import BoolArray, decode_mask


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
    uncertainty: float | None = None
    """Mean of the uncertainties of ``pixels``; None without."""
    uncertain_frac: float | None = None
    """Share of ``pixels`` from the package's threshold on; None without."""


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
