from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from inference_core.tasks.boxes import areas, corners_of_centers, pairwise_iou, scale_boxes
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)
whole = st.integers(0, 50)
boxes = st.lists(st.tuples(whole, whole, st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=6)


@each_library
@given(a=boxes, b=boxes)
@settings(deadline=None)  # the first example imports torch
def test_iou_is_that_of_pycocotools(library: str, a: list[tuple[int, ...]], b: list[tuple[int, ...]]) -> None:
    a_xywh, b_xywh = np.array(a, np.float64), np.array(b, np.float64)
    expected = coco_mask.iou(a_xywh, b_xywh, [0] * len(b))
    corners = [np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1) for xywh in (a_xywh, b_xywh)]
    iou = numpy_of(pairwise_iou(*(array_of(part, library=library) for part in corners)))
    np.testing.assert_allclose(iou, expected, atol=1e-6)  # ours is float32


@each_library
@pytest.mark.parametrize(
    ("box", "area"),
    [
        pytest.param([1, 1, 1, 1], 0, id="point"),
        pytest.param([1, 1, 1, 9], 0, id="line"),
        pytest.param([5, 5, 1, 1], 0, id="both-sides-wrong"),
        pytest.param([0, 0, 3, 2], 6, id="box"),
    ],
)
def test_areas(library: str, box: list[float], area: float) -> None:
    array = array_of([box], library=library)
    assert numpy_of(areas(array)).tolist() == [area]
    assert numpy_of(pairwise_iou(array, array)).tolist() == [[1.0 if area else 0.0]]


@each_library
@given(rows=arrays(np.float32, (3, 4), elements=st.integers(1, 100)))
@settings(deadline=None)  # the first example imports torch
def test_corners_and_back(library: str, rows: np.ndarray) -> None:
    corners = numpy_of(corners_of_centers(array_of(rows, library=library)))
    np.testing.assert_allclose((corners[:, :2] + corners[:, 2:]) / 2, rows[:, :2])
    np.testing.assert_allclose(corners[:, 2:] - corners[:, :2], rows[:, 2:])


@each_library
def test_shares_become_pixels_x_by_width(library: str) -> None:
    scaled = scale_boxes(array_of([[0.5, 0.5, 1, 1]], library=library), input_hw=(10, 40))
    assert numpy_of(scaled).tolist() == [[20, 5, 40, 10]]
