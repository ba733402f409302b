from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from inference_core.detection_spec import DetrDecoder, Yolov8Decoder
from inference_core.runner import stack_tiles
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.mask_maps import PrototypeMaps, WholeMaps
from inference_core.tasks.kept_masks import cut_to_boxes, reduce_masks
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)


def integers(values: Any, *, library: str) -> Any:
    array: Any = array_of(values, library=library)
    return array.long() if library == "torch" else array.astype(np.int64)


def kept_of(rows: list[list[int]], *, library: str) -> Candidates:
    """Boxes over the whole input of 8 x 8."""
    shape = np.shape(rows)
    return Candidates(
        boxes_xyxy=array_of(np.broadcast_to([0, 0, 8, 8], (*shape, 4)), library=library),
        scores=array_of(np.ones(shape), library=library),
        class_ids=integers(np.zeros(shape), library=library),
        rows=integers(rows, library=library),
    )


@each_library
def test_only_masks_of_boxes_are_made(library: str) -> None:
    """Each candidate's map holds its own number; there are as many grids as boxes in the fullest tile."""
    logits = np.broadcast_to(np.arange(12).reshape(2, 6, 1, 1), (2, 6, 4, 4))
    maps = WholeMaps(maps=array_of(logits, library=library))
    kept = kept_of([[5, 1, 0], [2, 0, 0]], library=library)
    num_boxes = integers([2, 1], library=library)
    options: Any = {"decoder": DetrDecoder(masks=True), "input_hw": (8, 8), "mask_px": 4}
    found, finite = reduce_masks(maps, kept, num_boxes, **options)
    grids = numpy_of(found["masks"])
    assert (grids.shape, grids.dtype) == ((2, 2, 4, 4), np.uint8)
    expected = np.round(255 / (1 + np.exp(-np.array([[5, 1], [8, np.inf]]) / 4)))
    np.testing.assert_array_equal(grids[0, :, 0, 0], expected[0])
    np.testing.assert_array_equal(grids[1, :, 0, 0], [expected[1, 0], 0])  # an unused slot is empty
    assert numpy_of(found["mask_windows"]).tolist() == [[[0, 0, 8, 8]] * 2, [[0, 0, 8, 8], [0] * 4]]
    assert numpy_of(finite).tolist() == [True, True]


@each_library
def test_no_boxes_have_no_masks(library: str) -> None:
    maps = PrototypeMaps(
        coefficients=array_of(np.zeros((2, 0, 3)), library=library),
        prototypes=array_of(np.zeros((2, 3, 4, 4)), library=library),
    )
    kept = kept_of([[0], [0]], library=library)
    found, finite = reduce_masks(
        maps,
        kept,
        integers([0, 0], library=library),
        decoder=Yolov8Decoder(masks=True),
        input_hw=(8, 8),
        mask_px=4,
    )
    assert (tuple(found["masks"].shape), tuple(found["mask_windows"].shape)) == ((2, 0, 4, 4), (2, 0, 4))
    assert numpy_of(finite).tolist() == [True, True]


def test_a_device_gives_what_numpy_gives(device: str) -> None:
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "coefficients": random.normal(size=(3, 20, 8)).astype(np.float32),
        "prototypes": random.normal(size=(3, 8, 40, 48)).astype(np.float32),
    }
    kept: dict[str, Any] = {
        "boxes_xyxy": np.sort(random.uniform(-10, 180, (3, 6, 2, 2)), axis=2).reshape(3, 6, 4).astype(np.float32),
        "scores": np.ones((3, 6), np.float32),
        "class_ids": np.zeros((3, 6), np.int32),
        "rows": random.integers(0, 20, (3, 6)),
    }
    num_boxes = np.array([6, 0, 3], np.int32)
    options: Any = {"decoder": Yolov8Decoder(masks=True), "input_hw": (160, 192), "mask_px": 28}
    expected, _ = reduce_masks(PrototypeMaps(**arrays), Candidates(**kept), num_boxes, **options)
    moved = [{name: torch.tensor(values, device=device) for name, values in group.items()} for group in (arrays, kept)]
    counts = torch.tensor(num_boxes, device=device)
    found, finite = reduce_masks(PrototypeMaps(**moved[0]), Candidates(**moved[1]), counts, **options)
    assert finite.tolist() == [True] * 3
    np.testing.assert_allclose(found["mask_windows"].cpu(), expected["mask_windows"], atol=1e-4)
    np.testing.assert_allclose(found["masks"].cpu().to(torch.float32), expected["masks"], atol=1)  # by rounding


def tile(num_boxes: int, num_masks: int) -> dict[str, Any]:
    return {
        "num_boxes": np.int32(num_boxes),
        "masks": np.full((num_masks, 2, 2), 7, np.uint8),
        "mask_windows": np.ones((num_masks, 4), np.float32),
    }


def test_an_image_has_as_many_masks_as_its_fullest_tile_whatever_shared_the_forward() -> None:
    stacked = stack_tiles([tile(1, 5), tile(3, 5), tile(2, 2), tile(0, 0)])
    assert stacked["masks"].shape == (4, 3, 2, 2)
    assert stacked["masks"].sum(axis=(1, 2, 3)).tolist() == [3 * 28, 3 * 28, 2 * 28, 0]
    assert stacked["mask_windows"].shape == (4, 3, 4)
    assert stack_tiles([tile(1, 5)])["masks"].shape == (1, 1, 2, 2)


def test_tiles_without_masks_stay_as_they_are() -> None:
    assert cut_to_boxes([{"num_boxes": np.int32(3)}]) == [{"num_boxes": 3}]
