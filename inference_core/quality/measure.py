"""The statistics that a package asks for, of one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.quality.mask_measures import coherence_of, count_regions
from inference_core.quality.pixel_measures import BACKGROUND, PixelMeasures
from inference_core.quality.score_measures import (
    Numbers,
    class_margin,
    class_thresholds,
    label_entropy,
    label_margin,
    object_scores,
)
from inference_core.quality_fields import Group
from inference_core.records import ImageLook
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.spec import ModelSpec

Raw = Mapping[str, NDArray[Any]]
"""One image's reduced output, as its task finishes it."""
Ways = Mapping[Group, Callable[[], Numbers]]
"""How each group that an answer has is measured."""


def measure(groups: tuple[Group, ...], result: Result, raw: Raw, *, spec: ModelSpec, look: ImageLook | None) -> Numbers:
    """The statistics of one answer.

    Args:
        groups: those that are asked for, of the package's task.
        result: the answer.
        raw: what it was made of.
        spec: of the package.
        look: of the decoded image; None where it is not known.

    Returns:
        Numbers by the name of their columns, in the order of ``groups``.
    """
    numbers: Numbers = {}
    ways: Ways = {**ways_of(result, raw, spec=spec), "image": lambda: numbers_of_look(look)} if groups else {}
    for group in groups:
        numbers |= ways[group]()
    return numbers


def ways_of(result: Result, raw: Raw, *, spec: ModelSpec) -> Ways:
    """How the groups of a task are measured; nothing is before it is asked for."""
    asked, output = spec.statistics, spec.output
    match result:
        case Classification():
            return {"margin": lambda: class_margin(result.scores)}
        case MultiLabel():
            return {"margin": lambda: margin_of_labels(raw, spec=spec), "entropy": lambda: entropy_of_labels(raw)}
        case Detection():
            least = class_thresholds(result.labels, threshold=output.threshold, own=output.thresholds)
            return {"scores": lambda: object_scores(result.scores, least, near=asked.near_threshold)}
        case Segmentation():
            return ways_of_mask(result, spec=spec)
        case _:
            return {}


def ways_of_mask(result: Segmentation, *, spec: ModelSpec) -> Ways:
    """Of a segmentation, whose pixels are counted once for all groups."""
    asked = spec.statistics
    pixels = PixelMeasures(result, is_binary=spec.is_binary)
    shown = [class_id for class_id in np.flatnonzero(result.class_pixels).tolist() if class_id != BACKGROUND]
    return {
        "scores": lambda: pixels.scores(low=asked.low_score, high=asked.high_score),
        # Where the package declares an uncertainty, rows tell that one.
        "uncertainty": lambda: {} if spec.uncertainty is not None else pixels.uncertainty(),
        "boundary": lambda: pixels.boundary(band_px=asked.band_px),
        "coherence": lambda: {"coherence": coherence_of(result.mask, result.class_pixels)},
        "regions": lambda: {"num_regions": count_regions(result.mask, class_ids=shown)},
    }


def margin_of_labels(raw: Raw, *, spec: ModelSpec) -> Numbers:
    """Of all classes of a multi-label answer, shown or not."""
    least = class_thresholds(spec.classes, threshold=spec.output.threshold, own=spec.output.thresholds)
    return label_margin(np.asarray(raw["scores"][0], np.float32), least[np.asarray(raw["class_ids"][0])])


def entropy_of_labels(raw: Raw) -> Numbers:
    """Likewise."""
    return label_entropy(np.asarray(raw["scores"][0], np.float32))


def numbers_of_look(look: ImageLook | None) -> Numbers:
    """How the image looks; None where it was never decoded here."""
    names = ("brightness", "contrast", "sharpness")
    return {name: None if look is None else getattr(look, name) for name in names}
