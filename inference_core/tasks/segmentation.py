"""Segmentation: a class for every pixel of the original image.

Scores travel as uint8 (score times 255, rounded): a quarter of the bytes, and a threshold is met to 1/255.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.errors import ModelError
from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import HookFunction
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.postprocess import MaskStep, apply_steps, apply_threshold, measure_components
from inference_core.postprocess.hook_step import HookStep
from inference_core.postprocess_spec import StepSpec
from inference_core.prepare import blend_tiles, map_to_image
from inference_core.records import Placement, Uint8Array
from inference_core.results import Components, Result, Segmentation, StepEffect
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import activate, best_of, build_calibration, foreground_scores
from inference_core.tasks.class_ids import CERTAIN, is_class_ids, read_class_ids
from inference_core.tasks.mask_columns import COMPONENT_FIELDS, EFFECT_FIELD, component_rows, effect_rows
from inference_core.tasks.outputs import all_finite, check_num_classes, name_output, pick_output, to_uint8
from inference_core.tasks.protocol import RawOutput, mean_or_zero

CLASS_TYPE = pa.struct(
    [
        ("class_id", pa.int32()),
        ("label", pa.string()),
        ("pixels", pa.int64()),
        ("frac", pa.float32()),
        ("score", pa.float32()),
    ]
)

RESULT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("mask_path", pa.string()),
    pa.field("score", pa.float32()),
    pa.field("foreground_frac", pa.float32()),
    pa.field("classes", pa.list_(CLASS_TYPE)),
)

BACKGROUND = 0
"""Class 0 is the background: what postprocessing leaves and where nothing was seen."""


class SegmentationTask:
    """Reads (B, K, h, w) scores, one plane per class or a single foreground plane for two classes; or class ids.

    Args:
        spec: ``output.threshold`` decides two classes, the largest score decides more.
        code: of the package, where steps lie in it.
    """

    result_fields = RESULT_FIELDS

    def __init__(self, spec: ModelSpec, *, code: PackageCode = NO_CODE) -> None:
        self._spec = spec
        of_steps = (EFFECT_FIELD,) if spec.postprocess else ()
        of_components = COMPONENT_FIELDS if spec.components is not None else ()
        self.result_fields = (*RESULT_FIELDS, *of_steps, *of_components)
        self._num_classes = len(spec.classes)
        self._keeps_scores = not spec.is_binary and (spec.output.resize_from == "scores" or spec.input.fit == "tile")
        self._calibration = build_calibration(spec)
        self._steps = tuple(self._read_step(step, code=code) for step in spec.postprocess)

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """Shrink to uint8 planes of the tile's size; coarser outputs are scaled up before the activation.

        Two classes: ``foreground`` (B, h, w). More: ``class_map`` and ``score_map`` (B, h, w), or all
        ``class_scores`` (B, K, h, w) where seams are blended or scores are resized.
        """
        spec = self._spec
        output = outputs[name_output(outputs, name=spec.output.name)]
        if is_class_ids(output):
            return self._reduce_class_ids(output, tile_hw=tile_hw)
        logits = read_planes(pick_output(outputs, name=spec.output.name), layout=spec.output.layout)
        if tuple(logits.shape[-2:]) != tile_hw:
            logits = upsample(logits, size_hw=tile_hw)
        if spec.is_binary:
            plane, is_logit = foreground_plane(logits, spec=spec)  # (B, h, w)
            foreground = foreground_scores(plane, calibration=self._calibration, is_logit=is_logit)
            return {"foreground": to_uint8(foreground), "finite": all_finite(plane)}
        check_num_classes(logits.shape[1], classes=spec.classes, shape=tuple(logits.shape))
        if self._keeps_scores:
            scores = activate(logits, calibration=self._calibration)
            return {"class_scores": to_uint8(scores), "finite": all_finite(scores)}
        class_ids, best = best_of(logits, calibration=self._calibration)
        xp = array_namespace(logits)
        return {
            "class_map": xp.astype(class_ids, xp.uint8),
            "score_map": to_uint8(best),
            "finite": all_finite(best),
        }

    def _reduce_class_ids(self, output: Array, *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """The planes of a model that decides itself; every score is 1."""
        xp = array_namespace(output)
        if self._keeps_scores:
            raise ModelError(
                "input.fit tile and output.resize_from scores need a model that gives scores, got class ids; correct "
                "model.yaml, or export the model without argmax"
            )
        if not self._calibration.is_plain:
            raise ModelError("calibration needs a model that gives scores, got class ids; remove it from model.yaml")
        class_ids = read_class_ids(output, num_classes=self._num_classes, size_hw=tile_hw)
        finite = xp.ones(len(output), dtype=xp.bool, device=class_ids.device)
        if self._spec.is_binary:
            return {"foreground": class_ids * CERTAIN, "finite": finite}
        return {"class_map": class_ids, "score_map": xp.full_like(class_ids, CERTAIN), "finite": finite}

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """Join tiles, scale to the image, decide, clean, measure."""
        mask, scores = self._decide(raw, placement)
        mask, effects = apply_steps(mask, steps=self._steps, background=BACKGROUND)
        return self._measure(mask, scores, effects=effects)

    def _read_step(self, step: StepSpec, *, code: PackageCode) -> MaskStep:
        """A step as ``apply_steps`` takes it."""
        if isinstance(step, HookSpec):
            function = HookFunction(step, role="step", key="postprocess", code=code)
            return MaskStep(name=step.import_path, function=HookStep(function, num_classes=self._num_classes))
        return MaskStep(name=step.name, value=step.value, class_ids=self._ids_of(step.classes))

    def _ids_of(self, names: Sequence[str]) -> tuple[int, ...] | None:
        """Ids of named classes; None, which stands for all, where none are named."""
        return tuple(self._spec.classes.index(name) for name in names) or None

    def _decide(self, raw: RawOutput, placement: Placement) -> tuple[Uint8Array, Uint8Array]:
        """Class ids and scores, both (H, W) uint8 in the image's pixels."""
        if self._spec.is_binary:
            canvas = join_tiles(raw["foreground"][:, None], placement)[0]
            foreground = map_to_image(canvas, placement, interpolation="bilinear")
            return apply_threshold(foreground, threshold=self._spec.output.threshold), foreground
        if self._keeps_scores:
            canvas = join_tiles(raw["class_scores"], placement)  # (K, H', W')
            return best_class(canvas, placement)
        return (
            map_to_image(raw["class_map"][0], placement, interpolation="nearest"),
            map_to_image(raw["score_map"][0], placement, interpolation="nearest"),
        )

    def _find_components(self, mask: Uint8Array, scores: Uint8Array) -> Components | None:
        """The components that the package asks for, None where it does not."""
        asked = self._spec.components
        if asked is None:
            return None
        return measure_components(
            mask,
            scores,
            max_count=asked.max_count,
            min_area_px=asked.min_area_px,
            class_ids=self._ids_of(asked.classes),
            background=BACKGROUND,
        )

    def _measure(self, mask: Uint8Array, scores: Uint8Array, *, effects: tuple[StepEffect, ...]) -> Segmentation:
        """Pixels and mean score of each class, exact: from the joint histogram of class and score."""
        joint = np.bincount(mask.ravel().astype(np.int32) * 256 + scores.ravel(), minlength=self._num_classes * 256)
        joint = joint.reshape(self._num_classes, 256)  # (K, 256)
        pixels = joint.sum(axis=1)
        totals = joint @ np.arange(256)
        if self._spec.is_binary:
            # The plane holds the foreground's score; the background's is what is left of it.
            totals[BACKGROUND] = pixels[BACKGROUND] * 255 - totals[BACKGROUND]
        return Segmentation(
            mask=mask,
            scores=scores,
            class_pixels=pixels.astype(np.int64),
            class_scores=(totals / np.maximum(pixels, 1) / 255).astype(np.float32),
            labels=self._spec.classes,
            effects=effects,
            components=self._find_components(mask, scores),
        )

    def to_row(self, result: Result) -> dict[str, Any]:
        """Shares and mean scores of the classes that occur."""
        assert isinstance(result, Segmentation), "a segmentation task makes segmentations"
        pixels, scores = result.class_pixels.tolist(), result.class_scores.tolist()
        total = sum(pixels)
        weighted = sum(count * score for count, score in zip(pixels, scores, strict=True))
        told: dict[str, Any] = {}
        if self._steps:
            told["postprocess"] = effect_rows(result.effects, classes=result.labels)
        if result.components is not None:
            found = result.components
            told |= {"num_components": found.num_found, "components": component_rows(found, classes=result.labels)}
        return {
            "mask_path": None,
            "score": mean_or_zero(weighted, total),
            "foreground_frac": mean_or_zero(total - pixels[BACKGROUND], total),
            "classes": [
                {"class_id": index, "label": label, "pixels": count, "frac": count / total, "score": score}
                for index, (label, count, score) in enumerate(zip(result.labels, pixels, scores, strict=True))
                if count
            ],
            **told,
        }


