"""What is explained of a class of a whole image."""

from __future__ import annotations

from collections.abc import Mapping

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import TINY_SCORE, logit
from inference_core.tasks.outputs import pick_scores


class ClassTarget:
    """One class of a classification or multi-label model.

    Args:
        spec: of the model.
        class_id: of the class.
    """

    def __init__(self, spec: ModelSpec, *, class_id: int) -> None:
        self._spec = spec
        self._index = spec.output.skip_classes + class_id

    def evidence(self, outputs: Mapping[str, Array]) -> Array:
        """The class's raw output; its log-odds where the model gives scores."""
        if self._spec.output.activation == "none":
            return self.support(outputs)
        return self._scores(outputs)[:, self._index]

    def support(self, outputs: Mapping[str, Array]) -> Array:
        """The log-odds of the class, which still tell differences where its score is next to 1.

        Source: Zintgraf et al., Visualizing Deep Neural Network Decisions: Prediction Difference Analysis, ICLR 2017,
        equation 3.
        """
        scores = self._scores(outputs)  # (B, K)
        activation = self._spec.output.activation
        if not self._spec.scores_compete or scores.shape[1] == 1:
            return logit(scores[:, self._index]) if activation == "none" else scores[:, self._index]
        xp = array_namespace(scores)
        logits = xp.log(xp.clip(scores, TINY_SCORE, None)) if activation == "none" else scores
        others = xp.concat([logits[:, : self._index], logits[:, self._index + 1 :]], axis=1)
        return logits[:, self._index] - log_sum_exp(others)

    def _scores(self, outputs: Mapping[str, Array]) -> Array:
        return pick_scores(outputs, name=self._spec.output.name, model=f"a {self._spec.task} model")


def log_sum_exp(logits: Array) -> Array:
    """(B,) logarithm of the sum of powers along axis 1 of (B, K)."""
    xp = array_namespace(logits)
    best = xp.max(logits, axis=1, keepdims=True)
    return xp.log(xp.sum(xp.exp(logits - best), axis=1)) + best[:, 0]
