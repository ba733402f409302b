"""Batch norms of a torch package folded away; what is left is a captured graph.

A fused model no longer fits the architecture that its state dict belonged to, so the result is a ``.pt2`` of
torch.export: it holds the graph itself, runs on every device that torch runs on, keeps the engine and needs no code
of the user's. TorchScript would be the other way to keep torch, and torch has given it up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference_core.convert.capture import CaptureError, capture_program
from inference_core.convert.export_package import example_hw
from inference_core.convert.named_outputs import NamedOutputs
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.convert.to_program import export_program
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage
from inference_core.optimise.fold import find_batch_norms, fold_batch_norms

if TYPE_CHECKING:
    from torch.fx import GraphModule


def fuse_package(package: ModelPackage) -> tuple[ModelPackage, str]:
    """The package with its batch norms folded, as torch_export, and what was done.

    Args:
        package: of a format that torch.export captures.

    Raises:
        ConfigError: there is nothing to fold.
        ModelError: torch.export does not capture the model.
    """
    graph, batch = capture_graph(package)
    before = len(find_batch_norms(graph))
    folded = fold_batch_norms(graph)
    if not folded:
        raise ConfigError(
            f"must have a batch norm behind a convolution or linear layer, got a model with {before} batch norms and "
            "none of them foldable; leave the option away",
            key="--fuse",
        )
    data = export_program(graph, package.spec.input, tile_hw=example_hw(package), batch=batch)
    fused = with_weights(package, weights_format="torch_export", files={FILE_NAMES["torch_export"]: data})
    return fused, f"{folded} of {before} batch norms folded; the weights are a graph of torch.export now"


def capture_package(package: ModelPackage) -> ModelPackage:
    """The package as torch_export; one that is a state dict or captured already stays.

    Raises:
        ModelError: torch.export does not capture the model.
    """
    if package.spec.format in ("state_dict", "torch_export"):
        return package
    graph, batch = capture_graph(package)
    data = export_program(graph, package.spec.input, tile_hw=example_hw(package), batch=batch)
    return with_weights(package, weights_format="torch_export", files={FILE_NAMES["torch_export"]: data})


def capture_graph(package: ModelPackage) -> tuple[GraphModule, int | None]:
    """The model as a graph that may be changed, and the batch size that it fixes.

    A module is captured in channels-last memory, as the torch engine would place it: its convolutions are faster so.

    Raises:
        ModelError: torch.export does not capture it.
    """
    import torch

    from inference_core.models.torch_module import build_module

    model = build_module(package)
    module = model.module
    if not model.is_graph:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs
        module = NamedOutputs(module, as_tuple=False)
    try:
        program = capture_program(module, package.spec.input, tile_hw=example_hw(package), batch=model.max_batch)
    except CaptureError as exc:
        raise ModelError(
            f"the model must be one that torch.export captures: {exc}; without --fuse and --prune it may still be "
            "exported to ONNX, whose --graph folds batch norms too"
        ) from exc
    return program.module(), model.max_batch
