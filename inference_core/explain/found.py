"""What is asked of a method and what it finds, in the model's input."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.explain.explanation import Method
from inference_core.explain.targets import Aim, Box
from inference_core.records import ArrayRecord, FloatArray, Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be explained, and how."""

    class_id: int | None = None
    """None for the best class."""
    object_index: int | None = None
    """Of a detection, which object of the answer; None for the best one."""
    box_xyxy: Box | None = None
    """Of a detection, where in the image the object of ``class_id`` lies that is meant, in place of its number."""
    layer: str = ""
    """Of Grad-CAM; "" for the one that is found."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Found(ArrayRecord):
    """What a method finds. See Explanation for the fields."""

    aim: Aim
    heatmaps: FloatArray
    """(T, h, w) float32, one for each tile; 0 for those that have no part in the answer."""
    method: Method
    value: float
    engine: str
    layer: str = ""
    baseline: tuple[int, ...] | None = None
    baseline_value: float | None = None
    convergence_delta: float | None = None
    window_hw: tuple[int, int] | None = None
    """Occlusion: of what covers, in the model's input."""

    @property
    def total(self) -> float:
        """Sum over all tiles."""
        return float(self.heatmaps.sum(dtype="float64"))


def mean_color(prepared: Prepared) -> tuple[int, ...]:
    """The mean of each channel over all tiles, rounded: a colour of which an image shows nothing."""
    channels = prepared.tiles.mean(axis=(0, 1, 2), dtype="float64")
    return tuple(round(float(channel)) for channel in channels)
