"""Labelled boxes of one image, in pixels or as shares of its sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.metrics.boxes import BoxSet


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxLabels:
    """What lies where in an image."""

    boxes_xyxy: NDArray[np.float64]
    """(n, 4) in pixels, or in shares of the image's width and height."""
    class_ids: NDArray[np.int64]
    """(n,)"""
    is_crowd: NDArray[np.bool_]
    """(n,) whether a box is around many objects."""
    is_relative: bool
    """Whether boxes are shares."""

    @classmethod
    def of(
        cls,
        boxes_xyxy: Sequence[Sequence[float]],
        class_ids: Sequence[int],
        *,
        is_relative: bool,
        is_crowd: Sequence[bool] | None = None,
    ) -> BoxLabels:
        """Labels from lists; no crowd where nothing is said."""
        return cls(
            boxes_xyxy=np.array(boxes_xyxy, np.float64).reshape(-1, 4),
            class_ids=np.array(class_ids, np.int64),
            is_crowd=np.zeros(len(class_ids), np.bool_) if is_crowd is None else np.array(is_crowd, np.bool_),
            is_relative=is_relative,
        )

    def in_image(self, image_hw: tuple[int, int]) -> BoxSet:
        """The boxes in an image's pixels."""
        height, width = image_hw
        scale = np.array([width, height, width, height], np.float64) if self.is_relative else 1.0
        return BoxSet(
            boxes_xyxy=self.boxes_xyxy * scale,
            class_ids=self.class_ids,
            scores=np.ones(len(self.class_ids)),
            is_crowd=self.is_crowd,
        )
