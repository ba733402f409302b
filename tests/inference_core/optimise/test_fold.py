from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from inference_core.optimise.fold import find_batch_norms, fold_batch_norms


class Twice(nn.Module):
    """A convolution whose output goes into a batch norm and around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, values: Tensor) -> Tensor:
        features = self.conv(values)
        return torch.relu(self.norm(features)) + features


class Shared(nn.Module):
    """One convolution that is called twice, each time before a batch norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.other = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, values: Tensor) -> Tensor:
        return self.other(self.conv(self.one(self.conv(values))))


def trained(module: nn.Module) -> nn.Module:
    """The module with batch norms that have seen something."""
    generator = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.bias):
                if tensor is not None:
                    tensor.data.copy_(torch.randn(tensor.shape, generator=generator))
            for tensor in (layer.running_var, layer.weight):
                if tensor is not None:
                    tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


@pytest.mark.parametrize(
    ("module", "num_norms", "num_folded"),
    [
        pytest.param(nn.Conv2d(3, 4, 3), 0, 0, id="no-norm"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), 1, 1, id="convolution"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), 1, 1, id="without-bias"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)), 1, 1, id="not-affine"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.BatchNorm2d(3)), 1, 1, id="depthwise"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.BatchNorm2d(4)), 1, 1, id="padding-by-name"),
        pytest.param(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, stride=2), nn.BatchNorm2d(4)), 1, 1, id="transposed"),
        pytest.param(
            nn.Sequential(nn.ConvTranspose2d(3, 6, 2, groups=3), nn.BatchNorm2d(6)), 1, 0, id="transposed-in-groups"
        ),
        pytest.param(
            nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.BatchNorm1d(5)), 1, 1, id="linear"
        ),
        pytest.param(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), 1, 0, id="norm-first"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), 1, 0, id="behind-relu"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)), 2, 2, id="two-norms"),
        pytest.param(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)), 0, 0, id="own-statistics"
        ),
        pytest.param(Twice(), 1, 0, id="output-used-twice"),
        pytest.param(Shared(), 2, 2, id="shared-weights"),
    ],
)  # fmt: skip
def test_norms_behind_layers_go_and_the_outputs_stay(module: nn.Module, num_norms: int, num_folded: int) -> None:
    module = trained(module)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    batch: Any = ({0: Dim.DYNAMIC},)
    graph: Any = torch.export.export(module, (images,), dynamic_shapes=batch).module()
    assert len(find_batch_norms(graph)) == num_norms
    assert fold_batch_norms(graph) == num_folded
    assert len(find_batch_norms(graph)) == num_norms - num_folded
    with torch.inference_mode():
        torch.testing.assert_close(graph(images), module(images), rtol=1e-4, atol=1e-5)


def test_the_module_itself_is_not_changed() -> None:
    module = trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    graph: Any = torch.export.export(module, (torch.rand(2, 3, 8, 8),)).module()
    fold_batch_norms(graph)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
