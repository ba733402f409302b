"""Prepare and finish of one served model: everything about a request but the forward itself."""

from __future__ import annotations

from dataclasses import replace

from inference_core.enhance.override import fewest_views, num_views, with_first_views
from inference_core.export.rows import RowBuilder
from inference_core.images import Limits
from inference_core.items import PreparedItem, RawItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.preparer import MAX_FIT_PIXELS
from serve.answers import Answer, PredictRequest
from serve.errors import InvalidRequestError
from serve.model_options import ModelOptions
from serve.prepared_tiles import check_tiles, tiles_item


class Verbs:
    """What is done on the CPU for each request of one model. Safe to share between threads.

    Args:
        package: as read; its weights count in the digests alone, and are not kept.
        name: of the model as requests call it.
        max_image_bytes: largest encoded image.
        max_pixels: of an image, or of a client's own tile.
    """

    def __init__(self, package: ModelPackage, *, name: str, max_image_bytes: int, max_pixels: int) -> None:
        limits = Limits(max_bytes=max_image_bytes, max_pixels=max_pixels)
        self._package = without_weights(package)
        self._name = name
        self._max_tile_pixels = min(max_pixels, MAX_FIT_PIXELS)
        self._preparer = build_preparer(package, limits=limits)
        self._variants = {
            count: Variant(without_weights(with_first_views(package, count)))
            for count in range(fewest_views(package.spec), num_views(package.spec) + 1)
        }
        self._whole = self._variants[num_views(package.spec)]

    def check(self, request: PredictRequest) -> None:
        """Raise InvalidRequestError for options or tiles that this model does not take; costs nothing."""
        self._whole.options.check(request.options)
        if not isinstance(request.image, bytes):
            if self._package.has_unlike_inputs:
                raise InvalidRequestError(
                    f"tiles must be absent for {self._name}, whose members are prepared differently; send the image"
                )
            check_tiles(request.image, self._package.spec.input, max_pixels=self._max_tile_pixels)

    def prepare(self, request: PredictRequest, *, sha256: str = "") -> PreparedItem:
        """The first verb; a bad image is an item that says why."""
        if isinstance(request.image, bytes):
            return self._preparer.prepare(request.image, image_id=request.image_id, uri=request.uri, sha256=sha256)
        return tiles_item(request.image, image_id=request.image_id, uri=request.uri)

    def finish(self, raw: RawItem, request: PredictRequest, *, queue_ms: float, batch_size: int) -> Answer:
        """The third verb, with the caller's options."""
        variant = self._whole if request.options.views is None else self._variants[request.options.views]
        prediction = variant.options.finish(raw, request.options)
        wants_raw = request.options.with_probabilities
        return Answer(
            prediction=prediction,
            row=variant.rows.row(prediction, row_id=0),
            model=self._name,
            model_digest=variant.digest,
            queue_ms=queue_ms,
            batch_size=batch_size,
            raw=variant.options.probabilities(prediction.result, raw) if wants_raw and prediction.result else {},
        )


class Variant:
    """What finishes the answers of a package with some of its views, or all.

    Args:
        package: without its weights.
    """

    def __init__(self, package: ModelPackage) -> None:
        self.digest = package.digest
        self.options = ModelOptions(package)
        self.rows = RowBuilder(package.spec, model_digest=package.digest)


def without_weights(package: ModelPackage) -> ModelPackage:
    """A package for prepare and finish alone: what the weights' bytes were is in the digest."""
    members = tuple(without_weights(member) for member in package.members)
    return replace(package, weights=replace(package.weights, files={}), members=members)
