"""The forwards of one batch: views, dropout samples and members, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from inference_core.engines.protocol import Array, Engine, LoadingEngine
from inference_core.enhance.readers import HW, Reader
from inference_core.enhance.stacking import most_views, runs_of_equal, stack, unstack
from inference_core.enhance.views import apply_view, candidates_back, planes_back, turned_hw, view_hw
from inference_core.enhance_spec import DropoutSpec
from inference_core.errors import DeviceMemoryError
from inference_core.hooks.package_code import PackageCode
from inference_core.spec import ModelSpec
from inference_core.view_spec import IDENTITY, parse_view

Load = Callable[[Engine], Array]
"""Gives a batch (B, h, w, C) uint8 as an engine wants it: on its device where it has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What one forward says of a batch, laid over the tiles as they are."""

    step: int
    """Which view or member it belongs to."""
    weight: float
    """Of it, relative to the others'."""
    answer: Any
    """Scores (B, K) or (B, K, h, w), features (B, D), or Candidates."""


class Source(Protocol):
    """What gives the forwards of a batch."""

    def forwards(self, load: Load, *, tile_hw: HW) -> Iterator[Seen]:
        """The forwards of a batch, made one by one as they are asked for."""


class ViewsOfModel:
    """The forwards of one package: every view, and in each every dropout sample.

    Args:
        engine: runs its model.
        spec: of the package.
        code: of the package, where hooks lie in it.

    Raises:
        ConfigError: dropout is asked for with an engine that cannot switch layers.
        ModelError: the model has no dropout layers and is asked for dropout.
    """

    def __init__(self, engine: Engine, spec: ModelSpec, *, code: PackageCode) -> None:
        self._engine = engine
        self._spec = spec
        self._reader = Reader(spec, code=code)
        names = spec.tta.views if spec.tta is not None else (IDENTITY,)
        self._views = [parse_view(name) for name in names]
        self._multiple_px = spec.input.multiple_px
        if spec.dropout is not None:
            assert isinstance(engine, LoadingEngine), "formats of layers run on torch alone"
            engine.enable_dropout()
        self._seeds = dropout_seeds(spec.dropout)
        self._stays_apart = spec.dropout is not None
        """Whether every view has a forward of its own."""

    def forwards(self, load: Load, *, tile_hw: HW) -> Iterator[Seen]:
        """See Source. Small views of equal shape share a forward, but those that are sampled."""
        pixels = load(self._engine)
        seen_hw = [view_hw(view, tile_hw, multiple_px=self._multiple_px) for view in self._views]
        most = 1 if self._stays_apart else most_views(self._engine.facts, tuple(pixels.shape))
        for steps in runs_of_equal(seen_hw, most=most):
            seen = [apply_view(self._views[step], pixels, multiple_px=self._multiple_px) for step in steps]
            for step, outputs in zip(steps, self._run(seen), strict=True):
                for sample in outputs:
                    yield Seen(step=step, weight=1.0, answer=self._read(sample, step, tile_hw=tile_hw))

    def _run(self, seen: Sequence[Array]) -> Iterator[Iterator[dict[str, Array]]]:
        """The outputs of each view, of all its samples."""
        if len(seen) > 1:
            stacked = self._run_stacked(seen)
            if stacked is not None:
                yield from (iter([outputs]) for outputs in stacked)
                return
        for pixels in seen:
            yield (run_pixels(self._engine, pixels, dropout_seed=seed) for seed in self._seeds)

    def _run_stacked(self, seen: Sequence[Array]) -> list[dict[str, Array]] | None:
        """The outputs of several views of one forward; None, from then on, where that does not fit the device."""
        try:
            outputs = run_pixels(self._engine, stack(seen), dropout_seed=None)
        except DeviceMemoryError:
            self._stays_apart = True
            return None
        count = len(seen[0])
        return [unstack(outputs, count=count, index=index) for index in range(len(seen))]

    def _read(self, outputs: dict[str, Array], step: int, *, tile_hw: HW) -> Any:
        """What the outputs of a view say, laid over the tiles."""
        view, spec = self._views[step], self._spec
        if spec.task == "embedding":
            return self._reader.read_features(outputs)
        if spec.task == "detection":
            input_hw = view_hw(view, tile_hw, multiple_px=self._multiple_px)
            found = self._reader.read_boxes(outputs, input_hw=input_hw)
            return candidates_back(view, found, tile_hw=tile_hw, multiple_px=self._multiple_px)
        scores = self._reader.read_scores(outputs, size_hw=turned_hw(view, tile_hw))
        return planes_back(view, scores, tile_hw=tile_hw) if spec.task == "segmentation" else scores


def dropout_seeds(dropout: DropoutSpec | None) -> list[tuple[int, int] | None]:
    """What chooses the units that each sample leaves out; a lone None without dropout."""
    return [None] if dropout is None else [(dropout.seed, sample) for sample in range(dropout.samples)]


def run_pixels(engine: Engine, pixels: Array, *, dropout_seed: tuple[int, int] | None) -> dict[str, Array]:
    """Forward what was loaded for an engine, or what was made of it."""
    if isinstance(engine, LoadingEngine):
        return engine.run_loaded(pixels, dropout_seed=dropout_seed)
    return engine.run(np.ascontiguousarray(pixels))
