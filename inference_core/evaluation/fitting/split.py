"""Which labelled images something is fitted on, and which measure it: never the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError


def split_images(image_ids: Sequence[str], *, fit_frac: float, seed: int) -> NDArray[np.bool_]:
    """Draw the images to fit on.

    Args:
        image_ids: N distinct ids, in any order: it does not change who is drawn.
        fit_frac: share of the images.
        seed: of the draw.

    Returns:
        (N,) bool, true for those to fit on.

    Raises:
        ConfigError: the share is not between 0 and 1, or leaves no image on one side.
    """
    if not 0 < fit_frac < 1:
        raise ConfigError(f"must lie between 0 and 1, got {fit_frac}; 0.5 fits on one half", key="--fit-frac")
    count = math.floor(len(image_ids) * fit_frac + 0.5)
    if count in (0, len(image_ids)):
        raise ConfigError(
            f"must leave labelled images to fit on and others to measure on, got {fit_frac} of {len(image_ids)}; "
            "label more images, or choose a share near 0.5",
            key="--fit-frac",
        )
    by_name = np.argsort(np.array(image_ids, dtype=object), kind="stable")
    drawn = np.random.default_rng(seed).permutation(len(image_ids))[:count]
    is_fitted = np.zeros(len(image_ids), np.bool_)
    is_fitted[by_name[drawn]] = True
    return is_fitted
