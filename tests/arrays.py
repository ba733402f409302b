"""The same numbers as an array of each library that engines give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LIBRARIES = ("numpy", "torch")


def array_of(values: Any, *, library: str) -> Any:
    """float32 values as a read-only NumPy array or a torch tensor."""
    array = np.array(values, np.float32)
    if library == "torch":
        import torch

        return torch.from_numpy(array)
    array.setflags(write=False)
    return array


def numpy_of(array: Any) -> NDArray[Any]:
    """An array of either library as NumPy."""
    return np.asarray(array)
