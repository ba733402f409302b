from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import disk, ellipse
from skimage.measure import label, regionprops

from inference_core.errors import ShapeError
from inference_core.postprocess.measure import measure_components
from inference_core.records import Uint8Array
from inference_core.results import Components

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2]))
ALL = 10**6


def scores_of(mask: Uint8Array) -> Uint8Array:
    return np.random.default_rng(mask.size).integers(0, 256, mask.shape, np.uint8)


def by_skimage(mask: Uint8Array, scores: Uint8Array) -> list[tuple[int, int, float, list[int], list[float], float]]:
    """Class, area, score, box, centroid and eccentricity of each component, in our order and our coordinates."""
    found = []
    for class_id in sorted(set(np.unique(mask).tolist()) - {0}):
        # Its labels are in the order of first pixels.
        for region in regionprops(label(mask == class_id, connectivity=2), intensity_image=scores):
            top, left, bottom, right = region.bbox
            y, x = region.centroid
            score = float(region.intensity_mean) / 255
            box, centroid = [left, top, right, bottom], [x + 0.5, y + 0.5]
            found.append((class_id, int(region.area), score, box, centroid, float(region.eccentricity)))
    return sorted(found, key=lambda one: -one[1])


def check_equal(found: Components, mask: Uint8Array, scores: Uint8Array) -> None:
    expected = by_skimage(mask, scores)
    assert found.num_found == len(expected) == len(found.class_ids)
    if not expected:
        return
    classes, areas, means, boxes, centroids, eccentricities = zip(*expected, strict=True)
    assert found.class_ids.tolist() == list(classes)
    assert found.areas_px.tolist() == list(areas)
    assert found.boxes_xyxy.tolist() == list(boxes)
    np.testing.assert_allclose(found.scores, means, rtol=1e-6)
    np.testing.assert_allclose(found.centroids_xy, centroids, rtol=1e-6)
    # Of a component that is as wide as high scikit-image leaves the square root of a rounding error, ours is 0.
    np.testing.assert_allclose(found.eccentricities, eccentricities, atol=1e-6)


@settings(deadline=None)
@given(mask=MASKS)
def test_measurements_are_skimages(mask: np.ndarray) -> None:
    mask.setflags(write=False)
    scores = scores_of(mask)
    check_equal(measure_components(mask, scores, max_count=ALL), mask, scores)


def test_measurements_of_drawn_shapes_far_from_the_corner_are_skimages() -> None:
    mask = np.zeros((900, 1200), np.uint8)
    mask[disk((700, 1000), 60)] = 1
    mask[ellipse(500, 900, 40, 150, rotation=0.4)] = 2
    mask[100:110, 20:700] = 1
    mask[890:, 1190:] = 2
    scores = scores_of(mask)
    found = measure_components(mask, scores, max_count=ALL)
    check_equal(found, mask, scores)
    assert found.eccentricities[found.areas_px.argmin()] == 0  # a square of the last pixels
    assert found.eccentricities[0] > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (4, 5)], ids=str)
def test_empty_and_full_masks(shape: tuple[int, int]) -> None:
    nothing = measure_components(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), max_count=3)
    assert nothing.num_found == 0
    assert nothing.boxes_xyxy.shape == (0, 4)
    assert nothing.centroids_xy.shape == (0, 2)
    full = measure_components(np.ones(shape, np.uint8), np.full(shape, 255, np.uint8), max_count=3)
    height, width = shape
    assert (full.num_found, full.areas_px.tolist(), full.scores.tolist()) == (1, [height * width], [1.0])
    assert full.boxes_xyxy.tolist() == [[0, 0, width, height]]
    assert full.centroids_xy.tolist() == [[width / 2, height / 2]]


@pytest.mark.parametrize(
    ("shape", "eccentricity"), [((1, 1), 0.0), ((1, 5), 1.0), ((5, 1), 1.0), ((3, 3), 0.0)], ids=str
)
def test_eccentricity_at_its_ends(shape: tuple[int, int], eccentricity: float) -> None:
    mask = np.ones(shape, np.uint8)
    assert measure_components(mask, mask, max_count=1).eccentricities.tolist() == [eccentricity]


def test_the_largest_are_kept_and_all_are_counted() -> None:
    mask = np.array([[2, 0, 1, 0, 1, 1, 0, 2, 2]], np.uint8)
    found = measure_components(mask, mask, max_count=3)
    assert found.num_found == 4
    # Of equally large ones the lower class first, then the first pixel.
    assert found.class_ids.tolist() == [1, 2, 1]
    assert found.boxes_xyxy[:, 0].tolist() == [4, 7, 2]


def test_small_and_unnamed_ones_are_not_counted() -> None:
    mask = np.array([[2, 0, 1, 0, 1, 1, 0, 2, 2]], np.uint8)
    assert measure_components(mask, mask, max_count=9, min_area_px=2).areas_px.tolist() == [2, 2]
    only = measure_components(mask, mask, max_count=9, class_ids=(2, 7))
    assert (only.num_found, set(only.class_ids.tolist())) == (2, {2})


def test_a_component_with_another_inside_it() -> None:
    mask = np.ones((5, 5), np.uint8)
    mask[1:4, 1:4] = 0
    mask[2, 2] = 1
    found = measure_components(mask, np.full_like(mask, 51), max_count=9)
    assert found.areas_px.tolist() == [16, 1]
    assert found.centroids_xy.tolist() == [[2.5, 2.5], [2.5, 2.5]]
    np.testing.assert_allclose(found.scores, 0.2, rtol=1e-6)


def test_scores_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"scores must be \[2, 3\] as the mask, got \[3, 2\]"):
        measure_components(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), max_count=1)
