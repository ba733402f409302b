"""What is left to read once several forwards are merged: scores instead of raw outputs."""

from __future__ import annotations

from inference_core.enhance_spec import Merge
from inference_core.output_spec import OutputSpec
from inference_core.spec import ModelSpec

MERGED = "merged"
"""Name of the merged scores among an engine's outputs."""


def merge_of(spec: ModelSpec) -> Merge:
    """How the forwards of a package are merged."""
    declared = spec.ensemble or spec.tta
    if declared is not None and declared.merge is not None:
        return declared.merge
    if spec.task == "embedding" and spec.ensemble is not None:
        return "concat"
    if spec.task != "detection":
        return "mean"
    return "wbf" if spec.ensemble is not None else "nms"


def is_vote(spec: ModelSpec) -> bool:
    """Whether scores are shares of votes."""
    return merge_of(spec) == "vote"


def gives_logits(spec: ModelSpec) -> bool:
    """Whether merged scores are handed on as logits: where a softmax would be the default reading of scores."""
    return spec.task == "classification" and spec.output.activation == "sigmoid"


def merged_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of a model that gives the merged answer of ``spec``'s forwards itself.

    The calibration stays: it holds for merged scores. Where these are shares of votes, a half decides.
    """
    output: dict[str, object] = {"name": None, "names": {}, "layout": "BCHW", "skip_classes": 0}
    if not gives_logits(spec):
        output["activation"] = "none"
    if is_vote(spec):
        fields = OutputSpec.model_fields
        output |= {"threshold": fields["threshold"].default, "thresholds": {}}
    if spec.task == "detection":
        method = "none" if merge_of(spec) == "wbf" else spec.output.nms.method
        method = "hard" if (merge_of(spec), method) == ("nms", "none") else method  # else every view's boxes would stay
        output["nms"] = spec.output.nms.model_copy(update={"method": method})
    return spec.model_copy(update={"output": spec.output.model_copy(update=output)})
