"""Embeddings: a vector of features for each image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.errors import ModelError
from inference_core.records import Placement
from inference_core.results import Embedding, Result
from inference_core.spec import ModelSpec
from inference_core.tasks.outputs import all_finite, pick_output
from inference_core.tasks.protocol import RawOutput


class EmbeddingTask:
    """Reads a vector of features; one tile per image.

    Args:
        spec: ``output.l2_normalize`` scales the vectors to length 1; a vector of zeros stays.
    """

    result_fields: tuple[pa.Field, ...] = (
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("norm", pa.float32()),
    )

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """``vector`` (B, D) float32, ``norm`` (B,) of what the model gave, and ``finite`` (B,)."""
        features = pick_output(outputs, name=self._spec.output.name)
        xp = array_namespace(features)
        if features.ndim > 2 and math.prod(features.shape[2:]) == 1:
            features = xp.reshape(features, tuple(features.shape[:2]))
        if features.ndim != 2:
            raise ModelError(
                f"an embedding model must give (B, D) features, got {list(features.shape)}; set output.name to a "
                "pooled output, or export the model with one"
            )
        # Over the largest value first: squares of large features would overflow, those of small ones vanish.
        largest = xp.max(xp.abs(features), axis=1, keepdims=True)
        safe = xp.where(largest > 0, largest, xp.ones_like(largest))
        scaled = features / safe
        length = xp.sqrt(xp.sum(scaled * scaled, axis=1, keepdims=True))
        unit = scaled / xp.where(length > 0, length, xp.ones_like(length))
        return {
            "vector": unit if self._spec.output.l2_normalize else features,
            "norm": (length * safe)[:, 0],
            "finite": all_finite(features),
        }

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """The vector of the only tile."""
        return Embedding(vector=np.asarray(raw["vector"][0], np.float32), norm=float(raw["norm"][0]))

    def to_row(self, result: Result) -> dict[str, Any]:
        """The vector as a list."""
        assert isinstance(result, Embedding), "an embedding task makes embeddings"
        return {"embedding": result.vector.tolist(), "norm": result.norm}
