"""The first verb: anything that holds an image becomes uint8 tiles, or an item that says why not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from inference_core.errors import FetchError, InputError, StorageError
from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import HookFunction
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.images import DecodePolicy, Limits, load_image
from inference_core.input_spec import DecodeSpec, InputSpec
from inference_core.items import PreparedItem, StageMs
from inference_core.prepare import apply_filters, apply_fit, check_fit_limit, plan_fit, to_gray
from inference_core.prepare.hook_filter import HookFilter
from inference_core.provenance import sha256_hex
from inference_core.quality.image_look import look_of
from inference_core.records import DecodedImage, Prepared, SourceFacts

PrepareSource = bytes | NDArray[np.generic] | PillowImage | InputError | StorageError
"""Encoded bytes, pixels, a Pillow image, or the error that fetching ended with."""

MAX_FIT_PIXELS = 100_000_000
"""Default limit on an image's pixels after the fit, all tiles together."""


class Preparer:
    """Decodes and fits images as one model wants them. Holds no state; safe to share between threads.

    Args:
        spec: the package's input.
        limits: on bytes, pixels and frames, checked before anything is allocated.
        max_fit_pixels: on the size after the fit, likewise.
        code: of the package, where filters lie in it.
        tells_look: whether brightness, contrast and sharpness of the decoded image are measured.
        others: of further inputs of the same model: they fit what this one has decoded.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        limits: Limits,
        max_fit_pixels: int = MAX_FIT_PIXELS,
        code: PackageCode = NO_CODE,
        tells_look: bool = False,
        others: Sequence[Preparer] = (),
    ) -> None:
        self._spec = spec
        self._others = tuple(others)
        self._filters = tuple(
            HookFilter(HookFunction(step, role="filter", key="input.filters", code=code))
            if isinstance(step, HookSpec)
            else step
            for step in spec.filters
        )
        self._policy = decode_policy(spec.decode)
        self._limits = limits
        self._max_fit_pixels = max_fit_pixels
        self._tells_look = tells_look

    def prepare(
        self,
        source: PrepareSource,
        *,
        image_id: str,
        uri: str = "",
        page: int | None = None,
        frame_index: int | None = None,
        time_s: float | None = None,
        fetch_ms: float = 0.0,
        sha256: str = "",
    ) -> PreparedItem:
        """Decode, filter, fit.

        Args:
            source: encoded bytes, an array (H, W[, 1, 3 or 4]), a Pillow image, or the error of its fetching.
            image_id: stable key of the image.
            uri: where it came from.
            page: which page of a file; None for the one that the package names.
            frame_index: of a frame of a video, recorded.
            time_s: likewise.
            fetch_ms: how long fetching took, recorded.
            sha256: hex digest of encoded bytes, where it is known already.

        Returns:
            The tiles and their placement, or the status and error of an image that cannot be used. Never raises
            for a bad image.
        """
        started = time.perf_counter()
        facts = SourceFacts(image_id=image_id, uri=uri, page=page or 0, frame_index=frame_index, time_s=time_s)
        policy = self._policy if page is None else replace(self._policy, page=page)
        try:
            if isinstance(source, StorageError):
                raise FetchError(str(source), uri=uri)
            if isinstance(source, InputError):
                raise source
            if isinstance(source, bytes):
                facts = replace(facts, size_bytes=len(source), sha256=sha256 or sha256_hex(source))
            image = load_image(source, policy=policy, limits=self._limits, uri=uri)
            facts = with_image_facts(facts, image, tells_look=self._tells_look)
            prepared, *others = (preparer.fit(image) for preparer in (self, *self._others))
        except InputError as exc:
            times = StageMs(fetch=fetch_ms, prepare=elapsed_ms(started))
            return PreparedItem(source=facts, status=exc.status, error=str(exc), stage_ms=times)
        times = StageMs(fetch=fetch_ms, prepare=elapsed_ms(started))
        return PreparedItem(source=facts, prepared=prepared, others=tuple(others), stage_ms=times)

    def fit(self, image: DecodedImage) -> Prepared:
        """Put a decoded image into the model's input.

        Raises:
            TooLargeError: the image would be over the limit after the fit; nothing was allocated.
            InputError: a filter of the user's refused the image or failed on it.
        """
        spec = self._spec
        placement = plan_fit(
            image.image_hw,
            fit=spec.fit,
            size_hw=spec.size_hw,
            resize_px=spec.resize_px,
            resize_hw=spec.resize_hw,
            longest_px=spec.longest_px,
            scaled_multiple_px=spec.scaled_multiple_px,
            multiple_px=spec.multiple_px,
            overlap_px=spec.overlap_px,
            long_side_rounding=spec.long_side_rounding,
            crop_rounding=spec.crop_rounding,
        )
        check_fit_limit(placement, max_pixels=self._max_fit_pixels)
        pixels = to_gray(image.pixels) if spec.color == "gray" else image.pixels
        return apply_fit(
            apply_filters(pixels, self._filters),
            placement,
            interpolation=spec.interpolation,
            resampler=spec.resampler,
            pad_mode=spec.pad_mode,
            pad_value=spec.pad_value,
        )


def decode_policy(spec: DecodeSpec) -> DecodePolicy:
    """The decoder's policy of a package."""
    return DecodePolicy(
        apply_orientation=spec.apply_orientation, alpha=spec.alpha, cmyk=spec.cmyk, depth=spec.depth, page=spec.page
    )


def with_image_facts(facts: SourceFacts, image: DecodedImage, *, tells_look: bool) -> SourceFacts:
    """``facts`` with what decoding found out, and how the image looks where that is asked for."""
    return replace(
        facts,
        format=image.format,
        decoder=image.decoder,
        orientation=image.orientation,
        page=image.page,
        num_pages=image.num_pages,
        image_hw=image.image_hw,
        geo_tags=image.geo_tags,
        look=look_of(image.pixels) if tells_look else None,
    )


def elapsed_ms(started: float) -> float:
    """Milliseconds since ``time.perf_counter()`` gave ``started``."""
    return (time.perf_counter() - started) * 1000
