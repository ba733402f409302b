"""Masks as runs: the compressed run lengths that COCO's tools read and write, and the boxes and areas of masks.

A mask is read column by column, as COCO does. Its runs are kept as the positions where pixels of the object begin and
end, so that a mask costs what its outline costs, whatever the size of the image.

Source: cocodataset/cocoapi, ``common/maskApi.c``, ``rleEncode``, ``rleToString`` and ``rleFrString``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError

FIRST_CHARACTER = 48
"""What stands for 0; a character carries five bits, lowest first, and whether more follow."""
MORE, SIGN, FIVE_BITS = 0x20, 0x10, 0x1F
MAX_CHARACTERS = 12
"""Of one count: 12 times 5 bits are more than any image has pixels."""

BoolArray = NDArray[np.bool_]
Int64Array = NDArray[np.int64]


def encode_window(window: BoolArray, *, top_left_yx: tuple[int, int], image_hw: tuple[int, int]) -> str:
    """The compressed counts of a mask that is empty outside a window.

    Args:
        window: (h, w) bool, not modified.
        top_left_yx: where the window lies in the image, whole within it.
        image_hw: size of the image.

    Raises:
        ShapeError: the window reaches beyond the image.

    Cost: a few arrays of the window's size; none of the image's.
    """
    (top, left), (height, width) = top_left_yx, window.shape
    if min(top, left) < 0 or top + height > image_hw[0] or left + width > image_hw[1]:
        raise ShapeError(
            f"window must lie within {image_hw[0]} x {image_hw[1]} pixels, got {height} x {width} at {top}, {left}"
        )
    edges = np.diff(window.T.astype(np.int8), axis=1, prepend=0, append=0)  # (w, h + 1): 1 begins, -1 ends
    begins, ends = (
        (left + columns) * image_hw[0] + top + rows for columns, rows in (np.nonzero(edges == k) for k in (1, -1))
    )
    joints = np.flatnonzero(begins[1:] == ends[:-1])  # runs that go on at the top of the next column
    begins, ends = np.delete(begins, joints + 1), np.delete(ends, joints)
    return write_counts(counts_of(begins, ends, num_pixels=image_hw[0] * image_hw[1]))


def encode_mask(mask: BoolArray) -> str:
    """The compressed counts of a whole mask, (H, W) bool."""
    return encode_window(mask, top_left_yx=(0, 0), image_hw=(mask.shape[0], mask.shape[1]))


def decode_mask(counts: str, *, image_hw: tuple[int, int]) -> BoolArray:
    """The (H, W) bool mask of compressed counts.

    Raises:
        ShapeError: the counts are damaged, or are those of a mask of another size.

    Cost: one array of the image's size.
    """
    lengths = read_counts(counts)
    if lengths.min() < 0:
        raise damaged(counts)
    if lengths.sum() != image_hw[0] * image_hw[1]:
        raise ShapeError(
            f"counts must sum to {image_hw[0] * image_hw[1]} pixels, got {int(lengths.sum())}; they are of another size"
        )
    pixels = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.ascontiguousarray(pixels.reshape(image_hw[1], image_hw[0]).T)


def counts_of(begins: Int64Array, ends: Int64Array, *, num_pixels: int) -> Int64Array:
    """Lengths of the runs in turn, outside first, from (N,) positions where the object begins and ends."""
    edges = np.stack([begins, ends], axis=1).ravel()
    last = [] if len(edges) and edges[-1] == num_pixels else [num_pixels]
    return np.diff(np.concatenate([[0], edges, last])).astype(np.int64)


def write_counts(lengths: Int64Array) -> str:
    """Run lengths as text: from the fourth on, each less the one two before it."""
    values = lengths.astype(np.int64)
    values[3:] -= lengths[1:-2]
    characters = np.zeros((len(values), MAX_CHARACTERS), np.uint8)
    is_open = np.ones(len(values), np.bool_)
    for index in range(MAX_CHARACTERS):
        bits = values & FIVE_BITS
        values >>= 5
        has_more = np.where(bits & SIGN, values != -1, values != 0)
        characters[is_open, index] = ((bits | has_more * MORE) + FIRST_CHARACTER)[is_open]
        is_open &= has_more
        if not is_open.any():
            break
    return characters[characters > 0].tobytes().decode("ascii")


def read_counts(counts: str) -> Int64Array:
    """The run lengths of ``write_counts``.

    Raises:
        ShapeError: the text is cut off or holds other characters.
    """
    codes = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - FIRST_CHARACTER
    if len(codes) == 0 or codes.min() < 0 or codes.max() > 2 * MORE - 1 or codes[-1] & MORE:
        raise damaged(counts)
    is_last = (codes & MORE) == 0
    starts = np.concatenate([[0], np.flatnonzero(is_last)[:-1] + 1])
    places = np.arange(len(codes)) - np.repeat(starts, np.diff([*starts, len(codes)]))  # of a character in its count
    if places.max() >= MAX_CHARACTERS:
        raise damaged(counts)
    values = np.add.reduceat((codes & FIVE_BITS) << (5 * places), starts)
    is_negative = (codes[is_last] & SIGN) != 0
    values[is_negative] -= np.int64(1) << (5 * (places[is_last][is_negative] + 1))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def damaged(counts: str) -> ShapeError:
    """What is raised for text that no mask has."""
    return ShapeError(f"counts must be compressed run lengths, got {counts[:40]!r}; they are damaged")
