"""Answers as pictures and arrays. All of it is work for a thread, not for the event loop."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference_core.export.masks import FAST_COMPRESSION, encode_mask
from inference_core.images import DecodePolicy, Limits, decode_image
from inference_core.records import Uint8Array
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Result, Segmentation
from inference_core.visualize.overlay import draw_overlay
from serve.offers import (
    DECLARED_OFFERS,
    IMAGE_PNG,
    MASK_PNG,
    NPY,
    OVERLAY_PNG,
    SCORES_NPY,
    UNCERTAINTY_PNG,
    Offer,
)


def render(offer: Offer, result: Result, *, image: bytes, policy: DecodePolicy, limits: Limits) -> bytes:
    """A result in the form that was asked for.

    Args:
        offer: one of those of the result's task.
        result: of the image.
        image: encoded, for an overlay.
        policy: how the package reads images.
        limits: of the service.
    """
    if offer == IMAGE_PNG:
        return color_png(decode_image(image, policy=policy, limits=limits).pixels)
    if offer == OVERLAY_PNG:
        assert isinstance(result, Segmentation | Detection), "other tasks offer no overlay"
        pixels = decode_image(image, policy=policy, limits=limits).pixels
        return color_png(draw_overlay(pixels, result))
    if offer == MASK_PNG:
        assert isinstance(result, Segmentation), "other tasks offer no mask"
        return mask_png(result)
    if offer in DECLARED_OFFERS:
        plane = pixels_of(result)
        assert plane is not None, "other models do not offer it"
        return gray_png(plane) if offer == UNCERTAINTY_PNG else npy_bytes(plane)
    assert offer.essence == NPY, "JSON is written elsewhere"
    return npy_bytes(result_array(result, wants_scores=offer == SCORES_NPY))


def result_array(result: Result, *, wants_scores: bool = False) -> NDArray[Any]:
    """A result as one array.

    Returns:
        Segmentation: (H, W) uint8 class ids, or scores times 255. Detection: (N, 6) float32 left, top, right, bottom,
        score, class id. Classification and multi-label: (k, 2) float32 class id, score. Embedding: (D,) float32.
    """
    if isinstance(result, Segmentation):
        return result.scores if wants_scores else result.mask
    if isinstance(result, Detection):
        return np.column_stack([result.boxes_xyxy, result.scores, result.class_ids]).astype(np.float32)
    if isinstance(result, Embedding):
        return result.vector
    assert isinstance(result, Classification | MultiLabel), "these are all tasks"
    return np.column_stack([result.class_ids, result.scores]).astype(np.float32)


def mask_png(result: Segmentation) -> bytes:
    """Class ids as a palette PNG, the same file as a job writes."""
    return encode_mask(result.mask, num_classes=len(result.labels))


def pixels_of(result: Result) -> Uint8Array | None:
    """(H, W) uncertainties times 255, None where there are none."""
    if not isinstance(result, Segmentation) or result.spread is None:
        return None
    return result.spread.pixels


def gray_png(plane: Uint8Array) -> bytes:
    """(H, W) uint8 as a gray PNG: the values come back as they are."""
    return _png(plane)


def color_png(pixels: Uint8Array) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG."""
    return _png(pixels)


def npy_bytes(array: NDArray[Any]) -> bytes:
    """An array as a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _png(pixels: Uint8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=FAST_COMPRESSION)
    return buffer.getvalue()
