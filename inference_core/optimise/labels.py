"""The function that scores a sample's answers by the user's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

from inference_core.errors import ConfigError
from inference_core.evaluation.labels.class_ids import KEY, ClassIds
from inference_core.evaluation.labels.match import match_labels
from inference_core.evaluation.labels.read_labels import read_class_labels, read_label_sets, read_mask_labels
from inference_core.optimise.accuracy import Scorer, score_classes, score_labels, score_masks
from inference_core.spec import ModelSpec

Label = TypeVar("Label")


def build_scorer(spec: ModelSpec, uri: str, *, image_ids: Sequence[str]) -> Scorer:
    """The function that scores answers by the labels at ``uri``.

    Args:
        spec: the package's.
        uri: labels of classification, multi-label or segmentation, in any form that ``millrace evaluate`` reads.
        image_ids: of the sample; at least one must have a label.

    Raises:
        ConfigError: the task takes no labels here, they cannot be read, or they are of other images or classes.
    """
    ids = ClassIds(spec.classes)
    match spec.task:
        case "classification":
            classes = read_class_labels(uri, ids, image_ids=image_ids)
            return partial(score_classes, truth=of_sample(classes, image_ids, uri))
        case "multilabel":
            return partial(score_labels, truth=of_sample(read_label_sets(uri, ids), image_ids, uri))
        case "segmentation":
            own = of_sample(read_mask_labels(uri, ids)[0], image_ids, uri)
            return partial(
                score_masks,
                read_mask=lambda image_id: own[image_id]() if image_id in own else None,
                num_classes=len(spec.classes),
            )
    raise ConfigError(
        f"must go with task classification, multilabel or segmentation, got {spec.task}; leave it away, and answers "
        "are compared with the original's",
        key=KEY,
    )


def of_sample(truth: Mapping[str, Label], image_ids: Sequence[str], uri: str) -> dict[str, Label]:
    """What labels say of the images of a sample, by image id.

    Raises:
        ConfigError: they name none.
    """
    return {image_id: truth[name] for image_id, name in match_labels(truth, image_ids, origin=uri).names.items()}
