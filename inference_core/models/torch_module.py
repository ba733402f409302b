"""Build the torch module of a package whose format torch runs."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from inference_core.errors import ModelError
from inference_core.models.architectures import build_architecture
from inference_core.models.checkpoint import BROKEN_FILE, load_into, read_state_dict
from inference_core.models.package import ModelPackage

if TYPE_CHECKING:
    from torch import nn


def build_module(package: ModelPackage) -> nn.Module:
    """The package's module on the CPU, in evaluation mode, with its weights.

    Raises:
        ConfigError: the architecture cannot be built.
        ModelError: the weights do not fit or cannot be read.
    """
    module = load_torchscript(package) if package.spec.format == "torchscript" else load_state_dict(package)
    return module.eval()


def load_state_dict(package: ModelPackage) -> nn.Module:
    """Build the architecture and fill it."""
    architecture = package.spec.architecture
    assert architecture is not None, "the spec requires an architecture for state dicts"
    state = read_state_dict(package.weights, name=package.weights_uri.rsplit("/", 1)[-1])
    module = build_architecture(architecture)
    load_into(module, state, name=package.weights_uri.rsplit("/", 1)[-1])
    return module


def load_torchscript(package: ModelPackage) -> nn.Module:
    """Open a TorchScript archive on the CPU."""
    import torch

    try:
        with warnings.catch_warnings():
            # torch would have everyone export instead; the archives that exist still have to be read.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(io.BytesIO(package.weights), map_location="cpu")  # type: ignore[no-any-return,no-untyped-call]
    except BROKEN_FILE as exc:
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0].split(". ")[0]
        raise ModelError(
            f"weights must be a TorchScript archive, got {package.weights_uri} ({reason}); "
            "save it with torch.jit.save, or use format state_dict"
        ) from exc
