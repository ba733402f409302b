"""Build the torch module of a package whose format torch runs."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import torch
from torch import nn

from inference_core.architecture_spec import ArchitectureSpec
from inference_core.errors import ModelError
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.models.architectures import build_architecture
from inference_core.models.checkpoint import BROKEN_FILE, load_into, read_checkpoint
from inference_core.models.exported_program import check_program, load_program
from inference_core.models.keras_module import load_keras
from inference_core.models.lightning import load_lightning
from inference_core.models.package import ModelPackage
from inference_core.models.prefix import fit_names
from inference_core.models.timm_model import drop_classifier, timm_architecture
from inference_core.models.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchModel:
    """A module and what its form says about how it may be run."""

    module: nn.Module
    """In evaluation mode, with its weights; on the CPU unless it is a captured program."""
    is_graph: bool = False
    """Captured with its dtypes and memory layout: neither may be changed under it."""
    max_batch: int | None = None
    """Images per forward where the graph fixes them."""
    notes: tuple[str, ...] = ()
    """What loading the weights changed or left out, for people."""


def build_module(package: ModelPackage, *, device: str = "cpu") -> TorchModel:
    """The package's module.

    Args:
        package: as read.
        device: where it will run. Programs of torch.export name the device of every tensor that they make, so they
            are built for it; the others are moved by the engine.

    Raises:
        ConfigError: the architecture cannot be built, or an extra is not installed.
        ModelError: the weights do not fit or cannot be read.
    """
    weights = package.weights
    match package.spec.format:
        case "torchscript":
            return TorchModel(module=load_torchscript(weights).eval())
        case "torch_export":
            program = load_program(weights, device=device)
            return TorchModel(
                module=program.module(), is_graph=True, max_batch=check_program(program, package.spec.input)
            )
        case "keras":
            return TorchModel(module=load_keras(weights, package.spec.input), is_graph=True)
        case _:
            module, notes = load_tensors(package)
            return TorchModel(module=module.eval(), notes=notes)


def load_tensors(package: ModelPackage) -> tuple[nn.Module, tuple[str, ...]]:
    """The module of a format that holds tensors alone, and notes of what was changed or left out."""
    spec, weights = package.spec, package.weights
    if spec.format == "huggingface":
        from inference_core.models.huggingface_model import load_huggingface

        return load_huggingface(weights, task=spec.task, output=spec.output.name)
    architecture = spec.architecture
    assert architecture is not None, "the spec requires an architecture for formats without code"
    if spec.format == "lightning":
        return load_lightning(weights.data, name=weights.name, architecture=architecture, code=package.code)
    if spec.format == "timm":
        architecture = timm_architecture(architecture, task=spec.task)
    return load_state_dict(weights.data, name=weights.name, architecture=architecture, code=package.code)


def load_state_dict(
    data: bytes, *, name: str, architecture: ArchitectureSpec, code: PackageCode = NO_CODE
) -> tuple[nn.Module, tuple[str, ...]]:
    """Build the architecture and fill it."""
    checkpoint = read_checkpoint(data, name=name)
    module = build_architecture(architecture, code=code)
    expected = module.state_dict()
    state, fit_notes = fit_names(
        checkpoint.state, expected=expected, name=name, prefix=architecture.prefix, may_leave_out=False
    )
    state, head_notes = drop_classifier(state, module)
    load_into(module, state, name=name)
    return module, (*checkpoint.notes, *fit_notes, *head_notes)


def load_torchscript(weights: Weights) -> nn.Module:
    """Open a TorchScript archive on the CPU."""
    try:
        with warnings.catch_warnings():
            # torch would have everyone export instead; the archives that exist still have to be read.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(io.BytesIO(weights.data), map_location="cpu")  # type: ignore[no-any-return,no-untyped-call]
    except BROKEN_FILE as exc:
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0].split(". ")[0]
        raise ModelError(
            f"weights must be a TorchScript archive, got {weights.name} ({reason}); "
            "save it with torch.jit.save, or use format state_dict"
        ) from exc
