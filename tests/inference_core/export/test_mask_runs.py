from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from inference_core.errors import ShapeError
from inference_core.export.mask_runs import RUNS_FIELD, mask_of_runs, runs_of_mask


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2, 255])))
def test_a_mask_comes_back(mask: NDArray[np.uint8]) -> None:
    mask.setflags(write=False)
    runs = runs_of_mask(mask)
    assert [run["class_id"] for run in runs] == sorted(set(mask.ravel().tolist()) - {0})
    (stored,) = pa.array([runs], RUNS_FIELD.type).to_pylist()
    assert np.array_equal(mask_of_runs(stored, image_hw=mask.shape), mask)


def test_background_alone_has_no_runs() -> None:
    assert runs_of_mask(np.zeros((3, 4), np.uint8)) == []


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_reads_them() -> None:
    mask = np.array([[0, 2, 2], [1, 1, 0]], np.uint8)
    for run in runs_of_mask(mask):
        np.testing.assert_array_equal(coco.decode(run), mask == run["class_id"])


def test_runs_of_another_size_are_told() -> None:
    with pytest.raises(ShapeError, match="they are of another size"):
        mask_of_runs(runs_of_mask(np.ones((3, 4), np.uint8)), image_hw=(5, 5))
