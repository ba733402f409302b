"""Monte Carlo dropout of a torch module: its dropout layers leave units out, and nothing else leaves evaluation mode.

A sample leaves out the same units for every image. So it is one thinned network that all images see, an image's answer
does not depend on what shares its batch, and is the same again for the same seed, on any device. For a single image the
samples are spread as those of dropout layers in training mode are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference_core.errors import ModelError

ELEMENT_LAYERS = (nn.Dropout, nn.AlphaDropout)
"""Leave out single values."""
CHANNEL_LAYERS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)
"""Leave out whole channels."""
ALPHA_LAYERS = (nn.AlphaDropout, nn.FeatureAlphaDropout)
"""Put what a SELU ends at in the place of what they leave out, and keep mean and variance."""
SELU_FLOOR = -1.7580993408473766
"""The value that a SELU never falls below. Source: Klambauer et al., Self-Normalizing Neural Networks, NeurIPS 2017."""
MAX_KEPT_MASKS = 512


class DropoutSampler:
    """Switches dropout layers for single forwards. Threads that share the module do not see each other's.

    Args:
        module: in evaluation mode, which it stays in; hooks are put on its dropout layers.

    Raises:
        ModelError: it has no dropout layer that leaves anything out.
    """

    def __init__(self, module: nn.Module) -> None:
        self._forward = UnderWay()
        self._masks: dict[tuple[Any, ...], Tensor] = {}
        layers = find_dropout_layers(module)
        if not layers:
            raise ModelError(
                "the model must have dropout layers (torch.nn.Dropout and its kin, p above 0) to be sampled, "
                "got none; train it with some, or remove dropout from model.yaml and use tta or an ensemble"
            )
        for index, layer in enumerate(layers):
            layer.register_forward_hook(partial(self._leave_out, index))

    @contextmanager
    def sampling(self, seed: Sequence[int] | None) -> Iterator[None]:
        """Leave units out until the end of the block.

        Args:
            seed: non-negative integers that choose them; None leaves out none.
        """
        self._forward.seed, self._forward.num_calls = seed, {}
        try:
            yield
        finally:
            self._forward.seed = None

    def _leave_out(self, index: int, layer: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        """The hook of one layer; None keeps its output."""
        seed, num_calls = self._forward.seed, self._forward.num_calls
        if seed is None:
            return None
        call = num_calls.get(index, 0)  # a layer may be used several times in one forward
        num_calls[index] = call + 1
        shape = mask_shape(layer, output)
        key = (*seed, index, call, shape, output.device)
        kept = self._masks.get(key)
        if kept is None:
            if len(self._masks) >= MAX_KEPT_MASKS:
                self._masks.clear()
            drawn = np.random.default_rng([*seed, index, call]).random(shape) >= rate_of(layer)
            kept = self._masks[key] = torch.from_numpy(drawn).to(output.device)
        return thin_out(layer, output, kept=kept)


class UnderWay(threading.local):
    """What the forward of each thread is sampled with."""

    def __init__(self) -> None:
        self.seed: Sequence[int] | None = None
        self.num_calls: dict[int, int] = {}


def find_dropout_layers(module: nn.Module) -> list[nn.Module]:
    """The layers that would leave something out, in the module's order."""
    layers = (*ELEMENT_LAYERS, *CHANNEL_LAYERS)
    return [layer for layer in module.modules() if isinstance(layer, layers) and rate_of(layer) > 0]


def rate_of(layer: nn.Module) -> float:
    """Share of units that a layer leaves out."""
    return float(layer.p)  # type: ignore[arg-type]


def mask_shape(layer: nn.Module, output: Tensor) -> tuple[int, ...]:
    """Of what a layer leaves out, one for all images: whole channels as one value."""
    if isinstance(layer, CHANNEL_LAYERS):
        return (1, output.shape[1], *(1 for _ in output.shape[2:]))
    return (1, *output.shape[1:])


def thin_out(layer: nn.Module, output: Tensor, *, kept: Tensor) -> Tensor:
    """A layer's output without some units.

    Args:
        layer: a dropout layer.
        output: (B, ...) of any floating dtype, not modified.
        kept: (1, ...) bool.
    """
    rate = rate_of(layer)
    if not isinstance(layer, ALPHA_LAYERS):
        return output * kept.to(output.dtype) / max(1 - rate, torch.finfo(output.dtype).tiny)
    gain = ((1 - rate) * (1 + rate * SELU_FLOOR**2)) ** -0.5 if rate < 1 else 0.0
    return torch.where(kept, output, SELU_FLOOR) * gain - gain * SELU_FLOOR * rate
