from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.segmentation import find_boundaries

from inference_core.evaluation.metrics.boundary import boundary_f, grown, outline, tolerance_of

MASKS = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2))


@given(mask=MASKS)
def test_an_outline_is_scikit_images(mask: np.ndarray[Any, Any]) -> None:
    for class_id in range(3):
        own = mask == class_id
        expected = find_boundaries(own, connectivity=1, mode="inner", background=False) & own
        assert np.array_equal(outline(own), expected)


@given(mask=arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))), radius_px=st.integers(1, 6))
def test_growing_takes_in_what_scipy_finds_within_the_distance(mask: np.ndarray[Any, Any], radius_px: int) -> None:
    distance = scipy.ndimage.distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    assert np.array_equal(grown(mask, radius_px), distance <= radius_px + 1e-9)


@given(truth=MASKS, data=st.data())
def test_boundary_f_is_f1_of_distances(truth: np.ndarray[Any, Any], data: st.DataObject) -> None:
    found = data.draw(arrays(np.uint8, truth.shape, elements=st.integers(0, 2)))
    scores = boundary_f(truth, found, num_classes=3, tolerance_px=2)
    for class_id in range(3):
        own, answer = (outline(part == class_id) for part in (truth, found))
        if not ((truth == class_id).any() or (found == class_id).any()):
            assert np.isnan(scores[class_id])
            continue
        parts = [
            np.mean(scipy.ndimage.distance_transform_edt(~there)[here] <= 2) if there.any() and here.any() else 0.0
            for here, there in ((answer, own), (own, answer))
        ]
        expected = 1.0 if not own.any() and not answer.any() else 2 * np.prod(parts) / max(sum(parts), 1e-30)
        assert scores[class_id] == pytest.approx(expected, abs=1e-9)


@given(mask=MASKS)
def test_a_mask_has_the_outlines_of_itself(mask: np.ndarray[Any, Any]) -> None:
    scores = boundary_f(mask, mask, num_classes=4)
    assert set(scores[np.unique(mask)]) == {1.0}
    assert np.isnan(scores[3])


def test_what_has_no_label_is_no_outline() -> None:
    truth = np.full((6, 6), 255)
    truth[:, :3] = 1
    found = np.ones((6, 6), np.uint8)
    found[0, 5] = 0  # where nobody can say what is right
    assert boundary_f(truth, found, num_classes=2)[1] == 1


@pytest.mark.parametrize(("image_hw", "pixels"), [((1, 1), 1), ((360, 480), 4), ((960, 999), 10)])
def test_the_usual_tolerance_grows_with_the_image(image_hw: tuple[int, int], pixels: int) -> None:
    assert tolerance_of(image_hw) == pixels
