"""Runs a torch module: fp32 or bf16 on the CPU, fp16 or bf16 on CUDA, channels-last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference_core.engines.cuda_graphs import ReplayedForward, recorded_size
from inference_core.engines.dropout_sampler import DropoutSampler
from inference_core.engines.graph_batch import drop_filling, fill_batch
from inference_core.engines.memory_errors import is_out_of_memory, memory_errors
from inference_core.engines.normalize import TensorNormalizer
from inference_core.engines.object_lists import find_objects, stack_objects
from inference_core.engines.protocol import EngineFacts, Precision
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError
from inference_core.input_spec import InputSpec
from inference_core.models.torch_module import TorchModel
from inference_core.records import Uint8Array

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

Forward = Callable[[Tensor], Any]
"""A module, or what stands for it."""


class TorchEngine:
    """A module on one device: eager, scripted, captured or compiled.

    Args:
        model: in evaluation mode; moved to ``device`` and owned from here on.
        spec: how pixels are normalised.
        device: a torch device name.
        precision: of weights and activations; of a captured graph what autocast lowers. Outputs are fp32.
        num_threads: CPU threads, recorded only; ``build_engine`` sets them.
        compiles: compile the module for each height and width that it meets: some seconds each, faster afterwards.
        cuda_graphs: record a forward for each shape and replay it, batches filled up to powers of two; on CUDA only.
        keeps_masks: whether masks in lists of objects are kept, which take memory.

    Raises:
        ConfigError: CUDA graphs are asked for without CUDA.
    """

    def __init__(
        self,
        model: TorchModel,
        spec: InputSpec,
        *,
        device: str,
        precision: Precision,
        num_threads: int,
        compiles: bool = False,
        cuda_graphs: bool = False,
        keeps_masks: bool = True,
    ) -> None:
        if cuda_graphs and device == "cpu":
            raise ConfigError("must be a CUDA device with CUDA graphs, got 'cpu'; turn them off", key="device")
        self.facts = EngineFacts(
            engine="torch",
            device=device,
            precision=precision,
            num_threads=num_threads,
            max_batch=model.max_batch,
            is_compiled=compiles,
            has_cuda_graphs=cuda_graphs,
            notes=model.notes,
        )
        self._keeps_masks = keeps_masks
        self._device = torch.device(device)
        self._normalizer = TensorNormalizer(spec, device=device)
        self._is_graph = model.is_graph
        self._dtype = torch.float32 if model.is_graph else DTYPES[precision]
        self._autocast = torch.autocast(
            self._device.type,
            dtype=DTYPES[precision],
            enabled=model.is_graph and precision != "fp32",
            cache_enabled=not cuda_graphs,  # a recording must not read weights that were cast outside of it
        )
        self._dropout: DropoutSampler | None = None
        self._module = place_module(model, device=self._device, dtype=self._dtype)
        forward: Forward = CompiledForward(self._module) if compiles else self._module
        self._forward = ReplayedForward(forward) if cuda_graphs else forward

    def run(self, batch: Uint8Array) -> dict[str, Tensor]:
        """See Engine.run."""
        filled = fill_batch(batch, size=self.filled_size(len(batch)))
        pixels = torch.from_numpy(np.require(filled, requirements="W"))  # torch refuses read-only memory
        return self.run_tensor(lambda: pixels.to(self._device), count=len(batch))

    def load(self, batch: Uint8Array) -> Tensor:
        """See LoadingEngine.load."""
        with memory_errors():
            return torch.from_numpy(np.require(batch, requirements="W")).to(self._device)

    def run_loaded(self, pixels: Tensor, *, dropout_seed: Sequence[int] | None = None) -> dict[str, Tensor]:
        """See LoadingEngine.run_loaded."""
        with nullcontext() if self._dropout is None else self._dropout.sampling(dropout_seed):
            return self.run_tensor(lambda: fill_pixels(pixels, size=self.filled_size(len(pixels))), count=len(pixels))

    def enable_dropout(self) -> None:
        """Let ``run_loaded`` leave units out.

        Raises:
            ConfigError: the forward is compiled or recorded, so that its layers cannot be switched any more.
            ModelError: the module has no dropout layers.
        """
        if self.facts.is_compiled or self.facts.has_cuda_graphs:
            raise ConfigError("must be off with dropout, whose layers are switched; turn it off", key="compile")
        if self._dropout is None:
            self._dropout = DropoutSampler(self._module)

    def filled_size(self, count: int) -> int | None:
        """How many images the forward of a batch takes, None for as many as there are."""
        return recorded_size(count) if self.facts.has_cuda_graphs else self.facts.max_batch

    @torch.inference_mode()
    def run_tensor(self, load: Callable[[], Tensor], *, count: int) -> dict[str, Tensor]:
        """Normalise and forward a batch of pixels.

        Args:
            load: gives (B, h, w, C) uint8 on the device, filled up; called once.
            count: images without those that fill up.

        Raises:
            DeviceMemoryError: the batch does not fit; a smaller one may.
            EngineError: the model refused the batch.
        """
        try:
            pixels = load()
            size = len(pixels)
            values = self._normalizer.normalize(pixels).to(self._dtype)
            with self._autocast:
                raw = self._forward(values.contiguous() if self._is_graph else values)
                outputs = name_outputs(raw, keeps_masks=self._keeps_masks)
        except FORWARD_ERRORS as exc:
            if is_out_of_memory(exc):
                raise DeviceMemoryError(first_line(exc)) from exc
            if "CUDA error" in str(exc):
                raise  # the device is unusable for this process from now on: no image is to blame
            raise EngineError(first_line(exc)) from exc
        return {name: drop_filling(output, count=count, size=size) for name, output in outputs.items()}


def fill_pixels(pixels: Tensor, *, size: int | None) -> Tensor:
    """Pixels on a device with blank images up to the size that a graph fixes."""
    missing = (size or 0) - len(pixels)
    return torch.cat([pixels, pixels.new_zeros((missing, *pixels.shape[1:]))]) if missing > 0 else pixels


class CompiledForward:
    """A module that torch compiles for the height and width of its input, whatever the number of images.

    Args:
        module: on its device.
    """

    def __init__(self, module: nn.Module) -> None:
        self._compiled = torch.compile(module)

    def __call__(self, values: Tensor) -> Any:
        """The module's outputs; the first call with a size of input takes seconds."""
        torch._dynamo.maybe_mark_dynamic(values, 0)  # else another number of images compiles it again
        return self._compiled(values)


def place_module(model: TorchModel, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The module on a device; in channels-last memory and a dtype unless it was captured in others."""
    if model.is_graph:
        return model.module.to(device)
    module = model.module.to(device, dtype)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs
    return module


def name_outputs(raw: Any, *, keeps_masks: bool = True) -> dict[str, Tensor]:
    """What a forward returned, as float32 tensors by name.

    A lone tensor is called ``output``, members of a tuple or list ``0``, ``1``, ...; entries of a mapping
    that are no tensors are left out. A list with one mapping for each image is stacked, with its masks if asked.

    Raises:
        EngineError: there is no tensor in it.
    """
    if isinstance(raw, Tensor):
        named = {"output": raw}
    elif (objects := find_objects(raw)) is not None:
        named = stack_objects(objects, keeps_masks=keeps_masks)
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
