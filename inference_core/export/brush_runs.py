"""Masks as Label Studio's brush keeps them: runs of equal bytes of an RGBA picture, packed bit by bit.

Source: HumanSignal/label-studio-sdk, ``converter/brush.py``, ``encode_rle``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference_core.run_length import BoolArray

CHANNELS = 4
WORD_BITS = 8
LENGTH_BITS = (3, 4, 8, 16)
"""Of the length of a run; a code of two bits says which."""


def brush_runs(mask: BoolArray) -> list[int]:
    """The bytes of a mask.

    Args:
        mask: (H, W) bool, not modified.

    Cost: text of some 30 characters for each run.
    """
    values = np.append(mask.ravel(), not mask.flat[-1])
    ends = np.flatnonzero(values[1:] != values[:-1]) + 1
    lengths = np.diff(ends, prepend=0) * CHANNELS
    head = f"{mask.size * CHANNELS:032b}{WORD_BITS - 1:05b}" + "".join(f"{bits - 1:04b}" for bits in LENGTH_BITS)
    is_set = bool(mask.flat[0])
    parts = [head]
    for length in lengths.tolist():
        parts += [f"{code}{255 if is_set else 0:08b}" for code in length_codes(length)]
        is_set = not is_set
    text = "".join(parts)
    text += "0" * (8 - len(text) % 8)
    return [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]


def length_codes(length: int) -> Iterator[str]:
    """A run's length; more than 65,536 take several."""
    longest = 1 << LENGTH_BITS[-1]
    while length > longest:
        yield f"111{longest - 1:016b}"
        length -= longest
    code = next(index for index, bits in enumerate(LENGTH_BITS) if length <= 1 << bits)
    yield f"1{code:02b}{length - 1:0{LENGTH_BITS[code]}b}"
