from __future__ import annotations

import pytest
import torch

from inference_core.architecture_spec import ArchitectureSpec
from inference_core.errors import ConfigError, ModelError
from inference_core.models.architectures import build_architecture


def spec_of(path: str, **options: object) -> ArchitectureSpec:
    return ArchitectureSpec(import_path=path, options=options)


def test_a_built_in_architecture_by_name() -> None:
    spec = ArchitectureSpec(name="unet", options={"in_channels": 1, "num_classes": 2, "widths": [2, 4]})
    module = build_architecture(spec)
    assert module(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 8, 8)


def test_any_module_by_import_path() -> None:
    module = build_architecture(spec_of("torch.nn:Linear", in_features=2, out_features=3))
    assert isinstance(module, torch.nn.Linear)
    assert module.weight.shape == (3, 2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param(
            ArchitectureSpec(name="resnet"),
            "architecture.name: must be one of unet or timm:NAME, got 'resnet'; or give 'import: package.module:",
            id="unknown-name",
        ),
        pytest.param(
            spec_of("no_such_package.models:build"),
            r"architecture.import: must be importable, got 'no_such_package.models:build' \(No module named 'no_such_",
            id="no-module",
        ),
        pytest.param(
            spec_of("torch.nn:Linnear"), "must be importable, .*has no attribute 'Linnear'", id="no-attribute"
        ),
        pytest.param(spec_of("torch:nn.Linnear"), "must be importable, .*has no attribute 'Linnear'", id="no-inner"),
        pytest.param(
            spec_of("math:pi"), "architecture.import: must name a callable, got 'math:pi', a float", id="no-callable"
        ),
        pytest.param(
            spec_of("torch.nn:Linear", in_features=2),
            "architecture: torch.nn:Linear refused the options {'in_features': 2}: .*'out_features'; correct them",
            id="option-missing",
        ),
        pytest.param(
            spec_of("torch.nn:Conv2d", in_channels=3, out_channels=2, kernel_size=1, groups=2),
            "architecture: torch.nn:Conv2d refused the options .*divisible by groups",
            id="option-wrong",
        ),
        pytest.param(
            ArchitectureSpec(name="unet", options={"in_channels": 1, "num_classes": 2, "widths": [4]}),
            r"widths: must name at least 2 levels, got \[4\]",
            id="built-in-refuses",
        ),
    ],
)
def test_what_cannot_be_built(spec: ArchitectureSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_architecture(spec)


def test_a_factory_of_something_else() -> None:
    with pytest.raises(ModelError, match=r"datetime:date must return a torch.nn.Module, got date; correct the factory"):
        build_architecture(spec_of("datetime:date", year=2001, month=1, day=1))
