"""Build the torch module of a package whose format torch runs."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import torch
from torch import nn

from inference_core.errors import ModelError
from inference_core.models.architectures import build_architecture
from inference_core.models.checkpoint import BROKEN_FILE, load_into, read_state_dict
from inference_core.models.exported_program import check_program, load_program
from inference_core.models.keras_module import load_keras
from inference_core.models.package import ModelPackage
from inference_core.models.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchModel:
    """A module and what its form says about how it may be run."""

    module: nn.Module
    """On the CPU, in evaluation mode, with its weights."""
    is_graph: bool = False
    """Captured with its dtypes and memory layout: neither may be changed under it."""
    max_batch: int | None = None
    """Images per forward where the graph fixes them."""


def build_module(package: ModelPackage) -> TorchModel:
    """The package's module.

    Raises:
        ConfigError: the architecture cannot be built, or an extra is not installed.
        ModelError: the weights do not fit or cannot be read.
    """
    weights = package.weights
    match package.spec.format:
        case "torchscript":
            return TorchModel(module=load_torchscript(weights).eval())
        case "torch_export":
            program = load_program(weights)
            return TorchModel(
                module=program.module(), is_graph=True, max_batch=check_program(program, package.spec.input)
            )
        case "keras":
            return TorchModel(module=load_keras(weights, package.spec.input), is_graph=True)
        case _:
            return TorchModel(module=load_state_dict(package).eval())


def load_state_dict(package: ModelPackage) -> nn.Module:
    """Build the architecture and fill it."""
    architecture = package.spec.architecture
    assert architecture is not None, "the spec requires an architecture for state dicts"
    weights = package.weights
    state = read_state_dict(weights.data, name=weights.name)
    module = build_architecture(architecture)
    load_into(module, state, name=weights.name)
    return module


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
