from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from inference_core.export.brush_runs import brush_runs

MASK = np.array([[0, 1, 1, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1]], np.bool_)
OF_LABEL_STUDIO = [0, 0, 0, 60, 57, 27, 252, 96, 19, 255, 219, 0, 143, 254, 48, 8, 255, 227, 0, 194, 127, 224]
"""What ``label_studio_sdk.converter.brush.mask2rle(255 * MASK)`` of label-studio-sdk 2.1.2 gives."""


def decoded(runs: list[int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask, read bit by bit as the format is described there."""
    bits = iter("".join(f"{byte:08b}" for byte in runs))

    def take(count: int) -> int:
        return int("".join(next(bits) for _ in range(count)), 2)

    size, word = take(32), take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < size:
        is_run = take(1)
        count = take(lengths[take(2)]) + 1
        values += [take(word)] * count if is_run else [take(word) for _ in range(count)]
    return np.array(values).reshape(*shape, 4)[..., 3] == 255


def test_bytes_are_those_of_label_studio() -> None:
    assert brush_runs(MASK) == OF_LABEL_STUDIO


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_any_mask_comes_back(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(decoded(brush_runs(mask), mask.shape), mask)


@pytest.mark.parametrize("width", [64, 16_384, 16_385, 40_000], ids=["short", "longest", "one-more", "several"])
def test_long_runs_are_cut(width: int) -> None:
    mask = np.ones((1, width), np.bool_)
    assert np.array_equal(decoded(brush_runs(mask), mask.shape), mask)
