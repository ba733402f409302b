from __future__ import annotations

from typing import Any

import pytest
import torch

from inference_core.convert.capture import (
    CaptureError,
    capture_program,
    free_axes,
    is_traceable,
    make_example,
    reason_of,
)
from tests.exportable_nets import SIDE_PX, build_net, scripted
from tests.specs import input_spec

NATIVE = {"fit": "native", "size_hw": None, "multiple_px": 8}


@pytest.mark.parametrize(
    ("options", "batch", "axes"),
    [
        pytest.param({}, 4, {}, id="all fixed"),
        pytest.param({}, None, {0: "batch"}, id="the batch"),
        pytest.param(NATIVE, 4, {2: "height", 3: "width"}, id="the size"),
        pytest.param(NATIVE, None, {0: "batch", 2: "height", 3: "width"}, id="both"),
        pytest.param({**NATIVE, "layout": "BHWC"}, None, {0: "batch", 1: "height", 2: "width"}, id="channels last"),
    ],
)
def test_free_axes(options: dict[str, Any], batch: int | None, axes: dict[int, str]) -> None:
    assert free_axes(input_spec(options), batch=batch) == axes


@pytest.mark.parametrize(
    ("options", "batch", "shape"),
    [
        pytest.param({}, None, (2, 3, 4, 5), id="free batch"),
        pytest.param({}, 1, (1, 3, 4, 5), id="fixed batch"),
        pytest.param({"layout": "BHWC", "color": "gray"}, 3, (3, 4, 5, 1), id="gray, channels last"),
    ],
)
def test_the_example_is_the_same_in_every_run(
    options: dict[str, Any], batch: int | None, shape: tuple[int, ...]
) -> None:
    example = make_example(input_spec(options), tile_hw=(4, 5), batch=batch)
    assert tuple(example.shape) == shape
    assert example.unique().numel() == example.numel()
    torch.testing.assert_close(example, make_example(input_spec(options), tile_hw=(4, 5), batch=batch))


def test_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    make_example(input_spec(), tile_hw=(4, 5), batch=2)
    assert torch.equal(before, torch.get_rng_state())


class Scaling(torch.nn.Module):
    """Reads a number of Python from the pixels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) * images.max().item()


@pytest.mark.parametrize(
    ("module", "is_safe"), [(build_net("plain"), True), (Scaling().eval(), False)], ids=["tensors", "numbers"]
)
def test_numbers_that_come_from_pixels_are_seen(module: torch.nn.Module, is_safe: bool) -> None:
    spec = input_spec({"size_hw": [SIDE_PX, SIDE_PX]})
    assert is_traceable(capture_program(module, spec, tile_hw=(SIDE_PX, SIDE_PX))) == is_safe


def test_a_script_within_a_module_is_not_followed() -> None:
    holder = torch.nn.Sequential(scripted(build_net("branching")))
    with pytest.raises(CaptureError, match="its code is TorchScript"):
        capture_program(holder, input_spec({"size_hw": [SIDE_PX, SIDE_PX]}), tile_hw=(SIDE_PX, SIDE_PX))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(ValueError(), "ValueError", id="no text"),
        pytest.param(ValueError("\n\n  - first - \nsecond"), "first", id="the first line"),
        pytest.param(ValueError("x" * 999), "x" * 300, id="a long one"),
    ],
)
def test_reason_of(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
