"""Read weights into a module: safe formats only, every mismatch told."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inference_core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training loops keep the state dict of a checkpoint."""

SHOWN_KEYS = 6

BROKEN_FILE = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)
"""What torch's readers were seen to raise for damaged files, beside UnpicklingError."""

COUNTER = "num_batches_tracked"
"""A batch norm's count of training steps: never read in evaluation, and absent from checkpoints before torch 0.4.1."""


def read_state_dict(data: bytes, *, name: str) -> dict[str, Tensor]:
    """Tensors by name from ``.safetensors`` or ``.pth`` bytes, on the CPU whatever they were saved on.

    A checkpoint that keeps the state dict under a usual key is unwrapped, and the ``module.`` prefix of
    data-parallel training is removed.

    Raises:
        ModelError: the bytes are no such file, or need code that is not run.
    """
    loaded = read_safetensors(data, name=name) if name.endswith(".safetensors") else read_pickle(data, name=name)
    state = unwrap(loaded, name=name)
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def read_safetensors(data: bytes, *, name: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file."""
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError) as exc:
        raise ModelError(f"weights must be a safetensors file, got {name} ({exc}); save it again") from exc


def read_pickle(data: bytes, *, name: str) -> Any:
    """What ``torch.save`` wrote, as far as it holds only tensors and plain containers."""
    import torch

    try:
        with warnings.catch_warnings():
            # Of pickle protocols and TorchScript archives: what matters of it is in the error that follows.
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        unsafe = unsafe_globals(data, refusal=str(exc))
        if unsafe:
            raise ModelError(
                f"weights must hold only tensors and plain containers, got {name} with {', '.join(unsafe)}, which "
                "would run code on loading; save model.state_dict() alone, best as .safetensors"
            ) from exc
        raise ModelError(f"weights must be a file of torch.save, got {name}; save it again") from exc
    except BROKEN_FILE as exc:
        if "TorchScript" in str(exc):
            raise ModelError(
                f"weights must be a state dict, got {name}, a TorchScript archive; use format torchscript"
            ) from exc
        reason = (str(exc).splitlines() or [type(exc).__name__])[0].split(". ")[0]
        raise ModelError(f"weights must be a file of torch.save, got {name} ({reason}); save it again") from exc


def unsafe_globals(data: bytes, *, refusal: str) -> list[str]:
    """Names that unpickling would import and run; [] where that cannot be told.

    Args:
        data: the file.
        refusal: torch's message, which names one of them where the file is of the format before zip archives.
    """
    import torch

    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except (*BROKEN_FILE, pickle.UnpicklingError):
        return re.findall(r"GLOBAL ([\w.]+)", refusal)[:1]


def unwrap(loaded: Any, *, name: str) -> dict[str, Tensor]:
    """The mapping of names to tensors inside a checkpoint."""
    import torch

    if isinstance(loaded, Mapping):
        if loaded and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in loaded.items()):
            return dict(loaded)
        for key in WRAPPERS:
            if isinstance(loaded.get(key), Mapping):
                return unwrap(loaded[key], name=f"{name}[{key}]")
        raise ModelError(
            f"weights must hold a state dict, got {name} with {shown(sorted(map(str, loaded)), 'other')}; "
            f"save it alone or under one of {', '.join(WRAPPERS)}"
        )
    raise ModelError(f"weights must hold a state dict, got {type(loaded).__name__} in {name}; save model.state_dict()")


def load_into(module: nn.Module, state: Mapping[str, Tensor], *, name: str) -> None:
    """Put ``state`` into ``module``; every key and every shape must fit, but for absent counters of batch norms.

    Raises:
        ModelError: names the missing and the unexpected keys, or the shapes that differ.
    """
    expected = module.state_dict()
    missing = sorted(key for key in set(expected) - set(state) if not key.endswith(COUNTER))
    unexpected = sorted(set(state) - set(expected))
    if missing or unexpected:
        raise ModelError(
            f"weights must fit the architecture, got {name} with {shown(missing, 'missing')} "
            f"and {shown(unexpected, 'unexpected')}; check architecture.name and its options"
        )
    wrong = [
        f"{key} {list(state[key].shape)} for {list(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if wrong:
        raise ModelError(
            f"weights must have the architecture's shapes, got {name} with {shown(wrong, 'differing')}; "
            "check architecture.options (widths, in_channels, num_classes)"
        )
    module.load_state_dict(state)


def shown(names: list[str], word: str) -> str:
    """``3 missing keys (a, b, c)`` with at most a few named."""
    if not names:
        return f"0 {word} keys"
    more = ", ..." if len(names) > SHOWN_KEYS else ""
    return f"{len(names)} {word} key{'s' if len(names) > 1 else ''} ({', '.join(names[:SHOWN_KEYS])}{more})"
