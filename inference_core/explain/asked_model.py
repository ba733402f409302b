"""Explanations by asking alone: any engine, and all forwards that the package declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inference_core.engines.protocol import Array, Engine
from inference_core.errors import DeviceMemoryError, EngineError, InferError, OutOfMemoryError
from inference_core.explain.choose_aim import choose_aim
from inference_core.explain.found import Found, Wish, mean_color
from inference_core.explain.occlusion import occlude, plan_windows
from inference_core.explain.reading import Reading
from inference_core.explain.targets import Aim, as_numpy
from inference_core.models.package import ModelPackage
from inference_core.pipeline import default_batch_size
from inference_core.records import Prepared, Uint8Array


class AskedModel:
    """A model whose engine is asked about covered images.

    Args:
        package: of the model.
        engine: runs it, with all views and members.
    """

    def __init__(self, package: ModelPackage, engine: Engine) -> None:
        self._engine = engine
        self._reading = Reading(package, is_merged=True)

    def explain(self, prepared: Prepared, wish: Wish) -> Found:
        """Where covering the image lowers the target.

        Raises:
            InputError: the model refuses the image, or its answer does not hold what is wished for.
        """
        aim, outputs = self._aim(prepared, wish)
        windows, color = plan_windows(prepared.placement.tile_hw), mean_color(prepared)
        heatmaps = np.zeros(prepared.tiles.shape[:3], np.float32)
        value = 0.0
        for index, target in aim.targets.items():
            value += float(as_numpy(target.support(outputs[index]))[0])
            heatmaps[index] = occlude(
                self._engine,
                prepared.tiles[index],
                support=lambda found, target=target: target.support(self._reading.read(found)),  # type: ignore[misc]
                windows=windows,
                color=color,
                batch_size=default_batch_size(self._engine.facts.device),
            )
        return Found(
            aim=aim,
            heatmaps=heatmaps,
            method="occlusion",
            value=value,
            baseline=color,
            window_hw=windows.window_hw,
            engine=str(self._engine.facts),
        )

    def choose(self, prepared: Prepared, wish: Wish) -> Aim:
        """What the answer of all forwards says, without explaining it.

        Raises:
            InputError: as for ``explain``.
        """
        return self._aim(prepared, wish)[0]

    def _aim(self, prepared: Prepared, wish: Wish) -> tuple[Aim, Sequence[Mapping[str, Array]]]:
        """What is explained, and the outputs of each tile."""
        outputs = [self._reading.read(self._run(tile)) for tile in prepared.tiles]
        result = self._reading.answer(outputs, prepared.placement)
        aim = choose_aim(
            result,
            outputs,
            prepared.placement,
            spec=self._reading.spec,
            is_decoded=self._reading.is_decoded,
            wish=wish,
        )
        return aim, outputs

    def _run(self, tile: Uint8Array) -> Mapping[str, Array]:
        """The outputs of one tile.

        Raises:
            InferError: the model refused it.
            OutOfMemoryError: it does not fit the device.
        """
        try:
            return self._engine.run(tile[None])
        except DeviceMemoryError as exc:
            raise OutOfMemoryError("the image does not fit the device's memory even alone; lower its size") from exc
        except EngineError as exc:
            raise InferError(f"the model refused the image: {exc}") from exc
