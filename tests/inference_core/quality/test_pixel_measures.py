from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, stats

from inference_core.quality.pixel_measures import PixelMeasures
from inference_core.results import Segmentation, Spread

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)
PLANES = SHAPES.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)),
        hnp.arrays(np.uint8, shape),
        hnp.arrays(np.uint8, shape),
    )
)


def segmentation(mask: Any, scores: Any) -> Segmentation:
    pixels = np.bincount(mask.ravel(), minlength=3).astype(np.int64)
    return Segmentation(
        mask=mask, scores=scores, class_pixels=pixels, class_scores=np.zeros(3, np.float32), labels=("a", "b", "c")
    )


def entropy(probs: Any) -> Any:
    return stats.entropy(np.stack([probs, 1 - probs]), base=2, axis=0)


def near_others(mask: Any, radius_px: int) -> Any:
    size = 2 * radius_px + 1
    return ndimage.maximum_filter(mask, size, mode="nearest") != ndimage.minimum_filter(mask, size, mode="nearest")


def mean_or_none(values: Any) -> Any:
    return None if values.size == 0 else pytest.approx(values.mean(), abs=1e-9)


@given(PLANES, st.booleans())
def test_figures_are_numpys_and_scipys(planes: Any, is_binary: bool) -> None:
    mask, scores, _ = planes
    own = np.where(mask == 0, 255 - scores, scores) / 255 if is_binary else scores / 255
    doubts = entropy(scores / 255) if is_binary else 1 - own
    pixels = PixelMeasures(segmentation(mask, scores), is_binary=is_binary)
    found = pixels.scores(low=0.6, high=0.9)
    quantiles = np.quantile(own, [0.05, 0.5, 0.95])
    assert found == pytest.approx(
        {
            "score_spread": own.std(),
            "score_p05": quantiles[0],
            "score_p50": quantiles[1],
            "score_p95": quantiles[2],
            "low_score_frac": (own < 0.6).mean(),
            "high_score_frac": (own >= 0.9).mean(),
        },
        abs=1e-7,
    )
    told = pixels.uncertainty()
    assert told["uncertainty"] == pytest.approx(doubts.mean(), abs=1e-9)
    assert told["uncertain_frac"] == pytest.approx((doubts >= 0.5).mean(), abs=1e-9)
    is_near = near_others(mask, 2)
    assert pixels.boundary(band_px=2) == {
        "boundary_uncertainty": mean_or_none(doubts[is_near]),
        "interior_uncertainty": mean_or_none(doubts[~is_near]),
    }


@given(PLANES)
def test_an_uncertainty_that_the_package_declares_is_the_one_at_boundaries(planes: Any) -> None:
    mask, scores, uncertainty = planes
    result = replace(segmentation(mask, scores), spread=Spread(pixels=uncertainty))
    is_near = near_others(mask, 1)
    assert PixelMeasures(result, is_binary=True).boundary(band_px=1) == {
        "boundary_uncertainty": mean_or_none(uncertainty[is_near] / 255),
        "interior_uncertainty": mean_or_none(uncertainty[~is_near] / 255),
    }


def test_a_drawn_disc_is_uncertain_at_its_edge() -> None:
    rows, columns = np.indices((64, 64)) - 31.5
    away = 20 - np.hypot(rows, columns)
    foreground = np.rint(255 / (1 + np.exp(-away))).astype(np.uint8)
    result = segmentation((foreground >= 128).astype(np.uint8), foreground)
    found = PixelMeasures(result, is_binary=True).boundary(band_px=3)
    assert found["boundary_uncertainty"] is not None
    assert found["interior_uncertainty"] is not None
    assert found["boundary_uncertainty"] > 0.4 > 0.02 > found["interior_uncertainty"]
