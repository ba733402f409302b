"""What a ``.pt2`` archive tells: its graph keeps the shape of the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_core.errors import ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.graph import draft_graph
from inference_core.importing.input_facts import GraphInput, only_input
from inference_core.models.weights import Weights


def draft_program(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in an exported program.

    Args:
        weights: the file.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: the user's classes do not fit.
        ModelError: the file is no such archive, or it takes something else than one image batch.
    """
    from inference_core.models.exported_program import load_program

    program = load_program(weights)
    names = program.graph_signature.user_inputs
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.name in names}
    if len(values) != len(names):
        raise ModelError(f"the program must take tensors, got inputs {', '.join(map(str, names))}; export it again")
    ports = [
        GraphInput(name=str(name), shape=tuple(size if isinstance(size, int) else None for size in values[name].shape))
        for name in names
        if isinstance(name, str)
    ]
    return draft_graph(weights, "torch_export", port=only_input(ports), given=given)