def read_planes(output: Array, *, layout: str) -> Array:
    """A model's output as (B, K, h, w).

    Raises:
        ModelError: it has another number of axes.
    """
    xp = array_namespace(output)
    if output.ndim == 3:
        return output[:, None, ...]  # one plane without a class axis
    if output.ndim != 4:
        raise ModelError(
            f"a segmentation model must give (B, K, h, w) scores, got {list(output.shape)}; set output.name, or task"
        )
    return xp.permute_dims(output, (0, 3, 1, 2)) if layout == "BHWC" else output


def foreground_plane(logits: Array, *, spec: ModelSpec) -> tuple[Array, bool]:
    """(B, h, w) of the foreground from one or two planes, and whether they are logits or scores already.

    Raises:
        ModelError: the planes do not fit the spec.
    """
    activation, num_planes = spec.output.activation, logits.shape[1]
    if num_planes == 2 and activation == "softmax":
        # The softmax of two classes is the sigmoid of their difference: one plane instead of two.
        return logits[:, 1, ...] - logits[:, 0, ...], True
    if num_planes == 1 and activation == "softmax":
        raise ModelError(
            "output.activation must be sigmoid or none for a model with one output plane, got softmax; "
            "correct model.yaml"
        )
    if num_planes not in (1, 2):
        check_num_classes(num_planes, classes=spec.classes, shape=tuple(logits.shape))
    return logits[:, -1, ...], activation == "sigmoid"


