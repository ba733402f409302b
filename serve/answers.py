"""What goes through a service: one image with its options in, one prediction out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.items import Prediction
from inference_core.records import ArrayRecord, Uint8Array
from serve.told_columns import ToldColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a caller may ask for. None is what the package says; so the default is the answer that a job writes."""

    top_k: int | None = None
    """Classes shown, at most the package's."""
    threshold: float | None = None
    """Least score: of boxes (at least the package's), of labels, of the foreground of two classes."""
    with_probabilities: bool = False
    """Score maps (segmentation) or the scores of all top classes, beside the answer."""
    with_mask: bool = False
    """The mask itself in a JSON answer (PNG, base64); the picture types give it in any case."""
    with_uncertainty: bool = False
    """The uncertainty of each pixel in a JSON answer, likewise, of packages that declare it."""
    views: int | None = None
    """How many of the package's views are run, the first ones; 1 is the image as it is. The answer is then that of a
    package with these views, by its digest too."""


DEFAULT_OPTIONS = Options()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PredictRequest(ArrayRecord):
    """One image for one model."""

    model: str
    image: bytes | Uint8Array
    """An encoded image; or prepared tiles (T, h, w, C) uint8 as the model's prepare gives them, T = 1 but for tiled
    models, whose answer is then in the input's own pixels."""
    image_id: str = ""
    uri: str = ""
    options: Options = DEFAULT_OPTIONS
    deadline_s: float | None = None
    """On the clock of ``time.time``: whoever holds the request after that drops it."""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Answer(ArrayRecord):
    """What became of one image; a bad image has a status like everywhere, and raises nothing."""

    prediction: Prediction
    row: Mapping[str, Any]
    """The same columns that a job writes, ``row_id`` 0."""
    model: str
    model_digest: str
    queue_ms: float = 0.0
    """Waiting time between prepare and infer."""
    batch_size: int = 0
    """Images that shared the forward."""
    was_cached: bool = False
    """Whether equal bytes had this answer already; times are then those of the first."""
    raw: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """With ``with_probabilities``: arrays by name, e.g. ``probabilities`` (K,) float32, ``score_map`` (H, W) uint8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What is told of one served model."""

    name: str
    digest: str
    version: str
    """The first 12 characters of the digest: what ``/v2/models/{name}/versions/{version}`` takes."""
    task: str
    classes: tuple[str, ...]
    engine: str
    """As results name it, e.g. ``onnxruntime on cpu, fp32``; "" while it is not loaded."""
    input_hw: tuple[int, int] | None
    """Height and width of a prepared tile where they are fixed."""
    num_channels: int
    spec: Mapping[str, Any]
    """The package's ``model.yaml`` with its defaults, without any path."""
    is_ready: bool
    options: Mapping[str, Any]
    """Which ``Options`` mean something here, each with its default and bounds."""
    columns: tuple[ToldColumn, ...] = ()
    """What its rows tell because the package declares it."""


def as_tiles(array: NDArray[np.generic]) -> Uint8Array:
    """Prepared input as (T, h, w, C) uint8.

    Raises:
        ValueError: another dtype or number of axes.
    """
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise ValueError(f"prepared pixels must be uint8 (h, w, C) or (T, h, w, C), got {array.dtype}{array.shape}")
    return np.ascontiguousarray(array if array.ndim == 4 else array[np.newaxis], dtype=np.uint8)
