from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.filters import threshold_multiotsu

from inference_core.errors import ConfigError
from inference_core.evaluation.fitting.multi_otsu import multi_otsu
from inference_core.postprocess.threshold import otsu_level


def spread(counts: np.ndarray[Any, Any], edges: list[int]) -> float:
    """The variance between the groups that edges make of a histogram."""
    bins = np.arange(len(counts))
    groups = np.split(np.arange(len(counts)), edges)
    mean = (counts * bins).sum() / counts.sum()
    return float(
        sum(
            counts[g].sum() * ((counts[g] * bins[g]).sum() / counts[g].sum() - mean) ** 2
            for g in groups
            if counts[g].sum()
        )
    )


@pytest.mark.parametrize("num_groups", [2, 3, 4])
def test_it_is_scikit_images(num_groups: int) -> None:
    random = np.random.default_rng(num_groups)
    values = np.concatenate([random.normal(mean, 0.05, 400) for mean in (0.15, 0.4, 0.65, 0.9)])
    counts = np.histogram(np.clip(values, 0, 1), bins=64, range=(0, 1))[0]
    expected = threshold_multiotsu(classes=num_groups, hist=(counts, np.arange(64)))  # the last bin below each edge
    assert multi_otsu(counts, num_groups=num_groups) == [(bin_ + 1) / 64 for bin_ in expected]


@given(counts=arrays(np.int64, 12, elements=st.integers(0, 20)), num_groups=st.integers(2, 4))
def test_no_other_division_is_better(counts: np.ndarray[Any, Any], num_groups: int) -> None:
    if np.count_nonzero(counts) < num_groups:
        with pytest.raises(ConfigError, match=r"must be at most the \d+ different scores"):
            multi_otsu(counts, num_groups=num_groups)
        return
    edges = [round(edge * 12) for edge in multi_otsu(counts, num_groups=num_groups)]
    found = spread(counts, edges)
    from itertools import combinations

    best = max(spread(counts, list(others)) for others in combinations(range(1, 12), num_groups - 1))
    assert found == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_two_groups_are_otsus() -> None:
    random = np.random.default_rng(0)
    levels = np.clip(np.concatenate([random.normal(60, 20, 500), random.normal(190, 15, 300)]), 0, 255).astype(np.uint8)
    (edge,) = multi_otsu(np.bincount(levels, minlength=256), num_groups=2)
    assert edge * 256 == otsu_level(levels) + 1


def test_groups_must_be_few() -> None:
    with pytest.raises(ConfigError, match="--otsu: must be 2 to 5 groups, got 6"):
        multi_otsu(np.ones(64), num_groups=6)
