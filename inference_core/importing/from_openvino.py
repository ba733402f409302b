"""What a SavedModel or an OpenVINO graph tells, through OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_core.architecture_spec import Format
from inference_core.engines.openvino_engine import name_of, open_core, read_model
from inference_core.importing.draft import Draft
from inference_core.importing.graph import draft_graph
from inference_core.importing.input_facts import GraphInput, only_input
from inference_core.models.weights import Weights

ENDINGS = {"Softmax": "softmax", "SoftMax": "softmax", "Sigmoid": "sigmoid"}


def draft_savedmodel(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in a SavedModel's serving graph; see ``draft_graph``."""
    return draft_read(weights, "savedmodel", given=given)


def draft_openvino(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in an ``.xml`` with its ``.bin``; see ``draft_graph``."""
    return draft_read(weights, "openvino", given=given)


def draft_read(weights: Weights, weights_format: Format, *, given: Mapping[str, Any]) -> Draft:
    """The facts in a graph that OpenVINO reads."""
    model = read_model(open_core(precision="fp32"), weights)
    ports = [
        GraphInput(
            name=name_of(port, index),
            shape=tuple(axis.get_length() if axis.is_static else None for axis in port.get_partial_shape()),
        )
        for index, port in enumerate(model.inputs)
    ]
    return draft_graph(weights, weights_format, port=only_input(ports), given=given, ending=find_ending(model))


def find_ending(model: Any) -> str | None:
    """``softmax`` or ``sigmoid`` where the only output comes from such a node."""
    if len(model.outputs) != 1:
        return None
    node = model.outputs[0].get_node()
    while node.get_type_name() in ("Result", "Reshape", "Squeeze", "Convert", "Transpose"):
        node = node.input_value(0).get_node()
    return ENDINGS.get(node.get_type_name())