def upsample(logits: Array, *, size_hw: tuple[int, int]) -> Array:
    """(B, K, h, w) scores at another size, bilinear; models often give a fourth of their input's size."""
    import torch
    from torch.nn.functional import interpolate

    is_numpy = isinstance(logits, np.ndarray)
    tensor = torch.from_numpy(np.require(logits, requirements="W")) if is_numpy else logits
    scaled = interpolate(tensor, size=size_hw, mode="bilinear", align_corners=False)
    return scaled.numpy() if is_numpy else scaled


def join_tiles(planes: Uint8Array, placement: Placement) -> Uint8Array:
    """(T, K, h, w) planes of tiles as (K, H', W') planes of the canvas."""
    return planes[0] if placement.num_tiles == 1 else blend_tiles(planes, placement)


def best_class(canvas: Uint8Array, placement: Placement) -> tuple[Uint8Array, Uint8Array]:
    """Class ids and scores in the image's pixels, one class plane at a time; ties go to the lower id."""
    scores = map_to_image(canvas[0], placement, interpolation="bilinear")
    mask = np.zeros_like(scores)
    for class_id, plane in enumerate(canvas[1:], start=1):
        candidate = map_to_image(plane, placement, interpolation="bilinear")
        is_better = candidate > scores
        mask[is_better] = class_id
        scores = np.maximum(scores, candidate)
    return mask, scores
