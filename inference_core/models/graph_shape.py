"""Does what a package gives fit what a stored graph takes?"""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec

REMEDIES = {"C": "input.color (or input.layout)", "H": "input.size_hw", "W": "input.size_hw"}


def check_input_shape(shape: Sequence[int | str | None], *, spec: InputSpec) -> None:
    """Raise ModelError unless a batch made by ``spec`` fits a graph's input.

    Args:
        shape: sizes along the axes; anything but a number where the graph leaves them free.
        spec: the package's input.
    """
    if len(shape) != 4:
        raise ModelError(f"the graph's input must have 4 axes, got {list(shape)}; export it with a batch axis")
    axes = dict(zip(spec.layout, shape, strict=True))
    height, width = spec.size_hw or (None, None)
    for axis, given in {"C": spec.num_channels, "H": height, "W": width}.items():
        taken = axes[axis]
        if given is not None and isinstance(taken, int) and taken != given:
            raise ModelError(
                f"the graph takes {taken} along {axis} (input {list(shape)}, layout {spec.layout}), "
                f"the package gives {given}; correct {REMEDIES[axis]}"
            )
