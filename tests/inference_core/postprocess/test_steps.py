from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.errors import ConfigError
from inference_core.postprocess.components import (
    at_border,
    beyond_largest,
    larger_than,
    remove_components,
    smaller_than,
)
from inference_core.postprocess.holes import fill_class_holes
from inference_core.postprocess.measure import measure_components
from inference_core.postprocess.morphology import close_classes, open_classes
from inference_core.postprocess.steps import MaskStep, apply_steps
from inference_core.records import Uint8Array
from inference_core.results import ClassEffect, StepEffect

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2]))
STEPS = st.builds(
    lambda pair, class_ids: MaskStep(name=pair[0], value=pair[1], class_ids=class_ids),
    st.sampled_from(
        [
            ("min_area_px", 3),
            ("max_area_px", 9),
            ("keep_largest", 1),
            ("clear_border", True),
            ("fill_holes", True),
            ("fill_holes", 2),
            ("open_px", 3),
            ("close_px", 3),
        ]
    ),
    st.sampled_from([None, (1,), (2,), (1, 2)]),
)


@pytest.fixture
def mask() -> Uint8Array:
    """Blobs of two classes with holes and specks."""
    generator = np.random.default_rng(5)
    blobs = generator.integers(0, 3, (8, 8), np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    specks = generator.random(blobs.shape) < 0.05
    blobs[specks] = generator.integers(0, 3, int(specks.sum()), np.uint8)
    blobs.setflags(write=False)
    return blobs


def cleaned(mask: Uint8Array, *steps: tuple[str, int], background: int = 0) -> Uint8Array:
    chain = [MaskStep(name=name, value=value) for name, value in steps]
    return apply_steps(mask, steps=chain, background=background)[0]


def test_no_steps_change_nothing(mask: Uint8Array) -> None:
    assert apply_steps(mask, steps=())[0] is mask
    assert apply_steps(mask, steps=())[1] == ()


def test_each_step_changes_the_mask_as_its_function_does(mask: Uint8Array) -> None:
    cases: list[tuple[tuple[str, int], Uint8Array]] = [
        (("min_area_px", 4), remove_components(mask, rule=smaller_than(4))[0]),
        (("max_area_px", 40), remove_components(mask, rule=larger_than(40))[0]),
        (("keep_largest", 2), remove_components(mask, rule=beyond_largest(2))[0]),
        (("clear_border", True), remove_components(mask, rule=at_border)[0]),
        (("fill_holes", True), fill_class_holes(mask)[0]),
        (("fill_holes", 1), fill_class_holes(mask, max_hole_px=1)[0]),
        (("open_px", 3), open_classes(mask, diameter_px=3)),
        (("close_px", 3), close_classes(mask, diameter_px=3)),
    ]
    for step, expected in cases:
        assert np.array_equal(cleaned(mask, step), expected), step
        assert not np.array_equal(expected, mask), step


def test_steps_run_in_order(mask: Uint8Array) -> None:
    forth = cleaned(mask, ("close_px", 5), ("open_px", 5))
    back = cleaned(mask, ("open_px", 5), ("close_px", 5))
    assert np.array_equal(forth, open_classes(close_classes(mask, diameter_px=5), diameter_px=5))
    assert not np.array_equal(forth, back)


def test_two_specks_that_closing_joins_are_large_enough() -> None:
    mask = np.zeros((7, 9), np.uint8)
    mask[3, 3] = mask[3, 5] = 1
    assert cleaned(mask, ("close_px", 3), ("min_area_px", 3)).sum() == 3
    assert not cleaned(mask, ("min_area_px", 3), ("close_px", 3)).any()


def test_a_step_changes_the_named_classes_alone(mask: Uint8Array) -> None:
    found, effects = apply_steps(mask, steps=[MaskStep(name="keep_largest", value=1, class_ids=(2,))])
    assert np.array_equal(found == 1, mask == 1)
    assert [effect.class_id for effect in effects[0].classes] == [2]


def test_the_background_is_what_is_left(mask: Uint8Array) -> None:
    assert np.all(cleaned(mask, ("min_area_px", 10**6), background=2) == 2)


@pytest.mark.parametrize("name", ["fill_holes", "clear_border"])
def test_a_switch_that_is_off_does_nothing(mask: Uint8Array, name: str) -> None:
    found, effects = apply_steps(mask, steps=[MaskStep(name=name, value=False)])
    assert np.array_equal(found, mask)
    assert effects == (StepEffect(name=name, value=None),)


def test_effects_tell_components_and_pixels_by_class() -> None:
    mask = np.array(
        [
            [1, 0, 1, 1, 1, 0],
            [0, 0, 1, 0, 1, 0],
            [2, 0, 1, 1, 1, 0],
            [0, 0, 0, 0, 0, 2],
        ],
        np.uint8,
    )
    steps = [MaskStep(name="fill_holes"), MaskStep(name="min_area_px", value=2), MaskStep(name="keep_largest", value=3)]
    assert apply_steps(mask, steps=steps)[1] == (
        StepEffect(name="fill_holes", value=None, classes=(ClassEffect(class_id=1, num_components=1, num_pixels=1),)),
        StepEffect(
            name="min_area_px",
            value=2,
            classes=(
                ClassEffect(class_id=1, num_components=1, num_pixels=1),
                ClassEffect(class_id=2, num_components=2, num_pixels=2),
            ),
        ),
        StepEffect(name="keep_largest", value=3),
    )


def test_a_function_stands_between_steps_and_may_bring_a_class() -> None:
    def draw(mask: Uint8Array) -> Uint8Array:
        drawn = mask.copy()
        drawn[0, :] = 3  # over one pixel of class 1
        return drawn

    mask = np.zeros((4, 4), np.uint8)
    mask[0, 0] = mask[2, 2] = 1
    steps = [
        MaskStep(name="min_area_px", value=1),
        MaskStep(name="mine:draw", function=draw),
        MaskStep(name="min_area_px", value=5),
    ]
    found, effects = apply_steps(mask, steps=steps)
    assert not found.any()
    assert effects[1].name == "mine:draw"
    assert effects[1].value is None
    # The pixel that class 1 lost counts for class 1, those that were background for class 3.
    assert [(one.class_id, one.num_pixels) for one in effects[1].classes] == [(1, 1), (3, 3)]
    assert [(one.class_id, one.num_components) for one in effects[2].classes] == [(1, 1), (3, 1)]


@settings(deadline=None)
@given(mask=MASKS, steps=st.lists(STEPS, max_size=4))
def test_effects_sum_to_the_pixels_that_each_step_changed(mask: np.ndarray, steps: Sequence[MaskStep]) -> None:
    mask.setflags(write=False)
    found, effects = apply_steps(mask, steps=steps)
    assert [effect.name for effect in effects] == [step.name for step in steps]
    current = mask
    for step, effect in zip(steps, effects, strict=True):
        after = apply_steps(current, steps=[step])[0]
        assert effect.num_pixels == int((after != current).sum())
        assert {one.class_id for one in effect.classes} <= set(step.class_ids or (1, 2))
        # Lost to the background, or gained from it.
        assert np.all((after == current) | (after == 0) | (current == 0))
        current = after
    assert np.array_equal(current, found)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)], ids=str)
