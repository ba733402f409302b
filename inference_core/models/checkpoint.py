"""Read weights into a module: safe formats only, every mismatch told."""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference_core.errors import ModelError
from inference_core.models.safe_globals import harmless_types_allowed

if TYPE_CHECKING:
    from torch import Tensor, nn

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training loops keep the state dict of a checkpoint."""

SHOWN_KEYS = 6

BROKEN_FILE = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)
"""What torch's readers were seen to raise for damaged files, beside UnpicklingError."""

COUNTER = "num_batches_tracked"
"""A batch norm's count of training steps: never read in evaluation, and absent from checkpoints before torch 0.4.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a file of weights holds."""

    state: dict[str, Tensor]
    """Tensors by name, on the CPU."""
    content: Mapping[str, Any]
    """The whole file, for those who read more of it than weights."""
    notes: tuple[str, ...] = ()
    """What was left out, for people."""


def read_state_dict(data: bytes, *, name: str) -> dict[str, Tensor]:
    """The tensors of ``read_checkpoint``."""
    return read_checkpoint(data, name=name).state


def read_checkpoint(data: bytes, *, name: str) -> Checkpoint:
    """Read ``.safetensors`` or ``.pth`` bytes, onto the CPU whatever they were saved on.

    A checkpoint that keeps the state dict under a usual key is unwrapped, the ``module.`` prefix of data-parallel
    training is removed, and what is no tensor is left out.

    Raises:
        ModelError: the bytes are no such file, or need code that is not run.
    """
    loaded = read_safetensors(data, name=name) if name.endswith(".safetensors") else read_pickle(data, name=name)
    state, notes = unwrap(loaded, name=name)
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return Checkpoint(state=state, content=loaded, notes=notes)


def read_safetensors(data: bytes, *, name: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file."""
    import safetensors.torch
    from safetensors import SafetensorError

    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError) as exc:
        raise ModelError(f"weights must be a safetensors file, got {name} ({exc}); save it again") from exc


def read_pickle(data: bytes, *, name: str) -> Any:
    """What ``torch.save`` wrote, as far as it holds only tensors, plain containers and harmless types."""
    import torch

    try:
        with harmless_types_allowed(), warnings.catch_warnings():
            # Of pickle protocols and TorchScript archives: what matters of it is in the error that follows.
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        unsafe = unsafe_globals(data, refusal=str(exc))
        if unsafe:
            raise ModelError(
                f"weights must hold only tensors and plain containers, got {name} with {', '.join(unsafe)}, which "
                "would run code on loading; save model.state_dict() alone, best as .safetensors (with Lightning, "
                "leave such objects out of save_hyperparameters and of callbacks)"
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
        with harmless_types_allowed():
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except (*BROKEN_FILE, pickle.UnpicklingError):
        return re.findall(r"GLOBAL ([\w.]+)", refusal)[:1]


def unwrap(loaded: Any, *, name: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The mapping of names to tensors inside a checkpoint, and notes of what beside them was left out."""
    import torch

    if not isinstance(loaded, Mapping):
        raise ModelError(
            f"weights must hold a state dict, got {type(loaded).__name__} in {name}; save model.state_dict()"
        )
    tensors = {k: v for k, v in loaded.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    others = sorted(str(key) for key in loaded if key not in tensors)
    if others:
        for key in WRAPPERS:
            if isinstance(loaded.get(key), Mapping):
                return unwrap(loaded[key], name=f"{name}[{key}]")
    if not tensors or any(holds_tensors(loaded[key]) for key in others if key in loaded):
        raise ModelError(
            f"weights must hold a state dict, got {name} with {shown(sorted(map(str, loaded)), 'other')}; "
            f"save it alone or under one of {', '.join(WRAPPERS)}"
        )
    return tensors, (f"{name}: left out {shown(others, 'other')}, no tensors",) if others else ()


def holds_tensors(value: Any) -> bool:
    """Whether an entry of a checkpoint is itself a mapping with tensors, so that nobody can tell which one is meant."""
    import torch

    return isinstance(value, Mapping) and any(isinstance(entry, torch.Tensor) for entry in value.values())


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
