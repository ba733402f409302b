"""What one forward says, before anything is decided: scores after the activation, features, or boxes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array
from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import HookFunction
from inference_core.hooks.package_code import PackageCode
from inference_core.spec import ModelSpec
from inference_core.tasks.candidates import NO_SCORE, Candidates, pad_axis_1, ranked
from inference_core.tasks.class_ids import is_class_ids, read_class_ids
from inference_core.tasks.decoders.decode import decode, decode_masks
from inference_core.tasks.detection import count_boxes, is_finite, threshold_of
from inference_core.tasks.hook_decoder import HookDecoder
from inference_core.tasks.hooked import decoder_errors
from inference_core.tasks.kept_masks import reduce_masks
from inference_core.tasks.merged_spec import merge_of
from inference_core.tasks.nms import suppress
from inference_core.tasks.outputs import check_num_classes, name_output, pick_output, pick_scores, sigmoid, softmax
from inference_core.tasks.segmentation import foreground_plane, read_planes, upsample

HW = tuple[int, int]


class Reader:
    """Reads what the model of one package gives.

    Args:
        spec: of the package.
        code: of the package, where its decoder lies in it.
    """

    def __init__(self, spec: ModelSpec, *, code: PackageCode) -> None:
        self._spec = spec
        decoder = spec.output.decoder
        self._decoder = (
            HookDecoder(HookFunction(decoder, role="decoder", key="output.decoder", code=code), spec=spec)
            if isinstance(decoder, HookSpec)
            else None
        )

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def read_scores(self, outputs: Mapping[str, Array], *, size_hw: HW) -> Array:
        """The scores of all classes, not calibrated.

        Args:
            outputs: the model's, by name.
            size_hw: height and width that planes are scaled to.

        Returns:
            (B, K) float32; with task segmentation (B, K, h, w), or (B, 1, h, w) of the foreground of two classes.
            NaN where the model's output is not finite.

        Raises:
            EngineError: a decoder of the user's refused the outputs.
            ModelError: the outputs do not fit the spec.
        """
        with decoder_errors() if self._decoder else nullcontext():
            decoded = self._decoder(outputs) if self._decoder else outputs
            if self._spec.task == "segmentation":
                return read_plane_scores(decoded, spec=self._spec, size_hw=size_hw)
            return read_class_scores(decoded, spec=self._spec)

    def read_features(self, outputs: Mapping[str, Array]) -> Array:
        """What an embedding model gives, (B, D) or (B, D, 1, 1) float32."""
        with decoder_errors() if self._decoder else nullcontext():
            return pick_output(self._decoder(outputs) if self._decoder else outputs, name=self._spec.output.name)

    @np.errstate(over="ignore", invalid="ignore")
    def read_boxes(self, outputs: Mapping[str, Array], *, input_hw: HW) -> Candidates:
        """The boxes of this forward alone, (B, n), in its own pixels: those that stay, or with merge ``nms``, where all
        forwards' compete later, those that reach their threshold; with masks, which cost, those that stay in any case.

        Instance masks are carried as ``masks`` and ``mask_windows``, see ``reduce_masks``. All scores of an image are
        NaN where its outputs are not finite.
        """
        output = self._spec.output
        assert output.decoder is not None, "the spec of a detection model names its decoder"
        with decoder_errors() if self._decoder else nullcontext():
            decoded = self._decoder(outputs) if self._decoder else outputs
            candidates = decode(
                decoded,
                output.decoder,
                name=output.name,
                names=output.names,
                num_classes=len(self._spec.classes),
                input_hw=input_hw,
            )
            maps = decode_masks(decoded, output.decoder, names=output.names, num_boxes=int(candidates.scores.shape[1]))
            kept = self._kept(candidates, has_masks=maps is not None)
        xp = array_namespace(kept.scores)
        finite, carried = is_finite(candidates, kept), {}
        if maps is not None:
            masks, has_finite_masks = reduce_masks(
                maps, kept, count_boxes(kept), decoder=output.decoder, input_hw=input_hw, mask_px=output.mask_px
            )
            finite = finite & has_finite_masks
            carried = {name: pad_axis_1(array, kept.scores.shape[1], fill=0) for name, array in masks.items()}
        scores = xp.where(finite[:, None], kept.scores, xp.full_like(kept.scores, np.nan))
        is_box = (kept.scores > NO_SCORE)[..., None]
        boxes = xp.where(is_box, kept.boxes_xyxy, xp.zeros_like(kept.boxes_xyxy))
        return Candidates(boxes_xyxy=boxes, scores=scores, class_ids=kept.class_ids, carried=carried)

    def _kept(self, candidates: Candidates, *, has_masks: bool) -> Candidates:
        """The candidates of a forward that go on."""
        threshold, nms = threshold_of(self._spec), self._spec.output.nms
        if merge_of(self._spec) == "nms" and not has_masks:
            return ranked(candidates, threshold=threshold, max_candidates=nms.max_candidates)
        return suppress(candidates, nms=nms, threshold=threshold)


def read_class_scores(outputs: Mapping[str, Array], *, spec: ModelSpec) -> Array:
    """(B, K) scores of a classification or multi-label model."""
    logits = pick_scores(outputs, name=spec.output.name, model=f"a {spec.task} model")
    skipped = spec.output.skip_classes
    check_num_classes(logits.shape[1] - skipped, classes=spec.classes, shape=tuple(logits.shape))
    return finite_or_nan(activated(logits, spec=spec), logits)[:, skipped:]


def read_plane_scores(outputs: Mapping[str, Array], *, spec: ModelSpec, size_hw: HW) -> Array:
    """(B, K, h, w) scores of a segmentation model, or (B, 1, h, w) of the foreground of two classes."""
    output = outputs[name_output(outputs, name=spec.output.name)]
    if is_class_ids(output):
        return one_hot(read_class_ids(output, num_classes=len(spec.classes), size_hw=size_hw), spec=spec)
    logits = read_planes(pick_output(outputs, name=spec.output.name), layout=spec.output.layout)
    if tuple(logits.shape[-2:]) != size_hw:
        logits = upsample(logits, size_hw=size_hw)
    if spec.is_binary:
        plane, is_logit = foreground_plane(logits, spec=spec)
        return finite_or_nan(sigmoid(plane) if is_logit else plane, plane)[:, None, ...]
    check_num_classes(logits.shape[1], classes=spec.classes, shape=tuple(logits.shape))
    return finite_or_nan(activated(logits, spec=spec), logits)


def activated(logits: Array, *, spec: ModelSpec) -> Array:
    """Scores by the activation alone."""
    if spec.output.activation == "none":
        return logits
    return softmax(logits) if spec.output.activation == "softmax" else sigmoid(logits)


def finite_or_nan(scores: Array, logits: Array) -> Array:
    """Scores, NaN where the logits that they come from are not finite, so that merging cannot hide it."""
    xp = array_namespace(scores)
    return xp.where(xp.isfinite(logits), scores, xp.full_like(scores, np.nan))


def one_hot(class_ids: Array, *, spec: ModelSpec) -> Array:
    """(B, h, w) class ids as scores of 0 and 1."""
    xp = array_namespace(class_ids)
    if spec.is_binary:
        return xp.astype(class_ids, xp.float32)[:, None, ...]
    known = xp.arange(len(spec.classes), device=device(class_ids), dtype=class_ids.dtype)
    return xp.astype(class_ids[:, None, ...] == known[None, :, None, None], xp.float32)
