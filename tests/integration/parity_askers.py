"""Further ways to the same answers, in the place of a service's protocols: no service at all, and tensors by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from inference_core.export.masks import encode_mask
from inference_core.export.rows import RowBuilder
from inference_core.images import Limits
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Segmentation
from serve.replay.given import Given
from serve.told_columns import told_columns


class PredictorAsker:
    """Asks a Predictor; one at a time.

    Args:
        package: folder of the model.
        max_pixels: of an image.
    """

    def __init__(self, package: Path, *, max_pixels: int) -> None:
        loaded = load_package(str(package))
        self._rows = RowBuilder(loaded.spec, model_digest=loaded.digest)
        self._digest = loaded.digest
        self._predictor = Predictor.load(
            loaded, device="cpu", num_threads=1, batch_size=1, limits=Limits(max_pixels=max_pixels)
        )

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        """See Asker."""
        prediction = self._predictor.predict(image)
        result = prediction.result
        is_mask = with_mask and isinstance(result, Segmentation)
        return Given(
            values=self._rows.row(prediction, row_id=0),
            model_digest=self._digest,
            mask_png=encode_mask(result.mask, num_classes=len(result.labels)) if is_mask else None,
        )

    def close(self) -> None:
        """See Asker."""


class TensorAsker:
    """Asks the stock client for every output that a package's declarations bring, one by one, by name.

    Args:
        triton: the client's module of a transport.
        address: of the service.
        package: folder of the model, which is served under its own name.
    """

    def __init__(self, triton: Any, address: str, package: Path) -> None:
        spec = load_package(str(package)).spec
        self._triton, self._model = triton, spec.name
        self._columns = told_columns(spec)
        self._client = triton.InferenceServerClient(address)

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        """See Asker.

        Raises:
            InferenceServerException: there is no answer.
        """
        tensor = self._triton.InferInput("image", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([image], dtype=object))
        names = ["status", *(column.name for column in self._columns), *(["mask_png"] if with_mask else [])]
        wanted = [self._triton.InferRequestedOutput(name) for name in names]
        answer = self._client.infer(self._model, [tensor], outputs=wanted)
        told = {column.name: value_of(answer.as_numpy(column.name), column.kind) for column in self._columns}
        mask = answer.as_numpy("mask_png")[0] if with_mask else None
        return Given(values={"status": answer.as_numpy("status")[0].decode(), **told}, is_whole=False, mask_png=mask)

    def close(self) -> None:
        """See Asker."""
        self._client.close()


def value_of(tensor: Any, kind: str) -> Any:
    """A tensor of one image as the value of a column."""
    (value,) = tensor.tolist()
    if kind == "number":
        return None if math.isnan(value) else value
    if kind == "texts":
        return [entry.decode() for entry in value]
    if kind in ("text", "nested"):
        return value.decode() if kind == "text" else json.loads(value)
    return value
