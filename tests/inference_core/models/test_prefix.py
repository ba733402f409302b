from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inference_core.errors import ConfigError
from inference_core.models.prefix import fit_names

EXPECTED = {
    "conv.weight": torch.zeros(2, 3),
    "conv.bias": torch.zeros(2),
    "norm.num_batches_tracked": torch.tensor(0),
}
NAMES = st.text("abc_", min_size=1, max_size=4)


def under(*prefixes: str, **extra: Tensor) -> dict[str, Tensor]:
    """The expected tensors behind each prefix, and others."""
    return {f"{prefix}{key}": tensor for prefix in prefixes for key, tensor in EXPECTED.items()} | extra


def fit(state: dict[str, Tensor], **options: Any) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    return fit_names(state, expected=EXPECTED, name="w.ckpt", **{"may_leave_out": True, **options})


@pytest.mark.parametrize(
    ("state", "notes"),
    [
        pytest.param(under(""), (), id="as they are"),
        pytest.param({key: tensor for key, tensor in under("").items() if "num" not in key}, (), id="without counters"),
        pytest.param(under("model."), ("w.ckpt: removed the prefix 'model.' from the names",), id="one prefix"),
        pytest.param(
            under("model.net."), ("w.ckpt: removed the prefix 'model.net.' from the names",), id="a longer prefix"
        ),
        pytest.param(
            under("_orig_mod."), ("w.ckpt: removed '_orig_mod.' of torch.compile from the names",), id="compiled"
        ),
        pytest.param(
            under("module.", **{"loss.weight": torch.zeros(1), "epoch": torch.zeros(1)}),
            (
                "w.ckpt: removed the prefix 'module.' from the names",
                "w.ckpt: left out 2 other keys (epoch, loss.weight), outside of it",
            ),
            id="beside other parts",
        ),
    ],
)
def test_names_that_fit(state: dict[str, Tensor], notes: tuple[str, ...]) -> None:
    found, told = fit(state)
    assert {key for key in EXPECTED if "num" not in key} <= set(found) <= set(EXPECTED)
    assert told == notes


def test_names_that_fit_as_they_are_are_not_searched_for() -> None:
    state = under("", "ema.")
    assert fit(state)[0] == state


def test_a_state_dict_leaves_nothing_out_by_itself() -> None:
    state = under("model.", **{"head.weight": torch.zeros(1)})
    message = (
        r"architecture.prefix: must be 'model.' if that part of w.ckpt is meant, got none; set it, and 1 other key "
    )
    with pytest.raises(ConfigError, match=message):
        fit(state, may_leave_out=False)
    assert set(fit(state, may_leave_out=False, prefix="model.")[0]) == set(EXPECTED)
    assert set(fit(under("model."), may_leave_out=False)[0]) == set(EXPECTED)


def test_shapes_decide_between_two_parts() -> None:
    state = under("student.") | {"teacher.conv.weight": torch.zeros(5, 3), "teacher.conv.bias": torch.zeros(5)}
    assert fit(state)[1][0] == "w.ckpt: removed the prefix 'student.' from the names"


def test_two_equal_parts_are_the_users_to_choose() -> None:
    with pytest.raises(
        ConfigError, match=r"architecture.prefix: must name one of .*\('ema.', 'model.'\), got none; set"
    ):
        fit(under("model.", "ema."))
    assert fit(under("model.", "ema."), prefix="ema")[1][0] == "w.ckpt: removed the prefix 'ema.' from the names"


def test_a_prefix_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"must begin names of the weights, got 'net'; those there are: loss, model"):
        fit(under("model.", **{"loss.weight": torch.zeros(1)}), prefix="net")


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({}, id="empty"),
        pytest.param({"other.weight": torch.zeros(1)}, id="of another network"),
    ],
)
def test_what_does_not_fit_stays_as_it_is(state: dict[str, Tensor]) -> None:
    assert fit(state) == (state, ())


@pytest.mark.parametrize("may_leave_out", [True, False])
def test_of_a_part_that_does_not_fit_whole_the_nearest_names_tell_what_is_missing(may_leave_out: bool) -> None:
    state = {"net.conv.weight": torch.zeros(2, 3), "head.bias": torch.zeros(1)}
    assert set(fit(state, may_leave_out=may_leave_out)[0]) == ({"conv.weight"} if may_leave_out else set(state))


@given(prefix=st.lists(NAMES, max_size=3), others=st.dictionaries(NAMES, st.just(torch.zeros(1)), max_size=3))
def test_whatever_the_prefix_is_it_is_found(prefix: list[str], others: dict[str, Tensor]) -> None:
    whole = "".join(f"{part}." for part in prefix)
    found, _ = fit({**others, **under(whole)})
    assert all(found[key] is tensor for key, tensor in EXPECTED.items())
