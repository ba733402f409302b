"""What exports of Ultralytics say of themselves: class names, task and size, and by that the preprocessing."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from inference_core.errors import ModelError
from inference_core.importing.draft import Draft, Fact
from inference_core.importing.presets import PRESETS

TASKS = {"detect": "detection", "segment": "detection", "classify": "classification"}
"""Their names and ours."""
THRESHOLD, MAX_BOXES = 0.25, 300
IOU_THRESHOLD = {"yolov8": 0.7, "yolov5": 0.45}
"""Of the suppression when the training's own code predicts."""


def is_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Whether a file's metadata is that of an export by Ultralytics or YOLOv5."""
    return "names" in metadata and "stride" in metadata


def draft_ultralytics(metadata: Mapping[str, str], draft: Draft) -> Draft:
    """A graph's draft with what its metadata adds, and without the gaps that it fills.

    Args:
        metadata: texts by key, as the export wrote them.
        draft: of the graph alone, made with ``probing_facts`` given.

    Raises:
        ModelError: the task has no decoder here, or boxes were suppressed in the graph.
    """
    task = TASKS.get(metadata.get("task", "detect"))
    if task is None:
        raise ModelError(
            f"the graph must answer one of {', '.join(TASKS)}, got Ultralytics task {metadata['task']}, whose outputs "
            "are not read; export another model"
        )
    assumed = {fact.key: fact for fact in draft.assumed}
    origin = "the export's metadata"
    facts = [
        Fact(key="task", value=task, origin=origin),
        Fact(key="classes", value=class_names(metadata), origin=origin),
    ]
    if size_hw := read_size(metadata):
        facts.append(Fact(key="input.size_hw", value=size_hw, origin=origin))
    facts += detector_facts(assumed, draft) if task == "detection" else classifier_facts(draft, metadata)
    own = {fact.key for fact in facts}
    return Draft(
        found=(*(fact for fact in draft.found if fact.key not in own), *facts),
        assumed=tuple(fact for fact in draft.assumed if fact.key not in own),
        missing=tuple(gap for gap in draft.missing if gap.key not in own),
        files=draft.files,
    )


def probing_facts(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the graph's draft needs to know, by dotted key."""
    size_hw = read_size(metadata)
    return {"classes": class_names(metadata), **({"input.size_hw": size_hw} if size_hw else {})}


def detector_facts(assumed: Mapping[str, Fact], draft: Draft) -> list[Fact]:
    """How Ultralytics itself prepares images and reads boxes."""
    decoder = assumed.get("output.decoder")
    if decoder is None or decoder.value["name"] not in IOU_THRESHOLD:
        raise ModelError(
            "the graph must give the boxes of all cells, got other outputs in an export of Ultralytics; export it with "
            "nms=False and, for end-to-end models, end2end=False"
        )
    origin = "how Ultralytics prepares images for a detector"
    facts = [Fact(key=key, value=value, origin=origin) for key, value in PRESETS["yolo"].facts.items()]
    own = "Ultralytics' own setting for prediction"
    return [
        *facts,
        Fact(key="input.color", value="rgb", origin=origin),
        Fact(key="output.decoder", value=decoder.value, origin=f"the export's metadata; {decoder.origin}"),
        Fact(key="output.threshold", value=THRESHOLD, origin=own),
        Fact(key="output.nms.iou_threshold", value=IOU_THRESHOLD[decoder.value["name"]], origin=own),
        Fact(key="output.nms.max_boxes", value=MAX_BOXES, origin=own),
    ]


def classifier_facts(draft: Draft, metadata: Mapping[str, str]) -> list[Fact]:
    """How Ultralytics prepares images for a classifier: the centre of the short side, 0 to 1; the softmax is in it.

    Source: ultralytics/data/augment.py, ``classify_transforms``: Resize(size), CenterCrop(size), mean 0, std 1.
    """
    origin = "how Ultralytics prepares images for a classifier"
    facts = {**PRESETS["unit"].facts, "input.fit": "shortest_side_crop", "input.color": "rgb"}
    return [Fact(key=key, value=value, origin=origin) for key, value in facts.items()]


def read_size(metadata: Mapping[str, str]) -> list[int] | None:
    """Height and width of the export, None where the metadata does not tell."""
    try:
        size = ast.literal_eval(metadata.get("imgsz", "None"))
    except (ValueError, SyntaxError):
        return None
    sides = [size, size] if isinstance(size, int) else list(size) if isinstance(size, list | tuple) else []
    return sides if len(sides) == 2 and all(isinstance(side, int) and side > 0 for side in sides) else None


def class_names(metadata: Mapping[str, str]) -> list[str]:
    """The names in the order of the output.

    Raises:
        ModelError: the metadata holds no list and no mapping of positions to names.
    """
    text = metadata["names"]
    try:
        names = ast.literal_eval(text)
        if isinstance(names, Mapping):
            by_id = {int(key): name for key, name in names.items()}  # JSON makes texts of the numbers
            names = [by_id[index] for index in range(len(by_id))]
    except (ValueError, SyntaxError, LookupError, TypeError, MemoryError, RecursionError) as exc:
        raise ModelError(
            f"metadata names must hold names by position, got {text[:80]!r}; export the model again"
        ) from exc
    if not isinstance(names, Sequence) or isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ModelError(f"metadata names must hold names by position, got {text[:80]!r}; export the model again")
    return list(names)
