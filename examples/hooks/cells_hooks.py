"""Functions that the package of this example names: a filter, a decoder and a step on masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray


def flatten_light(pixels: NDArray[np.uint8], *, sigma_px: float) -> NDArray[np.uint8]:
    """A filter: take out the slow change of brightness over a slide.

    Args:
        pixels: (H, W, C) uint8.
        sigma_px: what changes more slowly than this is light, not cells.
    """
    light = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), sigma_px).reshape(pixels.shape)
    flat = pixels - light + light.mean(axis=(0, 1), keepdims=True)
    return np.clip(np.rint(flat), 0, 255).astype(np.uint8)


def prefer_cells(outputs: Mapping[str, Any], *, bias: float) -> Any:
    """A decoder: raise the logits of cells, so that doubtful pixels become cell.

    Args:
        outputs: of the model by name; (B, 2, h, w) planes of background and cell, of NumPy or torch.
        bias: added to the plane of cells.
    """
    (planes,) = outputs.values()
    xp = array_namespace(planes)
    return xp.stack([planes[:, 0, ...], planes[:, 1, ...] + bias], axis=1)


def drop_cells_at_border(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A step: remove cells that the image cuts off, as counting and measuring rules ask for.

    Args:
        mask: (H, W) uint8, 0 background, 1 cell.
    """
    _, regions = cv2.connectedComponents(mask, connectivity=8)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return np.where(np.isin(regions, border), 0, mask).astype(np.uint8)
