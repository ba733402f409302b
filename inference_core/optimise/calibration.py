"""Calibration images as the model sees them: prepared and normalised as in every run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference_core.engines.graph_batch import fill_batch
from inference_core.engines.normalize import ArrayNormalizer
from inference_core.input_spec import InputSpec
from inference_core.items import PreparedItem
from inference_core.records import FloatArray, Uint8Array

MAX_TILES = 16
"""In one forward: activations of all layers are held for it."""


class CalibrationReader:
    """What ONNX Runtime's calibration asks for batches, one range of them at a time.

    Args:
        items: prepared images; they may differ in size.
        spec: how pixels are normalised.
        input_name: of the graph.
        max_batch: that the graph fixes; smaller batches are filled with blank images.
    """

    def __init__(
        self, items: Sequence[PreparedItem], spec: InputSpec, *, input_name: str, max_batch: int | None
    ) -> None:
        self._batches = cut_batches(items, size=max_batch or MAX_TILES)
        self._normalizer = ArrayNormalizer(spec)
        self._input_name = input_name
        self._max_batch = max_batch
        self._range = iter(range(len(self._batches)))

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Which batches are given next."""
        self._range = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, FloatArray] | None:
        """The next batch by the input's name, None behind the last."""
        index = next(self._range, None)
        if index is None:
            return None
        batch = fill_batch(self._batches[index], size=self._max_batch)
        return {self._input_name: self._normalizer.normalize(batch)}


def cut_batches(items: Sequence[PreparedItem], *, size: int) -> list[Uint8Array]:
    """Each image's tiles, at most ``size`` together: (B, h, w, C) uint8; images share no batch, since sizes differ."""
    tiles = [item.prepared.tiles for item in items if item.prepared is not None]
    return [np.asarray(part[start : start + size]) for part in tiles for start in range(0, len(part), size)]
