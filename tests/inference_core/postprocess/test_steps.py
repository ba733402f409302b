from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import ConfigError
from inference_core.postprocess.components import remove_small_components
from inference_core.postprocess.morphology import close_classes, fill_class_holes, open_classes
from inference_core.postprocess.steps import apply_steps
from inference_core.records import Uint8Array


@pytest.fixture
def mask() -> Uint8Array:
    """Blobs of two classes with holes and specks."""
    generator = np.random.default_rng(5)
    blobs = generator.integers(0, 3, (8, 8), np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    specks = generator.random(blobs.shape) < 0.05
    blobs[specks] = generator.integers(0, 3, int(specks.sum()), np.uint8)
    blobs.setflags(write=False)
    return blobs


def test_no_steps_change_nothing(mask: Uint8Array) -> None:
    assert apply_steps(mask, steps=()) is mask


def test_each_step_changes_the_mask_as_its_function_does(mask: Uint8Array) -> None:
    cases = [
        (("min_area_px", 4), remove_small_components(mask, min_area_px=4)),
        (("fill_holes", True), fill_class_holes(mask)),
        (("open_px", 3), open_classes(mask, diameter_px=3)),
        (("close_px", 3), close_classes(mask, diameter_px=3)),
    ]
    for step, expected in cases:
        cleaned = apply_steps(mask, steps=[step])
        assert np.array_equal(cleaned, expected), step
        assert not np.array_equal(cleaned, mask), step


def test_steps_run_in_order(mask: Uint8Array) -> None:
    forth = apply_steps(mask, steps=[("close_px", 5), ("open_px", 5)])
    back = apply_steps(mask, steps=[("open_px", 5), ("close_px", 5)])
    assert np.array_equal(forth, open_classes(close_classes(mask, diameter_px=5), diameter_px=5))
    assert not np.array_equal(forth, back)


def test_the_background_is_what_is_left(mask: Uint8Array) -> None:
    cleaned = apply_steps(mask, steps=[("min_area_px", 10**6)], background=2)
    assert np.all(cleaned == 2)


def test_fill_holes_false_does_nothing(mask: Uint8Array) -> None:
    assert np.array_equal(apply_steps(mask, steps=[("fill_holes", False)]), mask)


def test_an_unknown_step_is_refused(mask: Uint8Array) -> None:
    with pytest.raises(ConfigError, match="postprocess step must be min_area_px, fill_holes"):
        apply_steps(mask, steps=[("dilate_px", 3)])
