"""Which values of a golden image are kept, and under what names.

All of small arrays; of larger ones every so many, so that a package stays small. A step has no factor in common with
the usual numbers of channels and sizes of sides, so that what is kept lies all over the image. What is between is
proven all the same: prepared values by their SHA-256, outputs by the answer that all of them made.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

MAX_TILE_VALUES = 1 << 19
"""Of one image: half a megabyte before compression. An input of 224 x 224 is kept whole."""
MAX_OUTPUT_VALUES = 1 << 16
"""Of one output for one image: a quarter of a megabyte."""
USUAL_FACTORS = 2 * 3 * 5 * 7


def sampling_step(num_values: int, *, max_values: int) -> int:
    """The smallest fitting step: every so many values one is kept."""
    step = max(math.ceil(num_values / max_values), 1)
    while math.gcd(step, USUAL_FACTORS) > 1:
        step += 1
    return step


def sampled(values: NDArray[Any], *, step: int) -> NDArray[Any]:
    """What is kept of an array of any shape, flat; where that is a part, the whole can be let go."""
    kept = values.ravel()
    return kept if step == 1 else kept[::step].copy()


def tiles_name(index: int) -> str:
    """Of the prepared values of one image among the arrays: flat uint8."""
    return f"{index:02d}.tiles"


def output_name(index: int, position: int) -> str:
    """Of one of its raw outputs: flat, in the output's own type."""
    return f"{index:02d}.output.{position}"


def decision_name(index: int) -> str:
    """Of what its answer decides, see ``inference_core.agreement.decision_of``."""
    return f"{index:02d}.decision"
