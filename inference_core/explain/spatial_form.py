"""How the output of a layer lies over the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

MAX_EXTRA_TOKENS = 8
"""Class, distillation and register tokens in front of those of the image."""
SLACK = 2
"""Cells by which a map's sides may leave the proportion of the input, for padding and rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialForm:
    """A grid over the input."""

    kind: Literal["BCHW", "BHWC", "tokens"]
    grid_hw: tuple[int, int]
    num_extra: int = 0
    """Leading tokens that stand for no place."""

    @property
    def num_cells(self) -> int:
        """Of the grid."""
        return self.grid_hw[0] * self.grid_hw[1]

    def to_planes(self, output: Tensor) -> Tensor:
        """(B, C, h, w) of an output of this form."""
        if self.kind == "BCHW":
            return output
        if self.kind == "BHWC":
            return output.permute(0, 3, 1, 2)
        tokens = output[:, self.num_extra :]
        return tokens.transpose(1, 2).reshape(len(output), -1, *self.grid_hw)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialLayer:
    """A layer, or an operation of a graph without layers, and the form of its output."""

    name: str
    """As ``named_modules`` has it; of an operation as torch.export names it."""
    form: SpatialForm


def spatial_hw(values: Tensor) -> tuple[int, int]:
    """Height and width of a model's input, (B, C, h, w) or (B, h, w, C) with at most 4 channels."""
    height, width = values.shape[1:3] if values.shape[1] > 4 and values.shape[3] <= 4 else values.shape[2:]
    return height, width


def tensor_of(output: Any) -> Tensor | None:
    """The tensor that a layer gives, or the first of a tuple."""
    if isinstance(output, tuple) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def find_form(shape: tuple[int, ...], *, input_hw: tuple[int, int]) -> SpatialForm | None:
    """The form of an output, None where it is no map of the input.

    Args:
        shape: of the output, batch first.
        input_hw: height and width of the model's input.
    """
    if len(shape) == 4 and is_grid(shape[2:], input_hw):
        return SpatialForm(kind="BCHW", grid_hw=(shape[2], shape[3]))
    if len(shape) == 4 and is_grid(shape[1:3], input_hw):
        return SpatialForm(kind="BHWC", grid_hw=(shape[1], shape[2]))
    if len(shape) != 3:
        return None
    for num_extra in range(MAX_EXTRA_TOKENS + 1):
        num_tokens = shape[1] - num_extra
        height = round((max(num_tokens, 1) * input_hw[0] / input_hw[1]) ** 0.5)
        width = num_tokens // max(height, 1)
        if height * width == num_tokens and is_grid((height, width), input_hw):
            return SpatialForm(kind="tokens", grid_hw=(height, width), num_extra=num_extra)
    return None


def is_grid(sides: tuple[int, ...], input_hw: tuple[int, int]) -> bool:
    """Whether two sides are more than a point and nearly in the proportion of the input."""
    height, width = sides
    in_proportion = abs(height * input_hw[1] - width * input_hw[0]) <= SLACK * max(input_hw)
    return height * width > 1 and in_proportion and height <= 2 * input_hw[0] and width <= 2 * input_hw[1]
