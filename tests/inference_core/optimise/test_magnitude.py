from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inference_core.optimise.magnitude import prune_smallest, zeros_frac


def weights(*values: Any) -> dict[str, Any]:
    return {str(index): np.float32(value) for index, value in enumerate(values)}


@pytest.mark.parametrize(
    ("given_weights", "frac", "expected"),
    [
        pytest.param({}, 0.5, {}, id="none"),
        pytest.param(weights([]), 0.5, weights([]), id="empty"),
        pytest.param(weights([1.0]), 0.4, weights([1.0]), id="rounds-down"),
        pytest.param(weights([1.0]), 0.6, weights([0.0]), id="rounds-up"),
        pytest.param(weights([2, 2, 2, 2]), 0.5, weights([0, 0, 2, 2]), id="equal"),
        pytest.param(weights([3, -1], [[-0.5, 4]]), 0.5, weights([3, 0], [[0, 4]]), id="across-layers"),
        pytest.param(weights([3, -1]), 1.0, weights([0, 0]), id="all"),
    ],
)
def test_the_smallest_of_all_layers_go(given_weights: Any, frac: float, expected: Any) -> None:
    pruned = prune_smallest(given_weights, frac=frac)
    assert pruned.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(pruned[name], value)
        assert pruned[name].dtype == np.float32


@given(
    arrays.arrays(np.float32, st.integers(1, 60), elements=st.floats(-4, 4, width=32)),
    st.floats(0, 1),
)
def test_what_is_kept_is_as_it_was_and_no_smaller_than_what_went(values: Any, frac: float) -> None:
    values.flags.writeable = False
    pruned = prune_smallest({"a": values}, frac=frac)["a"]
    kept = pruned != 0
    np.testing.assert_array_equal(pruned[kept], values[kept])
    assert np.count_nonzero(pruned) <= len(values) - round(frac * len(values))
    if kept.any() and not kept.all():
        assert np.abs(values[kept]).min() >= np.abs(values[~kept]).max()


def test_it_prunes_what_torch_prunes() -> None:
    import torch
    from torch import nn
    from torch.nn.utils import prune

    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.Linear(10, 7), nn.Conv2d(8, 8, 3, groups=8)]
    own = {str(index): layer.weight.detach().numpy().copy() for index, layer in enumerate(layers)}
    prune.global_unstructured([(layer, "weight") for layer in layers], pruning_method=prune.L1Unstructured, amount=0.37)
    for index, value in enumerate(prune_smallest(own, frac=0.37).values()):
        np.testing.assert_array_equal(value, layers[index].weight.detach().numpy())


@pytest.mark.parametrize(
    ("given_weights", "expected"),
    [
        pytest.param({}, 0.0, id="none"),
        pytest.param(weights([]), 0.0, id="empty"),
        pytest.param(weights([0, 1], [[0, 0]]), 0.75, id="across-layers"),
    ],
)
def test_share_of_zeros(given_weights: Any, expected: float) -> None:
    assert zeros_frac(given_weights) == expected
