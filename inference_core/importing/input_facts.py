"""What the shape of a graph's input tells, and what it never tells: the preprocessing of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference_core.errors import ModelError
from inference_core.importing.draft import Draft, Fact, Gap

CHANNELS = (1, 3)
"""That an image can be given with."""

FIT_GAP = Gap(
    key="input.fit",
    reason="how images got the input's size in training: letterbox, stretch, shortest_side_crop, tile or native",
    example="stretch",
)
PIXEL_GAPS = (
    Gap(
        key="input.scale",
        reason="what a pixel of 0 to 255 was divided by before the mean; 255.0 where the training had 0 to 1",
        example="255.0",
    ),
    Gap(
        key="input.mean",
        reason="what was then subtracted for each channel, in units of pixel / scale; [0.0] for nothing",
        example="[0.485, 0.456, 0.406]",
    ),
    Gap(
        key="input.std",
        reason="what was then divided by for each channel; [1.0] for nothing",
        example="[0.229, 0.224, 0.225]",
    ),
)
SIZE_GAP = Gap(
    key="input.size_hw",
    reason="height and width of the images in training, which the graph leaves free",
    example="[224, 224]",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInput:
    """The only input of a stored graph."""

    name: str
    shape: tuple[int | None, ...]
    """Sizes along the axes, None where they are free."""

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"input {self.name!r} [{sizes}]"


def only_input(inputs: Sequence[GraphInput]) -> GraphInput:
    """The one input of a graph.

    Raises:
        ModelError: there are several, or none.
    """
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs)
        raise ModelError(f"the graph must have one input, got {len(inputs)} ({names}); export it with the image alone")
    return inputs[0]


def draft_input(port: GraphInput, *, given: Mapping[str, Any], usual_layout: str = "BCHW") -> Draft:
    """What an input of images says of itself, with gaps for its preprocessing.

    Args:
        port: the input.
        given: the user's facts by dotted key.
        usual_layout: of the format, where the shape fits both.

    Raises:
        ModelError: the input takes no batch of images.
    """
    if len(port.shape) != 4:
        raise ModelError(
            f"the graph's input must have 4 axes, got {port} with {len(port.shape)}; export it with a batch axis"
        )
    layout, is_told = read_layout(port, given=given, usual=usual_layout)
    sizes = dict(zip(layout, port.shape, strict=True))
    found: list[Fact] = []
    assumed: list[Fact] = []
    (found if is_told else assumed).append(Fact(key="input.layout", value=layout, origin=layout_origin(port, is_told)))
    if sizes["C"] == 1:
        found.append(Fact(key="input.color", value="gray", origin=f"{port} has one channel"))
    else:
        assumed.append(Fact(key="input.color", value="rgb", origin="usual; training with OpenCV mostly took bgr"))
    assumed += [
        Fact(key="input.interpolation", value="bilinear", origin="usual"),
        Fact(key="input.resampler", value="pillow", origin="usual; training with OpenCV took opencv"),
    ]
    missing = [FIT_GAP, *PIXEL_GAPS]
    height, width = sizes["H"], sizes["W"]
    if height is not None and width is not None:
        fixed = f", which fixes the batch at {sizes['B']}" if sizes["B"] is not None else ""
        found.append(Fact(key="input.size_hw", value=[height, width], origin=f"{port}{fixed}"))
    elif given.get("input.fit") != "native":
        missing.insert(1, SIZE_GAP)
    return Draft(found=tuple(found), assumed=tuple(assumed), missing=tuple(missing))


def read_layout(port: GraphInput, *, given: Mapping[str, Any], usual: str) -> tuple[str, bool]:
    """Order of the axes, and whether the shape tells it."""
    is_first, is_last = port.shape[1] in CHANNELS, port.shape[3] in CHANNELS
    if is_first != is_last:
        return ("BCHW" if is_first else "BHWC"), True
    if not is_first and port.shape[1] is not None and port.shape[3] is not None:
        raise ModelError(f"the graph's input must have 1 or 3 channels, got {port}; export it for images")
    said = given.get("input.layout")
    return (said if said in ("BCHW", "BHWC") else usual), False


def layout_origin(port: GraphInput, is_told: bool) -> str:
    """Where a layout comes from."""
    return str(port) if is_told else f"usual for the format; {port} fits both"


def joined(*drafts: Draft) -> Draft:
    """Drafts of parts of a model as one."""
    return Draft(
        found=tuple(fact for draft in drafts for fact in draft.found),
        assumed=tuple(fact for draft in drafts for fact in draft.assumed),
        missing=tuple(gap for draft in drafts for gap in draft.missing),
        files={path: data for draft in drafts for path, data in draft.files.items()},
    )
