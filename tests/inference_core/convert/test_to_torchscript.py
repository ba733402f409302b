from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from inference_core.convert.to_torchscript import check_other_batch, export_torchscript
from inference_core.engines.torch_engine import name_outputs
from inference_core.errors import ModelError
from tests.exportable_nets import SIDE_PX, build_net, scripted
from tests.specs import input_spec

FIXED = input_spec({"size_hw": [SIDE_PX, SIDE_PX]})
NATIVE = input_spec({"fit": "native", "size_hw": None, "multiple_px": 8})


def load(data: bytes) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(io.BytesIO(data))  # type: ignore[no-any-return]


def assert_same(archive: bytes, module: nn.Module, values: Tensor) -> None:
    with torch.no_grad():
        expected, found = name_outputs(module(values)), name_outputs(load(archive)(values))
    assert list(found) == list(expected)
    for name, output in expected.items():
        torch.testing.assert_close(found[name], output, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("plain", {}, id="one tensor"),
        pytest.param("detector", {"by_name": False}, id="a tuple"),
        pytest.param("detector", {"by_name": True}, id="a mapping"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_keep_their_names_and_any_batch_size(kind: str, options: dict[str, Any], count: int) -> None:
    module = build_net(kind, **options)
    values = torch.rand(count, 3, SIDE_PX, SIDE_PX)
    assert_same(export_torchscript(module, FIXED, tile_hw=(SIDE_PX, SIDE_PX)), module, values)


def test_native_leaves_the_size_free() -> None:
    module = build_net("plain")
    assert_same(export_torchscript(module, NATIVE, tile_hw=(64, 72)), module, torch.rand(2, 3, 16, 40))


@pytest.mark.parametrize("value", [0.1, 0.9], ids=["dark", "bright"])
@pytest.mark.parametrize("is_script", [False, True], ids=["code", "script"])
def test_branches_are_scripted(value: float, is_script: bool) -> None:
    module = build_net("branching")
    archive = export_torchscript(scripted(module) if is_script else module, FIXED, tile_hw=(SIDE_PX, SIDE_PX))
    assert_same(archive, module, torch.full((2, 3, SIDE_PX, SIDE_PX), value))


class Choosing(nn.Module):
    """Branches on pixels in code that torch.jit.script does not read."""

    def forward(self, images: Tensor) -> Tensor:
        scores = images.mean(dim=(2, 3))
        choices = {True: lambda: scores, False: lambda: -scores}
        return choices[float(images.max()) > 0.5]()


class Scaling(nn.Module):
    """Multiplies by a number of Python that comes from the pixels, which torch.export reads and a trace keeps."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) * images.max().item()


class ThroughNumpy(nn.Module):
    """Leaves torch on the way."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) * torch.from_numpy(images.numpy().max(keepdims=True)).flatten()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        pytest.param(Choosing(), "branches on their values .*rewrite that part with torch.where", id="a branch"),
        pytest.param(ThroughNumpy(), "a trace may keep what it did for one image .*NumPy array", id="numpy"),
    ],
)
def test_what_can_neither_be_traced_nor_scripted_is_refused(module: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=f"{message}.*torch.jit.script refused it too"):
        export_torchscript(module.eval(), FIXED, tile_hw=(SIDE_PX, SIDE_PX))


def test_numbers_that_come_from_pixels_are_scripted() -> None:
    archive = export_torchscript(Scaling().eval(), FIXED, tile_hw=(SIDE_PX, SIDE_PX))
    for factor in (0.1, 0.9):
        assert_same(archive, Scaling(), torch.full((2, 3, SIDE_PX, SIDE_PX), factor))


class Fixing(nn.Module):
    """What a trace of a batch of 2 becomes that repeats its answer for a number of images it took for a constant."""

    def __init__(self, *, refuses: bool) -> None:
        super().__init__()
        self.refuses = refuses

    def forward(self, images: Tensor) -> Tensor:
        scores = images.mean(dim=(2, 3))
        return scores.reshape(2, 3) if self.refuses else scores[:2]


@pytest.mark.parametrize(
    ("refuses", "message"),
    [(True, "must take any number of images, but refused 3"), (False, "must answer 3 images as the model does")],
)
def test_a_trace_that_fixed_its_batch_is_refused(refuses: bool, message: str) -> None:
    class Means(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))

    with pytest.raises(ModelError, match=message):
        check_other_batch(Fixing(refuses=refuses), Means(), torch.rand(3, 3, 8, 8))


def test_a_fixed_batch_may_go_through_images_one_by_one() -> None:
    module = build_net("looping")
    archive = export_torchscript(module, FIXED, tile_hw=(SIDE_PX, SIDE_PX), batch=2)
    assert_same(archive, module, torch.rand(2, 3, SIDE_PX, SIDE_PX))