@pytest.mark.parametrize("value", [0, 1])
def test_the_whole_chain_takes_the_smallest_masks(shape: tuple[int, int], value: int) -> None:
    mask = np.full(shape, value, np.uint8)
    steps = [("fill_holes", True), ("close_px", 5), ("open_px", 5), ("min_area_px", 1), ("keep_largest", 1)]
    assert np.array_equal(cleaned(mask, *steps), mask)
    assert not cleaned(mask, ("clear_border", True)).any()


@pytest.mark.parametrize(
    "laid_out",
    [
        pytest.param(np.asfortranarray, id="columns first"),
        pytest.param(lambda mask: np.repeat(mask, 2, axis=1)[:, ::2], id="every second"),
        pytest.param(lambda mask: mask[::-1].copy()[::-1], id="upside down"),
    ],
)
def test_how_a_mask_lies_in_memory_does_not_matter(mask: Uint8Array, laid_out: Any) -> None:
    steps = [
        MaskStep(name=name, value=value) for name, value in (("fill_holes", 9), ("open_px", 3), ("min_area_px", 4))
    ]
    expected, effects = apply_steps(mask, steps=steps)
    found, found_effects = apply_steps(laid_out(mask), steps=steps)
    assert np.array_equal(found, expected)
    assert found_effects == effects
    one, other = (measure_components(form, mask, max_count=9) for form in (mask, laid_out(mask)))
    assert np.array_equal(one.eccentricities, other.eccentricities)
    assert np.array_equal(one.scores, other.scores)


def test_an_unknown_step_is_refused(mask: Uint8Array) -> None:
    with pytest.raises(ConfigError, match="postprocess step must be min_area_px, max_area_px"):
        cleaned(mask, ("dilate_px", 3))
