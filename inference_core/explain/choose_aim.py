"""Which class or object of an answer is explained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from inference_core.engines.protocol import Array
from inference_core.errors import ConfigError
from inference_core.explain.box_target import find_box
from inference_core.explain.class_target import ClassTarget
from inference_core.explain.found import Wish
from inference_core.explain.mask_target import MaskTarget, predicted_mask
from inference_core.explain.not_shown import NotShownError
from inference_core.explain.targets import Aim, as_numpy
from inference_core.records import Placement
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import activate, build_calibration
from inference_core.tasks.outputs import pick_scores

BACKGROUND = 0
MAX_NAMED = 8
"""Classes that a message names."""

Outputs = Sequence[Mapping[str, Array]]
"""What the model gives for each tile alone."""


def check_class(name: str, *, classes: Sequence[str]) -> int:
    """The class id of a name.

    Raises:
        ConfigError: there is no such class.
    """
    if name in classes:
        return list(classes).index(name)
    containing = [known for known in classes if name.lower() in known.lower()]
    near = containing[:3] or difflib.get_close_matches(name, classes, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"classes: {', '.join(classes[:MAX_NAMED])}"
    more = ", ..." if not near and len(classes) > MAX_NAMED else ""
    raise ConfigError(f"must be one of the model's {len(classes)} classes, got {name!r}; {hint}{more}", key="class")


def choose_aim(
    result: Result,
    outputs: Outputs,
    placement: Placement,
    *,
    spec: ModelSpec,
    is_decoded: bool = False,
    wish: Wish,
) -> Aim:
    """What is explained.

    Args:
        result: the answer.
        outputs: of each tile alone.
        placement: of the image.
        spec: that reads the outputs.
        is_decoded: whether those of a detector are boxes by name already.
        wish: what is asked for; by default the best class, of a segmentation the largest one beside the background, or
            the best object.

    Raises:
        NotShownError: the answer does not hold the class, or the object.
    """
    if isinstance(result, Detection):
        named = choose_named(result, spec=spec, wish=wish) if wish.box_xyxy is None else named_box(spec, wish)
        return aim_at_box(named, outputs, placement, spec=spec, is_decoded=is_decoded)
    if isinstance(result, Segmentation):
        return aim_at_mask(result, outputs, placement, spec=spec, class_id=wish.class_id)
    named = choose_named(result, spec=spec, wish=wish)
    score = score_of_class(outputs[0], spec=spec, class_id=named.class_id)
    return replace(named, score=score, targets={0: ClassTarget(spec, class_id=named.class_id)})


def choose_named(result: Result, *, spec: ModelSpec, wish: Wish) -> Aim:
    """What is meant in an answer, as the answer tells it; targets are still to be found, and with a class of the whole
    image the score.

    Raises:
        NotShownError: the answer does not hold the class, or the object.
    """
    if isinstance(result, Detection):
        index = choose_object(result, spec=spec, wish=wish)
        left, top, right, bottom = (float(side) for side in result.boxes_xyxy[index])
        return Aim(
            class_id=int(result.class_ids[index]),
            label=result.labels[index],
            score=float(result.scores[index]),
            box_xyxy=(left, top, right, bottom),
        )
    if isinstance(result, Segmentation):
        chosen = choose_mask_class(result) if wish.class_id is None else wish.class_id
        return Aim(class_id=chosen, label=spec.classes[chosen], score=float(result.class_scores[chosen]))
    assert isinstance(result, Classification | MultiLabel), "embeddings have no class, and were refused"
    best = result.class_ids if isinstance(result, Classification) else result.top_class_ids
    chosen = int(best[0]) if wish.class_id is None else wish.class_id
    return Aim(class_id=chosen, label=spec.classes[chosen], score=0.0)


def named_box(spec: ModelSpec, wish: Wish) -> Aim:
    """An object that is known by where it lies."""
    assert wish.class_id is not None, "a box that is wished for comes with its class"
    return Aim(class_id=wish.class_id, label=spec.classes[wish.class_id], score=0.0, box_xyxy=wish.box_xyxy)


@np.errstate(over="ignore", invalid="ignore")
def score_of_class(outputs: Mapping[str, Array], *, spec: ModelSpec, class_id: int) -> float:
    """The score of any class, as the task computes it."""
    logits = pick_scores(outputs, name=spec.output.name, model=f"a {spec.task} model")
    skipped = spec.output.skip_classes if spec.task == "classification" else 0
    scores = activate(logits, calibration=build_calibration(spec), skipped=skipped)
    return float(as_numpy(scores)[0, skipped + class_id])


def aim_at_mask(
    result: Segmentation, outputs: Outputs, placement: Placement, *, spec: ModelSpec, class_id: int | None
) -> Aim:
    """A class over its pixels, tile by tile."""
    chosen = choose_mask_class(result) if class_id is None else class_id
    masks = [predicted_mask(one, spec=spec, class_id=chosen, tile_hw=placement.tile_hw) for one in outputs]
    targets = {index: MaskTarget(spec, class_id=chosen, mask=mask) for index, mask in enumerate(masks) if mask.any()}
    if not targets:
        raise not_in_mask(result, name=spec.classes[chosen])
    return Aim(class_id=chosen, label=spec.classes[chosen], score=float(result.class_scores[chosen]), targets=targets)


def choose_mask_class(result: Segmentation) -> int:
    """The largest class beside the background; that where there is nothing else."""
    pixels = result.class_pixels.copy()
    pixels[BACKGROUND] = 0
    return int(pixels.argmax())


def not_in_mask(result: Segmentation, *, name: str) -> NotShownError:
    """The error of a class that a mask does not hold."""
    shown = [result.labels[index] for index in np.flatnonzero(result.class_pixels)]
    return NotShownError(
        f"class must be in the image's predicted mask, which holds {', '.join(shown[:MAX_NAMED])}; got {name!r}; "
        "choose one of these"
    )


def choose_object(result: Detection, *, spec: ModelSpec, wish: Wish) -> int:
    """Position in the answer of the object that is explained.

    Raises:
        NotShownError: there is none.
    """
    class_id, object_index = wish.class_id, wish.object_index
    if object_index is not None:
        if not 0 <= object_index < len(result.scores):
            raise NotShownError(
                f"object must be the number, from 0, of one of the image's {len(result.scores)} objects, got "
                f"{object_index}; choose another, or lower output.threshold"
            )
        return object_index
    fitting = np.flatnonzero((result.class_ids == class_id) | (class_id is None))
    if not len(fitting):
        wanted = "" if class_id is None else f" of class {spec.classes[class_id]!r}"
        raise NotShownError(
            f"the image must show an object{wanted} to be explained, got none over the threshold; choose another class "
            "or image, or lower output.threshold"
        )
    return int(fitting[0])


def aim_at_box(named: Aim, outputs: Outputs, placement: Placement, *, spec: ModelSpec, is_decoded: bool) -> Aim:
    """One object, where the model's own box lies best over it."""
    assert named.box_xyxy is not None, "objects have boxes"
    tile_index, target = find_box(
        outputs,
        placement,
        spec=spec,
        is_decoded=is_decoded,
        class_id=named.class_id,
        box_xyxy=np.asarray(named.box_xyxy, np.float32),
    )
    return replace(named, targets={tile_index: target})
