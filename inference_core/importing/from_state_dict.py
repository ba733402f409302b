"""What a file of weights tells: an architecture only where its keys are those of a built-in one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inference_core.importing.class_names import class_gap
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.graph import draft_files, draft_graph
from inference_core.importing.input_facts import GraphInput, draft_input, joined
from inference_core.importing.output_facts import TASK_GAP
from inference_core.models.checkpoint import read_state_dict
from inference_core.models.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

IMAGE = "image"
UNET_KEY = "inc.double_conv.0.weight"


def draft_state_dict(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in a state dict.

    Args:
        weights: the file.
        given: the user's facts by dotted key, ``architecture.*`` among them.

    Raises:
        ConfigError: the architecture cannot be built, or the user's classes do not fit.
        ModelError: the file is no state dict, or it does not fit the architecture.
    """
    state = read_state_dict(weights.data, name=weights.name)
    is_ordered = not weights.name.endswith(".safetensors")  # which sorts names and so forgets what came first
    port = GraphInput(name=IMAGE, shape=(None, first_channels(state, is_ordered=is_ordered), None, None))
    if any(key.startswith("architecture") for key in given):
        return draft_graph(weights, "state_dict", port=port, given=given)
    if UNET_KEY in state:
        fact = unet_fact(state)
        port = GraphInput(name=IMAGE, shape=(None, fact.value["options"]["in_channels"], None, None))
        return draft_graph(weights, "state_dict", port=port, given=given, known=Draft(found=(fact,)))
    return joined(
        draft_files(weights, "state_dict"),
        draft_input(port, given=given),
        Draft(
            found=(),
            missing=(architecture_gap(state), *outcome_gaps(last_count(state) if is_ordered else None, given=given)),
        ),
    )


def first_channels(state: Mapping[str, Tensor], *, is_ordered: bool) -> int | None:
    """Channels of the first convolution, where it takes images and its place is known."""
    kernels = [int(tensor.shape[1]) for tensor in state.values() if tensor.ndim == 4]
    channels = kernels[0] if is_ordered and kernels else 3 if 3 in kernels else None
    return channels if channels in (1, 3) else None


def last_count(state: Mapping[str, Tensor]) -> int | None:
    """Values of the last bias, mostly the classes."""
    biases = [tensor for key, tensor in state.items() if key.endswith("bias") and tensor.ndim == 1]
    return len(biases[-1]) if biases else None


def unet_fact(state: Mapping[str, Tensor]) -> Fact:
    """The built-in U-Net's options, as its shapes say them."""
    depth = max(int(found[1]) for key in state if (found := re.match(r"down(\d+)\.", key)))
    upsampling = "transpose" if "up1.up.weight" in state else "bilinear"
    first = state[UNET_KEY]
    widths = [int(first.shape[0])]
    widths += [int(state[f"down{level}.maxpool_conv.1.double_conv.0.weight"].shape[0]) for level in range(1, depth + 1)]
    if upsampling == "bilinear":
        widths[-1] *= 2
    options = {
        "in_channels": int(first.shape[1]),
        "num_classes": int(state["outc.conv.weight"].shape[0]),
        "widths": widths,
        "upsampling": upsampling,
    }
    return Fact(
        key="architecture", value={"name": "unet", "options": options}, origin="names and shapes of the weights"
    )


def architecture_gap(state: Mapping[str, Tensor]) -> Gap:
    """The module that the weights belong to."""
    shown = ", ".join(list(state)[:3])
    return Gap(
        key="architecture",
        reason=f"the module of these {len(state)} weights ({shown}, ...): unet, or an import path of your own",
        example="my_package.nets:build_net",
    )


def outcome_gaps(num_classes: int | None, *, given: Mapping[str, Any]) -> tuple[Gap, ...]:
    """What nothing but a run of the module could tell."""
    gaps = () if "task" in given else (TASK_GAP,)
    if given.get("task") == "embedding" or "classes" in given:
        return gaps
    return (*gaps, class_gap(num_classes))
