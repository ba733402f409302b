"""Runs a torch module: fp32 on the CPU, fp16 or bf16 on CUDA, channels-last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import TensorNormalizer
from inference_core.engines.protocol import EngineFacts, Precision
from inference_core.errors import DeviceMemoryError, EngineError
from inference_core.records import Uint8Array
from inference_core.spec import InputSpec

FORWARD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    torch.jit.Error,  # what a script raises; no RuntimeError
)
"""What the code of a model may raise for an input that it does not take."""

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class TorchEngine:
    """An eager or scripted module on one device.

    Args:
        module: in evaluation mode; moved to ``device`` and owned from here on.
        spec: how pixels are normalised.
        device: a torch device name.
        precision: of weights and activations; normalisation and outputs are fp32.
        num_threads: CPU threads, recorded only; ``build_engine`` sets them.
    """

    def __init__(
        self, module: nn.Module, spec: InputSpec, *, device: str, precision: Precision, num_threads: int
    ) -> None:
        self.facts = EngineFacts(engine="torch", device=device, precision=precision, num_threads=num_threads)
        self._device = torch.device(device)
        self._dtype = DTYPES[precision]
        self._normalizer = TensorNormalizer(spec, device=device)
        self._module = module.to(self._device, self._dtype)
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    @torch.inference_mode()
    def run(self, batch: Uint8Array) -> dict[str, Tensor]:
        """See Engine.run."""
        try:
            pixels = torch.from_numpy(np.require(batch, requirements="W"))  # torch refuses read-only memory
            values = self._normalizer.normalize(pixels.to(self._device))
            return name_outputs(self._module(values.to(self._dtype)))
        except FORWARD_ERRORS as exc:
            if is_out_of_memory(exc):
                raise DeviceMemoryError(first_line(exc)) from exc
            if "CUDA error" in str(exc):
                raise  # the device is unusable for this process from now on: no image is to blame
            raise EngineError(first_line(exc)) from exc


def name_outputs(raw: Any) -> dict[str, Tensor]:
    """What a forward returned, as float32 tensors by name.

    A lone tensor is called ``output``, members of a tuple or list ``0``, ``1``, ...; entries of a mapping
    that are no tensors are left out.

    Raises:
        EngineError: there is no tensor in it.
    """
    if isinstance(raw, Tensor):
        named = {"output": raw}
    elif isinstance(raw, Mapping):
        named = {str(key): value for key, value in raw.items() if isinstance(value, Tensor)}
    elif isinstance(raw, Sequence):
        named = {str(index): value for index, value in enumerate(raw) if isinstance(value, Tensor)}
    else:
        named = {}
    if not named:
        raise EngineError(f"the model must return tensors, got {type(raw).__name__}; wrap its forward")
    return {key: value.float() if value.is_floating_point() else value for key, value in named.items()}


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something; long ones are cut."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    informative = [line for line in lines if not line.startswith(("The following operation failed", "Traceback"))]
    return (informative or lines or [type(error).__name__])[-1 if "Traceback" in str(error) else 0][:300]
