from __future__ import annotations

import numpy as np
import pytest

from inference_core.engines.normalize import ArrayNormalizer
from inference_core.items import PreparedItem
from inference_core.optimise.calibration import CalibrationReader, cut_batches
from inference_core.pipeline import build_preparer
from inference_core.preparer import Preparer
from tests.drawn_images import png_bytes
from tests.specs import input_spec, package_of

SPEC = input_spec({"scale": 127.5, "mean": [1.0], "color": "bgr"})


def preparer() -> Preparer:
    return build_preparer(package_of(b"", {"input": SPEC}))


def items(count: int) -> list[PreparedItem]:
    return [preparer().prepare(png_bytes(index), image_id=str(index)) for index in range(count)]


def test_images_come_prepared_and_normalised_as_in_every_run() -> None:
    own = items(2)
    reader = CalibrationReader(own, SPEC, input_name="image", max_batch=None)
    assert len(reader) == 2
    for item in own:
        batch = reader.get_next()
        assert batch is not None
        assert item.prepared is not None
        assert list(batch) == ["image"]
        np.testing.assert_array_equal(batch["image"], ArrayNormalizer(SPEC).normalize(item.prepared.tiles))
        assert batch["image"].shape == (1, 3, 8, 8)
    assert reader.get_next() is None


def test_a_range_is_given_alone() -> None:
    own = items(3)
    reader = CalibrationReader(own, SPEC, input_name="image", max_batch=None)
    reader.set_range(start_index=1, end_index=2)
    batch = reader.get_next()
    assert batch is not None
    assert own[1].prepared is not None
    np.testing.assert_array_equal(batch["image"], ArrayNormalizer(SPEC).normalize(own[1].prepared.tiles))
    assert reader.get_next() is None


def test_a_graph_with_a_fixed_batch_gets_it() -> None:
    batch = CalibrationReader(items(1), SPEC, input_name="image", max_batch=4).get_next()
    assert batch is not None
    assert batch["image"].shape == (4, 3, 8, 8)


@pytest.mark.parametrize(
    ("size", "counts"), [pytest.param(1, [1] * 9, id="one"), pytest.param(4, [4, 4, 1], id="some")]
)
def test_many_tiles_are_cut(size: int, counts: list[int]) -> None:
    tiled = build_preparer(package_of(b"", {"task": "segmentation", "input": {"fit": "tile", "size_hw": [16, 16]}}))
    item = tiled.prepare(np.zeros((48, 48, 3), np.uint8), image_id="a")
    assert [len(batch) for batch in cut_batches([item], size=size)] == counts


def test_failed_images_are_passed_over() -> None:
    bad = preparer().prepare(b"no image", image_id="bad")
    assert len(cut_batches([bad, *items(1)], size=4)) == 1
