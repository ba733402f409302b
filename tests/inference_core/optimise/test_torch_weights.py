from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference_core.contender import Contender
from inference_core.models.exported_program import load_program
from inference_core.models.package import ModelPackage, load_package
from inference_core.models.torch_module import build_module
from inference_core.optimise.fuse import fuse_package
from inference_core.optimise.magnitude import zeros_frac
from inference_core.optimise.prune import prune_package
from inference_core.optimise.torch_weights import fits_half, halve_weights, read_layer_weights, replace_layer_weights
from inference_core.pipeline import build_preparer
from tests.exportable_nets import net_package

CELLS = Path(__file__).resolve().parents[3] / "examples" / "cells" / "package"


@pytest.fixture(params=["state_dict", "torch_export"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> ModelPackage:
    """A small classifier, as it was trained or captured and fused."""
    own = load_package(str(net_package(tmp_path, "plain", width=32)))
    return own if request.param == "state_dict" else fuse_package(own)[0]


def outputs(package: ModelPackage) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    item = build_preparer(package).prepare(pixels, image_id="a")
    contender = Contender(package, "torch", device="cpu", precision="fp32", batch_size=4, num_threads=1)
    return contender.raw_outputs(item)["output"]


def test_weights_of_layers_are_read_and_replaced(package: ModelPackage) -> None:
    weights = read_layer_weights(package)
    assert sorted(weight.shape for weight in weights.values()) == [(3, 32), (32, 3, 3, 3)]
    doubled = replace_layer_weights(package, {name: weight * 2 for name, weight in weights.items()})
    for name, weight in read_layer_weights(doubled).items():
        np.testing.assert_array_equal(weight, weights[name] * 2)
    assert doubled.spec.format == package.spec.format
    same = replace_layer_weights(package, weights)
    np.testing.assert_array_equal(outputs(same), outputs(package))
    assert not np.allclose(outputs(doubled), outputs(package))


def test_half_the_weights_of_all_layers_go(package: ModelPackage) -> None:
    pruned, note = prune_package(package, frac=0.5)
    assert zeros_frac(read_layer_weights(pruned)) == pytest.approx(0.5, abs=0.01)
    assert note.startswith("50.0% of 960 weights in 2 layers are zero; compressed ")


def test_halved_weights_are_those_that_fp16_holds(package: ModelPackage) -> None:
    halved = halve_weights(package)
    for name, weight in read_layer_weights(package).items():
        rounded = torch.from_numpy(weight).half().float()
        found = [tensor for tensor in stored(halved) if tensor.shape == rounded.shape]
        assert [tensor.dtype for tensor in found] == [torch.float16], name
        torch.testing.assert_close(found[0].float(), rounded, rtol=0, atol=0)
    np.testing.assert_allclose(outputs(halved), outputs(package), atol=1e-3)
    assert not np.array_equal(outputs(halved), outputs(package))


def stored(package: ModelPackage) -> list[torch.Tensor]:
    """Tensors as they lie in the file."""
    if package.spec.format == "torch_export":
        return list(load_program(package.weights).state_dict.values())
    import safetensors.torch

    return list(safetensors.torch.load(package.weights.data).values())


def test_the_cells_unet_at_half_its_size() -> None:
    package = load_package(str(CELLS))
    halved = halve_weights(package)
    assert halved.weights.num_bytes == pytest.approx(package.weights.num_bytes / 2, rel=0.02)
    assert build_module(halved).module.state_dict()["outc.conv.weight"].dtype == torch.float32


def test_the_cells_unet_without_half_of_its_weights() -> None:
    package = load_package(str(CELLS))
    pruned, _ = prune_package(package, frac=0.5)
    weights = read_layer_weights(pruned)
    assert zeros_frac(weights) == pytest.approx(0.5, abs=0.01)
    before, after = (build_module(one).module.state_dict() for one in (package, pruned))
    others = [name for name in before if name not in weights]
    assert others
    assert all(torch.equal(before[name], after[name]) for name in others)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        pytest.param(torch.zeros(2, 2), True, id="weight"),
        pytest.param(torch.zeros(2), False, id="bias"),
        pytest.param(torch.zeros(2, 0), False, id="empty"),
        pytest.param(torch.full((2, 2), 7e4), False, id="too-large"),
        pytest.param(torch.full((2, 2), float("nan")), False, id="nan"),
        pytest.param(torch.zeros(2, 2, dtype=torch.int64), False, id="integers"),
    ],
)
def test_what_fp16_takes(tensor: torch.Tensor, expected: bool) -> None:
    assert fits_half(tensor) is expected
