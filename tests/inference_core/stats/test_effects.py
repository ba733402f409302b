from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.postprocess.steps import MaskStep, apply_steps
from inference_core.stats.effects import EffectCounts, EffectStats
from inference_core.stats.json_record import json_from_record, record_from_json
from inference_core.tasks.mask_columns import EFFECT_FIELD, effect_rows

CLASSES = ("background", "vessel", "lesion")
STEPS = [
    MaskStep(name="min_area_px", value=3),
    MaskStep(name="fill_holes", class_ids=(1,)),
    MaskStep(name="keep_largest", value=1),
    MaskStep(name="open_px", value=3),
]
MASKS = st.lists(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([0, 1, 2])),
    max_size=6,
)


def stats_of(masks: list[np.ndarray]) -> EffectStats:
    rows = [effect_rows(apply_steps(mask, steps=STEPS)[1], classes=CLASSES) for mask in masks]
    return EffectStats.of(pa.table({EFFECT_FIELD.name: pa.array(rows, EFFECT_FIELD.type)}))


@settings(deadline=None)
@given(MASKS)
def test_counts_are_those_of_the_masks(masks: list[np.ndarray]) -> None:
    stats = stats_of(masks)
    if not masks:
        assert stats == EffectStats()
        return
    assert stats.images == len(masks)
    effects = [apply_steps(mask, steps=STEPS)[1] for mask in masks]
    for index, counts in enumerate(stats.steps):
        own = [one[index] for one in effects]
        assert (counts.name, counts.value) == (STEPS[index].name, STEPS[index].number)
        assert counts.all_classes == EffectCounts(
            images=sum(effect.num_pixels > 0 for effect in own),
            components=sum(effect.num_components for effect in own),
            pixels=sum(effect.num_pixels for effect in own),
        )
        assert sum(one.pixels for one in counts.classes.values()) == counts.all_classes.pixels
        assert sum(one.components for one in counts.classes.values()) == counts.all_classes.components
        for class_id, one in counts.classes.items():
            of_class = [part for effect in own for part in effect.classes if part.class_id == int(class_id)]
            assert (one.images, one.pixels) == (len(of_class), sum(part.num_pixels for part in of_class))


@settings(deadline=None)
@given(MASKS, MASKS, MASKS)
def test_merging_is_folding_all_at_once_in_any_order(a: Any, b: Any, c: Any) -> None:
    one, two, three = stats_of(a), stats_of(b), stats_of(c)
    whole = stats_of([*a, *b, *c])
    assert one.merge(two).merge(three) == one.merge(two.merge(three)) == three.merge(one).merge(two) == whole
    assert one.merge(EffectStats()) == EffectStats().merge(one) == one


@settings(deadline=None)
@given(MASKS)
def test_it_comes_back_from_json(masks: list[np.ndarray]) -> None:
    stats = stats_of(masks)
    assert record_from_json(EffectStats, json_from_record(stats), name="effects") == stats


def test_rows_without_steps_tell_nothing() -> None:
    assert EffectStats.of(pa.table({"score": [0.5]})) == EffectStats()
    assert EffectStats.of(pa.table({"postprocess": pa.array([None], EFFECT_FIELD.type)})) == EffectStats()


def test_rows_that_were_taken_over_without_counts_do_not_count() -> None:
    rows = effect_rows(apply_steps(np.ones((1, 2), np.uint8), steps=STEPS)[1], classes=CLASSES)
    stats = EffectStats.of(pa.table({"postprocess": pa.array([None, rows], EFFECT_FIELD.type)}))
    assert stats.images == 1
    assert stats.steps[0].all_classes == EffectCounts(images=1, components=1, pixels=2)
    assert stats.steps[2].all_classes == EffectCounts(images=0, components=0, pixels=0)


def test_effects_of_other_steps_are_not_merged() -> None:
    mask = np.ones((2, 2), np.uint8)
    rows = effect_rows(apply_steps(mask, steps=[MaskStep(name="min_area_px", value=9)])[1], classes=CLASSES)
    other = EffectStats.of(pa.table({"postprocess": pa.array([rows], EFFECT_FIELD.type)}))
    with pytest.raises(ValueError, match="name and value must be equal to be merged, got min_area_px 3 and min_area"):
        stats_of([mask]).merge(other)
