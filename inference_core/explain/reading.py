"""What a model's outputs say, before anything of them is dropped: as the task reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inference_core.engines.protocol import Array
from inference_core.errors import InferError
from inference_core.explain.targets import as_numpy
from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import HookFunction
from inference_core.models.package import ModelPackage
from inference_core.records import Placement
from inference_core.results import Result
from inference_core.spec import ModelSpec
from inference_core.tasks.build import build_plain_task
from inference_core.tasks.enhanced import TOLD
from inference_core.tasks.hook_decoder import HookDecoder
from inference_core.tasks.merged_spec import merged_spec


class Reading:
    """Reads outputs of a package's model.

    Args:
        package: of the model.
        is_merged: whether the outputs are those of all forwards that the package declares, or of one plain forward.
    """

    def __init__(self, package: ModelPackage, *, is_merged: bool) -> None:
        spec = package.spec
        merges = is_merged and spec.is_enhanced
        decoder = None if merges else spec.output.decoder
        self.spec = merged_spec(spec) if merges else plain_spec(spec)
        self.is_decoded = merges or isinstance(decoder, HookSpec)
        """Whether what is read of a detector is boxes by name."""
        self._task = build_plain_task(self.spec, code=package.code, reads_decoder=not self.is_decoded)
        self._decoder = (
            HookDecoder(HookFunction(decoder, role="decoder", key="output.decoder", code=package.code), spec=spec)
            if isinstance(decoder, HookSpec)
            else None
        )

    def read(self, outputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """The outputs without what is told beside them, decoded by the user's function where there is one."""
        plain = {name: array for name, array in outputs.items() if name not in TOLD}
        return self._decoder(plain) if self._decoder else plain

    def answer(self, outputs: Sequence[Mapping[str, Array]], placement: Placement) -> Result:
        """The task's answer to an image.

        Args:
            outputs: of each tile alone, read.
            placement: of the image.

        Raises:
            InferError: an output is not finite.
            InputError: a step of the user's refused the answer.
        """
        reduced = [self._task.reduce(one, tile_hw=placement.tile_hw) for one in outputs]
        tiles = [{name: as_numpy(array)[0] for name, array in one.items()} for one in reduced]
        if not all(bool(tile["finite"]) for tile in tiles):
            raise InferError("the model's output is not finite; check the weights, or use a higher precision")
        raw = {name: np.stack([tile[name] for tile in tiles]) for name in tiles[0] if name != "finite"}
        return self._task.finish(raw, placement)


def plain_spec(spec: ModelSpec) -> ModelSpec:
    """A spec of a single forward."""
    return spec.model_copy(update={"tta": None, "dropout": None, "uncertainty": None})
