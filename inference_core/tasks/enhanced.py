"""A task that reads the merged answer of several forwards, and tells beside the answer how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from inference_core.engines.protocol import Array
from inference_core.prepare import blend_tiles, map_to_image
from inference_core.records import Placement, Uint8Array
from inference_core.results import Embedding, Gain, Result, Spread
from inference_core.spec import ModelSpec
from inference_core.tasks.protocol import RawOutput, Task
from inference_core.view_spec import IDENTITY

TOLD = ("gain_changed", "gain_shift", "mutual_information", "score_std", "uncertainty")
"""Names of what an engine of several forwards gives beside the merged answer."""

GAIN_TYPE = pa.list_(pa.struct([("name", pa.string()), ("changed_frac", pa.float32()), ("score_shift", pa.float32())]))
SPREAD_FIELDS: tuple[pa.Field, ...] = (
    pa.field("mutual_information", pa.float32()),
    pa.field("score_std", pa.float32()),
)
"""Of an image as a whole."""
PIXEL_FIELDS: tuple[pa.Field, ...] = (
    pa.field("uncertainty", pa.float32()),
    pa.field("uncertain_frac", pa.float32()),
)
"""Of the uncertainties of its pixels."""
GAIN_FIELD = pa.field("gains", GAIN_TYPE)


class EnhancedTask:
    """Around the task of the merged answer.

    Args:
        task: reads it.
        spec: of the package, which declares the forwards.
    """

    def __init__(self, task: Task, spec: ModelSpec) -> None:
        self._task = task
        self._names = step_names(spec)
        self._tells_spread = spec.has_several_forwards and spec.task in ("classification", "multilabel")
        self._tells_gains = len(self._names) > 1 and spec.task != "embedding"
        self._least = None if spec.uncertainty is None else spec.uncertainty.threshold

    @property
    def result_fields(self) -> tuple[pa.Field, ...]:
        """See Task: those of the task, and behind them what is told of the forwards."""
        spread = SPREAD_FIELDS if self._tells_spread else ()
        pixels = PIXEL_FIELDS if self._least is not None else ()
        return (*self._task.result_fields, *spread, *pixels, *((GAIN_FIELD,) if self._tells_gains else ()))

    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """See Task; what is told of the forwards goes along."""
        merged = {name: array for name, array in outputs.items() if name not in TOLD}
        told = {name: outputs[name] for name in TOLD if name in outputs}
        return {**self._task.reduce(merged, tile_hw=tile_hw), **told}

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """See Task; the answer with its spread."""
        result = self._task.finish({name: array for name, array in raw.items() if name not in TOLD}, placement)
        if isinstance(result, Embedding):
            return result
        return replace(result, spread=self._spread(raw, placement))

    def _spread(self, raw: RawOutput, placement: Placement) -> Spread:
        """What the forwards of one image tell; of several tiles the mean."""
        changed, shifts = (raw[name].mean(axis=0).tolist() if name in raw else () for name in TOLD[:2])
        gains = [
            Gain(name=name, changed_frac=frac, score_shift=shift)
            for name, frac, shift in zip(self._names[1:], changed, shifts, strict=self._tells_gains)
        ]
        pixels = pixels_of(raw, placement)
        told = {} if pixels is None or self._least is None else summarise_pixels(pixels, least=self._least)
        return Spread(
            mutual_information=mean_of(raw, "mutual_information"),
            score_std=mean_of(raw, "score_std"),
            gains=tuple(gains),
            pixels=pixels,
            uncertainty=told.get("uncertainty"),
            uncertain_frac=told.get("uncertain_frac"),
        )

    def to_row(self, result: Result) -> dict[str, Any]:
        """See Task."""
        row = self._task.to_row(result)
        if isinstance(result, Embedding) or result.spread is None:
            return row
        spread = result.spread
        told: dict[str, Any] = {}
        if self._tells_spread:
            told |= {"mutual_information": spread.mutual_information, "score_std": spread.score_std}
        if self._least is not None:
            told |= {"uncertainty": spread.uncertainty, "uncertain_frac": spread.uncertain_frac}
        if self._tells_gains:
            told["gains"] = [
                {"name": gain.name, "changed_frac": gain.changed_frac, "score_shift": gain.score_shift}
                for gain in spread.gains
            ]
        return {**row, **told}


def step_names(spec: ModelSpec) -> Sequence[str]:
    """Names of a package's views or members, in order."""
    if spec.ensemble is not None:
        return spec.ensemble.member_names
    return spec.tta.views if spec.tta is not None else (IDENTITY,)


def mean_of(raw: RawOutput, name: str) -> float | None:
    """The mean of one number for each tile; None where it is not there."""
    return float(raw[name].mean()) if name in raw else None


def pixels_of(raw: RawOutput, placement: Placement) -> Uint8Array | None:
    """(H, W) uint8 uncertainties in the image's own pixels; None where they are not there."""
    if "uncertainty" not in raw:
        return None
    planes = raw["uncertainty"][:, None]  # (T, 1, h, w)
    canvas = planes[0] if placement.num_tiles == 1 else blend_tiles(planes, placement)
    return map_to_image(canvas[0], placement, interpolation="bilinear")


def summarise_pixels(pixels: Uint8Array, *, least: float) -> dict[str, float]:
    """The mean over the image, and the share of pixels from a threshold on, both exact."""
    counts = np.bincount(pixels.ravel(), minlength=256)
    total = int(counts.sum())
    first = int(np.ceil(least * 255))
    mean = float(counts @ np.arange(256)) / (255 * total)
    frac = float(counts[first:].sum()) / total
    # As rows hold them, so that a verdict can be checked by its row.
    return {"uncertainty": float(np.float32(mean)), "uncertain_frac": float(np.float32(frac))}
