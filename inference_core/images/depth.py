"""Bringing pixel values of any type to 8 bits, never clipping."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.policy import Depth
from inference_core.records import Uint8Array

_BLOCK_VALUES = 262_144  # float64 working copies are made of this many values at a time
_HALF_LEVEL = 0.5 / 255  # values this far outside [0, 1] still round to 0 or 255


def scale_to_uint8(values: NDArray[Any], *, depth: Depth, bits: int | None = None) -> Uint8Array:
    """Scale values to 0..255.

    Args:
        values: at least 1-D; bool, integer or float. Not modified.
        depth: see ``DecodePolicy.depth``.
        bits: bits that an unsigned integer uses where that is fewer than its type has.

    Returns:
        Same shape, uint8, rounded to nearest; ``values`` itself where it is uint8 with all bits in use.

    Raises:
        DecodeError: a float value is not finite.
        UnsupportedError: no scale follows from the type, or the type is not a real number.

    Cost: one byte per value beside the result.
    """
    if values.dtype == np.bool_:
        return np.where(values.view(np.uint8) != 0, np.uint8(255), np.uint8(0))  # a file may hold a true of 2
    if values.dtype.kind not in "uif":
        raise UnsupportedError(f"pixel values must be bool, integer or float, got {values.dtype}; convert them")
    if values.dtype == np.uint8 and bits in (None, 8):
        return values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DecodeError("float pixel values must be finite, got NaN or infinity; replace them")
    if depth == "image_range":
        return _scale(values, low=float(values.min()), high=float(values.max()))
    return _scale_by_type(values, bits)


def _scale_by_type(values: NDArray[Any], bits: int | None) -> Uint8Array:
    if values.dtype.kind == "u":
        return _scale(values, low=0.0, high=float(2 ** (bits or values.dtype.itemsize * 8) - 1))
    found = f"{values.dtype} from {values.min():.6g} to {values.max():.6g}"
    if values.dtype.kind == "i":
        raise UnsupportedError(f"integer pixel values must be unsigned, got {found}; set depth to image_range")
    if values.min() < -_HALF_LEVEL or values.max() > 1 + _HALF_LEVEL:
        raise UnsupportedError(f"float pixel values must lie in [0, 1], got {found}; set depth to image_range")
    return _scale(values, low=0.0, high=1.0)


def _scale(values: NDArray[Any], *, low: float, high: float) -> Uint8Array:
    """Map low..high to 0..255; all 0 where they are equal."""
    half_span = high * 0.5 - low * 0.5  # the span itself may overflow
    if not half_span > 0:
        return np.zeros(values.shape, np.uint8)
    if values.dtype.kind == "u" and high <= 65_535:
        table = np.rint((np.arange(int(high) + 1) - low).clip(0) * 255 / (high - low)).astype(np.uint8)
        scaled: Uint8Array = table[values]
        return scaled
    out = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_VALUES // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        block = values[start : start + rows].astype(np.float64)
        out[start : start + rows] = np.rint((block * 0.5 - low * 0.5) / half_span * 255)
    return out
