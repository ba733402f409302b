from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.golden.values import sampled, sampling_step


@pytest.mark.parametrize(
    ("num_values", "max_values", "step"),
    [
        pytest.param(0, 10, 1, id="none"),
        pytest.param(10, 10, 1, id="all"),
        pytest.param(11, 10, 11, id="one-too-many"),
        pytest.param(120, 10, 13, id="not-12"),
        pytest.param(131, 10, 17, id="not-14"),
    ],
)
def test_the_step(num_values: int, max_values: int, step: int) -> None:
    assert sampling_step(num_values, max_values=max_values) == step


@given(st.integers(1, 10**8), st.integers(1, 10**6))
def test_what_is_kept_is_few_and_all_over(num_values: int, max_values: int) -> None:
    step = sampling_step(num_values, max_values=max_values)
    assert math.ceil(num_values / step) <= max_values
    assert step == 1 or all(step % factor for factor in (2, 3, 5, 7))


def test_every_channel_and_column_is_among_what_is_kept() -> None:
    height, width, channels = 64, 96, 3
    place = np.arange(height * width * channels).reshape(height, width, channels)
    kept = sampled(place, step=sampling_step(place.size, max_values=1_500))
    assert set(kept % channels) == {0, 1, 2}
    assert len(set(kept // channels % width)) == width


def test_values_are_kept_in_reading_order_whatever_their_layout_in_memory() -> None:
    values = np.arange(24).reshape(2, 3, 4)
    turned = np.asfortranarray(values)
    assert sampled(turned, step=5).tolist() == sampled(values, step=5).tolist() == [0, 5, 10, 15, 20]
