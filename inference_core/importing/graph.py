"""What every stored graph tells: its input by its shape, its outputs by running it on drawn images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inference_core.architecture_spec import Format
from inference_core.importing.draft import Draft, Fact
from inference_core.importing.findings import put
from inference_core.importing.input_facts import GraphInput, draft_input, joined
from inference_core.importing.output_facts import OutputTraits, draft_outputs
from inference_core.importing.probe import probe
from inference_core.models.weights import Weights

UNNAMED = re.compile(r"[^\w.\-]+")
"""What a package's name may not hold."""
CHANNEL_LAST: tuple[Format, ...] = ("tflite", "keras", "savedmodel")


def draft_graph(
    weights: Weights,
    weights_format: Format,
    *,
    port: GraphInput,
    given: Mapping[str, Any],
    known: Draft | None = None,
    ending: str | None = None,
    step: float = 0.0,
) -> Draft:
    """The facts of a stored graph.

    Args:
        weights: of the graph.
        weights_format: as in ``model.yaml``.
        port: its only input.
        given: the user's facts by dotted key.
        known: facts that the file tells beside its graph; their keys are no gaps any more.
        ending: ``softmax`` or ``sigmoid`` where the graph ends so.
        step: of quantised outputs.

    Raises:
        ConfigError: an extra is not installed, or the user's classes do not fit.
        ModelError: the graph cannot be opened, or it takes something else than one image batch.
    """
    known = known or Draft(found=())
    layout = "BHWC" if weights_format in CHANNEL_LAST else "BCHW"
    own = without_known(draft_input(port, given=given, usual_layout=layout), known)
    base = joined(draft_files(weights, weights_format), known, own)
    settings = base.settings()
    for key, value in given.items():
        if key.startswith(("input.", "architecture.")):
            put(settings, key, value)
    probed = probe(weights, settings=settings)
    size_hw = probed[1] if probed else (0, 0)
    traits = OutputTraits(size_hw=size_hw, ending=ending, step=step)
    named = {fact.key: fact.value for fact in known.found}
    outputs = draft_outputs(probed[0] if probed else None, traits=traits, given={**named, **given})
    return joined(base, outputs)


def draft_files(weights: Weights, weights_format: Format) -> Draft:
    """The package's name, its format and its files."""
    is_flat = weights.main is not None  # several files, which name each other
    files = {
        path if is_flat or path == weights.name else f"{weights.name}/{path}": data
        for path, data in weights.files.items()
    }
    return Draft(
        found=(
            Fact(key="name", value=package_name(weights.name), origin="the file's name"),
            Fact(key="format", value=weights_format, origin=f"{weights.name}'s content"),
            Fact(key="weights", value=weights.main or weights.name, origin="copied into the package"),
        ),
        files=files,
    )


def package_name(file_name: str) -> str:
    """A file's name without its ending, as a package may be called."""
    stem = file_name.rpartition(".")[0] or file_name
    return UNNAMED.sub("-", stem).strip("-.") or "model"


def without_known(draft: Draft, known: Draft) -> Draft:
    """A draft without what is known better."""
    keys = {fact.key for fact in (*known.found, *known.assumed)}
    return Draft(
        found=tuple(fact for fact in draft.found if fact.key not in keys),
        assumed=tuple(fact for fact in draft.assumed if fact.key not in keys),
        missing=tuple(gap for gap in draft.missing if gap.key not in keys),
        files=draft.files,
    )
