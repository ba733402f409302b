"""How right a segmentation is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError
from inference_core.evaluation.findings import Findings, figures_with, real
from inference_core.evaluation.labels.class_ids import KEY
from inference_core.evaluation.metrics.boundary import boundary_f
from inference_core.evaluation.metrics.intervals import Weights, bootstrap
from inference_core.evaluation.metrics.overlap import PixelCounts, count_pixels, stack_counts

BACKGROUND = 0


class MaskFold:
    """Takes the masks of one image after the other, and keeps counts alone.

    Args:
        num_classes: background included.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._counts: list[PixelCounts] = []
        self._outlines: list[NDArray[np.float64]] = []
        self.image_ids: list[str] = []

    def add(self, truth: NDArray[np.integer], found: NDArray[np.integer], *, image_id: str) -> None:
        """Count an image.

        Args:
            truth: (H, W) class ids; others are no label.
            found: (H, W) class ids.
            image_id: for errors.

        Raises:
            ConfigError: the label has another size than the image.
        """
        if truth.shape != found.shape:
            raise ConfigError(
                f"must have masks of the images' own size, got {list(truth.shape)} for {image_id} of "
                f"{list(found.shape)}; give masks of the images as they are",
                key=KEY,
            )
        self.image_ids.append(image_id)
        self._counts.append(count_pixels(truth, found, num_classes=self._num_classes))
        self._outlines.append(boundary_f(truth, found, num_classes=self._num_classes))

    def findings(self, labels: Sequence[str], *, seed: int = 0) -> Findings:
        """The figures of all images that were added.

        IoU and Dice are of the pixels of all images together, their means over the classes that are labelled anywhere.
        With two classes they are those of the foreground, and ``Dice by image`` is its mean over the images.
        """
        counts = stack_counts(self._counts, num_classes=self._num_classes)
        outlines = np.stack(self._outlines) if self._outlines else np.empty((0, self._num_classes))

        def figures(weights: Weights) -> dict[str, float]:
            return mask_figures(counts, outlines, weights)

        ones = np.ones(len(self._counts), np.int64)
        together = counts.of_images(ones)
        iou, dice, outline = together.iou, together.dice, weighted_means(outlines, ones)
        return Findings(
            figures=figures_with(figures(ones), bootstrap(figures, num_images=len(self._counts), seed=seed)),
            per_class=tuple(
                {
                    "class_id": k,
                    "label": label,
                    "true_px": int(together.true[k]),
                    "found_px": int(together.found[k]),
                    "right_px": int(together.shared[k]),
                    "iou": real(iou[k]),
                    "dice": real(dice[k]),
                    "boundary_f": real(outline[k]),
                }
                for k, label in enumerate(labels)
            ),
            image_errors=image_errors(counts.dice),
            error_name="1 - Dice of the image" + (", mean of its classes" if self._num_classes > 2 else ""),
        )


def image_errors(dice: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) one less the Dice of each image.

    Args:
        dice: (N, K), nan where a class is neither labelled nor answered. Of two classes the foreground's counts, of
            more the mean; an image without any is right.
    """
    own = dice[:, 1:] if dice.shape[1] == 2 else dice
    known = ~np.isnan(own)
    counts = known.sum(axis=1)
    return 1 - np.where(counts > 0, np.where(known, own, 0.0).sum(axis=1) / np.maximum(counts, 1), 1.0)


def mask_figures(counts: PixelCounts, outlines: NDArray[np.float64], weights: Weights) -> dict[str, float]:
    """The figures of images, each counting so often."""
    together = counts.of_images(weights)
    outline = weighted_means(outlines, weights)
    if counts.true.shape[1] == 2:
        return {
            "IoU": float(together.iou[1]),
            "Dice": float(together.dice[1]),
            "Dice by image": float(weighted_means(counts.dice[:, 1:], weights)[0]),
            "boundary F": float(outline[1]),
            "pixel accuracy": float(together.pixel_accuracy),
        }
    labelled = together.true > 0
    return {
        "mIoU": mean_of(together.iou[labelled]),
        "mean Dice": mean_of(together.dice[labelled]),
        "boundary F": mean_of(outline[labelled]),
        "pixel accuracy": float(together.pixel_accuracy),
    }


def mean_of(values: NDArray[np.float64]) -> float:
    """The mean of those that are no nan; nan of none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def weighted_means(values: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """(K,) mean over the images of (N, K) values that are no nan; nan where there is none."""
    known = ~np.isnan(values)
    total = weights @ known
    return np.where(total > 0, weights @ np.where(known, values, 0.0) / np.where(total > 0, total, 1), np.nan)
